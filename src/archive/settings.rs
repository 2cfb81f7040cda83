//! Where backups go, when they are made, and how.

use super::clear::ClearAmongEncrypted;
use super::folder::{Listing, list_proven};
#[cfg(feature = "encryption")]
use super::keys::{AgeIdentity, AgeRecipient};
use super::keys::{Identities, Recipients};
use super::mac::BackupKey;
use super::{Mode, Pace, Retention};
use crate::error::{Error, Result};
use crate::sqlite;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where backups go, when they are made, and how. Set with [`Config::backups`](crate::Config::backups).
///
/// ```
/// use botstore::Config;
/// use botstore::backup::{Backups, Retention};
/// use std::time::Duration;
///
/// const HOUR: Duration = Duration::from_secs(60 * 60);
/// let config = Config::new("bot.db").backups(
///     Backups::default()
///         .folder("/mnt/elsewhere/bot")
///         .every(HOUR)
///         .drill_every(24 * HOUR)
///         .retention(Retention::default().hourly(48)),
/// );
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are in a Config"]
pub struct Backups {
    folder: Option<PathBuf>,
    pub(crate) every: Option<Duration>,
    pub(crate) drill_every: Option<Duration>,
    pub(crate) retention: Retention,
    pub(crate) mode: Mode,
    pub(crate) pace: Pace,
    pub(crate) stall_deadline: Duration,
    pub(super) level: i32,
    pub(super) recipients: Recipients,
    pub(super) identities: Identities,
    pub(super) key: Option<BackupKey>,
    pub(super) clear_among_encrypted: ClearAmongEncrypted,
}

impl Default for Backups {
    /// Unencrypted backups in the folder `NAME.backups` beside the file, made on request and before an
    /// upgrade.
    fn default() -> Self {
        Self {
            folder: None,
            every: None,
            drill_every: None,
            retention: Retention::default(),
            mode: Mode::default(),
            pace: Pace::default(),
            stall_deadline: Duration::from_secs(15 * 60),
            level: 3,
            recipients: Recipients::new(),
            identities: Identities::new(),
            key: None,
            clear_among_encrypted: ClearAmongEncrypted::default(),
        }
    }
}

impl Backups {
    /// The folder of the backups, created with mode 0700 if it is missing. A folder on another disk
    /// survives the loss of the bot's disk. Default: `NAME.backups` beside the file.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Interprets the folder's name as a path, like that of the database.
    pub(crate) fn understand_folder(&mut self) -> Result<()> {
        self.folder = self.folder.as_deref().map(sqlite::path_of).transpose()?;
        Ok(())
    }

    /// Makes a backup when the newest scheduled one is this old, and then removes what the
    /// [`retention`](Self::retention) does not keep. The first is made at once. At least 1 s; default:
    /// never.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// Tests the newest backup this often: restores it into a temporary folder, opens it and compares
    /// it. Meanwhile this takes as much disk space as the database. The first drill runs at once, or
    /// within a minute of the first backup. At least 1 s; default: never.
    pub fn drill_every(mut self, interval: Duration) -> Self {
        self.drill_every = Some(interval);
        self
    }

    /// Which backups are kept. Default: [`Retention::default`].
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// How copies are made. Default: [`Mode::Pages`], which the backup before an upgrade always uses.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// How much of the time a backup of an open store works. Default: [`Pace::Gentle`].
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// How long a backup or a drill of an open store may make no progress, for example on a network
    /// share that does not answer, before the store gives it up. The request then fails with
    /// [`Deadline`](crate::ErrorKind::Deadline), and the store reports
    /// [`BackupFailed`](crate::StoreEvent::BackupFailed) or
    /// [`DrillFailed`](crate::StoreEvent::DrillFailed). Nothing can end the blocked system call: when
    /// it returns, the backup is dropped and the schedule goes on; until then every other request fails
    /// with the same error at once. The limit is on the time between two steps, of 256 KiB or 256
    /// pages, not on the whole. The migration steps that a drill applies count as one step, so be
    /// generous. Range 1 s–24 h; default 15 min.
    pub fn stall_deadline(mut self, time: Duration) -> Self {
        self.stall_deadline = time;
        self
    }

    /// The compression level of zstd. Range 1–22; high levels take much longer. Default 3.
    pub fn level(mut self, level: i32) -> Self {
        self.level = level;
        self
    }

    /// Encrypts backups for the holder of this key's secret. With several recipients, each can read
    /// them. What stays readable of a backup: when and why it was made, its size, and the random id of
    /// its store.
    ///
    /// Encryption keeps backups secret, but does not prove who made them: anybody who knows the public
    /// key can encrypt another one for it. For proof, see [`key`](Self::key).
    #[cfg(feature = "encryption")]
    pub fn recipient(mut self, recipient: AgeRecipient) -> Self {
        self.recipients.push(recipient);
        self
    }

    /// The secret with which drills read encrypted backups. Making backups does not need it. A bot that
    /// holds it gives up what encryption is for, so prefer a drill on another machine.
    #[cfg(feature = "encryption")]
    pub fn identity(mut self, identity: AgeIdentity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Signs backups, so that forged and relabelled ones can be told apart. Drills refuse backups that
    /// this key has not signed. Such backups do not put off the next scheduled backup, and
    /// [`retention`](Self::retention) neither counts nor removes them. So remove backups that were
    /// made without the key by hand, or with `botstore prune`. Default: none.
    #[cfg(feature = "encryption")]
    pub fn key(mut self, key: BackupKey) -> Self {
        self.key = Some(key);
        self
    }

    /// What happens when an unencrypted backup would go among encrypted ones of the same store.
    /// Default: [`ClearAmongEncrypted::Refuse`].
    pub fn clear_among_encrypted(mut self, what: ClearAmongEncrypted) -> Self {
        self.clear_among_encrypted = what;
        self
    }

    /// The key, if there is one, as a slice for those who verify backups.
    pub(super) fn keys(&self) -> &[BackupKey] {
        self.key.as_slice()
    }

    /// Lists the backups of the file at `database`. If there is a key, only those that it has signed.
    pub(crate) fn listing(&self, database: &Path) -> Result<Listing> {
        list_proven(&self.folder_of(database), self.keys())
    }

    /// Returns the folder of the backups of the file at `database`, whose path has neither links nor
    /// dots.
    pub fn folder_of(&self, database: &Path) -> PathBuf {
        let beside = || sqlite::beside(database, sqlite::BACKUPS);
        self.folder.clone().unwrap_or_else(beside)
    }

    /// Makes the folder's path absolute: a program may change its working directory later, as daemons
    /// do.
    pub(crate) fn fix_folder(&mut self) -> Result<()> {
        if let Some(folder) = &mut self.folder {
            *folder = std::path::absolute(&*folder)
                .map_err(|e| Error::io(format_args!("cannot find {}", folder.display()), e))?;
        }
        Ok(())
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !zstd::compression_level_range().contains(&self.level) || self.level < 1 {
            return Err(Error::invalid("level", "must be between 1 and 22"));
        }
        for (field, interval) in [("every", self.every), ("drill_every", self.drill_every)] {
            if interval.is_some_and(|interval| interval < Duration::from_secs(1)) {
                return Err(Error::invalid(field, "must be at least a second"));
            }
        }
        let range = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
        if !range.contains(&self.stall_deadline) {
            return Err(Error::invalid("stall_deadline", "must be from 1 s to 24 h"));
        }
        self.retention.check()
    }
}
