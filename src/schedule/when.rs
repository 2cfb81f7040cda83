//! When scheduled work is due.

use crate::time::{self, Zone};
use chrono::{DateTime, NaiveTime, Utc};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// This long after the last run.
    Every(Duration),
    /// At this time of each day of this zone. An interval of a day would drift: after one late run all others would
    /// be late.
    DailyAt(NaiveTime, Zone),
}

impl When {
    /// The next time it is due after `last`; nothing else decides this. A time beyond the calendar is never
    /// reached.
    pub(crate) fn next(self, last: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Every(interval) => time::after(last, interval),
            Self::DailyAt(at, zone) => zone.next(last, at).unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{FixedOffset, TimeDelta, Timelike};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_time_of_day_is_within_a_day_and_is_that_time(
            last in 0_i64..253_000_000_000_000_000, at in 0_u32..86_400, minutes in -1_439_i32..1_440
        ) {
            let last = DateTime::from_timestamp_micros(last).unwrap();
            let day = FixedOffset::east_opt(minutes * 60).unwrap();
            let at = NaiveTime::from_num_seconds_from_midnight_opt(at, 0).unwrap();
            let daily = When::DailyAt(at, Zone::Fixed(day));
            let next = daily.next(last);
            prop_assert!(next > last && next - last <= TimeDelta::days(1));
            let shown = next.with_timezone(&day).time();
            prop_assert_eq!(shown.num_seconds_from_midnight(), at.num_seconds_from_midnight());
            prop_assert_eq!(daily.next(next), next + TimeDelta::days(1));
        }
    }

    #[test]
    fn what_the_calendar_does_not_reach_never_comes() {
        let last = DateTime::<Utc>::MAX_UTC;
        for minutes in [-1_439, 0, 1_439] {
            let zone = Zone::Fixed(FixedOffset::east_opt(minutes * 60).unwrap());
            assert_eq!(When::DailyAt(NaiveTime::MIN, zone).next(last), last);
        }
        for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
            let daily = When::DailyAt(NaiveTime::MIN, Zone::named(zone).unwrap());
            assert_eq!(daily.next(last), last);
            daily.next(DateTime::<Utc>::MIN_UTC);
        }
        assert_eq!(
            When::Every(Duration::MAX).next(DateTime::<Utc>::MIN_UTC),
            last
        );
    }
}
