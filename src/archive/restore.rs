//! Puts a backup in a file's place.
//!
//! What is restored is read back and checked beside its destination. Then a note is written of what
//! is to be done, and only then is the old file moved aside and the new one moved in. Whoever finds
//! the note later (a restore that runs again, a store that opens the file) does the rest. So a
//! restore that is cut short leaves the old file untouched, or is finished; a database is never left
//! beside another one's log.

use super::Source;
use super::folder::Backup;
use super::reading::{Tokens, VerifyOptions};
use super::scratch;
use super::settle;
use super::throttle::Pace;
use super::verify::{Keep, open, read_back};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, folder_of, sync_folder};
use crate::migration::{self, Program, UnknownObjects};
use crate::operation::ReadTx;
use crate::sqlite::{self, FILES, FileLock, beside, name_file};
use rusqlite::config::DbConfig;
use std::fs;
use std::path::{Path, PathBuf};

/// What is done with a file that is where the backup is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IfExists {
    /// It stays, and the restore is refused.
    #[default]
    Refuse,
    /// It goes, with its WAL, into a folder `NAME.replaced-TIME` beside it. Nothing is deleted.
    MoveAside,
}

/// What a restore did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restored {
    /// The file that is the backup's content now.
    pub path: PathBuf,
    /// The backup, with its contents.
    pub backup: Backup,
    /// What is in its schema that no applied step made.
    pub unknown_objects: UnknownObjects,
    /// Where the file is that was there before.
    pub replaced: Option<PathBuf>,
    /// How many tokens were good in the backup and were revoked; `None` if that was not asked for
    /// ([`VerifyOptions::revoke_tokens`]). The file then differs from the backup in that.
    pub revoked_tokens: Option<u64>,
}

/// Puts a backup in the place of the source's file.
pub(crate) fn restore(
    source: &Source<'_>,
    backup: &Path,
    existing: IfExists,
    reading: VerifyOptions,
) -> Result<Restored> {
    let program = &source.program;
    // Before anything is made at the destination.
    let opened = open(backup, &reading)?;
    scratch::clear(&std::env::temp_dir());
    let path = sqlite::resolve(source.path)?;
    let _lock = FileLock::acquire(&path)?;
    settle(&path)?;
    if existing == IfExists::Refuse && is_taken(&path) {
        return Err(Error::conflict(
            "path",
            format_args!(
                "file at {}: say that it is to be moved aside, or restore to another path",
                path.display()
            ),
        ));
    }
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
    let aside = free_name(&path, program.clock.now());
    let replaced = is_taken(&path).then(|| beside(&path, &aside));
    let noted = read.and_then(|read| write_note(&path, &aside).map(|()| read));
    let (backup, unknown_objects, revoked_tokens) = match noted {
        Ok(read) => read,
        Err(error) => {
            let _ = give_up(&path);
            return Err(error);
        }
    };
    finish_restore(&path)?;
    tracing::info!(path = %path.display(), backup = %backup.manifest.name, "restored a backup");
    Ok(Restored {
        path,
        backup,
        unknown_objects,
        replaced,
        revoked_tokens,
    })
}

fn is_taken(path: &Path) -> bool {
    FILES
        .iter()
        .any(|suffix| files::is_taken(&beside(path, suffix)))
}

/// Whoever could read the old file can read the new one, and nobody else.
fn keep_owner_and_mode(old: &Path, new: &Path) -> Result<()> {
    let (Some(file), Ok(data)) = (files::open(new)?, fs::symlink_metadata(old)) else {
        return Ok(());
    };
    files::give_to_owner_of(&file, old);
    file.set_permissions(data.permissions())
        .map_err(|e| files::cannot("set the mode of", new, e))
}

fn restoring(path: &Path) -> PathBuf {
    beside(path, ".restoring.db")
}

fn note(path: &Path) -> PathBuf {
    beside(path, sqlite::RESTORING)
}

/// What the names of folders for old files begin with, after the file's.
const REPLACED: &str = ".replaced";

/// What is put behind the file's name for a folder, not there yet, that the old file goes into.
fn free_name(path: &Path, now: chrono::DateTime<chrono::Utc>) -> String {
    let stamp = now.format("%Y%m%dT%H%M%SZ");
    (1_u32..)
        .map(|n| match n {
            1 => format!("{REPLACED}-{stamp}"),
            n => format!("{REPLACED}-{stamp}-{n}"),
        })
        .find(|name| !files::is_taken(&beside(path, name)))
        .unwrap_or_else(|| REPLACED.to_owned())
}

