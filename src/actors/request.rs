//! An operation on its way to a worker and its answer on the way back, without its type.
//!
//! Caller and worker share one allocation: the operation, its outcome and the answer's place are in
//! it. A boxed request with a oneshot channel of tokio's was turned down: two allocations, and a
//! caller that gives up drops the answer wherever the worker happens to be.

use crate::cache::Cache;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use std::any::TypeId;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

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

/// What the caller is to be told.
pub(super) enum Verdict {
    /// The outcome of the last run.
    Outcome,
    /// This, whatever the last run gave.
    Refused(Error),
    /// That the request was dropped on its way.
    Dropped,
}

/// What every request can do, whatever it asks for.
pub(super) trait Request: Send + Sync {
    /// The operation's name.
    fn name(&self) -> &'static str;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// The error of the last run, if it failed.
    fn failure(&self) -> Option<Error>;
    /// Answers the caller. Only the first time counts.
    fn finish(&self, verdict: Verdict);
}

/// A mutation that waits for its commit. Its outcome is kept until the transaction's fate is known.
pub(super) trait WriteRequest: Request {
    /// Runs the operation; a panic in it is an outcome.
    fn apply(&self, tx: &WriteTx<'_>) -> Outcome;
}

/// A query that waits for a reader.
pub(super) trait ReadRequest: Request {
    fn deadline(&self) -> Instant;
    /// Runs the query; keeps its answer if it may be kept. `seen` is the last commit that was
    /// finished before the snapshot began.
    fn fetch(&self, tx: &ReadTx<'_>, cache: &Cache, seen: u64) -> Outcome;
}

/// The worker's end of a request. Dropped unanswered, it answers [`ErrorKind::Closed`].
pub(super) struct Ticket<R: ?Sized + Request>(Arc<R>);

impl<R: ?Sized + Request> Ticket<R> {
    /// Gives the caller the outcome of the last run.
    pub(super) fn answer(self) {
        self.0.finish(Verdict::Outcome);
    }

    /// Gives the caller this error, whatever the last run gave.
    pub(super) fn refuse(self, error: Error) {
        self.0.finish(Verdict::Refused(error));
    }
}

impl<R: ?Sized + Request> std::ops::Deref for Ticket<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

impl<R: ?Sized + Request> Drop for Ticket<R> {
    fn drop(&mut self) {
        self.0.finish(Verdict::Dropped);
    }
}

/// The caller's end. Dropped, it gives the answer up.
pub(super) struct Reply<O, T, D>(Arc<Pending<O, T, D>>);

impl<O, T, D> Future for Reply<O, T, D> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut answer = lock(&self.0.answer);
        match mem::replace(&mut *answer, Answer::Over) {
            Answer::Given(outcome) => Poll::Ready(outcome),
            Answer::Awaited(_) => {
                *answer = Answer::Awaited(Some(cx.waker().clone()));
                Poll::Pending
            }
            Answer::Over => Poll::Ready(Err(Error::closed())),
        }
    }
}

impl<O, T, D> Drop for Reply<O, T, D> {
    fn drop(&mut self) {
        // Taken out first: dropping it may run a host's code.
        let left = mem::replace(&mut *lock(&self.0.answer), Answer::Over);
        drop(left);
    }
}

/// Where the answer is put.
enum Answer<T> {
    Awaited(Option<Waker>),
    Given(Result<T>),
    /// Taken, or given up by the caller.
    Over,
}

/// What is the worker's until it has answered.
struct Work<O, T> {
    operation: O,
    outcome: Option<Result<T>>,
    permit: Permit,
}

