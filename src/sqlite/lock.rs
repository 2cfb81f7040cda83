//! The lock of one store on a file.

use super::open_files::{FileProblem, OpenFiles};
use super::{beside, look, readers};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, AtPath};
use parking_lot::Mutex;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Which process has a file open as a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OpenIn {
    /// No store.
    Nothing,
    /// The store in the process with this id.
    Process(u32),
    /// A store whose process is not known. Or perhaps a store: this account may not read the file's
    /// lock, or the file is open under another name, as in a container.
    Unknown,
}

/// The lock of one store on a file, held for as long as the store is open.
///
/// A lock file, because SQLite's own exclusive mode would lock our readers out as well. The lock file
/// is never removed: otherwise two stores could lock two files of the same name.
///
/// It belongs to a name, and a file may have several names: [`refuse_other_name_in_use`].
///
/// The lock file holds the process id, and [`OPENED`] once a store has opened the database. While the
/// WAL may hold what the database does not, it also identifies these two files.
pub(crate) struct FileLock {
    file: Mutex<File>,
    content: Mutex<Content>,
}

/// The content of the lock file besides the process id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Content {
    opened: bool,
    noted: Option<Noted>,
}

/// The marks of a database and its WAL, which identify them on their disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) database: u64,
    pub(super) wal: u64,
}

/// In the lock file: a store has opened the database.
const OPENED: &str = "opened";

/// More bytes than it ever holds.
const MAX_BYTES: u64 = 128;

/// Unlocks before closing. A child process that is just being started has copies of our open files for
/// a moment, and would keep the lock for as long if the file were only closed.
impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.file.lock().unlock();
    }
}