/// Whether it is a name that [`free_name`] gives: `.replaced-20261123T071844Z`, perhaps with a number
/// behind it. Any other, such as one with a way out of the folder in it, is not the note's.
fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | '-');
    text.len() < 64
        && text
            .strip_prefix(REPLACED)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') && rest.chars().all(known))
}

/// Whether this program would open it: asked of a copy that nothing has changed yet. Gives what is in
/// it that no step made.
fn can_be_opened(path: &Path, program: &Program<'_>) -> Result<UnknownObjects> {
    sqlite::inspect(path, &program.sqlite, |conn| {
        migration::refuse_unknown(conn, path, program)?;
        let tx = ReadTx::new(conn, program.clock.now());
        migration::refuse_objects(&tx, program, path)?;
        migration::unknown_in(&tx, program.schemas)
    })
}

/// More than is ever in the note.
const MAX_NOTE_BYTES: u64 = 4096;
/// Revokes all tokens in a file that has not taken its place yet; gives how many were good.
fn revoke_tokens(path: &Path, program: &Program<'_>) -> Result<u64> {
    let conn = sqlite::connect_again(path, &program.sqlite)?;
    // What is beside the file would not go with it. Without a note it is given up if this is cut short.
    conn.query_row("PRAGMA journal_mode=MEMORY", [], |_| Ok(()))?;
    // The file's own triggers might have another mind.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let count = |sql: &str| -> Result<u64> {
        let rows: i64 = conn.query_row(sql, [], |row| row.get(0))?;
        Ok(rows.max(0) as u64)
    };
    // A view of that name cannot be updated, and refuses the restore.
    let there = "SELECT count(*) FROM sqlite_schema
                 WHERE type IN ('table', 'view') AND lower(name) = 'user_tokens'";
    if count(there)? == 0 {
        return Ok(0);
    }
    // Not by an index, which might leave rows out.
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

/// From here on the restore is done, or will be.
fn write_note(path: &Path, aside: &str) -> Result<()> {
    files::replace(&note(path), aside.as_bytes(), path)
}

/// Takes back what was got ready, the note first: what it stands for would be done.
fn give_up(path: &Path) -> Result<()> {
    let note = note(path);
    files::remove(&note)?;
    files::remove(&beside(&note, ".partial"))?;
    clear_new(path)
}

/// Removes the new file, with what SQLite has put beside it to read it.
fn clear_new(path: &Path) -> Result<()> {
    let new = restoring(path);
    FILES
        .iter()
        .try_for_each(|suffix| files::remove(&beside(&new, suffix)))
}

/// Does the rest of a restore that was cut short, or clears away one that had not got that far.
/// Whoever calls this holds the file's lock. Each step may have been done before.
pub(super) fn finish_restore(path: &Path) -> Result<()> {
    let failed = |e| files::cannot("restore", path, e);
    let (new, note) = (restoring(path), note(path));
    let Some(name) = files::read(&note, MAX_NOTE_BYTES)? else {
        return give_up(path);
    };
    let aside = match str::from_utf8(&name) {
        Ok(name) if is_name(name) => beside(path, name),
        // Not as it was written; what there is to do is known all the same.
        _ => beside(path, REPLACED),
    };
    files::refuse_other_than_plain(&new)?;
    // Without it, what is at the path is the new file already.
    if files::is_taken(&new) {
        let old: Vec<_> = FILES
            .iter()
            .map(|suffix| beside(path, suffix))
            .filter(|old| files::is_taken(old))
            .collect();
        if !old.is_empty() {
            files::create_own_folder(&aside, Some(path))?;
            for old in old {
                let name = old.file_name().unwrap_or_default();
                fs::rename(&old, aside.join(name)).map_err(failed)?;
            }
            sync_folder(&aside)?;
            sync_folder(folder_of(path))?;
        }
        fs::rename(&new, path).map_err(failed)?;
        sync_folder(folder_of(path))?;
    }
    clear_new(path)?;
    files::remove(&note)?;
    sync_folder(folder_of(path))?;
    Ok(())
}
