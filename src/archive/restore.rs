//! Restores a backup to a file's place.
//!
//! The backup is read back and checked beside its destination, and only then takes its place: see
//! [`swap`]. A restore that is cut short is finished, or leaves the old file as it was.

use super::Source;
use super::folder::Backup;
use super::reading::{Tokens, VerifyOptions};
use super::scratch;
use super::settle;
use super::swap::{self, Finished, restoring};
use super::throttle::Pace;
use super::verify::{Keep, open, read_back};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::migration::{self, Program, UnknownObjects};
use crate::operation::ReadTx;
use crate::sqlite::{self, FileLock, beside, name_file};
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};

/// What happens to a file that is where the backup is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IfExists {
    /// The file stays, and the restore fails.
    #[default]
    Refuse,
    /// The file and its WAL are moved into a folder `NAME.replaced-TIME` beside it. Nothing is deleted.
    MoveAside,
}

/// The result of a restore.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// The restored file.
    pub path: PathBuf,
    /// The backup, with its contents.
    pub backup: Backup,
    /// Objects in its schema that no applied step made.
    pub unknown_objects: UnknownObjects,
    /// Where the old file is, if there was one.
    pub replaced: Option<PathBuf>,
    /// How many active tokens of the backup were revoked; `None` if that was not asked for
    /// ([`VerifyOptions::revoke_tokens`]). In this the file differs from the backup.
    pub revoked_tokens: Option<u64>,
}

/// Restores a backup to the place of the source's file.
pub(crate) fn restore(
    source: &Source<'_>,
    backup: &Path,
    existing: IfExists,
    reading: VerifyOptions,
) -> Result<Restored> {
    let program = &source.program;
    // Opened before anything is created at the destination.
    let opened = open(backup, &reading)?;
    scratch::clear(&std::env::temp_dir());
    let path = sqlite::resolve(source.path)?;
    let lock = FileLock::acquire(&path)?;
    settle(&path)?;
    if existing == IfExists::Refuse && swap::is_taken(&path) {
        return Err(Error::conflict(
            "path",
            format_args!(
                "file at {}: let the restore move it aside, or restore to another path",
                path.display()
            ),
        ));
    }
    // Checked before the backup is read, which may take long and would be for nothing.
    swap::refuse_unmovable(&path)?;
    let new = restoring(&path);
    let tokens = reading.tokens;
    let reading = reading.deadline_of(source);
    let read = read_back(opened, &new, Keep::File, reading, Pace::Fast, || false);
    let read = read.and_then(|backup| {
        let named = |e| name_file(e, &backup.path);
        let unknown = can_be_opened(&new, program).map_err(named)?;
        let revoked = match tokens {
            Tokens::AsTheyWere => None,
            Tokens::Revoke => Some(revoke_tokens(&new, program).map_err(named)?),
        };
        Ok((backup, unknown, revoked))
    });
    let read = read.and_then(|backup| keep_owner_and_mode(&path, &new).map(|()| backup));
    let aside = swap::free_name(&path, program.clock.now());
    let replaced = swap::is_taken(&path).then(|| beside(&path, &aside));
    let noted = read.and_then(|read| swap::begin(&path, &aside).map(|()| read));
    let (backup, unknown_objects, revoked_tokens) = noted.inspect_err(|_| {
        if let Err(error) = swap::give_up(&path) {
            tracing::warn!(path = %path.display(), %error, "files prepared for a restore could not \
                    be removed");
        }
    })?;
    if let Finished::TakenBack(error) = swap::finish(&path)? {
        let kind = error.kind();
        let doing = format_args!("{} was not replaced and is as it was", path.display());
        return Err(error.because(kind, doing));
    }
    // The file and the WAL that the lock covered were moved aside.
    lock.note_closed();
    tracing::info!(path = %path.display(), backup = %backup.manifest.name, "restored a backup");
    Ok(Restored {
        path,
        backup,
        unknown_objects,
        replaced,
        revoked_tokens,
    })
}

/// Gives the new file the owner and mode of the old one, so that the same accounts can read it. If
/// there was none, it gets the owner of the folder.
fn keep_owner_and_mode(old: &Path, new: &Path) -> Result<()> {
    let Some(file) = files::open(new)? else {
        return Ok(());
    };
    match files::is_taken(old) {
        true => files::make_like(&file, old).map_err(|e| files::cannot("set the mode of", new, e)),
        false => {
            files::give_to_owner_of(&file, old);
            Ok(())
        }
    }
}

/// Checks, on a copy that nothing has changed yet, that this program would open it. Returns the objects
/// in it that no step made.
fn can_be_opened(path: &Path, program: &Program<'_>) -> Result<UnknownObjects> {
    sqlite::inspect(path, &program.sqlite, |conn| {
        migration::refuse_unknown(conn, path, program)?;
        let tx = ReadTx::new(conn, program.clock.now());
        migration::refuse_objects(&tx, program, path)?;
        migration::unknown_in(&tx, program.schemas)
    })
}

/// Revokes all tokens in a file that has not taken its place yet; returns how many were active.
fn revoke_tokens(path: &Path, program: &Program<'_>) -> Result<u64> {
    let conn = sqlite::connect_again(path, &program.sqlite)?;
    // A journal beside the file would not move with it. If this is cut short, there is no note yet and
    // the file is discarded.
    conn.query_row("PRAGMA journal_mode=MEMORY", [], |_| Ok(()))?;
    // A trigger in the file could undo the revocation.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let count = |sql: &str| -> Result<u64> {
        let rows: i64 = conn.query_row(sql, [], |row| row.get(0))?;
        Ok(rows.max(0) as u64)
    };
    // A view of that name cannot be updated, so the restore fails.
    let there = "SELECT count(*) FROM sqlite_schema
                 WHERE type IN ('table', 'view') AND lower(name) = 'user_tokens'";
    if count(there)? == 0 {
        return Ok(0);
    }
    // Not by an index, which could be missing rows.
    let good = "SELECT count(*) FROM user_tokens NOT INDEXED WHERE is_active IS NOT 0";
    let revoked = count(good)?;
    conn.execute("UPDATE user_tokens NOT INDEXED SET is_active = 0", [])?;
    match count(good)? {
        0 => Ok(revoked),
        _ => Err(Error::new(
            ErrorKind::BadBackup,
            "the tokens in it cannot be revoked",
        )),
    }
}
