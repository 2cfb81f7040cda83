//! Reads a finished backup back, all of it.

use super::artefact::{self, Lock};
use super::contents::{Contents, Inventory};
use super::create::{open_copy, verify_contents};
use super::folder::Backup;
use super::reading::VerifyOptions;
use super::scratch::Scratch;
use super::throttle::{Pace, Throttle};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::sqlite::name_file;
use std::fs;
use std::path::Path;

/// Reads a backup back, all of it: decrypts, decompresses, opens and checks it, and compares it
/// with its manifest. Gives the backup, with its contents if it is encrypted. Takes as much room as
/// the database for as long.
///
/// # Errors
/// [`BadBackup`](ErrorKind::BadBackup) when anything is not as the manifest says;
/// [`NotAuthentic`](ErrorKind::NotAuthentic) when it was relabelled, or does not prove what
/// [`VerifyOptions`] asks for;
/// [`WrongKey`](ErrorKind::WrongKey) for an encrypted one without the identity that it needs;
/// [`Cancelled`](ErrorKind::Cancelled); [`DiskFull`](ErrorKind::DiskFull), [`Io`](ErrorKind::Io).
pub fn verify(backup: impl AsRef<Path>, reading: VerifyOptions) -> Result<Backup> {
    let opened = open(backup.as_ref(), &reading)?;
    let folder = reading.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::new_in(&folder)?;
    let file = scratch.file("check.db");
    read_back(opened, &file, Keep::Nothing, reading, Pace::Fast, || false)
}

/// A backup that has proven what it has to, and what is in it.
pub(super) struct Opened {
    backup: Backup,
    contents: Contents,
}

/// Reads what a backup says of itself, unsealed if need be.
pub(super) fn open(path: &Path, reading: &VerifyOptions) -> Result<Opened> {
    let backup = Backup::at(path)?;
    let contents = reading.admit(&backup).map_err(|e| name_file(e, path))?;
    Ok(Opened { backup, contents })
}

/// What stays of a file that was read back.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    File,
    /// Its name goes as soon as SQLite has it open, where the system lets it, so that a process that
    /// is killed during the check leaves nothing.
    Nothing,
}

/// Reads a backup back into the file `to`, and checks that.
pub(super) fn read_back(
    opened: Opened,
    to: &Path,
    keep: Keep,
    reading: VerifyOptions,
    pace: Pace,
    closing: impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> Result<Backup> {
    let Opened {
        mut backup,
        contents,
    } = opened;
    let path = backup.path.clone();
    let named = |error| name_file(error, &path);
    let encrypted = backup.manifest.is_encrypted();
    let expected = contents.database.bytes;
    files::check_room(files::folder_of(to), expected, "what is in the backup")?;
    let pacer = Throttle::new(pace, reading.on_progress, closing).limit(reading.deadline);
    let lock = match encrypted {
        false => Lock::Clear,
        true => Lock::Age(&reading.identities),
    };
    let file = files::create(to)?;
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
    let original = Inventory {
        store_id: backup.manifest.store_id.clone(),
        schemas: contents.schemas.clone(),
        rows: contents.rows.clone(),
    };
    let looked = open_copy(to, &pacer).and_then(|copy| {
        if keep == Keep::Nothing && cfg!(unix) {
            fs::remove_file(to).map_err(|e| files::cannot("remove", to, e))?;
        }
        verify_contents(copy, &original, database, &pacer)
    });
    let found = pacer.explain(looked).map_err(|error| match error.kind() {
        _ if error.is_too_big() => {
            let why = "its schema computes a value that is larger than the database itself";
            named(error.because(ErrorKind::BadBackup, why))
        }
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
