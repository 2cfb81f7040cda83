//! The verified copy that is made before a migration changes an existing file.

use crate::error::{Error, ErrorKind, Result};
use crate::sqlite;
use chrono::{DateTime, Utc};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folder beside a file for its copies.
fn folder(database: &Path) -> PathBuf {
    sqlite::beside(database, ".backups")
}

/// Copies the database to `NAME.backups/TIME-before-upgrade.db`, checks the copy, and only then
/// gives it that name. Gives the copy's path.
pub(crate) fn before_upgrade(
    conn: &Connection,
    database: &Path,
    now: DateTime<Utc>,
) -> Result<PathBuf> {
    let folder = folder(database);
    let in_words = |doing: &'static str| {
        move |e: Error| {
            let kind = e.kind();
            e.because(
                kind,
                format_args!("{doing} before the upgrade, and the file is as it was"),
            )
        }
    };
    fs::create_dir_all(&folder)
        .map_err(|e| Error::io(format_args!("cannot create {}", folder.display()), e))
        .map_err(in_words("no copy was made"))?;
    let stamp = now.format("%Y%m%dT%H%M%S%.6fZ");
    // A clock that stands, or was set back, must not cost an older copy its name.
    let finished = (1..)
        .map(|n| match n {
            1 => format!("{stamp}-before-upgrade.db"),
            n => format!("{stamp}-{n}-before-upgrade.db"),
        })
        .map(|name| folder.join(name))
        .find(|path| !path.exists())
        .ok_or_else(|| Error::new(ErrorKind::Io, "no name is left for the copy"))?;
    let partial = sqlite::beside(&finished, ".partial");
    // One snapshot for the copy and for what it is compared with: another program may be writing.
    let snapshot = conn.unchecked_transaction()?;
    copy(conn, &partial).map_err(in_words("no copy could be made"))?;
    verify(conn, &partial).map_err(in_words("the copy did not verify"))?;
    snapshot.finish()?;
    publish(&partial, &finished).map_err(in_words("the copy could not be kept"))?;
    tracing::info!(copy = %finished.display(), "copied the file before its upgrade");
    Ok(finished)
}

fn copy(conn: &Connection, to: &Path) -> Result<()> {
    let mut target = Connection::open(to)?;
    // In one step: the caller holds the file's lock and nothing else writes yet.
    let copied = Backup::new(conn, &mut target)?.step(-1)?;
    if copied != StepResult::Done {
        return Err(Error::new(
            ErrorKind::Busy,
            "another program holds a lock on the file",
        ));
    }
    // One file, nothing beside it; the original has a log, and the copy took that setting over.
    target.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
    Ok(())
}

fn verify(original: &Connection, copy: &Path) -> Result<()> {
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("SQLite's integrity check says: {verdict}; the original is probably damaged"),
        ));
    }
    if rows_by_table(original)? != rows_by_table(&copy)? {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the copy has other rows than the original",
        ));
    }
    Ok(())
}

fn rows_by_table(conn: &Connection) -> Result<BTreeMap<String, i64>> {
    let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    let mut rows = BTreeMap::new();
    for name in names {
        let name = name?;
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let count = conn.query_row(&sql, [], |row| row.get(0))?;
        rows.insert(name, count);
    }
    Ok(rows)
}

/// Makes the copy durable and gives it its name.
fn publish(partial: &Path, finished: &Path) -> Result<()> {
    let sync = |path: &Path| {
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(|e| Error::io(format_args!("cannot sync {}", path.display()), e))
    };
    sync(partial)?;
    fs::rename(partial, finished)
        .map_err(|e| Error::io(format_args!("cannot rename {}", partial.display()), e))?;
    // A folder cannot be opened for syncing on every system; on those a rename is durable anyway.
    if cfg!(unix)
        && let Some(folder) = finished.parent()
    {
        sync(folder)?;
    }
    Ok(())
}

/// Removes what a copy left that was cut short.
pub(crate) fn clear_partial(database: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder(database)) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.contains("-before-upgrade.db.partial") {
            fs::remove_file(entry.path()).map_err(|e| {
                Error::io(format_args!("cannot remove {}", entry.path().display()), e)
            })?;
        }
    }
    Ok(())
}
