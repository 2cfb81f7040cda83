//! The clock, and what comes again by it.

use super::Config;
use crate::error::Result;
use crate::operation::{Closure, Mutation, WriteTx};
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

    /// The same with a change that is a closure, as [`Store::transact`](crate::Store::transact) takes one;
    /// its name is that of the schedule, too.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    /// let config = botstore::Config::new("bot.db").transact_every("forget notes", DAY, |tx| {
    ///     let month_ago = botstore::time::Timestamp(tx.sure_now()? - 30 * DAY);
    ///     tx.execute("DELETE FROM notes WHERE written_at < ?1", [month_ago])
    /// });
    /// ```
    pub fn transact_every<F, T>(self, name: &'static str, interval: Duration, change: F) -> Self
    where
        F: Fn(&WriteTx<'_>) -> Result<T> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let change = Arc::new(change);
        self.every_named(name, interval, move || {
            let change = Arc::clone(&change);
            Closure::new(name, move |tx: &WriteTx<'_>| change(tx))
        })
    }
}
