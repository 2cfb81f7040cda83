//! A connection that answers queries, and a snapshot on it in which one or several of them run.

use super::gates::Inside;
use super::job::{AnswerCache, ReadJob};
use super::shared::Shared;
use super::snapshots::{Mark, Purpose, SnapshotSlot};
use crate::cache;
use crate::error::{Error, Result};
use crate::operation::ReadTx;
use crate::sqlite::{self, Authorizer, Watchdog};
use crate::time;
use rusqlite::Connection;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct ReadConnection {
    conn: Connection,
    /// Prepared once, with texts that no operation can use.
    begin: String,
    end: String,
    guard: Authorizer,
    watchdog: Watchdog,
}

impl ReadConnection {
    pub(super) fn open(shared: &Shared) -> Result<Self> {
        let settings = shared.config.sqlite_settings();
        let files = &shared.files;
        let mut conn = files.connect(|path| sqlite::open_reader(path, &settings))?;
        let guard = Authorizer::install(&mut conn, sqlite::for_queries)?;
        let watchdog = Watchdog::new(Arc::clone(&shared.interrupt));
        watchdog.install(&mut conn)?;
        Ok(Self {
            conn,
            begin: sqlite::unguarded("BEGIN")?,
            end: sqlite::unguarded("COMMIT")?,
            guard,
            watchdog,
        })
    }

    /// The same connection, which does not wait for another program's lock.
    pub(super) fn impatient(self) -> Result<Self> {
        self.conn.busy_timeout(Duration::ZERO)?;
        Ok(self)
    }

    /// Reads the schema, if that has changed or was never read: it may take longer than a caller's thread has.
    pub(super) fn read_schema(&self) -> Result<()> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)";
        Ok(self.conn.query_row(sql, [], |_| Ok(()))?)
    }

    /// Begins a snapshot. SQLite takes it at the first read.
    pub(super) fn begin<'a>(
        &'a self,
        shared: &'a Shared,
        slot: &'a SnapshotSlot,
        inside: Inside<'a>,
        name: &'static str,
    ) -> Result<ReadSnapshot<'a>> {
        let mark = slot.mark(Purpose::Query(name));
        let now = time::ask(&*shared.config.clock)?;
        let before = shared.cache.before_snapshot();
        self.conn.prepare_cached(&self.begin)?.execute([])?;
        Ok(ReadSnapshot {
            open: self,
            shared,
            tx: ReadTx::new(&self.conn, now)
                .within(shared.config.limits())
                .noting(&shared.uses),
            before,
            mark,
            _inside: inside,
        })
    }

    /// Whether this connection must not be used again, `error` being that of its last query: its transaction
    /// cannot be ended, or its memory may differ from the file after an I/O error. Opening a new one costs a
    /// millisecond.
    pub(super) fn is_in_doubt(&self, error: Option<&Error>) -> bool {
        !self.conn.is_autocommit() || error.is_some_and(Error::leaves_in_doubt)
    }
}

/// A transaction in which queries run one after the other.
pub(super) struct ReadSnapshot<'a> {
    open: &'a ReadConnection,
    shared: &'a Shared,
    tx: ReadTx<'a>,
    before: cache::Snapshot,
    mark: Mark<'a>,
    _inside: Inside<'a>,
}

impl ReadSnapshot<'_> {
    /// Runs a query; returns whether it was interrupted, at `until` or because the store stops all queries. Then
    /// its outcome may be anything, since it may have passed over the error.
    pub(super) fn run(&self, job: &mut dyn ReadJob, until: Instant) -> bool {
        let ReadConnection {
            guard, watchdog, ..
        } = self.open;
        let cache = AnswerCache {
            cache: &self.shared.cache,
            snapshot: &self.before,
            watchdog,
        };
        let guarded = || guard.during(|| job.run(&self.tx, &cache));
        watchdog.until(until, guarded);
        watchdog.has_interrupted()
    }

    /// The next query is of this name.
    pub(super) fn rename(&self, name: &'static str) {
        self.mark.rename(Purpose::Query(name));
    }

    /// When it began, or a moment before.
    pub(super) fn since(&self) -> Instant {
        self.before.at()
    }

    pub(super) fn end(self) -> Result<()> {
        let open = self.open;
        if !open.conn.is_autocommit() {
            open.conn.prepare_cached(&open.end)?.execute([])?;
        }
        Ok(())
    }
}
