//! The clock, and what comes again by it.

use super::Config;
use crate::operation::Mutation;
use crate::schedule::Schedule;
use crate::time::Clock;
#[cfg(doc)]
use crate::time::SystemClock;
use std::sync::Arc;
use std::time::Duration;

impl Config {
    /// The clock that the store goes by. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How long a clock that has jumped ahead has to go on before it is believed for what cannot be undone:
    /// sessions that expire, idempotency keys that are forgotten, and what a host does by
    /// [`WriteTx::sure_now`](crate::WriteTx::sure_now). A jump is more than 5 minutes beyond what has passed by a
    /// clock that nobody sets; at opening, more than a day beyond when the file was last used. Told by
    /// [`StoreEvent::ClockAhead`](crate::StoreEvent). Range 0–7 days, where 0 believes every clock at once;
    /// default 1 h.
    pub fn clock_jump_wait(mut self, time: Duration) -> Self {
        self.clock_jump_wait = time;
        self
    }

    /// Sends a mutation again and again, first one interval after the file was first opened with
    /// it. When it last ran is kept in the file, under the mutation's
    /// [`name`](Mutation::name), so that a daily job of a bot that restarts hourly still runs
    /// daily. A run that fails is tried again after a minute, or an interval if that is shorter.
    /// Interval: at least 1 s.
    pub fn every<M: Mutation>(
        mut self,
        interval: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        self.schedules
            .push(Schedule::new(M::name(), interval, make));
        self
    }

    /// The same under a name of its own: for a mutation that is sent on two schedules, or whose type may be
    /// renamed. Two schedules of one name are refused at opening.
    pub fn every_named<M: Mutation>(
        mut self,
        name: impl Into<String>,
        interval: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        self.schedules.push(Schedule::new(name, interval, make));
        self
    }
}
