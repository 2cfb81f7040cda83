//! Backups that are proven to restore.
//!
//! A backup is taken from a running store, on one snapshot; it is compressed, read back, opened and
//! checked, and only then it gets its name. It is a folder with two files: the database, compressed
//! with zstd (and encrypted with `age`, if asked), and a manifest in JSON.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("bot.db");
//! use botstore::Store;
//! use botstore::backup::{self, Existing, Reading, TakeBackup};
//!
//! let store = Store::open(&path).await?;
//! let backup = store.back_up(TakeBackup::default()).await?;
//! store.close().await?;
//!
//! let restored = backup::restore(&path, backup.path, Existing::MoveAside, Reading::default())?;
//! assert!(restored.replaced.is_some_and(|old| old.exists()));
//! # Ok(()) }
//! ```
//!
//! How to make them on a schedule, which are kept and how to encrypt them is in [`Backups`]; what to
//! do on a bad day is in [`guide::operations`](crate::guide::operations).
//!
//! The functions here work on files and block; the database that they are about is not open in any
//! store, unless they say otherwise. A [`Store`](crate::Store) takes [`TakeBackup`] and [`RunDrill`].

mod artefact;
mod clear;
mod contents;
mod create;
mod drill;
mod folder;
mod keys;
mod mac;
mod manifest;
mod name;
mod pace;
mod reading;
mod restore;
mod retention;
mod scratch;
mod settings;
mod verify;

pub use clear::ClearAmongEncrypted;
pub use contents::Contents;
pub(crate) use contents::Original;
pub use drill::DrillReport;
#[cfg(feature = "encryption")]
pub use folder::list_signed;
pub use folder::{Backup, Listing, list};
#[cfg(feature = "encryption")]
pub use keys::{AgeIdentity, AgeRecipient};
#[cfg(feature = "encryption")]
pub use mac::BackupKey;
pub use manifest::{Checksum, Manifest, Mode, Reason};
pub use pace::{OnProgress, Pace, Progress, Stage};
pub use reading::Reading;
#[cfg(feature = "encryption")]
pub use reading::Unproven;
pub use restore::{Existing, Restored, restore};
pub use retention::{Retention, RetentionPlan, prune};
pub use settings::Backups;
pub use verify::verify;

use crate::config::Config;
use crate::error::{ErrorKind, Result};
use crate::holders::AtWork;
use crate::schema;
use crate::sqlite::{self, FileLock};
use actix::Message;
use create::{Job, create};
use folder::Folder;
use pace::Pacer;
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// "Make a backup." Its answer is the finished backup, read back and checked.
///
/// # Errors
/// [`DiskFull`](crate::ErrorKind::DiskFull), before anything is written if it can be seen coming;
/// [`Busy`](crate::ErrorKind::Busy) while another program uses the folder;
/// [`NeedsRecipient`](crate::ErrorKind::NeedsRecipient) when it would be in the clear among encrypted
/// ones ([`ClearAmongEncrypted`]); [`Cancelled`](crate::ErrorKind::Cancelled) when it was told to stop, or the store was closed;
/// [`Corrupt`](crate::ErrorKind::Corrupt) when the copy does not pass its checks, which means that
/// the database, or the disk of the backups, is damaged. None of these leaves anything behind.
#[derive(Default, Message)]
#[rtype(result = "Result<Backup>")]
#[must_use = "a message does nothing until it is sent"]
pub struct TakeBackup {
    mode: Option<Mode>,
    pace: Option<Pace>,
    on_progress: Option<OnProgress>,
}

impl TakeBackup {
    /// How the copy is made. Default: that of the store's [`Backups`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How much of its time it works. Default: that of the store's [`Backups`].
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Hears how far it is, at most twenty times a second and at each new [`Stage`]; stops it by
    /// answering [`Break`](ControlFlow::Break). It runs on the thread that makes the backup.
    pub fn on_progress(
        mut self,
        tell: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.on_progress = Some(Box::new(tell));
        self
    }
}

/// "Try the newest backup out": restores it into a temporary folder, opens it as this program
/// would, compares it with its manifest, and throws it away.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) when there is none of this store; those of [`verify`]
/// and of opening.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "Result<DrillReport>")]
pub struct RunDrill;

/// Makes a backup of a file that no store has open, as it is: without migrating it.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a file that is not there,
/// [`AlreadyOpen`](crate::ErrorKind::AlreadyOpen), [`ForeignFile`](crate::ErrorKind::ForeignFile)
/// and the others with which opening refuses a file, and those of [`TakeBackup`].
pub fn take(config: impl Into<Config>, request: TakeBackup) -> Result<Backup> {
    let config = config.into();
    config.check()?;
    let path = sqlite::existing(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    settle(&path)?;
    scratch::clear(&std::env::temp_dir());
    sqlite::refuse_damaged_to_look(&path, &config)?;
    let mut conn = sqlite::open_to_look(&path, &config)?;
    schema::refuse_unknown(&conn, &path, &config)?;
    let pacer = Pacer::new(Pace::Fast, request.on_progress, || false).limit(config.look_deadline);
    let mode = request.mode.unwrap_or(config.backups.mode);
    let nobody = AtWork::default();
    run(
        &mut conn,
        &path,
        &config,
        mode,
        Reason::Manual,
        &nobody,
        &pacer,
    )
}

/// Puts right what a process that was killed has left at a database: finishes its restore, and removes
/// what it has unpacked. Whoever calls this holds the database's lock.
pub(crate) fn settle(path: &Path) -> Result<()> {
    restore::finish_restore(path)?;
    // No reason not to open the file.
    if let Err(error) = folder::clear_unsealed(path) {
        tracing::warn!(path = %path.display(), %error, "what a backup left in the clear stays");
    }
    Ok(())
}

/// Who has a file upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrading {
    /// A person, who can be asked for what is missing.
    ByHand,
    /// A store that is opening, which should not fail for a setting.
    Opening,
}

