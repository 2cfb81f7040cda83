//! Group commit: several callers' mutations in one transaction, each with a fate of its own.
//!
//! A batch is first run without savepoints. When an operation fails after it has changed
//! something, the transaction is rolled back and run again with a savepoint for each operation,
//! and so are the next few batches, because failures come in streams. An operation that fails
//! before it has changed anything costs nothing: there is nothing to undo.
//!
//! Running the batch again *without* the one that failed was turned down: what made it fail may
//! be a neighbour that the second run decides differently about, and then its answer would be
//! about a state that never was. Here every outcome is the one that the operation had at its place
//! in the transaction that committed.
//!
//! When SQLite itself ends the transaction (a full disk), each mutation is tried alone, so that a
//! large one does not take the small ones with it. See <https://sqlite.org/lang_transaction.html>
//! for which errors do that.
//!
//! Every job that is not answered is in a field of the [`Batcher`], never only on the stack: so the one
//! that a panic leaves behind can answer them all, and knows what became of each.

use super::job::WriteJob;
use super::shared::Shared;
use super::transaction::{Attempt, Isolation, Transaction, WriteConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::sqlite;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// After a batch that had to be run again, this many are run with savepoints at once.
const CAREFUL_BATCHES: u32 = 16;

/// How long a batch waits for another program's lock when the one before waited in vain.
const IMPATIENCE: Duration = Duration::from_millis(100);

pub(super) struct Batcher {
    shared: Arc<Shared>,
    connection: Option<WriteConnection>,
    /// The connection before, kept open until its replacement works. If none were open, SQLite would
    /// recover the WAL from disk and resurrect the failed commit.
    suspect: Option<WriteConnection>,
    busy_timeout: Duration,
    /// Jobs that wait for a batch.
    waiting: VecDeque<Box<dyn WriteJob>>,
    /// Jobs of a batch that SQLite ended: each is a batch of its own.
    alone: VecDeque<Box<dyn WriteJob>>,
    batch: Batch,
    /// Jobs whose commit failed and may be in the WAL all the same. They are answered when the WAL has
    /// been written on.
    indeterminate: Vec<(Box<dyn WriteJob>, Error)>,
    strategy: Strategy,
}

/// The batch that is under way.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Box<dyn WriteJob>>,
    pub(super) progress: Progress,
}

/// How far a batch is.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Progress {
    /// Its COMMIT has not begun.
    #[default]
    Running,
    Committing,
    Committed,
}

/// What one batch leaves for the next to know.
#[derive(Default)]
struct Strategy {
    /// How many of the next batches use savepoints from the start.
    careful: u32,
    /// Whether the last batch found another program's lock. Then the next waits less for it, so
    /// that those in the queue are not refused one busy timeout after the other.
    impatient: bool,
}

impl Batcher {
    /// `conn` is the connection that writes, migrated.
    pub(super) fn new(conn: Connection, shared: Arc<Shared>) -> Result<Self> {
        let connection = WriteConnection::new(conn, &shared)?;
        Ok(Self {
            busy_timeout: shared.config.busy_timeout,
            shared,
            connection: Some(connection),
            suspect: None,
            waiting: VecDeque::new(),
            alone: VecDeque::new(),
            batch: Batch::default(),
            indeterminate: Vec::new(),
            strategy: Strategy::default(),
        })
    }

    pub(super) fn connection(&self) -> Option<&WriteConnection> {
        self.connection.as_ref()
    }

    pub(super) fn push(&mut self, job: Box<dyn WriteJob>) {
        self.waiting.push_back(job);
    }

    /// Commits one batch. False when nothing waits.
    pub(super) fn commit_next(&mut self) -> bool {
        let isolation = self.take_batch();
        if self.batch.jobs.is_empty() {
            return false;
        }
        if self.connection.is_none()
            && let Err(error) = self.reconnect()
        {
            // All who wait by now: where a disk takes its time to fail, one after the other would wait
            // for long.
            self.refuse_all(&error);
            return true;
        }
        let mut attempt = self.attempt(isolation);
        if matches!(attempt, Attempt::Undo) {
            self.strategy.careful = CAREFUL_BATCHES;
            self.shared.metrics.reruns.count();
            self.answer_overdue();
            attempt = self.attempt(Isolation::Savepoint);
        }
        self.settle(attempt);
        self.shared.metrics.in_batch.set(0);
        true
    }

