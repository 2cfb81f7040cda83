//! An operation on its way to a worker and its answer on the way back, without its type.

use crate::cache::Cache;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use std::any::TypeId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The room that a request takes up while it waits and runs. Given back when it is dropped.
pub(super) struct Permit {
    pub(super) _count: OwnedSemaphorePermit,
    pub(super) _bytes: Option<OwnedSemaphorePermit>,
}

/// What a mutation did when it was tried.
pub(super) enum Outcome {
    Done,
    Failed,
    Panicked,
}

/// What every request can do, whatever it asks for.
pub(super) trait Request: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// The error of the last run, if it failed.
    fn failure(&self) -> Option<&Error>;
    /// Gives the caller the outcome of the last run.
    fn answer(self: Box<Self>);
    /// Gives the caller this error, whatever the last run gave.
    fn refuse(self: Box<Self>, error: Error);
}

/// A mutation that waits for its commit. Its outcome is kept until the transaction's fate is known.
pub(super) trait WriteRequest: Request {
    /// Runs the operation; a panic in it is an outcome.
    fn apply(&mut self, tx: &WriteTx<'_>) -> Outcome;
}

/// A query that waits for a reader.
pub(super) trait ReadRequest: Request {
    fn deadline(&self) -> Instant;
    /// Runs the query; keeps its answer if it may be kept. `seen` is the last commit that was
    /// finished before the snapshot began.
    fn fetch(&mut self, tx: &ReadTx<'_>, cache: &Cache, seen: u64) -> Outcome;
}

/// An operation, its outcome once it ran, and the way back to the caller. Dropped unanswered, it
/// answers [`ErrorKind::Closed`], because the caller sees the channel close.
struct Pending<O, T> {
    name: &'static str,
    operation: O,
    deadline: Instant,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
    permit: Permit,
}

impl<O, T> Pending<O, T> {
    /// Runs `work` on the operation and keeps what it gives.
    fn run(&mut self, work: impl FnOnce(&O) -> Result<T>) -> Outcome {
        let name = self.name;
        // Whatever the closure may leave half-changed is inside the transaction, and that is
        // rolled back when this fails.
        let result = catch_unwind(AssertUnwindSafe(|| work(&self.operation)));
        // The outcome of a run that was rolled back may panic when it is dropped.
        let rolled_back = self.outcome.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(rolled_back)));
        let (outcome, kept) = match result {
            Ok(Ok(value)) => (Outcome::Done, Ok(value)),
            Ok(Err(error)) => (Outcome::Failed, Err(error.in_operation(name))),
            Err(payload) => {
                // It may quote user data, and the panic hook has had it; and it may panic when it is
                // dropped, so it is not.
                std::mem::forget(payload);
                let error = Error::new(
                    ErrorKind::Panicked,
                    "the operation's own code panicked and nothing was changed; \
                     the panic's message is where the panic hook writes",
                );
                (Outcome::Panicked, Err(error.in_operation(name)))
            }
        };
        self.outcome = Some(kept);
        outcome
    }

    /// Gives up the operation and its room, and only then answers: so who has the answer of the
    /// last request in flight finds room for the next.
    fn finish(self, error: Option<Error>) {
        let Self {
            operation,
            outcome,
            reply,
            permit,
            ..
        } = self;
        // A host's `Drop` may panic too: that of the operation, and that of an answer which nobody
        // takes.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(operation)));
        drop(permit);
        let _ = catch_unwind(AssertUnwindSafe(move || {
            let outcome = match error {
                Some(error) => Err(error),
                None => outcome.unwrap_or_else(|| Err(Error::closed())),
            };
            let _ = reply.send(outcome);
        }));
    }
}

impl<O: Send, T: Send> Request for Pending<O, T> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn failure(&self) -> Option<&Error> {
        self.outcome.as_ref()?.as_ref().err()
    }

    fn answer(self: Box<Self>) {
        (*self).finish(None);
    }

    fn refuse(self: Box<Self>, error: Error) {
        let error = error.in_operation(self.name);
        (*self).finish(Some(error));
    }
}

impl<M: Mutation> WriteRequest for Pending<M, M::Output> {
    fn apply(&mut self, tx: &WriteTx<'_>) -> Outcome {
        self.run(|operation| operation.apply(tx))
    }
}

impl<Q: Query> ReadRequest for Pending<Q, Q::Output> {
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn fetch(&mut self, tx: &ReadTx<'_>, cache: &Cache, seen: u64) -> Outcome {
        self.run(|operation| {
            let answer = operation.fetch(tx)?;
            if let Some(kept) = operation.kept() {
                cache.put(TypeId::of::<Q>(), &kept, &answer, tx, seen)?;
            }
            Ok(answer)
        })
    }
}

/// Where the caller waits for the answer.
pub(super) type Reply<T> = oneshot::Receiver<Result<T>>;

pub(super) fn mutation<M: Mutation>(
    operation: M,
    permit: Permit,
) -> (Box<dyn WriteRequest>, Reply<M::Output>) {
    let (request, reply) = pending(M::name(), operation, Instant::now(), permit);
    (request, reply)
}

pub(super) fn query<Q: Query>(
    operation: Q,
    deadline: Instant,
    permit: Permit,
) -> (Box<dyn ReadRequest>, Reply<Q::Output>) {
    let (request, reply) = pending(Q::name(), operation, deadline, permit);
    (request, reply)
}

fn pending<O, T>(
    name: &'static str,
    operation: O,
    deadline: Instant,
    permit: Permit,
) -> (Box<Pending<O, T>>, Reply<T>) {
    let (reply, answer) = oneshot::channel();
    let request = Box::new(Pending {
        name,
        operation,
        deadline,
        outcome: None,
        reply,
        permit,
    });
    (request, answer)
}
