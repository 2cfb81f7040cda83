//! The settings of connections, as plain values that do not depend on where they come from.

use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// What an acknowledgement guarantees when the power fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// `PRAGMA synchronous=FULL`: the WAL is synced before a commit returns. An acknowledged change
    /// survives a crash of the program, a crash of the operating system, and a loss of power.
    #[default]
    Full,
    /// `PRAGMA synchronous=NORMAL`: the WAL is synced only at checkpoints. An acknowledged change
    /// survives a crash of the program. A crash of the operating system or a loss of power may lose the
    /// last changes, but never the file's consistency.
    Normal,
}

/// Whether SQLite runs the triggers that a file brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileTriggers {
    Run,
    Ignore,
}

/// The settings of connections, and how long SQLite may work on a file that is only inspected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `PRAGMA synchronous` of the connection that writes.
    pub(crate) durability: Durability,
    pub(crate) file_triggers: FileTriggers,
    /// How long to wait for another program's lock.
    pub(crate) busy_timeout: Duration,
    /// The size of each connection's page cache.
    pub(crate) cache_bytes: usize,
    /// How much of the file each reader maps into memory; 0 for none.
    pub(crate) mmap_bytes: u64,
    /// `PRAGMA journal_size_limit`.
    pub(crate) wal_ceiling_bytes: u64,
    /// How long SQLite may work on such a file; `None`: derived from the file's size.
    pub(crate) inspect_deadline: Option<Duration>,
    /// Answers true if that work is to end early.
    pub(crate) stop: Option<fn() -> bool>,
}

impl Settings {
    /// Whether the work is to end.
    pub(crate) fn is_to_stop(&self) -> bool {
        self.stop.is_some_and(|stop| stop())
    }

    /// Reports work that `stop` interrupted as cancelled, not as too slow.
    pub(crate) fn explain<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| match error.is_interrupted() && self.is_to_stop() {
            true => Error::new(ErrorKind::Cancelled, "stopped on request"),
            false => error,
        })
    }
}
