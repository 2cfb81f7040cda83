//! Reads a finished backup back completely.

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

/// Reads a backup back completely: decrypts, decompresses, opens and checks it, and compares it with
/// its manifest. Returns the backup, with its contents even if it is encrypted. Meanwhile this takes as
/// much disk space as the database.
///
/// # Errors
/// [`BadBackup`](ErrorKind::BadBackup) when anything differs from the manifest;
/// [`NotAuthentic`](ErrorKind::NotAuthentic) when it was relabelled, or lacks a proof that
/// [`VerifyOptions`] requires; [`WrongKey`](ErrorKind::WrongKey) when it is encrypted and no identity
/// fits; [`Deadline`](ErrorKind::Deadline), see [`VerifyOptions::deadline`];
/// [`Cancelled`](ErrorKind::Cancelled); [`DiskFull`](ErrorKind::DiskFull), [`Io`](ErrorKind::Io).
pub fn verify(backup: impl AsRef<Path>, reading: VerifyOptions) -> Result<Backup> {
    let opened = open(backup.as_ref(), &reading)?;
    let folder = reading.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::new_in(&folder)?;
    let file = scratch.file("check.db");
    read_back(opened, &file, Keep::Nothing, reading, Pace::Fast, || false)
}

/// A backup that has passed the proofs, and its contents.
pub(super) struct Opened {
    backup: Backup,
    contents: Contents,
}

/// Reads the manifest of a backup, decrypted if necessary.
pub(super) fn open(path: &Path, reading: &VerifyOptions) -> Result<Opened> {
    let backup = Backup::at(path)?;
    let contents = reading.admit(&backup).map_err(|e| name_file(e, path))?;
    Ok(Opened { backup, contents })
}

/// Whether the file that was read back is kept.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    File,
    /// Removes the file's name as soon as SQLite has opened it, if the system allows that, so that a
    /// process killed during the check leaves nothing.
    Nothing,
}

/// Reads a backup back into the file `to`, and checks that file.
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
    files::check_room(files::folder_of(to), expected, "the database in the backup")?;
    let pacer = Throttle::new(pace, reading.on_progress, closing).limit(reading.deadline);
    let lock = match encrypted {
        false => Lock::Clear,
        true => Lock::Age(&reading.identities),
    };
    let file = files::create(to)?;
    files::give_to_owner_of(&file, files::folder_of(to));
    let unpacked = artefact::unpack(&backup.artefact(), file, expected, lock, &pacer);
    let (database, artefact) = unpacked.map_err(|error| match error.kind() {
        // The key itself fits: it opened the manifest, which was sealed for the same recipients.
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
            let why = "its schema computes a value that is larger than the whole database";
            named(error.because(ErrorKind::BadBackup, why))
        }
        // SQLite reports damage with several kinds of errors.
        ErrorKind::Corrupt | ErrorKind::ForeignFile | ErrorKind::Sql => {
            named(error.because(ErrorKind::BadBackup, "the database in it"))
        }
        _ => named(error),
    })?;
    if found != contents {
        let why = "its contents differ from its manifest";
        return Err(named(Error::new(ErrorKind::BadBackup, why)));
    }
    backup.manifest.contents = Some(contents);
    Ok(backup)
}
