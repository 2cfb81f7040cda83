//! What connections are set to, as plain values: nothing here knows where they come from.

use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// What an acknowledgement is worth when the power fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// `PRAGMA synchronous=FULL`: the WAL is synced before a commit returns. What was acknowledged
    /// survives a crash of the program, of the operating system, and a loss of power.
    #[default]
    Full,
    /// `PRAGMA synchronous=NORMAL`: the WAL is synced at checkpoints only. What was acknowledged
    /// survives a crash of the program; a crash of the operating system or a loss of power may
    /// take the last moments with it, never the file's consistency.
    Normal,
}

/// Whether SQLite runs the triggers that a file brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileTriggers {
    Run,
    Ignore,
}

/// What connections are set to, and how long SQLite may be at work on a file that is only looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `PRAGMA synchronous` of the connection that writes.
    pub(crate) durability: Durability,
    pub(crate) file_triggers: FileTriggers,
    /// How long to wait for another program's lock.
    pub(crate) busy_timeout: Duration,
    /// The page cache of each connection.
    pub(crate) cache_bytes: usize,
    /// How much of the file each reader maps into memory; 0 for nothing.
    pub(crate) mmap_bytes: u64,
    /// `PRAGMA journal_size_limit`.
    pub(crate) wal_ceiling_bytes: u64,
    /// As long as suits the file's size if it is `None`.
    pub(crate) inspect_deadline: Option<Duration>,
    /// Whether that is to end before.
    pub(crate) stop: Option<fn() -> bool>,
}

impl Settings {
    /// Whether somebody wishes that the work ends.
    pub(crate) fn is_to_stop(&self) -> bool {
        self.stop.is_some_and(|stop| stop())
    }

    /// What was interrupted because it was to stop says that, and not that it took too long.
    pub(crate) fn explain<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| match error.is_interrupted() && self.is_to_stop() {
            true => Error::new(ErrorKind::Cancelled, "it was asked to stop"),
            false => error,
        })
    }
}
