//! The way in: takes an operation, waits for room, hands it to an actor, and waits for the answer.

use super::in_flight::{InFlightLimit, Permit};
use super::job::{Pending, Reply};
use super::queue::WorkQueue;
use super::shared::Shared;
use super::writer::{Admitted, Optimize, Writer};
use crate::error::{Error, Result};
use crate::json;
use crate::operation::{Lane, Mutation, Query};
use actix::Addr;
use std::any::TypeId;
use std::sync::Arc;
use std::time::Instant;

/// What callers have of the engine.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(super) writer: Addr<Writer>,
    pub(super) write_limit: InFlightLimit,
    pub(super) interactive: Arc<WorkQueue>,
    pub(super) analytics: Arc<WorkQueue>,
}

/// A message that may be handed over: none of its texts is too large.
pub(crate) struct Checked<O>(pub(crate) O);

impl Handle {
    /// Refuses a message that is too large, before it takes room.
    pub(crate) fn check_mutation<M: Mutation>(&self, mut mutation: M) -> Result<Checked<M>> {
        self.shared.check_process()?;
        let limits = self.shared.config.limits();
        let Err(error) = limits.check(|texts| mutation.texts(texts)) else {
            return Ok(Checked(mutation));
        };
        json::drop_flat(|values| mutation.take_json(values));
        Err(error.in_operation(M::name()))
    }

    /// The same for queries.
    pub(crate) fn check_query<Q: Query>(&self, mut query: Q) -> Result<Checked<Q>> {
        self.shared.check_process()?;
        let limits = self.shared.config.limits();
        let Err(error) = limits.check(|texts| query.texts(texts)) else {
            return Ok(Checked(query));
        };
        json::drop_flat(|values| query.take_json(values));
        Err(error.in_operation(Q::name()))
    }

    pub(crate) async fn write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        self.write_checked(self.check_mutation(mutation)?).await
    }

    pub(crate) async fn write_checked<M: Mutation>(
        &self,
        mutation: Checked<M>,
    ) -> Result<M::Output> {
        let permit = self.write_limit.acquire(mutation.0.size_bytes()).await;
        self.run_mutation(mutation.0, permit).await
    }

    pub(crate) async fn try_write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        let Checked(mutation) = self.check_mutation(mutation)?;
        let permit = self.write_limit.try_acquire(mutation.size_bytes());
        self.run_mutation(mutation, permit).await
    }

    async fn run_mutation<M: Mutation>(
        &self,
        mutation: M,
        permit: Result<Permit>,
    ) -> Result<M::Output> {
        let named = |error: Error| error.in_operation(M::name());
        let may = || {
            self.shared
                .check_open()
                .and_then(|()| self.shared.files.check())
        };
        may().map_err(named)?;
        let (pending, reply) = Pending::new(M::name(), mutation, permit.map_err(named)?);
        self.writer.do_send(Admitted(Box::new(pending)));
        self.answer(reply).await.map_err(named)
    }

    pub(crate) async fn read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        // What is cached was checked before.
        match self.cached(&query) {
            Some(answer) => Ok(answer),
            None => self.read_anew(self.check_query(query)?).await,
        }
    }

    pub(crate) async fn read_checked<Q: Query>(&self, query: Checked<Q>) -> Result<Q::Output> {
        match self.cached(&query.0) {
            Some(answer) => Ok(answer),
            None => self.read_anew(query).await,
        }
    }

    async fn read_anew<Q: Query>(&self, Checked(query): Checked<Q>) -> Result<Q::Output> {
        let queue = self.queue(Q::LANE);
        let deadline = queue.deadline();
        let answer = async {
            let permit = queue.limit.acquire(query.size_bytes()).await;
            self.run_query(query, deadline, permit).await
        };
        let answer = queue.wait(deadline, answer).await;
        answer.map_err(|error| error.in_operation(Q::name()))
    }

    pub(crate) async fn try_read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        if let Some(answer) = self.cached(&query) {
            return Ok(answer);
        }
        let Checked(query) = self.check_query(query)?;
        let queue = self.queue(Q::LANE);
        let deadline = queue.deadline();
        let permit = queue.limit.try_acquire(query.size_bytes());
        let answer = queue.wait(deadline, self.run_query(query, deadline, permit));
        answer.await.map_err(|error| error.in_operation(Q::name()))
    }

    async fn run_query<Q: Query>(
        &self,
        query: Q,
        deadline: Instant,
        permit: Result<Permit>,
    ) -> Result<Q::Output> {
        self.shared.check_open()?;
        let (pending, reply) = Pending::new(Q::name(), query, permit?);
        self.queue(Q::LANE).push(Box::new(pending), deadline);
        self.answer(reply).await
    }

    async fn answer<T>(&self, reply: Reply<T>) -> Result<T> {
        let answer = reply.await;
        answer.unwrap_or_else(|_| Err(self.shared.why_dropped()))
    }

    /// The answer in the row cache, if there is one that holds.
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

    /// A limit of so many times as many requests, and bytes, as may be in flight.
    pub(crate) fn in_flight_limit(&self, times: usize) -> InFlightLimit {
        let config = &self.shared.config;
        InFlightLimit::new(
            config.max_in_flight.saturating_mul(times),
            config.max_in_flight_bytes.saturating_mul(times),
        )
    }

    /// Refreshes the query planner's statistics.
    pub(crate) async fn optimize(&self) -> Result<()> {
        let done = self.writer.send(Optimize).await;
        done.unwrap_or_else(|_| Err(self.shared.why_dropped()))
    }

    /// From here on nothing new is let in; those who wait for room get `Closed`.
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

    /// Queries waiting and in flight on a lane.
    pub(crate) fn read_load(&self, lane: Lane) -> (usize, usize) {
        let queue = self.queue(lane);
        (queue.waiting(), queue.limit.in_flight())
    }
}
