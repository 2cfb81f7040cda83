//! The claim of one store on a file.

use super::beside;
use crate::error::{Error, ErrorKind, Result};
use crate::status::OpenIn;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The claim of one store on a file, held for as long as the store is open.
///
/// A lock file, because SQLite's own exclusive mode would lock our readers out as well. The file
/// stays when the lock goes: removing it would let two stores lock two files of the same name.
pub(crate) struct FileLock(File);

/// A process that this one is just starting holds copies of what is open here, for a moment. Closing
/// the file alone would leave the lock to it for as long.
impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl FileLock {
    pub(crate) fn acquire(database: &Path) -> Result<Self> {
        let path = beside(database, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::io(format_args!("cannot create {}", path.display()), e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = match holder(&mut file) {
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
                return Err(Error::io(format_args!("cannot lock {}", path.display()), e));
            }
        }
        // For the sentence above only, so a failure is no reason not to open.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self(file))
    }

    /// Who holds the claim, without making it.
    pub(crate) fn look(database: &Path) -> Result<OpenIn> {
        let path = beside(database, ".lock");
        let failed = |e| Error::io(format_args!("cannot look at {}", path.display()), e);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(OpenIn::Nothing),
            Err(e) => return Err(failed(e)),
        };
        // Two who look do not stand in each other's way; a store that opens in just this moment does.
        match file.try_lock_shared() {
            Ok(()) => Ok(OpenIn::Nothing),
            Err(TryLockError::WouldBlock) => {
                Ok(holder(&mut file).map_or(OpenIn::Unknown, OpenIn::Process))
            }
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

/// The process that says it holds the claim.
fn holder(file: &mut File) -> Option<u32> {
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}
