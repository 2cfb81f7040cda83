//! Group commit: several callers' mutations in one transaction, each with a fate of its own.
//!
//! A group is first run without savepoints. When an operation fails after it has changed
//! something, the transaction is rolled back and run again with a savepoint for each operation,
//! and so are the next few groups, because failures come in streams. An operation that fails
//! before it has changed anything costs nothing: there is nothing to undo.
//!
//! Running the group again *without* the one that failed was turned down: what made it fail may
//! be a neighbour that the second run decides differently about, and then its answer would be
//! about a state that never was. Here every outcome is the one that the operation had at its place
//! in the transaction that committed.
//!
//! When SQLite itself ends the transaction (a full disk), each mutation is tried alone, so that a
//! large one does not take the small ones with it. See <https://sqlite.org/lang_transaction.html>
//! for which errors do that.

use super::lane::Worker;
use super::request::{Outcome, Ticket, WriteRequest};
use crate::cache::{Cache, Changes};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result, may_be_logged};
use crate::health::Metrics;
use crate::operation::WriteTx;
use crate::sqlite::{Guard, Watchdog};
use crate::time::{self, Clock};
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After a group that had to be run again, this many are run with savepoints at once.
const CAREFUL_GROUPS: u32 = 16;

/// How long a group waits for another program's lock when the one before waited in vain.
const IMPATIENCE: Duration = Duration::from_millis(100);

pub(super) type Request = Ticket<dyn WriteRequest>;
type Requests = Vec<Request>;

/// How operations in one transaction are kept apart.
#[derive(Clone, Copy, PartialEq)]
enum Isolation {
    /// Not at all: the first that has to be undone ends the attempt.
    None,
    Savepoint,
}

/// What became of a transaction.
enum Attempt {
    Committed {
        /// Whether there was anything to write.
        wrote: bool,
    },
    /// One operation has to be undone; the transaction was rolled back.
    Undo,
    /// No transaction was to be had.
    NotBegun(Error),
    /// It was lost as a whole.
    Lost(Error),
    /// So it was, but all of it may be in the log.
    Unsure(Error),
}

/// Whether the connection can go on.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Connected {
    Sound,
    /// Its state is in doubt: after an I/O error pages in its cache may differ from the file's.
    InDoubt,
}

pub(super) struct Committer<'a> {
    pub(super) conn: &'a Connection,
    pub(super) guard: &'a Guard,
    pub(super) watchdog: &'a Watchdog,
    pub(super) changes: &'a Changes,
    pub(super) cache: &'a Cache,
    pub(super) clock: &'a dyn Clock,
    pub(super) metrics: &'a Metrics,
    pub(super) config: &'a Config,
    /// Set when the store cannot wait for mutations any longer.
    pub(super) stop: &'a AtomicBool,
    pub(super) mood: &'a mut Mood,
    /// Those whose commit failed and may be in the log all the same. They are answered when the log
    /// has been written on.
    pub(super) unsure: &'a mut Vec<(Request, Error)>,
}

/// What one group leaves for the next to know.
#[derive(Default)]
pub(super) struct Mood {
    /// How many of the next groups use savepoints from the start.
    careful: u32,
    /// Whether the last group found another program's lock. Then the next waits less for it, so
    /// that those in the queue are not refused one busy timeout after the other.
    impatient: bool,
}