impl FileLock {
    pub(crate) fn acquire(database: &Path) -> Result<Self> {
        let path = beside(database, ".lock");
        let file = files::open_lock(&path, database)?;
        match claim(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = match read(&file).0 {
                    Some(pid) => format!("the store in process {pid}"),
                    None => "another store".to_owned(),
                };
                return Err(Error::new(
                    ErrorKind::AlreadyOpen,
                    format!(
                        "{} is open in {holder}: one store writes to a file at a time",
                        database.display()
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => {
                return Err(files::cannot("lock", &path, e));
            }
        }
        let content = match files::at_path(database) {
            // A new database is about to be created.
            AtPath::Nothing => Content::default(),
            AtPath::File { .. } | AtPath::Unknown => read(&file).1,
        };
        let lock = Self {
            file: Mutex::new(file),
            content: Mutex::new(content),
        };
        refuse_other_name_in_use(database)?;
        lock.write();
        Ok(lock)
    }

    /// Records that a store has opened the database, and which files the database and its WAL are.
    pub(crate) fn note_opened(&self, files: &OpenFiles) {
        let noted = files.numbers();
        *self.content.lock() = Content {
            opened: true,
            noted: noted.map(|(database, wal)| Noted { database, wal }),
        };
        self.write();
    }

    /// Records that everything is in the database, and nothing in the WAL.
    pub(crate) fn note_closed(&self) {
        self.content.lock().noted = None;
        self.write();
    }

    /// Checks whether the lock's name still leads to the lock, and takes the name again if not.
    /// Otherwise the next program to open the file would find no lock, and write beside this store. Returns what was
    /// wrong with the name.
    pub(crate) fn keep_name(&self, database: &Path) -> Option<FileProblem> {
        let path = beside(database, ".lock");
        let held = files::id_of(&self.file.lock());
        match (files::at_path(&path), held) {
            (AtPath::File { id, .. }, Some(held)) if id == held => return None,
            (AtPath::Unknown, _) | (_, None) => return None,
            _ => {}
        }
        // The name may be a folder now.
        let Ok(new) = files::open_lock(&path, database) else {
            return Some(FileProblem::LockLost);
        };
        match claim(&new) {
            Err(TryLockError::WouldBlock) => Some(FileProblem::LockTaken),
            Err(TryLockError::Error(_)) => Some(FileProblem::LockLost),
            Ok(()) => {
                *self.file.lock() = new;
                self.write();
                Some(FileProblem::LockRemoved)
            }
        }
    }

    /// Writes the lock file. Its content is for error texts, and for the first opening after a crash. A
    /// failure does not prevent opening.
    fn write(&self) {
        let Content { opened, noted } = *self.content.lock();
        let mut text = std::process::id().to_string();
        if opened {
            text = format!("{text} {OPENED}");
        }
        if let Some(Noted { database, wal }) = noted {
            text = format!("{text} {database} {wal}");
        }
        let mut file = self.file.lock();
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
    }

    /// Returns which process holds the lock, without taking it.
    pub(crate) fn look(database: &Path) -> Result<OpenIn> {
        match Self::look_by_name(database)? {
            OpenIn::Nothing if readers::is_open_under_another_name(database) => Ok(OpenIn::Unknown),
            found => Ok(found),
        }
    }

    /// Whether the lock of this name is held; the holder's WAL is then the one beside this name.
    pub(crate) fn is_held(database: &Path) -> Result<bool> {
        Ok(!matches!(Self::look_by_name(database)?, OpenIn::Nothing))
    }

    fn look_by_name(database: &Path) -> Result<OpenIn> {
        let path = beside(database, ".lock");
        let failed = |e| files::cannot("look at", &path, e);
        let file = match files::open(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(OpenIn::Nothing),
            // An account that may read the database may not be allowed to read its lock.
            Err(error) if error.kind() == ErrorKind::ReadOnly => return Ok(OpenIn::Unknown),
            Err(error) => return Err(error),
        };
        // Shared, so that two checks do not block each other.
        match file.try_lock_shared() {
            Ok(()) => {
                file.unlock().map_err(failed)?;
                Ok(OpenIn::Nothing)
            }
            Err(TryLockError::WouldBlock) => {
                Ok(read(&file).0.map_or(OpenIn::Unknown, OpenIn::Process))
            }
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

/// Locks the file for a store, unless another store has locked it. A check of the lock holds it for a
/// moment too, shared; this waits for it.
fn claim(file: &File) -> std::result::Result<(), TryLockError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(1);
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {}
            claimed => return claimed,
        }
        // Fails if a store holds the lock, which is then not shared.
        file.try_lock_shared()?;
        file.unlock().map_err(TryLockError::Error)?;
        std::thread::sleep(PAUSE);
    }
}

/// Refuses a file that is in use under another name: a hard link, or a mount of the file by itself.
/// Each name has a lock and a WAL of its own, so neither would know of the other.
///
/// All users of the file, in this and other processes, share only SQLite's lock on the file itself. A
/// lock of our own on the file was turned down: closing the file would drop SQLite's.
fn refuse_other_name_in_use(database: &Path) -> Result<()> {
    let in_use = match has_other_names(database) {
        true => is_in_use(database),
        false => readers::is_open_under_another_name(database),
    };
    if !in_use {
        return Ok(());
    }
    let why = format!(
        "{} is open under another name (a hard link, or a mount of the file by itself), with a log beside \
         that name: one store writes to a file at a time, and all programs must open it by one name",
        database.display()
    );
    Err(Error::new(ErrorKind::AlreadyOpen, why))
}

fn has_other_names(database: &Path) -> bool {
    matches!(files::at_path(database), AtPath::File { names, .. } if names > 1)
        || files::is_mount_point(database)
        || files::is_mounted_elsewhere(database)
}

/// Whether any program has the file open with SQLite, by any name. Waits for one that only reads for a
/// moment.
fn is_in_use(database: &Path) -> bool {
    const PATIENCE: Duration = Duration::from_millis(500);
    let lock_all = || -> Result<()> {
        let conn = look::open(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Closing must not empty a WAL that another program left.
        let has_log = beside(database, "-wal").exists();
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        conn.busy_timeout(PATIENCE)?;
        conn.query_row("PRAGMA locking_mode=EXCLUSIVE", [], |_| Ok(()))?;
        Ok(conn.execute_batch("BEGIN EXCLUSIVE; ROLLBACK")?)
    };
    // Any other error recurs when the file is opened.
    lock_all().is_err_and(|error| error.kind() == ErrorKind::Busy && error.is_of_the_disk())
}

/// Whether a store has ever opened this database.
pub(super) fn has_been_open(database: &Path) -> bool {
    look_inside(database).opened
}

/// Returns which files the database and its WAL were when a store last opened them, unless it has
/// closed them.
pub(super) fn noted(database: &Path) -> Option<Noted> {
    look_inside(database).noted
}

fn look_inside(database: &Path) -> Content {
    match files::open(&beside(database, ".lock")) {
        Ok(Some(file)) => read(&file).1,
        _ => Content::default(),
    }
}

/// Returns the process id in the lock file, and the rest of its content.
fn read(file: &File) -> (Option<u32>, Content) {
    let mut text = String::new();
    // A lock file that cannot be read counts as empty.
    let _ = file.take(MAX_BYTES).read_to_string(&mut text);
    let mut words = text.split_whitespace();
    let process = words.next().and_then(|word| word.parse().ok());
    let opened = words.next() == Some(OPENED);
    let mut number = || words.next()?.parse().ok();
    let noted = number().zip(number());
    let noted = noted.map(|(database, wal)| Noted { database, wal });
    (process, Content { opened, noted })
}
