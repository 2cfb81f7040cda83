//! Which files a store has open, and whether they still have their names. A store opens a file once and
//! holds on to it, whatever becomes of the name: what is then written under another file's name, or under
//! none, is lost with the process or laid over that other file.
//!
//! By `stat` alone: to open and close the file would drop SQLite's locks, see [`files::Stamp`]. SQLite's own
//! answer (`SQLITE_FCNTL_HAS_MOVED`) was turned down: it knows nothing of the WAL, and rusqlite has no safe
//! way to ask for it.

use super::{beside, wal};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, AtPath, FileId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is wrong with where a database's files are: another program has moved, removed or replaced one,
/// or has given it another name. As text, it says what follows and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileProblem {
    /// Another file has the database's name.
    DatabaseReplaced,
    /// No file has the database's name any more.
    DatabaseRemoved,
    /// The database has been cut to 0 bytes.
    DatabaseEmptied,
    /// Another file has the name of the WAL (`-wal`).
    WalReplaced,
    /// The WAL's name is gone.
    WalRemoved,
    /// Another file has the name of the WAL's index (`-shm`).
    ShmReplaced,
    /// The name of the WAL's index is gone.
    ShmRemoved,
    /// The WAL has been cut, emptied or written over: what was in it is not there any more.
    WalCut,
    /// The lock file (`.lock`) was removed, and another store has opened the database since.
    LockTaken,
    /// The lock file (`.lock`) was removed. A warning: the store has made it again.
    LockRemoved,
    /// The lock file (`.lock`) was removed, and cannot be made again. A warning: a second store might open the
    /// database.
    LockLost,
    /// The path that the store was opened by led to the database through a link, and leads to another
    /// file now, or to none. A warning.
    PathLeadsElsewhere,
    /// The database has other names: hard links. A warning.
    #[non_exhaustive]
    HardLinked {
        /// How many names it has in all.
        names: u64,
    },
    /// The database is mounted by itself, and what lies beside it is not. A warning.
    MountPoint,
}

impl FileProblem {
    /// Whether mutations are refused for it, with [`ErrorKind::Replaced`]: what was acknowledged then
    /// might not be there at the next opening. The others are warnings.
    pub fn stops_writing(&self) -> bool {
        !matches!(
            self,
            Self::LockRemoved
                | Self::LockLost
                | Self::PathLeadsElsewhere
                | Self::HardLinked { .. }
                | Self::MountPoint
        )
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CLOSE: &str = "nothing more is written. Close the store and do not kill its process: \
                             closing saves all that it has as a new file beside the old name, and says \
                             where";
        const REOPEN: &str = "nothing more is written, and nothing is lost. Close the store and do not \
                              kill its process: closing copies the WAL into the database; then open it \
                              again";
        match self {
            Self::DatabaseReplaced => write!(
                f,
                "another file has taken the database's name under an open store; {CLOSE}"
            ),
            Self::DatabaseRemoved => write!(
                f,
                "the database was moved away or removed under an open store; {CLOSE}"
            ),
            Self::DatabaseEmptied => write!(
                f,
                "the database was emptied (0 bytes) under an open store; {CLOSE}"
            ),
            Self::WalReplaced => write!(
                f,
                "another file has taken the name of the database's WAL (-wal) under an open store; {CLOSE}"
            ),
            Self::WalRemoved => write!(
                f,
                "the database's WAL (-wal) was moved away or removed under an open store; {REOPEN}"
            ),
            Self::ShmReplaced => write!(
                f,
                "another file has taken the name of the WAL's index (-shm) under an open store, and other \
                 programs no longer see its locks; {REOPEN}"
            ),
            Self::ShmRemoved => write!(
                f,
                "the WAL's index (-shm) was moved away or removed under an open store, and other programs \
                 no longer see its locks; {REOPEN}"
            ),
            Self::WalCut => f.write_str(
                "the database's WAL (-wal) was cut or written over under an open store, and with it went \
                 changes that were in it alone; nothing more is written, nor copied from it into the \
                 database. Close the store, which saves what can be read of it as a new file, and \
                 restore a backup",
            ),
            Self::LockTaken => f.write_str(
                "the database's lock file (.lock) was removed under an open store, and another store has \
                 opened the database since. One store writes to a file at a time: this one writes nothing \
                 more, and loses nothing. Close one of the two",
            ),
            Self::LockRemoved => f.write_str(
                "the database's lock file (.lock) was removed or replaced under an open store, which has \
                 made it again: leave it where it is, since it keeps a second store from the file",
            ),
            Self::LockLost => f.write_str(
                "the database's lock file (.lock) was removed or replaced under an open store, which cannot make \
                 it again: a second store might open the database. Remove what has its name, and see that this \
                 account may write to the folder",
            ),
            Self::PathLeadsElsewhere => f.write_str(
                "the path that the store was opened by leads to another file now, or to none: the store \
                 goes on with the file that it has, and the next opening will not find what it writes \
                 there. Let the link lead back, or close the store before it is changed",
            ),
            Self::HardLinked { names } => write!(
                f,
                "the database has {names} names (hard links), and a WAL beside one of them only: who opens \
                 it by another does not see the newest changes, and may damage it. Remove the other \
                 names, or make them symbolic links"
            ),
            Self::MountPoint => f.write_str(
                "the database is mounted by itself: its WAL lies beside it and not on what is mounted, \
                 as in a container that goes with it, and so do the newest changes if the store is not \
                 closed. Mount the folder that it is in",
            ),
        }
    }
}