/// What caller and worker share. `D` is a query's deadline; a mutation's begins when it runs.
struct Pending<O, T, D> {
    name: &'static str,
    deadline: D,
    /// Only the worker looks in here.
    work: Mutex<Option<Work<O, T>>>,
    answer: Mutex<Answer<T>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<O, T, D> Pending<O, T, D> {
    /// Runs `work` on the operation and keeps what it gives.
    fn run(&self, work: impl FnOnce(&O) -> Result<T>) -> Outcome {
        let mut place = lock(&self.work);
        let Some(Work {
            operation, outcome, ..
        }) = place.as_mut()
        else {
            return Outcome::Failed;
        };
        // Whatever the closure may leave half-changed is inside the transaction, and that is
        // rolled back when this fails.
        let result = catch_unwind(AssertUnwindSafe(|| work(operation)));
        // That of a run that was rolled back.
        drop_host_value(outcome.take());
        let (did, kept) = match result {
            Ok(Ok(value)) => (Outcome::Done, Ok(value)),
            Ok(Err(error)) => (Outcome::Failed, Err(error.in_operation(self.name))),
            Err(payload) => {
                // It may quote user data, and the panic hook has had it; and it may panic when it is
                // dropped, so it is not.
                mem::forget(payload);
                let error = Error::new(
                    ErrorKind::Panicked,
                    "the operation's own code panicked and nothing was changed; \
                     the panic's message is where the panic hook writes",
                );
                (Outcome::Panicked, Err(error.in_operation(self.name)))
            }
        };
        *outcome = Some(kept);
        did
    }
}

impl<O: Send, T: Send, D: Send + Sync> Request for Pending<O, T, D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_abandoned(&self) -> bool {
        matches!(*lock(&self.answer), Answer::Over)
    }

    fn failure(&self) -> Option<Error> {
        let work = lock(&self.work);
        work.as_ref()?.outcome.as_ref()?.as_ref().err().cloned()
    }

    fn finish(&self, verdict: Verdict) {
        let Some(work) = lock(&self.work).take() else {
            return;
        };
        // The operation and its room are given up first: so who has the answer of the last request
        // in flight finds room for the next.
        drop_host_value(work.operation);
        drop(work.permit);
        let (given, replaced) = match verdict {
            Verdict::Outcome => (work.outcome, None),
            Verdict::Refused(error) => (Some(Err(error)), work.outcome),
            Verdict::Dropped => (None, work.outcome),
        };
        let given = given
            .unwrap_or_else(|| Err(Error::closed()))
            .map_err(|error| error.in_operation(self.name));
        let mut answer = lock(&self.answer);
        match mem::replace(&mut *answer, Answer::Over) {
            Answer::Awaited(waker) => {
                *answer = Answer::Given(given);
                drop(answer);
                // The executor may be the host's, and gone.
                quietly(|| waker.into_iter().for_each(Waker::wake));
            }
            Answer::Given(_) | Answer::Over => {
                drop(answer);
                drop_host_value(given);
            }
        }
        drop_host_value(replaced);
    }
}

/// Drops what a host's type may panic in.
fn drop_host_value<T>(value: T) {
    quietly(move || drop(value));
}

/// Runs a host's code whose panic is nobody's business here.
fn quietly(host: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(host)) {
        // Which may panic itself when it is dropped.
        mem::forget(payload);
    }
}

impl<M: Mutation> WriteRequest for Pending<M, M::Output, ()> {
    fn apply(&self, tx: &WriteTx<'_>) -> Outcome {
        self.run(|operation| operation.apply(tx))
    }
}

impl<Q: Query> ReadRequest for Pending<Q, Q::Output, Instant> {
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn fetch(&self, tx: &ReadTx<'_>, cache: &Cache, seen: u64) -> Outcome {
        self.run(|operation| {
            let answer = operation.fetch(tx)?;
            if let Some(kept) = operation.kept() {
                cache.put(TypeId::of::<Q>(), &kept, &answer, tx, seen)?;
            }
            Ok(answer)
        })
    }
}

pub(super) fn mutation<M: Mutation>(
    operation: M,
    permit: Permit,
) -> (Ticket<dyn WriteRequest>, Reply<M, M::Output, ()>) {
    let shared = pending(M::name(), operation, (), permit);
    (Ticket(Arc::clone(&shared) as _), Reply(shared))
}

pub(super) fn query<Q: Query>(
    operation: Q,
    deadline: Instant,
    permit: Permit,
) -> (Ticket<dyn ReadRequest>, Reply<Q, Q::Output, Instant>) {
    let shared = pending(Q::name(), operation, deadline, permit);
    (Ticket(Arc::clone(&shared) as _), Reply(shared))
}

fn pending<O, T, D>(
    name: &'static str,
    operation: O,
    deadline: D,
    permit: Permit,
) -> Arc<Pending<O, T, D>> {
    Arc::new(Pending {
        name,
        deadline,
        work: Mutex::new(Some(Work {
            operation,
            outcome: None,
            permit,
        })),
        answer: Mutex::new(Answer::Awaited(None)),
    })
}
