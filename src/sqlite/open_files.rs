//! Which files a store has open, and whether they still have their names. A store opens a file once and
//! keeps it open, whatever happens to its name. If the file has lost its name, later writes are lost
//! with the process, or overwrite the other file of that name.
//!
//! Uses `stat` alone: opening and closing the file would drop SQLite's locks, see [`files::Stamp`].
//! SQLite's own answer (`SQLITE_FCNTL_HAS_MOVED`) was turned down: it does not cover the WAL, and
//! rusqlite has no safe way to ask for it.

use super::{beside, wal};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, AtPath, FileId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A problem with the names of a database's files: another program has moved, removed or replaced one,
/// or has given it a second name. Its `Display` says what follows and what to do.
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
    /// The name of the WAL's index (`-shm`) is gone.
    ShmRemoved,
    /// The WAL has been truncated, emptied or overwritten: its content is lost.
    WalCut,
    /// The lock file (`.lock`) was removed, and another store has opened the database since.
    LockTaken,
    /// The lock file (`.lock`) was removed. A warning: the store has made it again.
    LockRemoved,
    /// The lock file (`.lock`) was removed, and cannot be made again. A warning: a second store might open the
    /// database.
    LockLost,
    /// The store was opened by a path with a link, and the path now leads to another file, or to none.
    /// A warning.
    PathLeadsElsewhere,
    /// The database has other names: hard links. A warning.
    #[non_exhaustive]
    HardLinked {
        /// How many names it has in all.
        names: u64,
    },
    /// The database file is a mount point, and the files beside it are not mounted. A warning.
    MountPoint,
}

impl FileProblem {
    /// Whether the store refuses mutations because of it, with [`ErrorKind::Replaced`]: acknowledged
    /// changes might be missing at the next opening. Every other problem is a warning.
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
                             closing saves all its data in a new file beside the old name, and reports \
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
                "the database's WAL (-wal) was cut or written over under an open store, and changes \
                 that were only in it are lost; nothing more is written, nor copied from the WAL into \
                 the database. Close the store, which saves what can be read of the WAL in a new file, \
                 and restore a backup",
            ),
            Self::LockTaken => f.write_str(
                "the database's lock file (.lock) was removed under an open store, and another store has \
                 opened the database since. One store writes to a file at a time: this one writes nothing \
                 more, and loses nothing. Close one of the two",
            ),
            Self::LockRemoved => f.write_str(
                "the database's lock file (.lock) was removed or replaced under an open store, which has \
                 made it again: leave it where it is, since it keeps a second store from opening the \
                 file",
            ),
            Self::LockLost => f.write_str(
                "the database's lock file (.lock) was removed or replaced under an open store, which cannot make \
                 it again: a second store might open the database. Remove what has its name, and see that this \
                 account may write to the folder",
            ),
            Self::PathLeadsElsewhere => f.write_str(
                "the path that the store was opened by now leads to another file, or to none: the \
                 store keeps writing to the old file, and the next opening will not find those \
                 changes. Point the link back at the old file, or close the store before you change \
                 the link",
            ),
            Self::HardLinked { names } => write!(
                f,
                "the database has {names} names (hard links), and a WAL beside only one of them: a \
                 program that opens it by another does not see the newest changes, and may damage it. \
                 Remove the other names, or make them symbolic links"
            ),
            Self::MountPoint => f.write_str(
                "only the database's file is mounted, not its folder: its WAL, with the newest \
                 changes, lies outside the mount, and is lost with the container if the store was not \
                 closed. Mount the folder instead",
            ),
        }
    }
}

/// Finds problems with the names of a database that this process need not have open.
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
    /// The path in the configuration, which may lead there through links.
    given: PathBuf,
    /// The database, its WAL and the WAL's index; `None` for one that the system cannot identify.
    open: [Option<FileId>; 3],
    /// The problems found by the last check.
    known: Mutex<Vec<FileProblem>>,
    stops_writing: AtomicBool,
    /// The bytes up to the end of the WAL's last frame, and of one frame, as the writer last saw them.
    /// The WAL may have started over since.
    log_bytes: AtomicU64,
    frame_bytes: AtomicU64,
    log_is_cut: AtomicBool,
    lock_is_taken: AtomicBool,
}

/// The suffixes of their names, and the problems if the name leads to another file or to none.
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
    /// Identifies the files of a database to which a connection in WAL mode has just been opened, and
    /// for which the configuration says `given`.
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

    /// Returns the marks of the database and its WAL.
    pub(super) fn numbers(&self) -> Option<(u64, u64)> {
        let [database, wal, _] = self.open;
        Some((database?.mark(), wal?.mark()))
    }

    /// Returns the present problems.
    pub(crate) fn compare(&self) -> Vec<FileProblem> {
        // Checked before the names: a change of a name in between is then reported as that.
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
                    // In WAL mode a database has at least one page.
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

    /// Records the length of the WAL.
    pub(crate) fn note_log(&self, frames: i64, frame_bytes: u64) {
        self.frame_bytes.store(frame_bytes, Ordering::Relaxed);
        let bytes = frames.max(0) as u64 * frame_bytes;
        self.log_bytes.store(bytes, Ordering::Release);
    }

    /// Whether the WAL lacks a frame where one was. It may only have started over, because of another
    /// program: SQLite's own answer about its length settles that.
    pub(crate) fn log_may_be_cut(&self) -> bool {
        let bytes = self.log_bytes.load(Ordering::Acquire);
        let frame = self.frame_bytes.load(Ordering::Relaxed);
        let path = beside(&self.path, "-wal");
        // Another file under the WAL's name tells nothing of the WAL.
        let is_it = match (files::at_path(&path), self.open[1]) {
            (AtPath::File { id, .. }, Some(open)) => id == open,
            _ => false,
        };
        is_it && bytes > 0 && wal::lacks_a_frame(&path, bytes, frame)
    }

    /// Records that the WAL is cut, for good: everything written to it from now on comes after a hole.
    pub(crate) fn note_cut_log(&self) {
        self.log_is_cut.store(true, Ordering::Release);
        self.note(&self.compare());
    }

    /// Records that another store has taken the lock's name, for good: after that store has closed the file, the
    /// file may have steps that this one does not know.
    pub(crate) fn note_taken_lock(&self) {
        self.lock_is_taken.store(true, Ordering::Release);
        self.note(&self.compare());
    }

    /// Records the problems of a check, and refuses writes if one of them stops writing.
    pub(crate) fn note(&self, found: &[FileProblem]) {
        found.clone_into(&mut self.known.lock());
        let stops = found.iter().any(FileProblem::stops_writing);
        self.stops_writing.store(stops, Ordering::Release);
    }

    /// Returns the problems of the last check.
    pub(crate) fn known(&self) -> Vec<FileProblem> {
        self.known.lock().clone()
    }

    /// Refuses to write if the last check found a problem that stops writing. Costs one load of a flag.
    ///
    /// # Errors
    /// [`Replaced`](ErrorKind::Replaced).
    pub(crate) fn check(&self) -> Result<()> {
        match self.stops_writing.load(Ordering::Acquire) {
            false => Ok(()),
            true => self.refuse(&self.known()),
        }
    }

    /// Opens one more connection, to the same files or to none: SQLite finds them by name.
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
