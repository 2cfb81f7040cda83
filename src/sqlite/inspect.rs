//! Inspects a file that this process need not have open as a store, and that other programs may open,
//! change and close meanwhile. Leaves nothing behind.
//!
//! **With SQLite's locks if possible**: on a connection that could write, though it never does. In WAL
//! mode SQLite locks only with a `-wal` and a `-shm`. A connection that could write removes them when
//! it is the last to close; a read-only one would create them too, and leave them.
//!
//! **Without locks if the file or its folder cannot be written**, or the disk is full, and there is no
//! `-wal`. SQLite then reads the file as `immutable`, and another program may change it meanwhile. So
//! what was read counts only if the file has the same [`Stamp`] afterwards; otherwise it is read again.
//!
//! Turned down: to read every file as `immutable` first, and with locks only after a change. That would
//! create no `-wal` for a moment. But a stamp is a weaker proof than a lock, above all on a network
//! file system; an export, which streams its rows, cannot be read again; and a backup must not be made
//! that way.
//!
//! Only SQLite opens the file here: see [`Stamp`].

use super::Settings;
use super::look::{Floor, bound_values, mind_time, open_immutable, open_unlocked};
use super::tidy::Tidy;
use super::{
    beside, common, connect_again, name_file, open_backup_source, paths, refuse_unsettled,
    unreadable,
};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Stamp};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often a file that changes meanwhile is read again, and the pause before each attempt.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Reads a file, all of it in one state. `read` is called again if the file changed while it read.
///
/// # Errors
/// Those of `read`; [`Busy`](ErrorKind::Busy) if the file changes each time, or is being restored.
pub(crate) fn inspect<T>(
    path: &Path,
    settings: &Settings,
    read: impl FnMut(&Connection) -> Result<T>,
) -> Result<T> {
    Inspection::begin(path, settings, read).map(|(_, found)| found)
}

/// An open file, in the state of the moment when it was opened.
pub(crate) struct Inspection {
    conn: Tidy,
    path: PathBuf,
    settings: Settings,
    seen: Seen,
}

impl Inspection {
    /// Opens a file and reads it as [`inspect`] does; [`go_on`](Self::go_on) reads more of the same
    /// state.
    pub(crate) fn begin<T>(
        path: &Path,
        settings: &Settings,
        mut read: impl FnMut(&Connection) -> Result<T>,
    ) -> Result<(Self, T)> {
        for _ in 0..TRIES {
            refuse_unsettled(path)?;
            let (seen, opened) = Self::open(path, settings);
            let found = opened.and_then(|this| {
                let found = read(&this.conn)?;
                Ok((this, found))
            });
            // The lock was waited for long enough: no second attempt.
            let busy = matches!(&found, Err(error) if error.kind() == ErrorKind::Busy);
            if found.is_err() && settings.is_to_stop() {
                return settings.explain(found);
            }
            if found.is_err() && !busy {
                // During a restore no file has the name for a moment. Checked before the stamp is
                // compared, as the restore may end in between.
                refuse_unsettled(path)?;
            }
            if busy || seen.is_so(path) {
                return found;
            }
            std::thread::sleep(PAUSE);
        }
        Err(changing(path))
    }

    /// Reads more of it. This is not repeated.
    ///
    /// # Errors
    /// Those of `read`; [`Busy`](ErrorKind::Busy) if the file changed meanwhile, whatever `read`
    /// returned.
    pub(crate) fn go_on<T>(mut self, read: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let found = self.settings.explain(read(&mut self.conn));
        match self.seen.proof {
            Proof::SameStamp if !self.seen.is_so(&self.path) => Err(changing(&self.path)),
            // With locks and an open WAL the state is fixed, even if another file has taken the name
            // since.
            _ => found,
        }
    }

