//! One transaction: the mutations of a batch, run one after the other and committed together.

use super::batch::{Batch, Progress};
use super::job::WriteJob;
use super::shared::Shared;
use crate::cache::{self, Changes};
use crate::error::{Error, ErrorKind, Result};
use crate::migration;
use crate::operation::WriteTx;
use crate::operation::doubt::Around;
use crate::sqlite::{self, Authorizer, Watchdog};
use crate::time::{self, Clock};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The connection that writes, with its guard, watchdog and cache hook.
pub(super) struct WriteConnection {
    pub(super) conn: Connection,
    shared: Arc<Shared>,
    guard: Authorizer,
    watchdog: Watchdog,
    changes: Changes,
    /// How many rows of the open transaction are mere bookkeeping.
    bookkeeping: Cell<u64>,
    /// The size of a WAL frame, in bytes.
    pub(super) frame_bytes: u64,
    pub(super) opened: Instant,
}

impl WriteConnection {
    pub(super) fn new(mut conn: Connection, shared: &Arc<Shared>) -> Result<Self> {
        // Only closing empties the WAL, because it has to know whether that worked.
        sqlite::disable_checkpoint_on_close(&conn)?;
        sqlite::unbound_values(&conn)?;
        sqlite::fire_triggers_on_replace(&mut conn)?;
        let guard = Authorizer::install(&mut conn, sqlite::for_mutations)?;
        let watchdog = Watchdog::new(Arc::clone(&shared.interrupt));
        watchdog.install(&mut conn)?;
        let changes = Changes::default();
        cache::watch_rows(&mut conn, changes.clone())?;
        let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(Self {
            conn,
            shared: Arc::clone(shared),
            guard,
            watchdog,
            changes,
            bookkeeping: Cell::new(0),
            frame_bytes: page as u64 + sqlite::FRAME_OVERHEAD,
            opened: Instant::now(),
        })
    }

    /// Opens another connection, and checks that it can write.
    pub(super) fn open(shared: &Arc<Shared>, busy_timeout: Duration) -> Result<Self> {
        let (path, config) = (&shared.path, &shared.config);
        let settings = config.sqlite_settings();
        let files = &shared.files;
        let conn = files.connect(|path| sqlite::connect_again(path, &settings))?;
        conn.busy_timeout(busy_timeout)?;
        sqlite::make_writer(&conn, path, &settings)?;
        // If it is the only connection and is given up, it must not remove the WAL.
        sqlite::disable_checkpoint_on_close(&conn)?;
        migration::run_own_triggers(&conn, &config.program())?;
        let open = Self::new(conn, shared)?;
        sqlite::write_probe(&open.conn)?;
        Ok(open)
    }
}

/// How the operations in one transaction are isolated.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Isolation {
    /// Not at all: the first operation that has to be undone ends the attempt.
    #[default]
    None,
    Savepoint,
}

/// The outcome of a transaction.
pub(super) enum Attempt {
    Committed {
        /// Whether there was anything to write.
        wrote: bool,
    },
    /// One operation has to be undone; the transaction was rolled back.
    Undo,
    /// The transaction could not begin.
    NotBegun(Error),
    /// It failed as a whole.
    Lost(Error),
    /// It failed, and all of it may be in the WAL.
    Indeterminate(Error),
}

/// A transaction that has begun.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) at: Instant,
    now: DateTime<Utc>,
    changes: u64,
}

impl Begun {
    /// The same, for jobs that have joined it: they may have been sent after it began, and nothing is to have a time
    /// from before it was sent. If the clock panics now, they have the time at which the transaction began.
    pub(super) fn joined(self, clock: &dyn Clock) -> Self {
        Self {
            now: time::ask(clock).unwrap_or(self.now),
            ..self
        }
    }
}

/// A transaction on this connection, from its beginning to its end.
impl WriteConnection {
    pub(super) fn begin(&self) -> Result<Begun> {
        let now = time::ask(&*self.shared.config.clock)?;
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        self.changes.forget();
        self.bookkeeping.set(0);
        Ok(Begun {
            at: Instant::now(),
            now,
            changes: self.conn.total_changes(),
        })
    }

