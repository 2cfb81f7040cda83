//! A job: an operation on its way to the writer or a reader, without its type, and the caller that waits for it.
//!
//! An operation's panic ends here: it harms neither the thread that runs or drops the operation, nor the one that
//! wakes the caller.

use super::in_flight::Permit;
use crate::cache::{Cache, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Mutation, Pieces, Query, ReadTx, WriteTx};
use crate::panics::{caught, quietly};
use crate::sqlite::Watchdog;
use std::any::TypeId;
use std::mem;
use tokio::sync::oneshot;

/// What every job can do, whatever its operation.
pub(super) trait Job: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// The error of the last run, if it failed.
    fn error(&self) -> Option<&Error>;

    /// Sends the outcome of the last run to the caller.
    fn answer(self: Box<Self>);

    /// Sends this error to the caller, whatever the outcome of the last run.
    fn refuse(self: Box<Self>, error: Error);
}

/// A mutation that waits for its commit. Its outcome is kept until that of its transaction is known.
pub(super) trait WriteJob: Job {
    /// Runs the mutation. It may be run again: because the transaction was rolled back, or because there are more
    /// pieces.
    fn run(&mut self, tx: &WriteTx<'_>);

    /// Whether it has to be run again after its commit, because it has more pieces.
    fn goes_on(&mut self) -> bool;
}

/// A query that waits for a reader.
pub(super) trait ReadJob: Job {
    /// The query's name.
    fn name(&self) -> &'static str;

    /// Runs the query, and caches its answer if it may be cached. It may be run again, if the first run was
    /// interrupted.
    fn run(&mut self, tx: &ReadTx<'_>, cache: &AnswerCache<'_>);
}

/// Caches the answer of a query that runs in this snapshot.
pub(super) struct AnswerCache<'a> {
    pub(super) cache: &'a Cache,
    pub(super) snapshot: &'a Snapshot,
    /// That of the query.
    pub(super) watchdog: &'a Watchdog,
}

impl AnswerCache<'_> {
    fn put<Q: Query>(&self, query: &Q, answer: &Q::Output, tx: &ReadTx<'_>) -> Result<()> {
        let kept = query.cacheable();
        // An interrupted query may have passed over the error, and answer whatever it has.
        match kept.filter(|_| !self.watchdog.has_interrupted()) {
            None => Ok(()),
            Some(kept) => self
                .cache
                .put(TypeId::of::<Q>(), &kept, answer, tx, self.snapshot),
        }
    }
}

/// An operation, the outcome of its last run, and the caller that waits for it.
pub(super) struct Pending<O, T> {
    name: &'static str,
    /// Dropped when the job is answered.
    operation: Option<O>,
    outcome: Option<Result<T>>,
    pieces: Pieces,
    permit: Option<Permit>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

/// The caller's end, on which it waits.
pub(super) type Reply<T> = oneshot::Receiver<Result<T>>;

impl<O, T> Pending<O, T> {
    pub(super) fn new(name: &'static str, operation: O, permit: Permit) -> Self {
        Self {
            name,
            operation: Some(operation),
            outcome: None,
            pieces: Pieces::Fresh,
            permit: Some(permit),
            reply: None,
        }
    }

    /// The end on which its caller waits, for a job that is sent to an actor.
    pub(super) fn reply(&mut self) -> Reply<T> {
        let (reply, receiver) = oneshot::channel();
        self.reply = Some(reply);
        receiver
    }

    /// The outcome of the last run, for a caller that has run the job itself. The job is over then.
    pub(super) fn take_outcome(&mut self) -> Option<Result<T>> {
        let outcome = self.outcome.take()?;
        self.finish(None);
        Some(outcome)
    }

    fn run_with(&mut self, work: impl FnOnce(&O) -> Result<T>) {
        let Some(operation) = &self.operation else {
            return;
        };
        // Whatever a panic leaves half-changed is inside the transaction, which is then rolled back.
        let outcome = caught(|| work(operation)).unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::Panicked,
                "the operation's own code panicked and nothing was changed; the panic hook's output \
                 has the panic's message",
            ))
        });
        let outcome = outcome.map_err(|error| error.in_operation(self.name));
        let before = self.outcome.replace(outcome);
        quietly(|| drop(before));
    }

    fn finish(&mut self, answer: Option<Result<T>>) {
        // The operation and its permit are dropped first: so a caller that has the answer of the last request in
        // flight finds a permit for the next one.
        let operation = self.operation.take();
        quietly(|| drop(operation));
        drop(self.permit.take());
        let reply = self.reply.take();
        // The waker belongs to the host's executor, and an answer that nobody takes is dropped here.
        quietly(|| {
            if let (Some(reply), Some(answer)) = (reply, answer) {
                drop(reply.send(answer));
            }
        });
        let unused = self.outcome.take();
        quietly(|| drop(unused));
    }
}

/// This also covers a job that is never answered because its actor was given up: its parts are the host's, their
/// drop may panic, and other jobs may have to be dropped after it.
impl<O, T> Drop for Pending<O, T> {
    fn drop(&mut self) {
        self.finish(None);
    }
}

impl<O: Send, T: Send> Job for Pending<O, T> {
    fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn error(&self) -> Option<&Error> {
        self.outcome.as_ref()?.as_ref().err()
    }

    fn answer(mut self: Box<Self>) {
        let answer = self.outcome.take();
        self.finish(Some(answer.unwrap_or_else(|| Err(Error::closed()))));
    }

    fn refuse(mut self: Box<Self>, error: Error) {
        self.finish(Some(Err(error)));
    }
}

impl<M: Mutation> WriteJob for Pending<M, M::Output> {
    fn run(&mut self, tx: &WriteTx<'_>) {
        tx.lend(mem::take(&mut self.pieces));
        self.run_with(|mutation| mutation.apply(tx));
        self.pieces = tx.take_back();
    }

    fn goes_on(&mut self) -> bool {
        self.error().is_none() && self.pieces.go_on()
    }
}

impl<Q: Query> ReadJob for Pending<Q, Q::Output> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, tx: &ReadTx<'_>, cache: &AnswerCache<'_>) {
        self.run_with(|query| {
            let answer = query.fetch(tx)?;
            cache.put(query, &answer, tx)?;
            Ok(answer)
        });
    }
}
