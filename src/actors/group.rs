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
use super::request::{Outcome, WriteRequest};
use crate::error::{Error, ErrorKind};
use crate::health::Metrics;
use crate::operation::WriteTx;
use crate::sqlite::Guard;
use crate::time::Clock;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// After a group that had to be run again, this many are run with savepoints at once.
const CAREFUL_GROUPS: u32 = 16;

type Requests = Vec<Box<dyn WriteRequest>>;

/// How operations in one transaction are kept apart.
#[derive(Clone, Copy, PartialEq)]
enum Isolation {
    /// Not at all: the first that has to be undone ends the attempt.
    None,
    Savepoint,
}

/// What became of a transaction.
enum Attempt {
    Committed,
    /// One operation has to be undone; the transaction was rolled back.
    Undo,
    /// No transaction was to be had.
    NotBegun(Error),
    /// It was lost as a whole.
    Lost(Error),
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
    pub(super) clock: &'a dyn Clock,
    pub(super) metrics: &'a Metrics,
    pub(super) max_group: usize,
    pub(super) max_group_time: Duration,
    /// How many of the next groups use savepoints from the start.
    pub(super) careful: &'a mut u32,
}

impl Committer<'_> {
    /// Commits a group that starts with `first` and takes in what waits in `queue`; answers all.
    pub(super) fn commit(
        &mut self,
        first: Box<dyn WriteRequest>,
        queue: &Worker<dyn WriteRequest>,
    ) -> Connected {
        let mut group = vec![first];
        let isolation = if *self.careful > 0 {
            *self.careful -= 1;
            Isolation::Savepoint
        } else {
            Isolation::None
        };
        let mut attempt = self.attempt(&mut group, isolation, Some(queue));
        if matches!(attempt, Attempt::Undo) {
            *self.careful = CAREFUL_GROUPS;
            self.metrics.count_rerun();
            attempt = self.attempt(&mut group, Isolation::Savepoint, None);
        }
        self.settle(group, attempt)
    }

    fn settle(&mut self, group: Requests, attempt: Attempt) -> Connected {
        match attempt {
            Attempt::Committed => {
                self.metrics.count_group(group.len());
                for request in group {
                    self.answer(request);
                }
                Connected::Sound
            }
            Attempt::Lost(error) if group.len() > 1 && !puts_in_doubt(&error) => {
                self.metrics.count_rerun();
                let mut state = Connected::Sound;
                for request in group {
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
                let in_doubt = puts_in_doubt(&error) || !self.conn.is_autocommit();
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
        if let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
            return Attempt::NotBegun(error.into());
        }
        let tx = WriteTx::new(self.conn, self.clock.now());
        let began = Instant::now();
        let mut next = 0;
        loop {
            if next == group.len() {
                let full = next >= self.max_group || began.elapsed() >= self.max_group_time;
                match gather.filter(|_| !full).and_then(next_wanted) {
                    Some(request) => group.push(request),
                    None => break,
                }
            }
            if let Some(ended) = self.run_one(&mut *group[next], &tx, isolation) {
                return ended;
            }
            next += 1;
        }
        match self.conn.execute_batch("COMMIT") {
            Ok(()) => Attempt::Committed,
            Err(error) => self.lost(error.into()),
        }
    }

    /// Runs one operation; says so if the transaction ended with it.
    fn run_one(
        &self,
        request: &mut dyn WriteRequest,
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
        let outcome = self.guard.during(|| request.apply(tx));
        if self.conn.is_autocommit() {
            let error = request.failure().cloned();
            return Some(Attempt::Lost(error.unwrap_or_else(|| {
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
        if !self.conn.is_autocommit() {
            // If this fails too, `settle` sees that a transaction is still open.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        Attempt::Lost(error)
    }

    fn answer(&self, request: Box<dyn WriteRequest>) {
        match request.failure() {
            None => self.metrics.count_committed(),
            Some(error) => self.metrics.count_failed(error),
        }
        request.answer();
    }

    fn refuse(&self, request: Box<dyn WriteRequest>, error: Error) {
        self.metrics.count_failed(&error);
        request.refuse(error);
    }
}

/// The next request whose caller still waits.
pub(super) fn next_wanted(queue: &Worker<dyn WriteRequest>) -> Option<Box<dyn WriteRequest>> {
    std::iter::from_fn(|| queue.next()).find(|request| !request.is_abandoned())
}

fn puts_in_doubt(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::ForeignFile
    )
}