    /// Runs the jobs of the batch from this one on; returns how the transaction ended, if it did.
    pub(super) fn run(&self, begun: Begun, from: usize, batch: &mut Batch) -> Option<Attempt> {
        let tx = WriteTx::new(&self.conn, begun.now)
            .within(self.shared.config.limits())
            .guarded_by(&self.guard)
            .amid(Around {
                watch: &self.shared.clock_watch,
                clock: &*self.shared.config.clock,
                timers_changed: &self.shared.timers_changed,
                bookkeeping: &self.bookkeeping,
                uses: &self.shared.uses,
            });
        for next in from..batch.jobs.len() {
            if self.shared.interrupt.load(Ordering::Relaxed) {
                // The store closes, and its deadline has passed: jobs that have not begun are refused.
                for late in batch.jobs.drain(next..) {
                    late.refuse(Error::closed());
                }
                break;
            }
            let ended = self.run_one(&mut *batch.jobs[next], &tx, batch.isolation);
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    pub(super) fn commit(&self, begun: Begun, batch: &mut Batch) -> Attempt {
        let conn = &self.conn;
        batch.progress = Progress::Committing;
        let committed = conn.execute_batch("COMMIT");
        // Converted first, before any other system call: see `error::system`.
        let Err(error) = committed.map_err(Error::from) else {
            batch.progress = Progress::Committed;
            // Before any answer: a caller that knows of the change must not get an older answer from the cache.
            self.changes.apply_to(&self.shared.cache);
            let rows = conn.total_changes() - begun.changes;
            if rows > self.bookkeeping.get() {
                self.shared
                    .checkpoints
                    .written
                    .store(true, Ordering::Relaxed);
            }
            return Attempt::Committed { wrote: rows > 0 };
        };
        self.roll_back();
        match error.may_be_logged() {
            true => Attempt::Indeterminate(error),
            false => Attempt::Lost(error),
        }
    }

    /// Runs one operation; returns how the transaction ended, if it did.
    fn run_one(
        &self,
        job: &mut dyn WriteJob,
        tx: &WriteTx<'_>,
        isolation: Isolation,
    ) -> Option<Attempt> {
        let conn = &self.conn;
        let savepoint = |sql| match isolation {
            Isolation::None => Ok(()),
            Isolation::Savepoint => conn.execute_batch(sql),
        };
        if let Err(error) = savepoint("SAVEPOINT operation") {
            return Some(self.lost(error.into()));
        }
        let changes_before = conn.total_changes();
        let deadline = Instant::now() + self.shared.config.mutation_deadline;
        let guarded = || self.guard.during(|| job.run(tx));
        self.watchdog.until(deadline, guarded);
        if conn.is_autocommit() {
            return Some(Attempt::Lost(job.error().cloned().unwrap_or_else(|| {
                Error::new(ErrorKind::Sql, "the transaction ended inside an operation")
            })));
        }
        let left = match job.error() {
            None => savepoint("RELEASE operation"),
            // Failed statements undo themselves, and operations cannot change tables, so the count of changed rows
            // says whether there is anything to undo.
            Some(_) if conn.total_changes() == changes_before => savepoint("RELEASE operation"),
            Some(_) if isolation == Isolation::None => return Some(self.undo()),
            Some(_) => savepoint("ROLLBACK TO operation; RELEASE operation"),
        };
        left.err().map(|error| self.lost(error.into()))
    }

    fn undo(&self) -> Attempt {
        match self.conn.execute_batch("ROLLBACK") {
            Ok(()) => Attempt::Undo,
            Err(error) => Attempt::Lost(error.into()),
        }
    }

    fn lost(&self, error: Error) -> Attempt {
        self.roll_back();
        Attempt::Lost(error)
    }

    pub(super) fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            // If this fails too, settling sees that a transaction is still open.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }
}