    /// Fills the batch with those whose callers still wait.
    fn take_batch(&mut self) -> Isolation {
        self.batch.progress = Progress::Running;
        let most = self.shared.config.max_group;
        let (from, most, isolation) = if !self.alone.is_empty() {
            // Savepoint, because on its own it may fail and leave nothing to ask again.
            (&mut self.alone, 1, Isolation::Savepoint)
        } else if self.strategy.careful > 0 {
            self.strategy.careful -= 1;
            (&mut self.waiting, most, Isolation::Savepoint)
        } else {
            (&mut self.waiting, most, Isolation::None)
        };
        while self.batch.jobs.len() < most
            && let Some(job) = from.pop_front()
        {
            if job.is_abandoned() {
                job.refuse(Error::closed());
            } else {
                self.batch.jobs.push(job);
            }
        }
        self.shared.metrics.in_batch.set(self.batch.jobs.len());
        isolation
    }

    fn attempt(&mut self, isolation: Isolation) -> Attempt {
        let Some(open) = &self.connection else {
            return Attempt::NotBegun(Error::new(ErrorKind::Io, "the writer has no connection"));
        };
        let transaction = Transaction {
            open,
            shared: &self.shared,
            isolation,
        };
        let attempt = transaction.run(&mut self.batch, &mut self.waiting);
        self.mind_patience(matches!(&attempt, Attempt::NotBegun(e) if e.kind() == ErrorKind::Busy));
        attempt
    }

    fn mind_patience(&mut self, impatient: bool) {
        if mem::replace(&mut self.strategy.impatient, impatient) == impatient {
            return;
        }
        if let Some(open) = &self.connection {
            let patience = match impatient {
                true => self.busy_timeout.min(IMPATIENCE),
                false => self.busy_timeout,
            };
            let _ = open.conn.busy_timeout(patience);
        }
    }

    /// Waits no longer than this for another program's lock, on this connection or the next.
    pub(super) fn limit_patience(&mut self, most: Duration) {
        self.busy_timeout = self.busy_timeout.min(most);
        if let Some(open) = &self.connection {
            let _ = open.conn.busy_timeout(self.busy_timeout);
        }
    }

    /// Answers those who ran past their deadline, and leaves the others: what takes too long once
    /// is not run again.
    fn answer_overdue(&mut self) {
        let is_overdue = |job: &mut Box<dyn WriteJob>| {
            let error = job.error();
            error.is_some_and(|error| error.kind() == ErrorKind::Deadline)
        };
        let overdue: Vec<_> = self.batch.jobs.extract_if(.., is_overdue).collect();
        for job in overdue {
            self.answer(job);
        }
    }

    fn settle(&mut self, attempt: Attempt) {
        let mutations = self.batch.jobs.len();
        match attempt {
            Attempt::Committed { wrote } => {
                self.shared.metrics.count_batch(mutations);
                if wrote {
                    self.shared.disk.note_written();
                }
                self.answer_batch();
            }
            Attempt::Lost(error) if mutations > 1 && !error.leaves_in_doubt() => {
                self.shared.metrics.reruns.count();
                self.answer_overdue();
                self.alone.extend(self.batch.jobs.drain(..));
            }
            Attempt::Lost(error) | Attempt::NotBegun(error) => {
                let open = self.connection.as_ref();
                let in_doubt =
                    error.leaves_in_doubt() || open.is_some_and(|open| !open.conn.is_autocommit());
                let mut lost = mem::take(&mut self.batch.jobs);
                if in_doubt {
                    lost.extend(self.alone.drain(..));
                    self.give_up_connection();
                }
                for job in lost {
                    self.refuse(job, error.clone());
                }
                tracing::warn!(%error, mutations, in_doubt, "a transaction was lost");
            }
            Attempt::Indeterminate(error) => {
                let jobs = self.batch.jobs.drain(..);
                self.indeterminate
                    .extend(jobs.map(|job| (job, error.clone())));
                for job in mem::take(&mut self.alone) {
                    self.refuse(job, error.clone());
                }
                self.give_up_connection();
                self.resolve_indeterminate();
                tracing::warn!(%error, mutations, "a commit failed");
            }
            // Only an attempt without savepoints asks for another.
            Attempt::Undo => {}
        }
    }

