//! When scheduled work is due.

use crate::time;
use chrono::{DateTime, Days, FixedOffset, NaiveTime, Utc};
use std::time::Duration;

/// How long a day is.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// This long after the last run.
    Every(Duration),
    /// At this time of each day with this offset from UTC. An interval of a day would drift: after one late run
    /// all others would be late.
    DailyAt(NaiveTime, FixedOffset),
}

impl When {
    /// The next time it is due after `last`; nothing else decides this. A time beyond the calendar is never
    /// reached.
    pub(crate) fn next(self, last: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Every(interval) => time::after(last, interval),
            Self::DailyAt(at, day) => next_at(last, at, day).unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    }

    /// The longest time from one run to the next.
    pub(crate) fn longest(self) -> Duration {
        match self {
            Self::Every(interval) => interval,
            Self::DailyAt(..) => DAY,
        }
    }
}

/// The first time after `last` at which a clock with this offset shows `at`.
fn next_at(last: DateTime<Utc>, at: NaiveTime, day: FixedOffset) -> Option<DateTime<Utc>> {
    let last = last.naive_utc().checked_add_offset(day)?;
    let today = last.date();
    let date = match at > last.time() {
        true => today,
        false => today.checked_add_days(Days::new(1))?,
    };
    Some(date.and_time(at).checked_sub_offset(day)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, Timelike};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_time_of_day_is_within_a_day_and_is_that_time(
            last in 0_i64..253_000_000_000_000_000, at in 0_u32..86_400, minutes in -1_439_i32..1_440
        ) {
            let last = DateTime::from_timestamp_micros(last).unwrap();
            let day = FixedOffset::east_opt(minutes * 60).unwrap();
            let at = NaiveTime::from_num_seconds_from_midnight_opt(at, 0).unwrap();
            let next = When::DailyAt(at, day).next(last);
            prop_assert!(next > last && next - last <= TimeDelta::days(1));
            let shown = next.with_timezone(&day).time();
            prop_assert_eq!(shown.num_seconds_from_midnight(), at.num_seconds_from_midnight());
            prop_assert_eq!(When::DailyAt(at, day).next(next), next + TimeDelta::days(1));
        }
    }

    #[test]
    fn what_the_calendar_does_not_reach_never_comes() {
        let last = DateTime::<Utc>::MAX_UTC;
        for minutes in [-1_439, 0, 1_439] {
            let day = FixedOffset::east_opt(minutes * 60).unwrap();
            assert_eq!(When::DailyAt(NaiveTime::MIN, day).next(last), last);
        }
        assert_eq!(
            When::Every(Duration::MAX).next(DateTime::<Utc>::MIN_UTC),
            last
        );
    }
}
