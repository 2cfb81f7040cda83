//! The claim of one store on a file.

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

/// Who has a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OpenIn {
    /// No store.
    Nothing,
    /// The store in this process.
    Process(u32),
    /// A store that has not said where it is, or perhaps one: the lock of the file may not be read
    /// by this account, or the file is open under another name, as in a container.
    Unknown,
}

/// The claim of one store on a file, held for as long as the store is open.
///
/// A lock file, because SQLite's own exclusive mode would lock our readers out as well. The file
/// stays when the lock goes: removing it would let two stores lock two files of the same name.
///
/// It lies beside a name, and a file may have several: [`refuse_other_name_in_use`].
///
/// In it is the number of the process, and [`OPENED`] once a store has had the database open; then, for as
/// long as the WAL may hold what the database does not, which two files these are.
pub(crate) struct FileLock {
    file: Mutex<File>,
    said: Mutex<Said>,
}

/// What has become of the lock's name under an open store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockName {
    /// It leads to the lock.
    Kept,
    /// It was gone, or another file's.
    Lost(FileProblem),
}

/// What is in the lock file besides the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    opened: bool,
    noted: Option<Noted>,
}

/// The numbers of a database and its WAL on their disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) database: u64,
    pub(super) wal: u64,
}

/// What is in the lock file of a database that is ours.
const OPENED: &str = "opened";

/// More than is ever in it.
const MAX_BYTES: u64 = 128;

/// A process that this one is just starting holds copies of what is open here, for a moment. Closing
/// the file alone would leave the lock to it for as long.
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
        let said = match files::at_path(database) {
            // Somebody begins anew.
            AtPath::Nothing => Said::default(),
            AtPath::File { .. } | AtPath::Unknown => read(&file).1,
        };
        let lock = Self {
            file: Mutex::new(file),
            said: Mutex::new(said),
        };
        refuse_other_name_in_use(database)?;
        lock.write();
        Ok(lock)
    }

    /// Notes that the database is one of ours, and which files it and its WAL are.
    pub(crate) fn note_opened(&self, files: &OpenFiles) {
        let noted = files.numbers();
        *self.said.lock() = Said {
            opened: true,
            noted: noted.map(|(database, wal)| Noted { database, wal }),
        };
        self.write();
    }

    /// Notes that all is in the database, and nothing in the WAL.
    pub(crate) fn note_closed(&self) {
        self.said.lock().noted = None;
        self.write();
    }

    /// Looks whether the lock's name still leads to it, and takes the name again if it does not: whoever
    /// opens the file next would find no lock there, and write beside this store.
    pub(crate) fn keep_name(&self, database: &Path) -> LockName {
        let path = beside(database, ".lock");
        let held = files::id_of(&self.file.lock());
        match (files::at_path(&path), held) {
            (AtPath::File { id, .. }, Some(held)) if id == held => return LockName::Kept,
            (AtPath::Unknown, _) | (_, None) => return LockName::Kept,
            _ => {}
        }
        // What lies there may be a folder.
        let Ok(new) = files::open_lock(&path, database) else {
            return LockName::Lost(FileProblem::LockLost);
        };
        match claim(&new) {
            Err(TryLockError::WouldBlock) => LockName::Lost(FileProblem::LockTaken),
            Err(TryLockError::Error(_)) => LockName::Lost(FileProblem::LockLost),
            Ok(()) => {
                *self.file.lock() = new;
                self.write();
                LockName::Lost(FileProblem::LockRemoved)
            }
        }
    }

    /// What is written is for sentences, and for who opens the file after a crash; a failure is no reason
    /// not to open.
    fn write(&self) {
        let Said { opened, noted } = *self.said.lock();
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

    /// Who holds the claim, without making it.
    pub(crate) fn look(database: &Path) -> Result<OpenIn> {
        match Self::look_by_name(database)? {
            OpenIn::Nothing if readers::is_open_under_another_name(database) => Ok(OpenIn::Unknown),
            found => Ok(found),
        }
    }

    /// Whether somebody holds the claim by this name of the file, whose WAL is then the one beside it.
    pub(crate) fn is_held(database: &Path) -> Result<bool> {
        Ok(!matches!(Self::look_by_name(database)?, OpenIn::Nothing))
    }

    fn look_by_name(database: &Path) -> Result<OpenIn> {
        let path = beside(database, ".lock");
        let failed = |e| files::cannot("look at", &path, e);
        let file = match files::open(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(OpenIn::Nothing),
            // Who may read the database need not be who may read its lock.
            Err(error) if error.kind() == ErrorKind::ReadOnly => return Ok(OpenIn::Unknown),
            Err(error) => return Err(error),
        };
        // Two who look do not stand in each other's way.
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

/// Locks the file for a store, unless another store has. Who only looks whether one has holds it for a
/// moment too, shared, and is waited for.
fn claim(file: &File) -> std::result::Result<(), TryLockError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(1);
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {}
            claimed => return claimed,
        }
        // It cannot be shared with a store.
        file.try_lock_shared()?;
        file.unlock().map_err(TryLockError::Error)?;
        std::thread::sleep(PAUSE);
    }
}