    fn answer_batch(&mut self) {
        self.batch.jobs.reverse();
        // One after the other, so that those whom a panic kept from their answer are still there.
        while let Some(job) = self.batch.jobs.pop() {
            self.answer(job);
        }
    }

    fn answer(&self, job: Box<dyn WriteJob>) {
        match job.error() {
            None => self.shared.metrics.committed.count(),
            Some(error) => self.note_failed(error),
        }
        job.answer();
    }

    fn refuse(&self, job: Box<dyn WriteJob>, error: Error) {
        self.note_failed(&error);
        job.refuse(error);
    }

    fn note_failed(&self, error: &Error) {
        self.shared.metrics.count_failed(error);
        self.shared.disk.note(error);
    }

    /// Refuses every job that is not under way.
    pub(super) fn refuse_all(&mut self, error: &Error) {
        let jobs = mem::take(&mut self.batch.jobs).into_iter();
        let jobs: Vec<_> = jobs
            .chain(self.alone.drain(..))
            .chain(self.waiting.drain(..))
            .collect();
        for job in jobs {
            match error.kind() {
                ErrorKind::Closed => job.refuse(error.clone()),
                _ => self.refuse(job, error.clone()),
            }
        }
        self.shared.metrics.in_batch.set(0);
    }

    /// Answers those whose commit failed: first the next connection has to write over what they may
    /// have left in the WAL.
    fn resolve_indeterminate(&mut self) {
        if self.indeterminate.is_empty() {
            return;
        }
        let written_over = match self.connection {
            Some(_) => Ok(()),
            None => self.reconnect(),
        };
        for (job, error) in mem::take(&mut self.indeterminate) {
            let error = match &written_over {
                Ok(()) => error,
                Err(_) => error.because(
                    ErrorKind::InDoubt,
                    "the commit failed, and the disk does not let the store take it back: if the \
                     process ends before it does, the next opening may find it done",
                ),
            };
            self.refuse(job, error);
        }
    }

    /// The next connection is opened when it is needed.
    fn give_up_connection(&mut self) {
        if let Some(open) = self.connection.take() {
            // One whose transaction does not end would keep the next from writing.
            self.suspect = Some(open).filter(|open| open.conn.is_autocommit());
        }
    }

    fn reconnect(&mut self) -> Result<()> {
        self.connection = Some(WriteConnection::open(&self.shared, self.busy_timeout)?);
        self.suspect = None;
        self.strategy = Strategy::default();
        self.shared.metrics.reconnects.count();
        Ok(())
    }

    /// After a panic: answers the batch that it came into the middle of, and opens a new connection.
    pub(super) fn recover(&mut self) {
        let Batch { jobs, progress } = mem::take(&mut self.batch);
        if let Some(open) = self
            .connection
            .as_ref()
            .filter(|open| !open.conn.is_autocommit())
        {
            let _ = open.conn.execute_batch("ROLLBACK");
        }
        self.give_up_connection();
        for job in jobs {
            match progress {
                Progress::Committed => self.answer(job),
                Progress::Running => self.refuse(job, restarted(ErrorKind::Panicked)),
                Progress::Committing => self.indeterminate.push((job, restarted(ErrorKind::Io))),
            }
        }
        self.resolve_indeterminate();
        self.shared.metrics.in_batch.set(0);
    }

    /// Takes note of a failure of the store's own work.
    pub(super) fn note_failure(&mut self, error: &Error) {
        self.shared.disk.note(error);
        if error.leaves_in_doubt() {
            self.give_up_connection();
        }
    }

    /// Sees whether the file can be written.
    pub(super) fn probe(&mut self) -> Result<()> {
        match &self.connection {
            Some(open) => sqlite::commit_nothing(&open.conn),
            None => self.reconnect(),
        }
    }

    /// Takes the connection out, to close the file.
    pub(super) fn take_connection(&mut self) -> Result<Connection> {
        if self.connection.is_none() {
            self.reconnect()?;
        }
        let open = self.connection.take();
        let gone = || Error::new(ErrorKind::Io, "the writer has no connection");
        open.map(|open| open.conn).ok_or_else(gone)
    }
}

fn restarted(kind: ErrorKind) -> Error {
    Error::new(
        kind,
        "the writer panicked and was started again; nothing was changed, and the panic's message is \
         where the panic hook writes",
    )
}
