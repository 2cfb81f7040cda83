//! The clock, and what comes again by it.

use super::Config;
use crate::error::Result;
use crate::operation::{Closure, Mutation, Timer, WriteTx};
use crate::schedule::{Schedule, When};
use crate::time::Clock;
#[cfg(doc)]
use crate::time::SystemClock;
use chrono::{NaiveTime, Offset, Utc};
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
            .push(Schedule::new(M::name(), When::Every(interval), make));
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
        self.schedules
            .push(Schedule::new(name, When::Every(interval), make));
        self
    }

    /// Sends a mutation once a day, at this time of the store's day: see [`day_offset`](Self::day_offset), which is
    /// UTC's by default. A run that was missed, because no store had the file open, comes once, late. A run that
    /// fails is tried again after a minute. As with [`every`](Self::every), it is known in the file by the mutation's
    /// [`name`](Mutation::name), and runs the first time at the first such time after the file was first opened
    /// with it. If a clock is set back over that time, it runs once more.
    ///
    /// ```no_run
    /// use botstore::{Config, sessions::ExpireIdle};
    /// use chrono::{FixedOffset, NaiveTime};
    /// use std::time::Duration;
    ///
    /// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    /// let at_three = NaiveTime::from_hms_opt(3, 0, 0).unwrap();
    /// let config = Config::new("bot.db")
    ///     .day_offset(FixedOffset::east_opt(2 * 3600).unwrap())
    ///     .daily_at(at_three, || ExpireIdle::new(30 * DAY));
    /// ```
    pub fn daily_at<M: Mutation>(
        self,
        time: NaiveTime,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        self.daily_at_named(M::name(), time, make)
    }

    /// The same under a name of its own, as [`every_named`](Self::every_named).
    pub fn daily_at_named<M: Mutation>(
        mut self,
        name: impl Into<String>,
        time: NaiveTime,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        // Opening knows where the file's day begins.
        let when = When::DailyAt(time, Utc.fix());
        self.schedules.push(Schedule::new(name, when, make));
        self
    }

    /// Has the store run the timers of this type: see [`Timer`] and [`timers`](crate::timers). Those in the file
    /// whose type is not registered are kept, and told by [`StoreEvent::TimersUnknown`](crate::StoreEvent) when they
    /// are due. Two types of one [`NAME`](Timer::NAME) are refused at opening.
    pub fn timer<T: Timer>(mut self) -> Self {
        self.timers.add::<T>();
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