/// Refuses a file that is in use under another name: a hard link, or a mount of the file by itself. Each
/// name has a lock and a WAL of its own, so neither would know of the other.
///
/// What the file itself has is SQLite's lock on it, which all who use it share, here and in other processes.
/// A lock of our own on it was turned down: to close the file would drop SQLite's.
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
         that name: one store writes to a file at a time, and all who open it have to use one name",
        database.display()
    );
    Err(Error::new(ErrorKind::AlreadyOpen, why))
}

fn has_other_names(database: &Path) -> bool {
    matches!(files::at_path(database), AtPath::File { names, .. } if names > 1)
        || files::is_mount_point(database)
        || files::is_mounted_elsewhere(database)
}

/// Whether anybody has the file open with SQLite, by any name. Who only looks for a moment is waited for.
fn is_in_use(database: &Path) -> bool {
    const PATIENCE: Duration = Duration::from_millis(500);
    let lock_all = || -> Result<()> {
        let conn = look::open(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Closing must not empty a WAL that its program left.
        let has_log = beside(database, "-wal").exists();
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        conn.busy_timeout(PATIENCE)?;
        conn.query_row("PRAGMA locking_mode=EXCLUSIVE", [], |_| Ok(()))?;
        Ok(conn.execute_batch("BEGIN EXCLUSIVE; ROLLBACK")?)
    };
    // Any other error is met again by whoever opens the file.
    lock_all().is_err_and(|error| error.kind() == ErrorKind::Busy && error.is_of_the_disk())
}

/// Whether a store has ever had this database open.
pub(super) fn has_been_open(database: &Path) -> bool {
    look_inside(database).opened
}

/// Which files the database and its WAL were when a store last had them open, unless it has closed them.
pub(super) fn noted(database: &Path) -> Option<Noted> {
    look_inside(database).noted
}

fn look_inside(database: &Path) -> Said {
    match files::open(&beside(database, ".lock")) {
        Ok(Some(file)) => read(&file).1,
        _ => Said::default(),
    }
}

/// The process that says it holds the claim, and what else is in the lock file.
fn read(file: &File) -> (Option<u32>, Said) {
    let mut text = String::new();
    // What cannot be read says nothing.
    let _ = file.take(MAX_BYTES).read_to_string(&mut text);
    let mut words = text.split_whitespace();
    let process = words.next().and_then(|word| word.parse().ok());
    let opened = words.next() == Some(OPENED);
    let mut number = || words.next()?.parse().ok();
    let noted = number().zip(number());
    let noted = noted.map(|(database, wal)| Noted { database, wal });
    (process, Said { opened, noted })
}
