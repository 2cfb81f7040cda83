//! Saves what a connection has open, when the file can no longer be reached by its name.

use super::{beside, look};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::panics::quietly;
use chrono::{DateTime, Utc};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::ffi::c_int;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The suffix of the copy, before its time.
const SAVED: &str = ".saved-";

/// Pages copied in one step.
const PAGES: c_int = 1024;

/// Virtual machine instructions between two calls of SQLite's progress handler.
const STEPS_BETWEEN_LOOKS: c_int = 100_000;

/// How often a step is tried again while another program holds a lock, with a pause before each.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Copies all that the connection sees, its WAL included, into a new file beside `database`, and
/// returns the path. Only its owner can read the file, and it replaces none. `steps` grows as long as
/// the copy makes progress.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) if the copy is damaged, as the file was; the copy is kept.
pub(crate) fn save_copy(
    conn: &Connection,
    database: &Path,
    now: DateTime<Utc>,
    steps: &Arc<AtomicU64>,
) -> Result<PathBuf> {
    let folder = files::folder_of(database);
    // The folder may be what was moved away.
    files::create_folder(folder, None)?;
    let (path, file) = new_file(database, now)?;
    if let Err(error) = copy(conn, &path, &file, steps) {
        // A partial copy is useless, and takes room.
        let _ = files::remove(&path);
        let kind = error.kind();
        return Err(error.because(kind, format_args!("cannot save it as {}", path.display())));
    }
    // A complete copy is kept even if this fails.
    file.sync_all().map_err(|e| {
        Error::io(
            format_args!("saved as {}; cannot sync it", path.display()),
            e,
        )
    })?;
    files::sync_folder(folder).map_err(|error| {
        let kind = error.kind();
        error.because(kind, format_args!("saved as {}", path.display()))
    })?;
    check(&path, steps).map_err(|error| {
        let kind = error.kind();
        let why = format!("what could be read is saved as {}", path.display());
        error.because(kind, why)
    })?;
    drop(file);
    let path_shown = path.display();
    quietly(
        || tracing::warn!(path = %path_shown, "saved the data of a store whose file was replaced"),
    );
    Ok(path)
}

fn new_file(database: &Path, now: DateTime<Utc>) -> Result<(PathBuf, File)> {
    const TRIES: u32 = 1_000;
    let time = now.format("%Y%m%dT%H%M%SZ");
    for again in 0..TRIES {
        let number = match again {
            0 => String::new(),
            again => format!("-{again}"),
        };
        let path = beside(database, &format!("{SAVED}{time}{number}"));
        if files::is_taken(&path) {
            continue;
        }
        let file = files::create(&path)?;
        files::give_to_owner_of(&file, files::folder_of(database));
        return Ok((path, file));
    }
    let why = "all names for the copy are taken";
    Err(Error::new(ErrorKind::Io, why))
}

/// `file` is the open target, and stays open: closing it would drop the connection's locks on it. It is
/// synced along the way, so that the last sync is short.
fn copy(conn: &Connection, to: &Path, file: &File, steps: &AtomicU64) -> Result<()> {
    let mut target = look::open(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(conn, &mut target)?;
        let mut busy = 0;
        loop {
            match backup.step(PAGES)? {
                StepResult::Done => break,
                StepResult::More => busy = 0,
                _ if busy < BUSY_TRIES => {
                    busy += 1;
                    std::thread::sleep(BUSY_PAUSE);
                    continue;
                }
                _ => {
                    let why = "another program holds a lock on the file";
                    return Err(Error::new(ErrorKind::Busy, why));
                }
            }
            let synced = file.sync_data();
            synced.map_err(|e| Error::io(format_args!("cannot sync {}", to.display()), e))?;
            steps.fetch_add(1, Ordering::Relaxed);
        }
    }
    // The copy is to be one file, with no WAL beside it; the setting came along with the pages.
    target.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Checks whether SQLite finds the copy whole: pages that the file no longer had were read as zeros.
fn check(path: &Path, steps: &Arc<AtomicU64>) -> Result<()> {
    let conn = &mut look::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let steps = Arc::clone(steps);
    let get_on = move || {
        steps.fetch_add(1, Ordering::Relaxed);
        false
    };
    conn.progress_handler(STEPS_BETWEEN_LOOKS, Some(get_on))?;
    let said: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    let why = "SQLite finds it damaged: restore a backup, and search this copy by hand";
    Err(Error::new(ErrorKind::Corrupt, why))
}