/// What is wrong with the names of a database that no store of this process need have open.
pub(crate) fn file_problems(database: &Path) -> Vec<FileProblem> {
    let mut found = Vec::new();
    if let AtPath::File { names, .. } = files::at_path(database)
        && names > 1
    {
        found.push(FileProblem::HardLinked { names });
    }
    if files::is_mount_point(database) {
        found.push(FileProblem::MountPoint);
    }
    found
}

/// The files that a store has open.
pub(crate) struct OpenFiles {
    path: PathBuf,
    /// What the configuration says, which may lead there through links.
    given: PathBuf,
    /// The database, its WAL and the WAL's index: those of which the system says which they are.
    open: [Option<FileId>; 3],
    /// At the last look.
    known: Mutex<Vec<FileProblem>>,
    stops_writing: AtomicBool,
    /// The bytes up to the last frame of the WAL, and of that frame, as of the last look of the writer's; it
    /// may have started over since.
    log_bytes: AtomicU64,
    frame_bytes: AtomicU64,
    log_is_cut: AtomicBool,
    lock_is_taken: AtomicBool,
}

/// What their names end in, and what is wrong if it is another file's or nobody's.
const NAMES: [(&str, FileProblem, FileProblem); 3] = [
    (
        "",
        FileProblem::DatabaseReplaced,
        FileProblem::DatabaseRemoved,
    ),
    ("-wal", FileProblem::WalReplaced, FileProblem::WalRemoved),
    ("-shm", FileProblem::ShmReplaced, FileProblem::ShmRemoved),
];

