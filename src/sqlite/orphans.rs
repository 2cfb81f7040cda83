//! Finds files beside a database that is gone, empty or another one. SQLite takes an empty database for
//! a new one and removes its WAL or journal at the first read, and it applies a WAL to whatever
//! database has the name. So this is checked before SQLite opens any file.

use super::{BACKUPS, beside, lock, refuse_unsettled};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, AtPath};
use std::fs;
use std::path::Path;

/// A WAL of this length or less has no frame.
const WAL_HEADER_BYTES: u64 = 32;

/// The offset at which a rollback journal says how many pages the database had.
const JOURNAL_PAGES_AT: usize = 16;

/// Refuses a database whose content is gone although a file beside it shows that there was some, and a
/// database with another one's WAL.
///
/// A missing database, unlike an empty one, is a new one unless there is a log: to begin anew, an
/// operator removes the database and leaves lock and backups. An empty one is what a failed copy or a
/// full disk leaves.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt); [`Replaced`](ErrorKind::Replaced) for another database's WAL;
/// [`Busy`](ErrorKind::Busy) during a restore.
pub(crate) fn refuse_orphans(database: &Path) -> Result<()> {
    let at_path = files::at_path(database);
    let refusal = match at_path {
        AtPath::Nothing => log(database).map(|log| missing(database, log)),
        AtPath::File { bytes: 0, .. } => log(database)
            .or_else(|| other_trace(database))
            .map(|trace| empty(database, trace)),
        AtPath::File { id, .. } if has_frames(database) => {
            let noted = lock::noted(database);
            let wal = number(&beside(database, "-wal"));
            noted
                .filter(|noted| Some(noted.wal) == wal && noted.database != id.mark())
                .map(|_| others(database))
        }
        AtPath::File { .. } | AtPath::Unknown => None,
    };
    let Some(refusal) = refusal else {
        return Ok(());
    };
    // A restore has this state for a moment, and may have ended since.
    refuse_unsettled(database)?;
    match files::at_path(database) == at_path {
        true => Err(refusal),
        false => Ok(()),
    }
}

/// Returns the kind of log beside it, if that holds changes.
fn log(database: &Path) -> Option<&'static str> {
    if has_frames(database) {
        return Some("-wal");
    }
    // The journal of a database that was only being created has nothing to restore.
    let journal = files::read(&beside(database, "-journal"), 20).ok()??;
    let pages = journal.get(JOURNAL_PAGES_AT..JOURNAL_PAGES_AT + 4)?;
    pages.iter().any(|byte| *byte != 0).then_some("-journal")
}

fn has_frames(database: &Path) -> bool {
    let wal = files::at_path(&beside(database, "-wal"));
    matches!(wal, AtPath::File { bytes, .. } if bytes > WAL_HEADER_BYTES)
}

/// Returns what else shows that the database had content.
fn other_trace(database: &Path) -> Option<&'static str> {
    if lock::has_been_open(database) {
        return Some(".lock");
    }
    let partial = |name: &str| name.ends_with(".partial");
    let mut backups = fs::read_dir(beside(database, BACKUPS)).ok()?.flatten();
    let is_backup = |entry: fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !entry.file_name().to_str().is_some_and(partial)
            && entry.path().join("manifest.json").exists()
    };
    backups.any(is_backup).then_some(BACKUPS)
}

fn number(path: &Path) -> Option<u64> {
    match files::at_path(path) {
        AtPath::File { id, .. } => Some(id.mark()),
        AtPath::Nothing | AtPath::Unknown => None,
    }
}

fn missing(database: &Path, log: &str) -> Error {
    let (database, log) = (database.display(), beside(database, log));
    let why = format!(
        "{database} is gone, but its log is still there: {}. Put the database back beside the log, or \
         restore a backup (which moves the log aside). To start with a new database, move the log away",
        log.display()
    );
    Error::new(ErrorKind::Corrupt, why)
}

fn empty(database: &Path, trace: &str) -> Error {
    let what = match trace {
        ".lock" => "although a store has had it open",
        BACKUPS => "although it has backups",
        _ => "although the log beside it has changes, which SQLite would delete",
    };
    let why = format!(
        "{} is empty (0 bytes), {what}: a failed copy or a full disk leaves it so. Nothing was \
         changed. Restore a backup (which moves the empty file aside), or put the database back. To \
         start with a new database, move it away{}",
        database.display(),
        match trace {
            "-wal" | "-journal" => ", and the log with it",
            _ => "",
        }
    );
    Error::new(ErrorKind::Corrupt, why)
}

fn others(database: &Path) -> Error {
    let wal = beside(database, "-wal");
    let why = format!(
        "{} is not the database that the WAL {} belongs to: another file took its name while a store \
         had it open, or before that store's changes were copied out of the WAL. Put the old file \
         back, and nothing is lost; or move the WAL away to use this file without those changes. If \
         this file is a copy of the old one, made while no store had it open, remove {}",
        database.display(),
        wal.display(),
        beside(database, ".lock").display()
    );
    Error::new(ErrorKind::Replaced, why)
}