/// Makes the backup from before a migration. `conn` is the one that will write. Tells where the
/// backup is if it did not go into its folder: see [`ClearAmongEncrypted::Refuse`].
pub(crate) fn before_upgrade(
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    upgrading: Upgrading,
) -> Result<Option<PathBuf>> {
    let pacer = Pacer::new(Pace::Fast, None, || false).limit(config.look_deadline);
    let make = |conn: &mut Connection, config: &Config| {
        let (mode, reason) = (Mode::Pages, Reason::BeforeUpgrade);
        run(conn, path, config, mode, reason, &AtWork::default(), &pacer)
    };
    let made = match make(conn, config) {
        Err(error)
            if error.kind() == ErrorKind::NeedsRecipient && upgrading == Upgrading::Opening =>
        {
            let mut beside = config.clone();
            let folder = sqlite::beside(path, ".before-upgrade");
            beside.backups = beside.backups.folder(folder);
            make(conn, &beside).map(|backup| Some(backup.path))
        }
        made => made.map(|_| None),
    };
    if let Ok(Some(copy)) = &made {
        tracing::warn!(
            copy = %copy.display(),
            "the backups are encrypted, and no recipient is set: the one before the upgrade is in \
             the clear, beside the database"
        );
    }
    made.map_err(|error| {
        let kind = error.kind();
        let why = "no backup could be made before the upgrade, so the file is as it was";
        error.because(kind, why)
    })
}

/// Makes a backup of an open store from the archivist's connection, which notes in `at_work` while it
/// holds a snapshot.
pub(crate) fn of_open_store(
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    request: TakeBackup,
    reason: Reason,
    at_work: &AtWork,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<Backup> {
    let pace = request.pace.unwrap_or(config.backups.pace);
    let mode = request.mode.unwrap_or(config.backups.mode);
    sqlite::bound_values_to_look(conn, path)?;
    let pacer = Pacer::new(pace, request.on_progress, closing).limit(config.look_deadline);
    run(conn, path, config, mode, reason, at_work, &pacer)
}

fn run(
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    mode: Mode,
    reason: Reason,
    at_work: &AtWork,
    pacer: &Pacer,
) -> Result<Backup> {
    let at = config.backups.folder_of(path);
    let folder = Folder::take(&at, Some(path))?;
    clear::refuse(&config.backups, &at, Original::store_id(conn)?.as_deref())?;
    pacer.attach(conn, path)?;
    let job = Job {
        source: conn,
        database: path,
        settings: &config.backups,
        mode,
        reason,
        clock: &*config.clock,
        at_work,
        pacer,
    };
    let created = pacer.explain(create(&folder, &at, &job));
    Pacer::detach(conn)?;
    let backup = created?;
    if reason == Reason::Scheduled {
        // The backup is made, whatever becomes of the old ones.
        if let Err(error) = retention::apply_after(&backup, &folder, path, &config.backups) {
            tracing::warn!(%error, "old backups could not be removed");
        }
    }
    Ok(backup)
}

/// Tries the newest backup of an open store out.
pub(crate) fn drill_of_open_store(
    conn: &Connection,
    path: &Path,
    config: &Config,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<DrillReport> {
    let at = config.backups.folder_of(path);
    let store = Original::store_id(conn)?;
    let folder = Folder::take(&at, Some(path))?;
    let report = drill::drill(
        &folder,
        &at,
        path,
        &config.backups,
        config,
        store.as_deref(),
        closing,
    )?;
    drill::note(&at, path, &report)?;
    Ok(report)
}

/// The last drill of the file's backups that went well, by whatever program.
pub(crate) fn last_drill(path: &Path, config: &Config) -> Option<DrillReport> {
    drill::noted(&config.backups.folder_of(path))
}

/// Whether there is a backup of the store at all.
pub(crate) fn has_any(conn: &Connection, path: &Path, config: &Config) -> Result<bool> {
    let store = Original::store_id(conn)?;
    let listing = list(config.backups.folder_of(path))?;
    let of_it = |backup: &Backup| backup.manifest.store_id == store;
    Ok(listing.backups.iter().any(of_it))
}

/// When the newest scheduled backup of the store was made, of those that were made by `now`; `None` if
/// there is none. One from the future was made before the clock was set back, or by no store.
pub(crate) fn last_scheduled(
    conn: &Connection,
    path: &Path,
    config: &Config,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
    let store = Original::store_id(conn)?;
    let listing = config.backups.listing(path)?;
    let scheduled = listing.backups.into_iter().rfind(|backup| {
        let manifest = &backup.manifest;
        manifest.reason == Reason::Scheduled
            && manifest.store_id == store
            && manifest.taken_at <= now
    });
    Ok(scheduled.map(|backup| backup.manifest.taken_at))
}