impl OpenFiles {
    /// Those of a database to which a connection in WAL mode has just been opened, for which the
    /// configuration says `given`.
    pub(crate) fn of(database: &Path, given: &Path) -> Self {
        let open = NAMES.map(
            |(suffix, ..)| match files::at_path(&beside(database, suffix)) {
                AtPath::File { id, .. } => Some(id),
                AtPath::Nothing | AtPath::Unknown => None,
            },
        );
        Self {
            path: database.to_owned(),
            // The working directory may change.
            given: std::path::absolute(given).unwrap_or_else(|_| database.to_owned()),
            open,
            known: Mutex::default(),
            stops_writing: AtomicBool::new(false),
            log_bytes: AtomicU64::new(0),
            frame_bytes: AtomicU64::new(0),
            log_is_cut: AtomicBool::new(false),
            lock_is_taken: AtomicBool::new(false),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The numbers of the database and its WAL.
    pub(super) fn numbers(&self) -> Option<(u64, u64)> {
        let [database, wal, _] = self.open;
        Some((database?.mark(), wal?.mark()))
    }

    /// What is wrong now.
    pub(crate) fn compare(&self) -> Vec<FileProblem> {
        // Before the names are looked at: what is done to them in between is told as theirs.
        let elsewhere = match (files::led_to(&self.given), self.open[0]) {
            (AtPath::File { id, .. }, Some(open)) => id != open,
            (AtPath::Nothing, _) => true,
            _ => false,
        };
        let mut found = Vec::new();
        for ((suffix, replaced, removed), open) in NAMES.iter().zip(self.open) {
            match (files::at_path(&beside(&self.path, suffix)), open) {
                (AtPath::File { id, .. }, Some(open)) if id != open => found.push(*replaced),
                (AtPath::File { bytes: 0, .. }, Some(_)) if suffix.is_empty() => {
                    // In WAL mode it has a page at least.
                    found.push(FileProblem::DatabaseEmptied);
                }
                (AtPath::Nothing, Some(_)) => found.push(*removed),
                _ => {}
            }
        }
        if self.log_is_cut.load(Ordering::Acquire) {
            found.push(FileProblem::WalCut);
        }
        if self.lock_is_taken.load(Ordering::Acquire) {
            found.push(FileProblem::LockTaken);
        }
        if found.is_empty() {
            found.extend(elsewhere.then_some(FileProblem::PathLeadsElsewhere));
            found.extend(file_problems(&self.path));
        }
        found
    }

    /// Takes note of how long the WAL is.
    pub(crate) fn note_log(&self, frames: i64, frame_bytes: u64) {
        self.frame_bytes.store(frame_bytes, Ordering::Relaxed);
        let bytes = frames.max(0) as u64 * frame_bytes;
        self.log_bytes.store(bytes, Ordering::Release);
    }

    /// Whether the WAL has no frame any more where one was. It may have started over, as another
    /// program has it do: who asks SQLite how long it is knows.
    pub(crate) fn log_may_be_cut(&self) -> bool {
        let bytes = self.log_bytes.load(Ordering::Acquire);
        let frame = self.frame_bytes.load(Ordering::Relaxed);
        bytes > 0 && wal::lacks_a_frame(&beside(&self.path, "-wal"), bytes, frame)
    }

    /// Takes note that the WAL is cut, for good: what is written to it from now on comes after a hole.
    pub(crate) fn note_cut_log(&self) {
        self.log_is_cut.store(true, Ordering::Release);
        self.note(&self.compare());
    }

    /// Takes note that another store has the lock's name, for good: when it has closed the file, that may have steps
    /// that this one does not know.
    pub(crate) fn note_taken_lock(&self) {
        self.lock_is_taken.store(true, Ordering::Release);
        self.note(&self.compare());
    }

    /// Takes note of what was found, and lets nobody write if it is bad.
    pub(crate) fn note(&self, found: &[FileProblem]) {
        found.clone_into(&mut self.known.lock());
        let stops = found.iter().any(FileProblem::stops_writing);
        self.stops_writing.store(stops, Ordering::Release);
    }

    /// What was wrong at the last look.
    pub(crate) fn known(&self) -> Vec<FileProblem> {
        self.known.lock().clone()
    }

    /// Refuses to write if at the last look something was wrong. Costs one look at a flag.
    ///
    /// # Errors
    /// [`Replaced`](ErrorKind::Replaced).
    pub(crate) fn check(&self) -> Result<()> {
        match self.stops_writing.load(Ordering::Acquire) {
            false => Ok(()),
            true => self.refuse(&self.known()),
        }
    }

    /// Opens one more connection, which is to the same files or to none: SQLite finds them by name.
    ///
    /// # Errors
    /// Those of `open`; [`Replaced`](ErrorKind::Replaced).
    pub(crate) fn connect<T>(&self, open: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        self.refuse(&self.compare())?;
        let opened = open(&self.path);
        self.refuse(&self.compare())?;
        opened
    }

    fn refuse(&self, found: &[FileProblem]) -> Result<()> {
        match found.iter().find(|problem| problem.stops_writing()) {
            None => Ok(()),
            Some(problem) => Err(Error::new(
                ErrorKind::Replaced,
                format!("{}: {problem}", self.path.display()),
            )),
        }
    }
}
