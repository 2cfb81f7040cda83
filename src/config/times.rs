//! The clock, schedules and timers.

use super::Config;
use crate::error::Result;
use crate::operation::{Closure, Mutation, Timer, WriteTx};
use crate::schedule::{Schedule, When};
#[cfg(doc)]
use crate::time::SystemClock;
use crate::time::{Clock, Zone};
use chrono::NaiveTime;
use std::sync::Arc;
use std::time::Duration;

impl Config {
    /// The clock that the store uses. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How long a clock that has jumped ahead must keep that lead before the store trusts it for what cannot be
    /// undone: ending idle sessions, deleting idempotency keys, and what a host does by
    /// [`WriteTx::sure_now`](crate::WriteTx::sure_now). A jump is a lead of more than 5 minutes over a monotonic
    /// clock; at opening, of more than a day over the time at which the file was last used.
    /// [`StoreEvent::ClockAhead`](crate::StoreEvent) reports it. Range 0–7 days, where 0 trusts every clock at
    /// once; default 1 h.
    pub fn clock_jump_wait(mut self, time: Duration) -> Self {
        self.clock_jump_wait = time;
        self
    }

    /// Sends a mutation at this interval, the first time one interval after the file was first opened with this
    /// schedule. The file keeps the time of the last run, under the mutation's [`name`](Mutation::name), so that a
    /// daily job still runs daily in a bot that restarts hourly. A run that fails is tried again after a minute,
    /// or after one interval if that is shorter. Interval: at least 1 s.
    pub fn every<M: Mutation>(
        mut self,
        interval: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        self.schedules
            .push(Schedule::new(M::name(), When::Every(interval), make));
        self
    }

    /// As [`every`](Self::every), under a name of its own: for a mutation that is on two schedules, or whose type
    /// may be renamed. Opening refuses two schedules of one name.
    pub fn every_named<M: Mutation>(
        mut self,
        name: impl Into<String>,
        interval: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        self.schedules
            .push(Schedule::new(name, When::Every(interval), make));
        self
    }

    /// Sends a mutation once a day, at this time in the [`time_zone`](Self::time_zone), which is UTC by default. On
    /// a day on which the zone's clocks skip this time, it runs when they are set; if they show it twice, the first
    /// time. A run that was missed because no store had the file open happens once, late. A run that fails is tried
    /// again after a minute. As with [`every`](Self::every), the file keeps the time of the last
    /// run under the mutation's [`name`](Mutation::name). The first run is at the first such time after the file
    /// was first opened with this schedule. If the clock is set back over that time, the mutation runs once more.
    ///
    /// ```no_run
    /// use botstore::{Config, sessions::ExpireIdle};
    /// use chrono::NaiveTime;
    /// use std::time::Duration;
    ///
    /// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    /// let at_three = NaiveTime::from_hms_opt(3, 0, 0).unwrap();
    /// let config = Config::new("bot.db")
    ///     .time_zone("Europe/Berlin")
    ///     .daily_at(at_three, || ExpireIdle::new(30 * DAY));
    /// ```
    pub fn daily_at<M: Mutation>(
        self,
        time: NaiveTime,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        self.daily_at_named(M::name(), time, make)
    }

    /// As [`daily_at`](Self::daily_at), under a name of its own: see [`every_named`](Self::every_named).
    pub fn daily_at_named<M: Mutation>(
        mut self,
        name: impl Into<String>,
        time: NaiveTime,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        // Opening replaces UTC by the zone that the file is in then.
        let when = When::DailyAt(time, Zone::UTC);
        self.schedules.push(Schedule::new(name, when, make));
        self
    }

    /// Registers a type of timers for the store to run: see [`Timer`] and [`timers`](crate::timers). Timers in the
    /// file whose type is not registered stay, and [`StoreEvent::TimersUnknown`](crate::StoreEvent) reports them
    /// when they are due. Opening refuses two types of one [`NAME`](Timer::NAME).
    pub fn timer<T: Timer>(mut self) -> Self {
        self.timers.add::<T>();
        self
    }

    /// As [`every_named`](Self::every_named), with a closure such as [`Store::transact`](crate::Store::transact)
    /// takes; `name` is the schedule's name too.
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
