//! Inspects a file that no store of this process needs to have open, and that any program may open,
//! change and close meanwhile. Leaves nothing behind.
//!
//! **With SQLite's locks wherever it can**: on a connection that could write, though it never does. In
//! WAL mode SQLite needs a `-wal` and a `-shm` to lock anything. A connection that could write takes
//! them away again when it is the last to close; one that cannot would make them too, and leave them.
//!
//! **Without locks where the file or its folder cannot be written**, or the disk is full, and there is no
//! `-wal`: then SQLite reads the file as `immutable`, and whoever writes to it changes it underneath. So
//! what was read is only believed if the file has the same [`Stamp`] afterwards; otherwise it is read
//! again.
//!
//! Turned down: to read it as `immutable` first everywhere, and with locks only after it has changed.
//! It would make no `-wal` for a moment. But a stamp is a weaker proof than a lock, on a network file
//! system above all; what is told row by row, such as an export, cannot be read again; and a backup
//! must not be made so.
//!
//! Nothing here opens the file but SQLite, see [`Stamp`].

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

/// How often a file is read again that was changed meanwhile, and how long whoever changes it is given
/// each time.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Reads a file, all of it in one state. `read` may be called again, when what it was given turns out
/// to have been changed underneath.
///
/// # Errors
/// Those of `read`; [`Busy`](ErrorKind::Busy) if the file is being changed each time, or restored.
pub(crate) fn inspect<T>(
    path: &Path,
    settings: &Settings,
    read: impl FnMut(&Connection) -> Result<T>,
) -> Result<T> {
    Inspection::begin(path, settings, read).map(|(_, found)| found)
}

/// An open file, in the state in which it was when it was opened.
pub(crate) struct Inspection {
    conn: Tidy,
    path: PathBuf,
    settings: Settings,
    seen: Seen,
}

impl Inspection {
    /// Opens a file and reads it as [`inspect`] does; more can be read of the same state.
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
            // Who waits for a lock has waited long enough.
            let busy = matches!(&found, Err(error) if error.kind() == ErrorKind::Busy);
            if found.is_err() && settings.is_to_stop() {
                return settings.explain(found);
            }
            if found.is_err() && !busy {
                // In the middle of a restore nothing has the name for a moment. Before it is asked whether
                // that is still so, as the restore may end in between.
                refuse_unsettled(path)?;
            }
            if busy || seen.is_so(path) {
                return found;
            }
            std::thread::sleep(PAUSE);
        }
        Err(changing(path))
    }

    /// Reads more of it, which cannot be done twice.
    ///
    /// # Errors
    /// Those of `read`; [`Busy`](ErrorKind::Busy) if the file was changed underneath, whatever `read`
    /// made of it.
    pub(crate) fn go_on<T>(mut self, read: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let found = self.settings.explain(read(&mut self.conn));
        match self.seen.proof {
            Proof::SameStamp if !self.seen.is_so(&self.path) => Err(changing(&self.path)),
            // With locks, and its WAL open, it stays what it was, whatever has taken its name since.
            _ => found,
        }
    }

    /// Opens it, and tells what has to be so afterwards for what came of that to be believed, be it an
    /// error.
    fn open(path: &Path, settings: &Settings) -> (Seen, Result<Self>) {
        let before = Seen::now(path, Proof::NothingHappened);
        let locked = match has_room_to_lock(path) {
            true => open_locked(path, settings),
            false => {
                let why = format!("no room is left beside {} to lock it", path.display());
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
        // The lock is taken by the first to read.
        conn.execute_batch("BEGIN; PRAGMA schema_version")
            .map_err(|e| unreadable(e.into(), path))?;
        Ok(this)
    }
}

/// Opens a file so that SQLite's locks keep it as it is while it is read, and what is made for that is
/// removed again.
fn open_locked(path: &Path, settings: &Settings) -> Result<Tidy> {
    paths::refuse_what_is_no_file(path)?;
    match Tidy::open(path, || connect_again(path, settings)) {
        // Without writing there are locks only if nothing has to be made for them.
        Err(error) if may_not_write(&error) && (has(path, "-wal") || !is_in_wal_mode(path)) => {
            let opened = Tidy::open(path, || open_backup_source(path, settings));
            opened.map_err(|e| unreadable(e, path))
        }
        opened => opened,
    }
}

/// Opens a file to make a backup of it, whoever else has it open, and always with locks: another program
/// could change it underneath otherwise. Not `query_only`: `VACUUM INTO` another file would count as writing.
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
    // From the first reading on SQLite has the WAL open too, which it finds by its name.
    conn.pragma_query_value(None, "schema_version", |_| Ok(()))
        .map_err(|e| unreadable(e.into(), path))?;
    refuse_unsettled(path)?;
    if !before.is_so(path) {
        let why = format!(
            "another file was put in the place of {} while it was opened; try again",
            path.display()
        );
        return Err(Error::new(ErrorKind::Busy, why));
    }
    Ok(conn)
}

/// What keeps a database with a WAL from being read where nothing can be made beside it, such as a
/// read-only snapshot: SQLite only says that it cannot open a file.
fn cannot_lock(error: Error, path: &Path) -> Error {
    if error.kind() == ErrorKind::DiskFull || !may_not_write(&error) || !has(path, "-wal") {
        return error;
    }
    let why = format!(
        "the WAL beside it, {}, has changes that can only be read where this account can make a file \
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

/// SQLite opens what it cannot write to read it, and calls a folder that it cannot write into a file
/// that it cannot open.
fn may_not_write(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ReadOnly | ErrorKind::Io | ErrorKind::DiskFull
    )
}

/// Whether all that there is of the database is in the file, and SQLite would need more to lock it.
fn can_do_without_locks(path: &Path) -> bool {
    let wal = std::fs::symlink_metadata(beside(path, "-wal"));
    wal.map_or(true, |wal| wal.len() == 0) && is_in_wal_mode(path)
}

/// Whether there is room for a `-shm`, where one has to be made. On a full disk SQLite would leave a
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

/// Whether SQLite would need a WAL to read the file with locks. It says so when it is to read it without.
pub(super) fn is_in_wal_mode(path: &Path) -> bool {
    if !cfg!(unix) {
        return false;
    }
    let read = open_unlocked(path).and_then(|conn| {
        conn.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
        Ok(())
    });
    // Any other error is met again by whoever opens the file with locks.
    read.is_err_and(|error| error.is_cannot_open())
}

fn open_without_locks(path: &Path, settings: &Settings) -> Result<Tidy> {
    Tidy::open(path, || {
        let conn = open_immutable(path).map_err(|e| name_file(e, path))?;
        common(&conn, settings).map_err(|e| unreadable(e, path))?;
        Ok(conn)
    })
}

/// What shows that what was read of a file, or the failure to, is of the file and of no change underneath.
#[derive(Clone, Copy, Debug)]
enum Proof {
    /// Its stamp, which shows every further change.
    SameStamp,
    /// For who holds SQLite's locks: no other file has taken its name, such as in a restore. The locks
    /// are the file's, but SQLite finds the WAL by the name.
    SameFile,
    /// For who could not open it: neither was it written to, nor have programs come or gone.
    NothingHappened,
}

/// How a file was before it was read.
#[derive(Clone, Copy, Debug)]
struct Seen {
    file: Option<Stamp>,
    /// Whether a further change would show in the stamp.
    settled: bool,
    /// Those of the files beside it that are there while a program writes to it.
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

    /// Whether it is still so.
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
            "{} is being changed by another program while it is read: try again when that is done, or \
             as an account that may write to the file and its folder, which can lock it meanwhile",
            path.display()
        ),
    )
}
