//! The way in: takes an operation, waits for room, queues it, and waits for the answer.

use super::archivist::LastRuns;
use super::lane::Lane;
use super::request::{self, Permit, ReadRequest, WriteRequest};
use super::room::Room;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::events::Subscribers;
use crate::health::{CheckpointReport, Metrics};
use crate::json;
use crate::limits::Limits;
use crate::operation::{self, Mutation, Query};
use crate::time::{self, Clock};
use chrono::{DateTime, Utc};
use std::any::TypeId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A lane of queries: its queue, its bound, and how long a query may take.
pub(super) struct QueryLane {
    pub(super) lane: Arc<Lane<dyn ReadRequest>>,
    room: Room,
    deadline: Duration,
}

/// What callers and actors share. Knows the lanes, not the actors behind them.
pub(crate) struct Dispatch {
    pub(super) writes: Arc<Lane<dyn WriteRequest>>,
    write_room: Room,
    pub(super) interactive: QueryLane,
    pub(super) analytics: QueryLane,
    closing: AtomicBool,
    pub(super) limits: Limits,
    pub(super) cache: Cache,
    pub(super) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(super) last_checkpoint: Mutex<Option<CheckpointReport>>,
    pub(crate) last_runs: LastRuns,
    pub(crate) subscribers: Subscribers,
}

impl Dispatch {
    pub(super) fn new(
        config: &Config,
        writes: Arc<Lane<dyn WriteRequest>>,
        interactive: Arc<Lane<dyn ReadRequest>>,
        analytics: Arc<Lane<dyn ReadRequest>>,
    ) -> Self {
        let query_lane = |lane, deadline| QueryLane {
            lane,
            room: Room::new(config.max_in_flight, config.max_in_flight_bytes),
            deadline,
        };
        Self {
            writes,
            write_room: Room::new(config.max_in_flight, config.max_in_flight_bytes),
            interactive: query_lane(interactive, config.interactive_deadline),
            analytics: query_lane(analytics, config.analytics_deadline),
            closing: AtomicBool::new(false),
            limits: config.limits(),
            cache: Cache::new(config.kept_answers, config.kept_answers_bytes),
            clock: Arc::clone(&config.clock),
            metrics: Metrics::default(),
            last_checkpoint: Mutex::new(None),
            last_runs: LastRuns::default(),
            subscribers: Subscribers::default(),
        }
    }

    pub(crate) async fn write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        self.write_admitted(self.admit_mutation(mutation)?).await
    }

    pub(crate) async fn try_write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        let mutation = self.admit_mutation(mutation)?;
        let permit = self.write_room.try_enter(mutation.size_bytes());
        self.run_mutation(mutation, permit).await
    }

    /// Gives the message back, or refuses it as too large before it takes room.
    pub(super) fn admit_mutation<M: Mutation>(&self, mut mutation: M) -> Result<M> {
        match self.limits.check(|texts| mutation.texts(texts)) {
            Ok(()) => Ok(mutation),
            Err(error) => {
                json::drop_flat(|values| mutation.take_json(values));
                Err(error.in_operation(M::name()))
            }
        }
    }

    pub(super) async fn write_admitted<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        let permit = self.write_room.enter(mutation.size_bytes()).await;
        self.run_mutation(mutation, permit).await
    }

    async fn run_mutation<M: Mutation>(
        &self,
        mutation: M,
        permit: Result<Permit>,
    ) -> Result<M::Output> {
        let named = |error: Error| error.in_operation(M::name());
        let (request, reply) = request::mutation(mutation, permit.map_err(named)?);
        self.check_open().map_err(named)?;
        self.writes.send(request);
        reply.await
    }

    /// The kept answer, if there is one that holds.
    fn kept<Q: Query>(&self, query: &Q) -> Option<Q::Output> {
        if self.is_closing() {
            return None;
        }
        self.cache.get(TypeId::of::<Q>(), &query.kept()?)
    }

    pub(crate) async fn read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.read_admitted(self.admit_query(query)?).await
    }

    pub(crate) async fn try_read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        let query = self.admit_query(query)?;
        if let Some(answer) = self.kept(&query) {
            return Ok(answer);
        }
        let lane = self.lane(Q::LANE);
        let deadline = Instant::now() + lane.deadline;
        let permit = lane.room.try_enter(query.size_bytes());
        self.run_query(query, deadline, permit).await
    }

    /// The same for questions.
    pub(super) fn admit_query<Q: Query>(&self, mut query: Q) -> Result<Q> {
        match self.limits.check(|texts| query.texts(texts)) {
            Ok(()) => Ok(query),
            Err(error) => {
                json::drop_flat(|values| query.take_json(values));
                Err(error.in_operation(Q::name()))
            }
        }
    }

    pub(super) async fn read_admitted<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        if let Some(answer) = self.kept(&query) {
            return Ok(answer);
        }
        let lane = self.lane(Q::LANE);
        let deadline = Instant::now() + lane.deadline;
        let permit = lane.room.enter(query.size_bytes()).await;
        self.run_query(query, deadline, permit).await
    }

    async fn run_query<Q: Query>(
        &self,
        query: Q,
        deadline: Instant,
        permit: Result<Permit>,
    ) -> Result<Q::Output> {
        let named = |error: Error| error.in_operation(Q::name());
        let (request, reply) = request::query(query, deadline, permit.map_err(named)?);
        self.check_open().map_err(named)?;
        self.lane(Q::LANE).lane.send(request);
        reply.await
    }

    fn lane(&self, lane: operation::Lane) -> &QueryLane {
        match lane {
            operation::Lane::Interactive => &self.interactive,
            operation::Lane::Analytics => &self.analytics,
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.closing.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        Ok(())
    }

    /// From here on nothing new is taken in; those who wait for room get `Closed`.
    pub(super) fn shut(&self) {
        self.closing.store(true, Ordering::Release);
        self.write_room.close();
        self.interactive.room.close();
        self.analytics.room.close();
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The time for what the store does by itself, and must not end with a clock that panics.
    pub(crate) fn now_for_upkeep(&self) -> DateTime<Utc> {
        time::ask(&*self.clock).unwrap_or_else(|_| Utc::now())
    }

    /// Whether the store takes requests: open, everybody at work, the disk well when last seen.
    pub(crate) fn is_sound(&self) -> bool {
        !self.is_closing()
            && !self.metrics.is_ailing()
            && !self.metrics.keeps_log()
            && self.metrics.damage().is_none()
            && self.writes.is_staffed()
            && self.interactive.lane.is_staffed()
            && self.analytics.lane.is_staffed()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Mutations waiting, mutations in flight, bytes they hold.
    pub(crate) fn write_load(&self) -> (usize, usize, usize) {
        let room = &self.write_room;
        (self.writes.len(), room.in_flight(), room.bytes_in_flight())
    }

    /// Queries waiting and in flight on a lane.
    pub(crate) fn read_load(&self, lane: operation::Lane) -> (usize, usize) {
        let lane = self.lane(lane);
        (lane.lane.len(), lane.room.in_flight())
    }

    pub(crate) fn checkpoint_report(&self) -> Option<CheckpointReport> {
        *self
            .last_checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
