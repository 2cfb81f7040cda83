//! Makes a backup: copies, packs, reads back, compares, and only then gives it its name.

use super::artefact::{self, Lock};
use super::contents::{self, Contents, Inventory};
use super::folder::{Backup, Folder, artefact_name};
use super::keys;
use super::manifest::{Header, Manifest, Mode, Reason};
use super::partial::Partial;
use super::settings::Backups;
use super::throttle::{Stage, Throttle};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{check_room, folder_of};
use crate::sqlite;
use crate::time::Clock;
use rusqlite::Connection;
use rusqlite::backup::StepResult;
use std::path::Path;
use std::time::Duration;

/// Pages copied between two looks at the clock: 1 MiB at the usual 4 KiB a page.
const PAGES: std::ffi::c_int = 256;

/// How often a step is tried again while another program holds a lock, with a pause before each.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Learns for how long a backup reads a snapshot, which keeps the WAL from starting over.
pub(crate) trait SnapshotObserver {
    /// Runs `read`, which begins a snapshot and ends it.
    fn while_reading<T>(&self, read: impl FnOnce() -> T) -> T;
}

/// No observer: for a backup outside of an open store.
pub(super) struct Unobserved;

impl SnapshotObserver for Unobserved {
    fn while_reading<T>(&self, read: impl FnOnce() -> T) -> T {
        read()
    }
}

/// What is backed up, and how.
pub(super) struct Job<'a, O> {
    /// Outside a transaction: the copy begins one. The pacer is attached to it.
    pub(super) source: &'a Connection,
    /// The file on which `source` is open.
    pub(super) database: &'a Path,
    pub(super) settings: &'a Backups,
    pub(super) mode: Mode,
    pub(super) reason: Reason,
    pub(super) clock: &'a dyn Clock,
    pub(super) observer: &'a O,
    pub(super) pacer: &'a Throttle,
}

/// Makes a backup in the folder.
pub(super) fn create<O: SnapshotObserver>(
    folder: &Folder,
    path: &Path,
    job: &Job<'_, O>,
) -> Result<Backup> {
    let mut recipients = job.settings.recipients.clone();
    let look = keys::for_one_look(&mut recipients);
    let encrypted = !recipients.is_empty();
    let (pages, page_bytes) = size(job.source)?;
    // The copy and its compressed form exist at the same time, and nobody knows how well the copy will
    // compress. Most bots write on the same disk, and their writes come first.
    let (bytes, what) = (pages * page_bytes, "a backup, while it is made,");
    match encrypted {
        false => check_room(path, 2 * bytes, what)?,
        true => {
            check_room(path, bytes, what)?;
            check_room(folder_of(job.database), bytes, what)?;
        }
    }
    let taken_at = job.clock.now();
    let store = Inventory::store_id(job.source)?;
    let partial = folder.begin(taken_at, job.reason, store.as_deref())?;
    let unsealed = match encrypted {
        false => None,
        true => Some(Partial::unsealed(job.database)?),
    };
    let scratch = unsealed.as_ref().unwrap_or(&partial);
    let (copy, _) = scratch.file("copy.db")?;
    let original = job.observer.while_reading(|| match job.mode {
        Mode::Pages => copy_pages(job, &copy),
        Mode::Compact => copy_compact(job, &copy),
    })?;

    let (packed, file) = partial.file(artefact_name(encrypted))?;
    let level = job.settings.level;
    let (database, artefact) = artefact::pack(&copy, file, level, &recipients, job.pacer)?;
    // Makes room for the file that is read back.
    scratch.remove_file(&copy)?;

    let lock = match encrypted {
        false => Lock::Clear,
        true => Lock::Age(&look),
    };
    let (again, file) = scratch.file("check.db")?;
    let garbled = "the backup reads back differently from what was written: do not trust this disk";
    let read = artefact::unpack(&packed, file, database.bytes, lock, job.pacer);
    let read = read.map_err(|error| match error.kind() {
        ErrorKind::BadBackup | ErrorKind::WrongKey => error.because(ErrorKind::Corrupt, garbled),
        _ => error,
    })?;
    if read != (database.clone(), artefact.clone()) {
        return Err(Error::new(ErrorKind::Corrupt, garbled));
    }
    let contents = verify_contents(
        open_copy(&again, job.pacer)?,
        &original,
        database,
        job.pacer,
    )?;
    scratch.remove_file(&again)?;

    let header = Header {
        name: partial.name.clone(),
        store_id: original.store_id,
        reason: job.reason,
        mode: job.mode,
        taken_at,
        verified_at: job.clock.now(),
        artefact,
    };
    let manifest = Manifest::new(header, contents);
    let manifest = match encrypted {
        false => manifest,
        true => manifest.seal(&job.settings.recipients)?,
    };
    let manifest = manifest.finish(job.settings.key.as_ref())?;
    finish(folder, &partial, manifest)
}

