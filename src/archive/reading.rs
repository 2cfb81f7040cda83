//! How a backup is read, and what it has to prove before it is believed.

use super::Source;
use super::contents::Contents;
use super::folder::Backup;
#[cfg(feature = "encryption")]
use super::keys::AgeIdentity;
use super::keys::{self, Identities};
use super::mac::BackupKey;
use super::manifest::{UNBOUND, not_authentic};
use super::settings::Backups;
use super::throttle::{OnProgress, Progress};
use crate::error::{Error, ErrorKind, Result};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a backup is read: with which secrets, what it has to prove, and who hears how far it is.
///
/// ```no_run
/// use botstore::backup::{self, VerifyOptions};
///
/// let backup = backup::verify("bot.db.backups/20261123T071844.123456Z-manual", VerifyOptions::default())?;
/// println!("{} is good", backup.manifest.name);
/// # Ok::<(), botstore::Error>(())
/// ```
#[derive(Default)]
#[must_use = "this only says how to read a backup"]
pub struct VerifyOptions {
    pub(super) identities: Identities,
    keys: Vec<BackupKey>,
    accepted: Vec<Unproven>,
    pub(super) on_progress: Option<OnProgress>,
    pub(super) scratch: Option<PathBuf>,
    pub(super) deadline: Option<Duration>,
    pub(super) tokens: Tokens,
}

/// A backup that does not show that it was made for the identity with which it is to be read. It may
/// be as good as any; somebody else who can write into the folder could have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
// Without the feature there is no identity, and nobody is asked.
#[cfg_attr(not(feature = "encryption"), allow(unreachable_pub))]
pub enum Unproven {
    /// One in the clear.
    Clear,
    /// An encrypted one of format 1, as this crate made them before format 2: its name, time,
    /// reason and store are not bound to what is sealed in it.
    Format1,
}

/// What becomes of the tokens in a file that is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tokens {
    #[default]
    AsTheyWere,
    Revoke,
}

impl VerifyOptions {
    /// A secret to read an encrypted backup with. More than one may be given. With one, a backup that
    /// is not encrypted, or whose manifest is not bound to what is sealed in it, is
    /// [`NotAuthentic`](ErrorKind::NotAuthentic): see [`accept`](Self::accept).
    #[cfg(feature = "encryption")]
    pub fn identity(mut self, identity: AgeIdentity) -> Self {
        self.identities.push(identity);
        self
    }

    /// The key with which the backup was signed ([`Backups::key`]). With it, one that was not, or that
    /// was changed or renamed since, is [`NotAuthentic`](ErrorKind::NotAuthentic). More than one may
    /// be given, of which one must fit.
    #[cfg(feature = "encryption")]
    pub fn key(mut self, key: BackupKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Reads a backup all the same that an [`identity`](Self::identity) would have refused. It does
    /// not replace the signature that a [`key`](Self::key) asks for. Default: neither is accepted.
    #[cfg(feature = "encryption")]
    pub fn accept(mut self, unproven: Unproven) -> Self {
        self.accepted.push(unproven);
        self
    }

    /// Hears how far it is, and may stop it.
    pub fn on_progress(
        mut self,
        tell: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.on_progress = Some(Box::new(tell));
        self
    }

    /// The folder for what [`verify`](crate::backup::verify()) unpacks and removes again. Default: the
    /// system's folder for temporary files, which on some machines is held in memory.
    pub fn scratch(mut self, folder: impl AsRef<Path>) -> Self {
        self.scratch = Some(folder.as_ref().to_owned());
        self
    }

    /// How long SQLite may be at work on what comes out, before that ends with
    /// [`Deadline`](ErrorKind::Deadline): see
    /// [`Config::inspect_deadline`](crate::Config::inspect_deadline), which has the default too.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }

    /// The same from the source's settings, if nothing else was said.
    pub(super) fn deadline_of(mut self, source: &Source<'_>) -> Self {
        self.deadline = self.deadline.or(source.inspect_deadline());
        self
    }

    /// Has [`restore`](crate::backup::restore()) revoke all tokens in the file before it takes its place. A
    /// backup brings back what was so when it was made, tokens that were revoked since included.
    /// Default: they are as they were.
    pub fn revoke_tokens(mut self) -> Self {
        self.tokens = Tokens::Revoke;
        self
    }

    /// With what the settings say of the backups that they make.
    pub(super) fn as_made(settings: &Backups) -> Self {
        let accepted = match settings.recipients.is_empty() {
            true => vec![Unproven::Clear],
            false => Vec::new(),
        };
        Self {
            identities: settings.identities.clone(),
            keys: settings.keys().to_vec(),
            accepted,
            ..Self::default()
        }
    }

    /// What the manifest says of the contents, unsealed if need be, once it has proven what it has to.
    pub(super) fn admit(&self, backup: &Backup) -> Result<Contents> {
        let manifest = &backup.manifest;
        manifest.prove(&self.keys)?;
        let unproven = match (manifest.is_encrypted(), manifest.format) {
            (false, _) => Some(Unproven::Clear),
            (true, UNBOUND) => Some(Unproven::Format1),
            _ => None,
        };
        if let Some(unproven) = unproven
            && !self.identities.is_empty()
            && !self.accepted.contains(&unproven)
        {
            return Err(not_authentic(match unproven {
                Unproven::Clear => {
                    "it is in the clear, and an identity was given: whoever can write into the \
                     folder could have made it"
                }
                Unproven::Format1 => {
                    "it is of format 1, and an identity was given: its name and time could have \
                     been changed"
                }
            }));
        }
        match (&manifest.contents, &manifest.sealed) {
            (Some(contents), None) => Ok(contents.clone()),
            (None, Some(sealed)) => manifest.unseal(&keys::open_text(&self.identities, sealed)?),
            _ => {
                let why = "its manifest tells of no contents, or of two";
                Err(Error::new(ErrorKind::BadBackup, why))
            }
        }
    }
}
