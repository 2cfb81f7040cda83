//! The way in: takes an operation, waits for a permit, hands the operation to an actor, and waits for the answer.

use super::callers_reads::CallersReads;
use super::in_flight::{Entry, InFlightLimit};
use super::job::{Pending, Reply};
use super::queue::WorkQueue;
use super::shared::Shared;
use super::writer::{Admitted, Optimize, Writer};
use crate::error::Result;
use crate::json;
use crate::operation::{Lane, Mutation, Query};
use crate::texts::Texts;
use actix::Addr;
use serde_json::Value;
use std::any::TypeId;
use std::sync::Arc;
use std::time::Instant;

/// The callers' side of the engine.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(super) writer: Addr<Writer>,
    pub(super) write_limit: InFlightLimit,
    pub(super) interactive: Arc<WorkQueue>,
    pub(super) analytics: Arc<WorkQueue>,
    pub(super) callers_reads: CallersReads,
}

impl Handle {
    pub(crate) fn write<M: Mutation>(
        &self,
        mutation: M,
        entry: Entry<'_>,
    ) -> impl Future<Output = Result<M::Output>> + Send {
        self.write_as(M::name(), mutation, entry)
    }

    /// As `write`, under another name than the type's.
    pub(crate) async fn write_as<M: Mutation>(
        &self,
        name: &'static str,
        mutation: M,
        entry: Entry<'_>,
    ) -> Result<M::Output> {
        let answer = async {
            let mutation = self.check(mutation, M::texts, M::take_json)?;
            let bytes = mutation.size_bytes();
            let _place = entry.place(bytes)?;
            let permit = self.write_limit.enter(bytes, entry).await;
            self.shared.check_open()?;
            self.shared.files.check()?;
            let mut pending = Pending::new(name, mutation, permit?);
            let reply = pending.reply();
            self.writer.do_send(Admitted(Box::new(pending)));
            self.answer(reply).await
        };
        answer.await.map_err(|error| error.in_operation(name))
    }

    pub(crate) fn read<Q: Query>(
        &self,
        query: Q,
        entry: Entry<'_>,
    ) -> impl Future<Output = Result<Q::Output>> + Send {
        self.read_as(Q::name(), Q::LANE, query, entry)
    }

    /// As `read`, with another name and lane than the type's.
    pub(crate) async fn read_as<Q: Query>(
        &self,
        name: &'static str,
        lane: Lane,
        query: Q,
        entry: Entry<'_>,
    ) -> Result<Q::Output> {
        // A cached answer's query was checked before.
        if let Some(answer) = self.cached(&query) {
            return Ok(answer);
        }
        let queue = self.queue(lane);
        let deadline = queue.deadline();
        let answer = async {
            let query = self.check(query, Q::texts, Q::take_json)?;
            let bytes = query.size_bytes();
            let _place = entry.place(bytes)?;
            let permit = queue.limit.enter(bytes, entry).await;
            self.shared.check_open()?;
            let mut pending = Pending::new(name, query, permit?);
            if self.runs_here(lane, entry)
                && self.callers_reads.run(&self.shared, &mut pending, deadline)
                && let Some(answer) = pending.take_outcome()
            {
                return answer;
            }
            let reply = pending.reply();
            queue.push(Box::new(pending), deadline);
            self.answer(reply).await
        };
        let answer = queue.wait(deadline, answer).await;
        answer.map_err(|error| error.in_operation(name))
    }

    /// Whether a query may run on the thread that polls it. Not if it came as a message: then that is the store's
    /// own thread.
    fn runs_here(&self, lane: Lane, entry: Entry<'_>) -> bool {
        lane == Lane::Interactive && !matches!(entry, Entry::Behind(_))
    }

    /// Refuses a message in a forked child, and one that is too large, before it takes a permit.
    fn check<O>(
        &self,
        mut operation: O,
        texts: impl FnOnce(&O, &mut Texts),
        take_json: impl FnOnce(&mut O, &mut Vec<Value>),
    ) -> Result<O> {
        let limits = self.shared.config.limits();
        let fits = || limits.check(|named| texts(&operation, named));
        let Err(error) = self.shared.check_process().and_then(|()| fits()) else {
            return Ok(operation);
        };
        json::drop_flat(|values| take_json(&mut operation, values));
        Err(error)
    }

    async fn answer<T>(&self, reply: Reply<T>) -> Result<T> {
        let answer = reply.await;
        answer.unwrap_or_else(|_| Err(self.shared.why_dropped()))
    }

    /// The answer in the row cache, if there is one that still holds.
    fn cached<Q: Query>(&self, query: &Q) -> Option<Q::Output> {
        self.shared.check_open().ok()?;
        let kept = query.cacheable()?;
        let now = Instant::now();
        if self.shared.process.is_forked_at(now) {
            return None;
        }
        self.shared.cache.get(TypeId::of::<Q>(), &kept, now)
    }

    pub(super) fn queue(&self, lane: Lane) -> &WorkQueue {
        match lane {
            Lane::Interactive => &self.interactive,
            Lane::Analytics => &self.analytics,
        }
    }

    /// A limit of `times` the configured number of requests and bytes in flight.
    pub(crate) fn in_flight_limit(&self, times: usize) -> InFlightLimit {
        InFlightLimit::new(&self.shared.config, times)
    }

    /// Refreshes the query planner's statistics.
    pub(crate) async fn optimize(&self) -> Result<()> {
        let done = self.writer.send(Optimize).await;
        done.unwrap_or_else(|_| Err(self.shared.why_dropped()))
    }

    /// From here on no request is accepted; those that wait for a permit get `Closed`.
    pub(super) fn begin_closing(&self) {
        self.shared.begin_closing();
        self.write_limit.close();
        self.interactive.limit.close();
        self.analytics.limit.close();
    }

    /// Mutations waiting, mutations in flight, bytes they hold.
    pub(crate) fn write_load(&self) -> (usize, usize, usize) {
        let (limit, metrics) = (&self.write_limit, &self.shared.metrics);
        let in_flight = limit.in_flight();
        let waiting = in_flight.saturating_sub(metrics.in_batch.get() as usize);
        (waiting, in_flight, limit.bytes_in_flight())
    }

    /// Queries of a lane that were answered on their callers' threads, and that were interrupted there.
    pub(crate) fn reads_of_callers(&self, lane: Lane) -> (u64, u64) {
        match lane {
            Lane::Interactive => self.callers_reads.counts(),
            Lane::Analytics => (0, 0),
        }
    }

    /// Queries waiting and in flight on a lane.
    pub(crate) fn read_load(&self, lane: Lane) -> (usize, usize) {
        let queue = self.queue(lane);
        (queue.waiting(), queue.limit.in_flight())
    }
}