fn finish(folder: &Folder, partial: &Partial, manifest: Manifest) -> Result<Backup> {
    partial.write_manifest(&manifest)?;
    let path = folder.publish(partial)?;
    tracing::info!(backup = %path.display(), bytes = manifest.artefact.bytes, "made a backup");
    Ok(Backup { path, manifest })
}

fn size(conn: &Connection) -> Result<(u64, u64)> {
    let pragma = |name| -> Result<u64> {
        let value: i64 = conn.pragma_query_value(None, name, |row| row.get(0))?;
        Ok(value.max(0) as u64)
    };
    Ok((pragma("page_count")?, pragma("page_size")?))
}

/// Copies with SQLite's online backup, in small steps inside one read transaction. Without the
/// transaction it would start again whenever the writer commits between two steps.
fn copy_pages<O>(job: &Job<'_, O>, to: &Path) -> Result<Inventory> {
    let snapshot = job.source.unchecked_transaction()?;
    let original = Inventory::read(job.source)?;
    let (_, page_bytes) = size(job.source)?;
    let failed = |error| cannot_copy(error, to);
    let mut target = sqlite::open_target(to).map_err(|e| cannot_copy(e, to))?;
    // No sync here: the compressed file is synced.
    target
        .pragma_update(None, "synchronous", "OFF")
        .map_err(failed)?;
    {
        let backup = rusqlite::backup::Backup::new(job.source, &mut target)?;
        let mut busy = 0;
        loop {
            let step = backup.step(PAGES).map_err(failed)?;
            let progress = backup.progress();
            let pages = |count: std::ffi::c_int| count.max(0) as u64 * page_bytes;
            let total = pages(progress.pagecount);
            job.pacer
                .step(Stage::Copy, total - pages(progress.remaining), total)?;
            match step {
                StepResult::Done => break,
                StepResult::More => busy = 0,
                _ if busy < BUSY_TRIES => {
                    busy += 1;
                    std::thread::sleep(BUSY_PAUSE);
                }
                _ => {
                    let why = "another program holds a lock on the file";
                    return Err(Error::new(ErrorKind::Busy, why));
                }
            }
        }
    }
    // The copy is to be one file, with no WAL beside it; it took that setting over from the original.
    target
        .query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))
        .map_err(failed)?;
    snapshot.finish()?;
    Ok(original)
}

/// Names the copy: SQLite does not say which of the two files it could not write.
fn cannot_copy(error: impl Into<Error>, to: &Path) -> Error {
    let error = error.into();
    let kind = error.kind();
    error.because(
        kind,
        format_args!("cannot copy the database to {}", to.display()),
    )
}

/// Makes a copy without deleted rows. SQLite takes the snapshot itself, so the inventory is read from
/// the copy.
fn copy_compact<O>(job: &Job<'_, O>, to: &Path) -> Result<Inventory> {
    job.pacer.step(Stage::Copy, 0, 0)?;
    sqlite::vacuum_into(job.source, to).map_err(|e| cannot_copy(e, to))?;
    let mut copy = sqlite::open_copy(to)?;
    job.pacer.attach(&mut copy, to)?;
    Inventory::read(&copy)
}

/// Opens an unpacked copy. The time limit of SQLite's work on it depends on its size, so this comes
/// before the file's name is removed.
pub(super) fn open_copy(path: &Path, pacer: &Throttle) -> Result<Connection> {
    let mut conn = sqlite::open_copy(path)?;
    pacer.attach(&mut conn, path)?;
    Ok(conn)
}

/// Checks an unpacked copy; returns what is in it.
pub(super) fn verify_contents(
    conn: Connection,
    original: &Inventory,
    database: super::Checksum,
    pacer: &Throttle,
) -> Result<Contents> {
    let total = database.bytes;
    pacer.step(Stage::Check, 0, total)?;
    let orphans = contents::check(&conn, original)?;
    let (pages, page_bytes) = size(&conn)?;
    pacer.step(Stage::Check, total, total)?;
    Ok(Contents {
        schemas: original.schemas.clone(),
        page_bytes: page_bytes as u32,
        pages,
        rows: original.rows.clone(),
        orphans,
        database,
    })
}