    /// Opens it. Also returns what must hold afterwards for the result, even an error, to count.
    fn open(path: &Path, settings: &Settings) -> (Seen, Result<Self>) {
        let before = Seen::now(path, Proof::NothingHappened);
        let locked = match has_room_to_lock(path) {
            true => open_locked(path, settings),
            false => {
                let why = format!(
                    "there is no room beside {} for the files that lock it",
                    path.display()
                );
                Err(Error::new(ErrorKind::DiskFull, why))
            }
        };
        match locked {
            Ok(conn) => {
                let seen = before.proved_by(Proof::SameFile);
                (seen, Self::begun(conn, path, settings, seen))
            }
            Err(error) if may_not_write(&error) && can_do_without_locks(path) => {
                let settles_in = |stamp: Stamp| stamp.settles_in(SystemTime::now());
                std::thread::sleep(Stamp::of(path).map_or(Duration::ZERO, settles_in));
                let seen = Seen::now(path, Proof::SameStamp);
                let begun = open_without_locks(path, settings)
                    .and_then(|conn| Self::begun(conn, path, settings, seen));
                (seen, begun)
            }
            Err(error) => (before, Err(cannot_lock(error, path))),
        }
    }

    fn begun(conn: Tidy, path: &Path, settings: &Settings, seen: Seen) -> Result<Self> {
        let mut this = Self {
            conn,
            path: path.to_owned(),
            settings: *settings,
            seen,
        };
        let conn = &mut this.conn;
        conn.pragma_update(None, "query_only", true)?;
        bound_values(conn, path, Floor::Look)?;
        mind_time(conn, path, settings)?;
        // The first read takes the lock.
        conn.execute_batch("BEGIN; PRAGMA schema_version")
            .map_err(|e| unreadable(e.into(), path))?;
        Ok(this)
    }
}

/// Opens a file with SQLite's locks, which keep it as it is while it is read. Files that SQLite creates
/// for that are removed again.
fn open_locked(path: &Path, settings: &Settings) -> Result<Tidy> {
    paths::refuse_what_is_no_file(path)?;
    match Tidy::open(path, || connect_again(path, settings)) {
        // A read-only connection can lock only if no file has to be created for that.
        Err(error) if may_not_write(&error) && (has(path, "-wal") || !is_in_wal_mode(path)) => {
            let opened = Tidy::open(path, || open_backup_source(path, settings));
            opened.map_err(|e| unreadable(e, path))
        }
        opened => opened,
    }
}

/// Opens a file to back it up, even if others have it open. Always with locks: another program could
/// change it meanwhile otherwise. Not `query_only`: under it `VACUUM INTO` another file counts as
/// writing.
pub(crate) fn open_to_back_up(path: &Path, settings: &Settings) -> Result<Tidy> {
    refuse_unsettled(path)?;
    let before = Seen::now(path, Proof::SameFile);
    let opened = open_locked(path, settings).map_err(|error| match error.kind() {
        ErrorKind::Io | ErrorKind::ReadOnly if can_do_without_locks(path) => error.because(
            ErrorKind::ReadOnly,
            "it cannot be locked while it is copied; make the backup as an account that may write to \
             the file and its folder, or copy it elsewhere first",
        ),
        _ => cannot_lock(error, path),
    });
    let mut conn = opened?;
    bound_values(&conn, path, Floor::Look)?;
    mind_time(&mut conn, path, settings)?;
    // From its first read on SQLite also has the WAL open, which it finds by name.
    conn.pragma_query_value(None, "schema_version", |_| Ok(()))
        .map_err(|e| unreadable(e.into(), path))?;
    refuse_unsettled(path)?;
    if !before.is_so(path) {
        let why = format!(
            "another file replaced {} while it was opened; try again",
            path.display()
        );
        return Err(Error::new(ErrorKind::Busy, why));
    }
    Ok(conn)
}

