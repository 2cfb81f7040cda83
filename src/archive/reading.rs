//! How a backup is read, and what it has to prove before it is used.

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

/// How a backup is read: with which secrets, with which proofs, and where progress is reported.
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

/// A backup without proof that it was made for the identity that reads it. It may be good; but anybody
/// who can write into the folder could have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
// Without the feature there is no identity, and nothing to accept.
#[cfg_attr(not(feature = "encryption"), allow(unreachable_pub))]
pub enum Unproven {
    /// An unencrypted backup.
    Clear,
    /// An encrypted backup of format 1, which this crate made before format 2: its name, time, reason
    /// and store are not bound to what is sealed in it.
    Format1,
}

/// What happens to the tokens in a restored file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tokens {
    #[default]
    AsTheyWere,
    Revoke,
}

impl VerifyOptions {
    /// A secret to decrypt backups with; several may be given. With an identity, a backup that is not
    /// encrypted, or whose manifest is not bound to what is sealed in it, fails with
    /// [`NotAuthentic`](ErrorKind::NotAuthentic): see [`accept`](Self::accept).
    #[cfg(feature = "encryption")]
    pub fn identity(mut self, identity: AgeIdentity) -> Self {
        self.identities.push(identity);
        self
    }

    /// The key that signed the backup ([`Backups::key`]). With it, a backup that was not signed, or was
    /// changed or renamed since, fails with [`NotAuthentic`](ErrorKind::NotAuthentic). Several keys may
    /// be given; one of them must fit.
    #[cfg(feature = "encryption")]
    pub fn key(mut self, key: BackupKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Reads such a backup although an [`identity`](Self::identity) would refuse it. This does not
    /// replace the signature that a [`key`](Self::key) requires. Default: none is accepted.
    #[cfg(feature = "encryption")]
    pub fn accept(mut self, unproven: Unproven) -> Self {
        self.accepted.push(unproven);
        self
    }

    /// Reports the progress. `report` stops the work by returning [`Break`](ControlFlow::Break).
    pub fn on_progress(
        mut self,
        report: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// The folder into which [`verify`](crate::backup::verify()) unpacks, and from which it removes
    /// what it unpacked. Default: the system's folder for temporary files, which some machines keep in
    /// memory.
    pub fn scratch(mut self, folder: impl AsRef<Path>) -> Self {
        self.scratch = Some(folder.as_ref().to_owned());
        self
    }

    /// How long SQLite may work on the unpacked file before reading ends with
    /// [`Deadline`](ErrorKind::Deadline). Default and details:
    /// [`Config::inspect_deadline`](crate::Config::inspect_deadline).
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }

    /// Takes the deadline from the source's settings, unless one was given.
    pub(super) fn deadline_of(mut self, source: &Source<'_>) -> Self {
        self.deadline = self.deadline.or(source.inspect_deadline());
        self
    }

    /// Makes [`restore`](crate::backup::restore()) revoke all tokens in the file before the file takes
    /// its place. A restored backup brings back the state when it was made, including tokens that were
    /// revoked since. Default: tokens stay as they were.
    pub fn revoke_tokens(mut self) -> Self {
        self.tokens = Tokens::Revoke;
        self
    }

    /// Reads backups as these settings make them.
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

    /// Checks the proofs of a backup; returns the contents from its manifest, decrypted if necessary.
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
                    "it is not encrypted, although an identity was given: anybody who can write to the \
                     folder could have made it"
                }
                Unproven::Format1 => {
                    "it has format 1, although an identity was given: its name and time could have \
                     been changed"
                }
            }));
        }
        match (&manifest.contents, &manifest.sealed) {
            (Some(contents), None) => Ok(contents.clone()),
            (None, Some(sealed)) => manifest.unseal(&keys::open_text(&self.identities, sealed)?),
            _ => {
                let why = "its manifest lists no contents, or lists them twice";
                Err(Error::new(ErrorKind::BadBackup, why))
            }
        }
    }
}