impl Committer<'_> {
    /// Commits a group that starts with `first` and takes in what waits in `queue`; answers all.
    pub(super) fn commit(&mut self, first: Request, queue: &Worker<dyn WriteRequest>) -> Connected {
        // Those who wait are in before the lock is asked for: if it is not to be had, they all
        // hear so at once.
        let waiting = std::iter::from_fn(|| next_wanted(queue));
        let mut group: Requests = std::iter::once(first)
            .chain(waiting)
            .take(self.config.max_group)
            .collect();
        let isolation = if self.mood.careful > 0 {
            self.mood.careful -= 1;
            Isolation::Savepoint
        } else {
            Isolation::None
        };
        let mut attempt = self.attempt(&mut group, isolation, Some(queue));
        if matches!(attempt, Attempt::Undo) {
            self.mood.careful = CAREFUL_GROUPS;
            self.metrics.count_rerun();
            group = self.answer_overdue(group);
            attempt = self.attempt(&mut group, Isolation::Savepoint, None);
        }
        self.settle(group, attempt)
    }

    /// Answers those who ran past their deadline, and leaves the others: what takes too long once
    /// is not run again.
    fn answer_overdue(&self, group: Requests) -> Requests {
        let mut others = Vec::with_capacity(group.len());
        for request in group {
            match request.failure() {
                Some(error) if error.kind() == ErrorKind::Deadline => self.answer(request),
                _ => others.push(request),
            }
        }
        others
    }

    fn settle(&mut self, group: Requests, attempt: Attempt) -> Connected {
        match attempt {
            Attempt::Committed { wrote } => {
                self.metrics.count_group(group.len());
                if wrote {
                    self.metrics.note_well();
                }
                for request in group {
                    self.answer(request);
                }
                Connected::Sound
            }
            Attempt::Lost(error) if group.len() > 1 && !error.leaves_in_doubt() => {
                self.metrics.count_rerun();
                let mut state = Connected::Sound;
                for request in self.answer_overdue(group) {
                    if state == Connected::InDoubt {
                        self.refuse(request, error.clone());
                        continue;
                    }
                    let mut alone = vec![request];
                    // Savepoint, because on its own it may fail and leave nothing to ask again.
                    let attempt = self.attempt(&mut alone, Isolation::Savepoint, None);
                    state = self.settle(alone, attempt);
                }
                state
            }
            Attempt::Lost(error) | Attempt::NotBegun(error) => {
                let in_doubt = error.leaves_in_doubt() || !self.conn.is_autocommit();
                tracing::warn!(%error, mutations = group.len(), in_doubt, "a transaction was lost");
                for request in group {
                    self.refuse(request, error.clone());
                }
                if in_doubt {
                    Connected::InDoubt
                } else {
                    Connected::Sound
                }
            }
            Attempt::Unsure(error) => {
                tracing::warn!(%error, mutations = group.len(), "a commit failed");
                let unsure = group.into_iter().map(|request| (request, error.clone()));
                self.unsure.extend(unsure);
                Connected::InDoubt
            }
            // Only an attempt without savepoints asks for another.
            Attempt::Undo => Connected::Sound,
        }
    }

    /// Runs the group in one transaction and commits it. With a `gather` queue, takes in what
    /// arrives while it runs, up to the bounds of a group.
    fn attempt(
        &mut self,
        group: &mut Requests,
        isolation: Isolation,
        gather: Option<&Worker<dyn WriteRequest>>,
    ) -> Attempt {
        let begun = time::ask(self.clock).and_then(|now| self.begin().map(|()| now));
        let now = match begun {
            Ok(now) => now,
            Err(error) => return Attempt::NotBegun(error),
        };
        self.changes.forget();
        let tx = WriteTx::new(self.conn, now)
            .within(self.config.limits())
            .guarded_by(self.guard);
        let changes_before = self.conn.total_changes();
        let began = Instant::now();
        let mut next = 0;
        loop {
            if next == group.len() {
                let full =
                    next >= self.config.max_group || began.elapsed() >= self.config.max_group_time;
                match gather.filter(|_| !full).and_then(next_wanted) {
                    Some(request) => group.push(request),
                    None => break,
                }
            }
            if self.stop.load(Ordering::Relaxed) {
                // The store closes, and its deadline has passed: those that have not begun do not.
                for late in group.drain(next..) {
                    late.refuse(Error::closed());
                }
                break;
            }
            if let Some(ended) = self.run_one(&*group[next], &tx, isolation) {
                return ended;
            }
            next += 1;
        }
        match self.conn.execute_batch("COMMIT") {
            Ok(()) => {
                // Before anybody hears of it: who has heard must not be given a kept answer.
                self.changes.tell(self.cache);
                Attempt::Committed {
                    wrote: self.conn.total_changes() > changes_before,
                }
            }
            Err(error) => {
                self.roll_back();
                match may_be_logged(&error) {
                    true => Attempt::Unsure(error.into()),
                    false => Attempt::Lost(error.into()),
                }
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        let begun = self.conn.execute_batch("BEGIN IMMEDIATE");
        let begun = begun.map_err(Error::from);
        let impatient = begun.as_ref().is_err_and(|e| e.kind() == ErrorKind::Busy);
        if impatient != self.mood.impatient {
            self.mood.impatient = impatient;
            let patience = self.config.busy_timeout;
            self.conn.busy_timeout(match impatient {
                true => patience.min(IMPATIENCE),
                false => patience,
            })?;
        }
        begun
    }

    /// Runs one operation; says so if the transaction ended with it.
    fn run_one(
        &self,
        request: &dyn WriteRequest,
        tx: &WriteTx<'_>,
        isolation: Isolation,
    ) -> Option<Attempt> {
        let savepoint = |sql| match isolation {
            Isolation::None => Ok(()),
            Isolation::Savepoint => self.conn.execute_batch(sql),
        };
        if let Err(error) = savepoint("SAVEPOINT operation") {
            return Some(self.lost(error.into()));
        }
        let changes_before = self.conn.total_changes();
        let deadline = Instant::now() + self.config.mutation_deadline;
        let outcome = self
            .watchdog
            .until(deadline, || self.guard.during(|| request.apply(tx)));
        if self.conn.is_autocommit() {
            return Some(Attempt::Lost(request.failure().unwrap_or_else(|| {
                Error::new(ErrorKind::Sql, "the transaction ended inside an operation")
            })));
        }
        let left = match outcome {
            Outcome::Done => savepoint("RELEASE operation"),
            // Statements that fail undo themselves, and operations cannot change tables, so the
            // count of changed rows tells whether there is anything to undo.
            _ if self.conn.total_changes() == changes_before => savepoint("RELEASE operation"),
            _ if isolation == Isolation::None => return Some(self.undo()),
            _ => savepoint("ROLLBACK TO operation; RELEASE operation"),
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

    fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            // If this fails too, `settle` sees that a transaction is still open.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }

    fn answer(&self, request: Request) {
        match request.failure() {
            None => self.metrics.count_committed(),
            Some(error) => self.metrics.count_failed(&error),
        }
        request.answer();
    }

    fn refuse(&self, request: Request, error: Error) {
        self.metrics.count_failed(&error);
        request.refuse(error);
    }
}

/// The next request whose caller still waits.
pub(super) fn next_wanted(queue: &Worker<dyn WriteRequest>) -> Option<Request> {
    loop {
        let request = queue.next()?;
        if !request.is_abandoned() {
            return Some(request);
        }
        // Not just dropped: a host's `Drop` may panic.
        request.refuse(Error::closed());
    }
}
