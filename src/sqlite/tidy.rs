//! A connection that leaves nothing beside a file when it is closed.

use super::beside;
use super::look::open;
use super::wal::{disable_checkpoint_on_close, enable_checkpoint_on_close};
use crate::error::Result;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection to a file that is to stay as it is.
///
/// The last connection to close copies the WAL into the file and removes the WAL, unless there was a
/// WAL when this connection was opened: then a file that may be refused stays as it is, and so does the
/// WAL of its program. But a WAL that is empty by now is removed: it is nobody's, or its program has
/// closed, and could not remove it because of us.
pub(crate) struct Tidy {
    // Dropped in this order: the connection is closed first.
    conn: Connection,
    after: EmptyWal,
}

impl Tidy {
    /// Leaves nothing behind even if opening fails.
    pub(super) fn open(path: &Path, open: impl FnOnce() -> Result<Connection>) -> Result<Self> {
        let after = EmptyWal(path.to_owned());
        Ok(Self {
            conn: open()?,
            after,
        })
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        if self.after.is_there()
            && let Err(error) = enable_checkpoint_on_close(&self.conn)
        {
            tracing::debug!(%error, "an empty WAL could not be removed");
        }
    }
}

impl Deref for Tidy {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl DerefMut for Tidy {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.conn
    }
}

/// Removes an empty WAL. When two connections close at the same time, each takes the other for one that
/// stays, and SQLite removes nothing. So the file is opened and closed once more. Removing the WAL
/// ourselves was turned down: a program may have it open.
struct EmptyWal(PathBuf);

/// Each attempt may meet another program that is closing.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(2);

impl EmptyWal {
    fn is_there(&self) -> bool {
        let wal = std::fs::symlink_metadata(beside(&self.0, "-wal"));
        wal.is_ok_and(|wal| wal.len() == 0)
    }

    /// Returns false if closing cannot remove it.
    fn remove(&self) -> Result<bool> {
        let conn = open(&self.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if conn.is_readonly(MAIN_DB)? {
            return Ok(false);
        }
        conn.pragma_query_value(None, "schema_version", |_| Ok(()))?;
        if !self.is_there() {
            disable_checkpoint_on_close(&conn)?;
        }
        Ok(true)
    }
}

impl Drop for EmptyWal {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            if !self.is_there() {
                return;
            }
            std::thread::sleep(PAUSE);
            match self.remove() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::debug!(%error, "an empty WAL could not be removed"),
            }
        }
    }
}
