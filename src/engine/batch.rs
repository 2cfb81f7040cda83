//! Group commit: several callers' mutations in one transaction, each with an outcome of its own.
//!
//! A batch is first run without savepoints. If an operation fails after it has changed something, the transaction
//! is rolled back and run again with a savepoint for each operation; so are the next few batches, because failures
//! come in series. An operation that fails before it has changed anything costs nothing: there is nothing to undo.
//!
//! Running the batch again *without* the failed operation was turned down. It may have failed because of another
//! operation that behaves differently in the second run; then its answer would be about a state that never was.
//! Here every outcome is the one that the operation had at its place in the transaction that committed.
//!
//! If SQLite itself ends the transaction (a full disk), each mutation is tried alone, so that a large one does not
//! make the small ones fail. See <https://sqlite.org/lang_transaction.html> for which errors do that.
//!
//! Every unanswered job is in a field of the [`Batcher`], never only on the stack. So after a panic the batcher
//! can answer them all, and knows the outcome of each.

mod settle;

use super::job::WriteJob;
use super::shared::Shared;
use super::transaction::{Attempt, Begun, Isolation, WriteConnection};
use crate::error::{Error, ErrorKind, Result};
use crate::sqlite;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// After a batch that was run again, this many are run with savepoints from the start.
const CAREFUL_BATCHES: u32 = 16;

/// How long a batch waits for another program's lock if the batch before waited in vain.
const IMPATIENCE: Duration = Duration::from_millis(100);

pub(super) struct Batcher {
    shared: Arc<Shared>,
    connection: Option<WriteConnection>,
    /// The previous connection, kept open until its replacement works. If none were open, SQLite would recover the
    /// WAL from disk and resurrect the failed commit.
    suspect: Option<WriteConnection>,
    busy_timeout: Duration,
    /// Jobs that wait for a batch.
    waiting: VecDeque<Box<dyn WriteJob>>,
    /// Jobs of a batch that SQLite ended: each gets a batch of its own.
    alone: VecDeque<Box<dyn WriteJob>>,
    batch: Batch,
    /// Jobs whose commit failed and which may be in the WAL all the same. They are answered when that part of the
    /// WAL has been overwritten.
    indeterminate: Vec<(Box<dyn WriteJob>, Error)>,
    strategy: Strategy,
}

/// The current batch.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Box<dyn WriteJob>>,
    pub(super) progress: Progress,
    pub(super) isolation: Isolation,
    /// Its transaction, once begun.
    begun: Option<Begun>,
    /// Whether it takes jobs that arrive while it runs.
    gathers: bool,
}

/// The result of a step.
pub(super) enum Step {
    /// Nothing waits.
    Idle,
    /// The batch is open for more jobs.
    Open,
    /// A batch is over.
    Settled,
}

/// The progress of a batch.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Progress {
    /// Its COMMIT has not begun.
    #[default]
    Running,
    Committing,
    Committed,
}

/// What one batch passes on to the next.
#[derive(Default)]
struct Strategy {
    /// How many of the next batches use savepoints from the start.
    careful: u32,
    /// Whether the last batch met another program's lock. Then the next one waits less for it, so that the jobs in
    /// the queue are not refused one busy timeout after the other.
    impatient: bool,
}

impl Batcher {
    /// `conn` is the connection that writes; its schema is up to date.
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

    /// Takes one step: begins a batch and runs what waits, or runs what has come since, or commits if nothing has.
    /// Between two steps the writer reads its mailbox.
    pub(super) fn step(&mut self) -> Step {
        let ran = self.batch.jobs.len();
        let is_open = self.batch.begun.is_some();
        if !is_open {
            self.choose_isolation();
        }
        self.take_waiting();
        match (self.batch.jobs.len() > ran, is_open) {
            (false, false) => return Step::Idle,
            (false, true) => self.finish(),
            (true, _) => match self.run(ran) {
                Some(attempt) => self.settle(attempt),
                None if self.batch.gathers && !self.is_full() => return Step::Open,
                None => self.finish(),
            },
        }
        Step::Settled
    }

    /// Commits the open batch, if there is one.
    pub(super) fn finish(&mut self) {
        if let (Some(begun), Some(open)) = (self.batch.begun, &self.connection) {
            let attempt = open.commit(begun, &mut self.batch);
            self.settle(attempt);
        }
    }

