//! The claim of one store on a file.

use super::beside;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The claim of one store on a file, held for as long as the store is open.
///
/// A lock file, because SQLite's own exclusive mode would lock our readers out as well. The file
/// stays when the lock goes: removing it would let two stores lock two files of the same name.
pub(crate) struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

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
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another store".to_owned(),
                    pid => format!("the store in process {pid}"),
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
}
