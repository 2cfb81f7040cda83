//! Reads a finished backup back, all of it.

use super::artefact::{self, Lock};
use super::contents::{Contents, Original};
use super::create::look_into;
use super::folder::Backup;
#[cfg(feature = "encryption")]
use super::keys::AgeIdentity;
use super::keys::{self, Identities};
use super::pace::{OnProgress, Pace, Pacer, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::sqlite::name_file;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How a backup is read: with which keys, and who hears how far it is.
///
/// ```no_run
/// use botstore::backup::{self, Reading};
///
/// let backup = backup::verify("bot.db.backups/20261123T071844.123456Z-manual", Reading::default())?;
/// println!("{} is good", backup.manifest.name);
/// # Ok::<(), botstore::Error>(())
/// ```
#[derive(Default)]
#[must_use = "this only says how to read a backup"]
pub struct Reading {
    identities: Identities,
    on_progress: Option<OnProgress>,
    scratch: Option<PathBuf>,
}

impl Reading {
    /// A secret to read an encrypted backup with. More than one may be given.
    #[cfg(feature = "encryption")]
    pub fn identity(mut self, identity: AgeIdentity) -> Self {
        self.identities.push(identity);
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

    /// The folder for what [`verify`] unpacks and removes again. Default: the system's folder for
    /// temporary files, which on some machines is held in memory.
    pub fn scratch(mut self, folder: impl AsRef<Path>) -> Self {
        self.scratch = Some(folder.as_ref().to_owned());
        self
    }

    pub(super) fn identities(mut self, identities: &Identities) -> Self {
        self.identities.extend(identities.iter().cloned());
        self
    }
}

/// Reads a backup back, all of it: decrypts, decompresses, opens and checks it, and compares it
/// with its manifest. Gives the backup, with its contents if it is encrypted. Takes as much room as
/// the database for as long.
///
/// # Errors
/// [`BadBackup`](ErrorKind::BadBackup) when anything is not as the manifest says;
/// [`WrongKey`](ErrorKind::WrongKey) for an encrypted one without the identity that it needs;
/// [`Cancelled`](ErrorKind::Cancelled); [`DiskFull`](ErrorKind::DiskFull), [`Io`](ErrorKind::Io).
pub fn verify(backup: impl AsRef<Path>, reading: Reading) -> Result<Backup> {
    let folder = reading.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new()
        .prefix("botstore-verify-")
        .tempdir_in(&folder)
        .map_err(|e| Error::io(format_args!("cannot write into {}", folder.display()), e))?;
    read_back(
        backup.as_ref(),
        &scratch.path().join("check.db"),
        reading,
        Pace::Fast,
        || false,
    )
}

/// Reads a backup back into the file `to`, and checks that.
pub(super) fn read_back(
    path: &Path,
    to: &Path,
    reading: Reading,
    pace: Pace,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<Backup> {
    let mut backup = Backup::at(path)?;
    let named = |error| name_file(error, path);
    let encrypted = backup.manifest.is_encrypted();
    let contents = contents_of(&backup, &reading.identities).map_err(named)?;
    let expected = contents.database.bytes;
    files::check_room(files::folder_of(to), expected, "what is in the backup")?;
    let pacer = Pacer::new(pace, reading.on_progress, closing);
    let lock = match encrypted {
        false => Lock::Clear,
        true => Lock::Age(&reading.identities),
    };
    let file = files::private_file(to)?;
    let unpacked = artefact::unpack(&backup.artefact(), file, expected, lock, &pacer);
    let (database, artefact) = unpacked.map_err(|error| match error.kind() {
        // The key is right: the manifest was sealed for the same recipients.
        ErrorKind::WrongKey => named(error.because(ErrorKind::BadBackup, "it is damaged")),
        _ => named(error),
    })?;
    if artefact != backup.manifest.artefact || database != contents.database {
        let why = "it is not the file that its manifest describes";
        return Err(named(Error::new(ErrorKind::BadBackup, why)));
    }
    let original = Original {
        store_id: backup.manifest.store_id.clone(),
        schemas: contents.schemas.clone(),
        rows: contents.rows.clone(),
    };
    let found = pacer.explain(look_into(to, &original, database, &pacer));
    let found = found.map_err(|error| match error.kind() {
        // What SQLite cannot make sense of, in whatever words.
        ErrorKind::Corrupt | ErrorKind::ForeignFile | ErrorKind::Sql => {
            named(error.because(ErrorKind::BadBackup, "what is in it"))
        }
        _ => named(error),
    })?;
    if found != contents {
        let why = "what is in it is not what its manifest says";
        return Err(named(Error::new(ErrorKind::BadBackup, why)));
    }
    backup.manifest.contents = Some(contents);
    Ok(backup)
}

/// What the manifest says of the contents, unsealed if need be.
fn contents_of(backup: &Backup, identities: &Identities) -> Result<Contents> {
    let bad = |why: String| Error::new(ErrorKind::BadBackup, why);
    match (&backup.manifest.contents, &backup.manifest.sealed) {
        (Some(contents), None) => Ok(contents.clone()),
        (None, Some(sealed)) => {
            let text = keys::open_text(identities, sealed)?;
            serde_json::from_slice(&text).map_err(|e| bad(format!("its manifest is damaged: {e}")))
        }
        _ => Err(bad(
            "its manifest tells of no contents, or of two".to_owned()
        )),
    }
}
