//! The claim of one store on a file.

use super::beside;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Who has a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenIn {
    /// No store.
    Nothing,
    /// The store in this process.
    Process(u32),
    /// A store that has not said where it is, or perhaps one: the lock of the file may not be read
    /// by this account.
    Unknown,
}

/// The claim of one store on a file, held for as long as the store is open.
///
/// A lock file, because SQLite's own exclusive mode would lock our readers out as well. The file
/// stays when the lock goes: removing it would let two stores lock two files of the same name.
///
/// In it is the number of the process, and [`OPENED`] once a store has had the database open.
pub(crate) struct FileLock {
    file: File,
    opened: bool,
}

/// What is in the lock file of a database that is ours.
const OPENED: &str = "opened";

/// More than is ever in it.
const MAX_BYTES: u64 = 64;

/// A process that this one is just starting holds copies of what is open here, for a moment. Closing
/// the file alone would leave the lock to it for as long.
impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl FileLock {
    pub(crate) fn acquire(database: &Path) -> Result<Self> {
        let path = beside(database, ".lock");
        let mut file = files::open_lock(&path, database)?;
        match claim(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = match read(&mut file).0 {
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
        let opened = read(&mut file).1;
        let mut lock = Self { file, opened };
        lock.write();
        Ok(lock)
    }

    /// Notes that the database is one of ours.
    pub(crate) fn note_opened(&mut self) {
        if !std::mem::replace(&mut self.opened, true) {
            self.write();
        }
    }

    /// What is written is for sentences only, so a failure is no reason not to open.
    fn write(&mut self) {
        let opened = if self.opened { OPENED } else { "" };
        let _ = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| write!(self.file, "{} {opened}", std::process::id()));
    }

    /// Who holds the claim, without making it.
    pub(crate) fn look(database: &Path) -> Result<OpenIn> {
        let path = beside(database, ".lock");
        let failed = |e| files::cannot("look at", &path, e);
        let mut file = match files::open(&path) {
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
                Ok(read(&mut file).0.map_or(OpenIn::Unknown, OpenIn::Process))
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

/// Whether a store has ever had this database open.
pub(super) fn has_been_open(database: &Path) -> bool {
    let file = files::open(&beside(database, ".lock"));
    file.is_ok_and(|file| file.is_some_and(|mut file| read(&mut file).1))
}

/// The process that says it holds the claim, and whether a store has had the database open.
fn read(file: &mut File) -> (Option<u32>, bool) {
    let mut text = String::new();
    // What cannot be read says nothing.
    let _ = file.take(MAX_BYTES).read_to_string(&mut text);
    let mut words = text.split_whitespace();
    let process = words.next().and_then(|word| word.parse().ok());
    (process, words.next() == Some(OPENED))
}