/// Explains why a database with a WAL cannot be read if no file can be created beside it, as on a
/// read-only snapshot: SQLite only says that it cannot open a file.
fn cannot_lock(error: Error, path: &Path) -> Error {
    if error.kind() == ErrorKind::DiskFull || !may_not_write(&error) || !has(path, "-wal") {
        return error;
    }
    let why = format!(
        "the WAL beside it, {}, has changes that this account can read only if it can create a file \
         beside it",
        beside(path, "-wal").display()
    );
    let advice = match error.advice() {
        Some(advice) if advice.starts_with(paths::COPY_BOTH) => advice.to_owned(),
        Some(advice) => format!("{}; or: {advice}", paths::COPY_BOTH),
        None => paths::COPY_BOTH.to_owned(),
    };
    Error::new(ErrorKind::ReadOnly, why).with_advice(advice)
}

/// SQLite opens a file that it cannot write for reading. If it cannot write to the folder, it only says
/// that it cannot open a file.
fn may_not_write(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ReadOnly | ErrorKind::Io | ErrorKind::DiskFull
    )
}

/// Whether the file holds the whole database, and SQLite would have to create more files to lock it.
fn can_do_without_locks(path: &Path) -> bool {
    let wal = std::fs::symlink_metadata(beside(path, "-wal"));
    wal.map_or(true, |wal| wal.len() == 0) && is_in_wal_mode(path)
}

/// Whether there is room for a `-shm`, if one has to be created. On a full disk SQLite would leave a
/// part of it.
fn has_room_to_lock(path: &Path) -> bool {
    const ROOM: u64 = 256 << 10;
    has(path, "-wal")
        || files::free_bytes(files::folder_of(path)).map_or(true, |free| free >= ROOM)
        || !is_in_wal_mode(path)
}

fn has(path: &Path, suffix: &str) -> bool {
    beside(path, suffix).exists()
}

/// Whether SQLite needs a WAL to read the file with locks. It says so when asked to read without locks.
pub(super) fn is_in_wal_mode(path: &Path) -> bool {
    if !cfg!(unix) {
        return false;
    }
    let read = open_unlocked(path).and_then(|conn| {
        conn.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
        Ok(())
    });
    // Any other error recurs when the file is opened with locks.
    read.is_err_and(|error| error.is_cannot_open())
}

fn open_without_locks(path: &Path, settings: &Settings) -> Result<Tidy> {
    Tidy::open(path, || {
        let conn = open_immutable(path).map_err(|e| name_file(e, path))?;
        common(&conn, settings).map_err(|e| unreadable(e, path))?;
        Ok(conn)
    })
}

/// What proves that a result, or an error, is of one state of the file.
#[derive(Clone, Copy, Debug)]
enum Proof {
    /// The stamp is the same: it shows every further change.
    SameStamp,
    /// For a reader with SQLite's locks: no other file has taken the name, as in a restore. The locks
    /// are the file's, but SQLite finds the WAL by name.
    SameFile,
    /// For a file that could not be opened: it was not written, and no program opened or closed it.
    NothingHappened,
}

/// The state of a file before it was read.
#[derive(Clone, Copy, Debug)]
struct Seen {
    file: Option<Stamp>,
    /// Whether a further change would show in the stamp.
    settled: bool,
    /// Whether its `-wal` and `-journal` exist, as while a program writes to it.
    beside: [bool; 2],
    proof: Proof,
}

impl Seen {
    fn now(path: &Path, proof: Proof) -> Self {
        let file = Stamp::of(path);
        let settled = |file: Stamp| file.settles_in(SystemTime::now()).is_zero();
        Self {
            file,
            settled: file.is_none_or(settled),
            beside: ["-wal", "-journal"].map(|suffix| has(path, suffix)),
            proof,
        }
    }

    fn proved_by(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    /// Whether the proof holds now.
    fn is_so(&self, path: &Path) -> bool {
        let now = Self::now(path, self.proof);
        match self.proof {
            Proof::SameStamp => self.settled && self.file == now.file,
            Proof::SameFile => match (&self.file, &now.file) {
                (Some(then), Some(now)) => then.is_same_file(now),
                _ => false,
            },
            Proof::NothingHappened => self.file == now.file && self.beside == now.beside,
        }
    }
}

fn changing(path: &Path) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "another program changes {} while it is read: try again later, or as an account that may \
             write to the file and its folder, and so can lock it",
            path.display()
        ),
    )
}