    fn choose_isolation(&mut self) {
        self.batch.progress = Progress::Running;
        self.batch.gathers = self.alone.is_empty();
        self.batch.isolation = match self.strategy.careful {
            // Alone in its batch, it may fail and leave nothing that would have to be run again.
            _ if !self.alone.is_empty() => Isolation::Savepoint,
            0 => Isolation::None,
            _ => Isolation::Savepoint,
        };
    }

    /// Takes waiting jobs whose callers still wait.
    fn take_waiting(&mut self) {
        let (from, most) = match self.batch.gathers {
            true => (&mut self.waiting, self.shared.config.max_batch),
            false => (&mut self.alone, 1),
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
    }

    fn is_full(&self) -> bool {
        let config = &self.shared.config;
        let begun = self.batch.begun;
        self.batch.jobs.len() >= config.max_batch
            || begun.is_some_and(|begun| begun.at.elapsed() >= config.max_batch_time)
    }

    /// Runs the jobs of the batch from this one on, in its transaction, which it begins if necessary. Returns how
    /// the transaction ended, if it did.
    fn run(&mut self, from: usize) -> Option<Attempt> {
        match self.batch.begun {
            Some(begun) => self.batch.begun = Some(begun.joined(&*self.shared.config.clock)),
            None => {
                if let Err(error) = self.begin() {
                    return Some(Attempt::NotBegun(error));
                }
            }
        }
        let (open, begun) = (self.connection.as_ref()?, self.batch.begun?);
        let ended = open.run(begun, from, &mut self.batch)?;
        if !matches!(ended, Attempt::Undo) {
            return Some(ended);
        }
        self.strategy.careful = CAREFUL_BATCHES;
        self.shared.metrics.reruns.count();
        self.answer_overdue();
        self.batch.begun = None;
        self.batch.isolation = Isolation::Savepoint;
        self.run(0)
    }

    fn begin(&mut self) -> Result<()> {
        if self.batch.gathers {
            self.strategy.careful = self.strategy.careful.saturating_sub(1);
        }
        let begun = match self.connect() {
            Ok(open) => open.begin(),
            Err(error) => {
                // All jobs that wait by now are refused: if the disk takes long to fail, they would wait for one
                // failure after the other.
                self.batch.jobs.extend(self.waiting.drain(..));
                return Err(error);
            }
        };
        let busy = |error: &Error| error.kind() == ErrorKind::Busy;
        self.mind_patience(begun.as_ref().is_err_and(busy));
        self.batch.begun = Some(begun?);
        Ok(())
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

    /// Limits how long this connection, and the next, wait for another program's lock.
    pub(super) fn limit_patience(&mut self, most: Duration) {
        self.busy_timeout = self.busy_timeout.min(most);
        if let Some(open) = &self.connection {
            let _ = open.conn.busy_timeout(self.busy_timeout);
        }
    }

    /// Refuses all waiting jobs because the store is closed.
    pub(super) fn refuse_waiting(&mut self) {
        for job in self.alone.drain(..).chain(self.waiting.drain(..)) {
            job.refuse(Error::closed());
        }
    }

    /// Gives the connection up. The next one is opened when it is needed.
    fn give_up_connection(&mut self) {
        if let Some(open) = self.connection.take() {
            // If its transaction does not end, it would keep the next connection from writing.
            self.suspect = Some(open).filter(|open| open.conn.is_autocommit());
        }
    }

    /// Returns the connection, and opens a new one if it was given up.
    pub(super) fn connect(&mut self) -> Result<&WriteConnection> {
        let open = self.take_connection()?;
        Ok(self.connection.insert(open))
    }

    /// Takes the connection out, in order to close the file.
    pub(super) fn take_connection(&mut self) -> Result<WriteConnection> {
        if let Some(open) = self.connection.take() {
            return Ok(open);
        }
        let open = WriteConnection::open(&self.shared, self.busy_timeout)?;
        self.suspect = None;
        self.strategy = Strategy::default();
        self.shared.metrics.reconnects.count();
        Ok(open)
    }

    /// Records a failure of the store's own work.
    pub(super) fn note_failure(&mut self, error: &Error) {
        self.shared.disk.note(error);
        if error.leaves_in_doubt() {
            self.give_up_connection();
        }
    }

    /// Checks whether the file can be written.
    pub(super) fn probe(&mut self) -> Result<()> {
        self.finish();
        sqlite::write_probe(&self.connect()?.conn)
    }

    /// Takes out whichever connection is open, to save its contents: a new one would open another file.
    pub(super) fn take_open_connection(&mut self) -> Option<WriteConnection> {
        self.connection.take().or_else(|| self.suspect.take())
    }
}
