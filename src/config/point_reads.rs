//! Which thread answers point reads.

use super::Config;
#[cfg(doc)]
use crate::operation::{Lane, Query};

/// Which thread runs the queries of [`Lane::Interactive`]: see [`Config::point_reads`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PointReads {
    /// A reader's. The caller's thread does nothing that may take long.
    #[default]
    OnReaders,
    /// The caller's own, if a connection is idle, for up to 200 µs of SQLite's work; otherwise a reader's.
    OnCallersThread,
}

impl Config {
    /// Which thread runs the queries of [`Lane::Interactive`]. Default: [`PointReads::OnReaders`].
    ///
    /// On the caller's thread a point read needs no hand-over to a reader and back, which takes 10 µs or more. As
    /// many connections as there are [`readers`](Self::readers) are opened for that, each with a page cache
    /// ([`cache_bytes`](Self::cache_bytes)). In the first poll of its future, a query takes one that nobody uses
    /// and runs there, with the same promises: snapshot, deadline, limits, row cache, panics. It goes to the readers
    /// if no connection is free, while the WAL starts over, or if SQLite has not finished it in 200 µs. Then
    /// [`Query::fetch`] **runs twice**, so it must have no effect besides its answer. Queries of
    /// [`Lane::Analytics`], and those that come as messages ([`Store::queries`](crate::Store::queries)), always go to
    /// the readers.
    ///
    /// The price: the caller's thread, and with it the tasks beside it, waits for this work. The 200 µs do not count
    /// Rust code of a host's own query, nor a page that has to come from the disk: one that takes 10 ms holds the
    /// thread for 10 ms. So it suits a file that fits into memory. [`ReaderHealth`](crate::ReaderHealth) counts such
    /// reads.
    ///
    /// ```no_run
    /// let config = botstore::Config::new("bot.db").point_reads(botstore::PointReads::OnCallersThread);
    /// ```
    pub fn point_reads(mut self, on: PointReads) -> Self {
        self.point_reads = on;
        self
    }
}
