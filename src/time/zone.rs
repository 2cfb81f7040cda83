//! Time zones: what a clock on the wall shows, and when it shows it.
//!
//! The zones are those of the IANA database, as `chrono-tz` has them compiled in, so that a machine without a zone
//! database, such as a container, counts the same days as any other. Reading the machine's files was turned down for
//! that reason, and the machine's own zone as a default because it would change the days of a bot that moves.

mod names;

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta,
    TimeZone, Utc,
};
use chrono_tz::{GapInfo, Tz};
use std::fmt;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// One of the IANA database.
    Named(Tz),
    /// One whose clock is never set.
    Fixed(FixedOffset),
}

/// From a moment on, a zone's clock has this offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) at: DateTime<Utc>,
    pub(crate) offset: FixedOffset,
}

/// At this distance, a zone's offsets are compared; between two that differ, the change is searched for. A clock that
/// is set and set back in between would go unnoticed. Since 1970 no zone has set its clock twice within six days; Hebron
/// and Recife come closest.
const STRIDE: TimeDelta = TimeDelta::days(5);

/// No zone sets its clock back by more across a midnight.
const STRIDE_BACK: TimeDelta = TimeDelta::hours(6);

impl Zone {
    pub(crate) const UTC: Self = Self::Named(Tz::UTC);

    /// The offset at a moment.
    pub(crate) fn offset(self, at: DateTime<Utc>) -> FixedOffset {
        match self {
            Self::Named(zone) => zone.offset_from_utc_datetime(&at.naive_utc()).fix(),
            Self::Fixed(offset) => offset,
        }
    }

    /// Every offset from 1970 to 2100, in order. Before and after that, the first and the last are taken: the
    /// database foretells no more, and what a bot stores is not older.
    pub(crate) fn offsets(self) -> Vec<Since> {
        let since = |at| Since {
            at,
            offset: self.offset(at),
        };
        let mut last = since(DateTime::UNIX_EPOCH);
        let mut all = vec![last];
        // Most bots are in UTC, and need not look.
        if self == Self::UTC || matches!(self, Self::Fixed(_)) {
            return all;
        }
        let end = NaiveDate::from_ymd_opt(2100, 1, 1).unwrap_or(NaiveDate::MAX);
        let end = end.and_time(NaiveTime::MIN).and_utc();
        let mut at = last.at;
        while at < end {
            let next = at + STRIDE;
            if self.offset(next) != last.offset {
                last = since(self.change(at, next));
                all.push(last);
            }
            at = next;
        }
        all
    }

    /// The first second of another offset, between a moment of one offset and a moment of another.
    fn change(self, mut before: DateTime<Utc>, mut after: DateTime<Utc>) -> DateTime<Utc> {
        let old = self.offset(before);
        while after - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            match self.offset(middle) == old {
                true => before = middle,
                false => after = middle,
            }
        }
        after
    }

    /// The first moment after `last` at which it is `at` on a day of this zone: once for each of its days, also on
    /// those on which the clock is set. If it skips `at`, it is the moment at which it is set; if it shows `at`
    /// twice, the first. `None` beyond the calendar.
    pub(crate) fn next(self, last: DateTime<Utc>, at: NaiveTime) -> Option<DateTime<Utc>> {
        let today = self.shown(last)?.date();
        // A clock that is set back at midnight shows the day before once more, and one that crosses the date line
        // skips a day.
        let days = today.pred_opt().unwrap_or(today).iter_days().take(4);
        days.filter_map(|day| self.on(day, at))
            .filter(|&due| due > last)
            .min()
    }

    /// When a day begins, if the zone has it.
    pub(crate) fn begins(self, day: NaiveDate) -> Option<DateTime<Utc>> {
        self.on(day, NaiveTime::MIN)
    }

    /// The day that began last at this time. Where the clock is set back across midnight, it shows the day before once
    /// more; that time belongs to the day that has begun.
    pub(crate) fn day(self, at: DateTime<Utc>) -> NaiveDate {
        let shown = self.shown(at).unwrap_or_else(|| at.naive_utc()).date();
        let last = shown.succ_opt().unwrap_or(shown);
        let days = last.iter_days().rev().take(4);
        let mut days = days.filter(|&day| self.begins(day).is_some_and(|begins| begins <= at));
        days.next().unwrap_or(shown)
    }

    /// Whether the clock shows the day before once more after a day has begun.
    pub(crate) fn repeats_before(self, begins: DateTime<Utc>) -> bool {
        let later = begins + STRIDE_BACK;
        if self.offset(later).local_minus_utc() >= self.offset(begins).local_minus_utc() {
            return false;
        }
        let day = |at| self.shown(at).map(|shown| shown.date());
        day(self.change(begins, later)) < day(begins)
    }

    /// The part of this many seconds of the clock's hour that contains a time: when it begins and ends. It also ends
    /// where the clock is set.
    pub(crate) fn part(self, at: DateTime<Utc>, seconds: i64) -> (DateTime<Utc>, DateTime<Utc>) {
        let at = DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at);
        let offset = self.offset(at);
        let shown = at.timestamp() + i64::from(offset.local_minus_utc());
        let begins = at.timestamp() - shown.rem_euclid(seconds);
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or(at);
        let (mut begins, mut ends) = (time(begins), time(begins.saturating_add(seconds)));
        if self.offset(begins) != offset {
            begins = self.change(begins, at);
        }
        if self.offset(ends) != offset {
            ends = self.change(at, ends);
        }
        (begins, ends)
    }

    /// When it is `at` on a day, if the zone has that day.
    fn on(self, day: NaiveDate, at: NaiveTime) -> Option<DateTime<Utc>> {
        let begins = self.first(day.and_time(NaiveTime::MIN))?;
        match self.shown(begins)?.date() == day {
            true => self.first(day.and_time(at)),
            false => None,
        }
    }

    /// The first moment at which the clock shows this time; if it skips it, the moment at which it is set.
    fn first(self, shown: NaiveDateTime) -> Option<DateTime<Utc>> {
        let zone = match self {
            Self::Named(zone) => zone,
            Self::Fixed(offset) => return Some(shown.checked_sub_offset(offset)?.and_utc()),
        };
        match zone.offset_from_local_datetime(&shown) {
            MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => {
                Some(shown.checked_sub_offset(offset.fix())?.and_utc())
            }
            MappedLocalTime::None => {
                let (skipped, before) = GapInfo::new(&shown, &zone)?.begin?;
                Some(skipped.checked_sub_offset(before.fix())?.and_utc())
            }
        }
    }

    /// What the clock shows.
    fn shown(self, at: DateTime<Utc>) -> Option<NaiveDateTime> {
        at.naive_utc().checked_add_offset(self.offset(at))
    }
}

/// The name, as [`named`](Zone::named) reads it.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(zone) => f.write_str(zone.name()),
            Self::Fixed(offset) => {
                let minutes = offset.local_minus_utc() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::TZ_VARIANTS;
    use proptest::prelude::*;

    fn time(text: &str) -> DateTime<Utc> {
        crate::time::parse(text).unwrap()
    }

    fn any_zone() -> impl Strategy<Value = Zone> {
        prop_oneof![
            8 => (0..TZ_VARIANTS.len()).prop_map(|at| Zone::Named(TZ_VARIANTS[at])),
            1 => (-1_439_i32..1_440)
                .prop_map(|minutes| Zone::Fixed(FixedOffset::east_opt(minutes * 60).unwrap())),
        ]
    }

    #[test]
    fn a_day_on_which_the_clock_is_set_has_each_time_once_and_a_skipped_day_none() {
        let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        for (name, clock, from, expected) in [
            // Summer time: 02:00 becomes 03:00, and 03:00 becomes 02:00.
            (
                "Europe/Berlin",
                at(2, 30),
                "2026-03-28 00:00",
                ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"],
            ),
            (
                "Europe/Berlin",
                at(2, 30),
                "2026-10-24 00:00",
                ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"],
            ),
            // Half an hour.
            (
                "Australia/Lord_Howe",
                at(2, 15),
                "2026-10-03 00:00",
                ["2026-10-03 15:30", "2026-10-04 15:15", "2026-10-05 15:15"],
            ),
            (
                "Australia/Lord_Howe",
                at(1, 45),
                "2026-04-03 20:00",
                ["2026-04-04 14:45", "2026-04-05 15:15", "2026-04-06 15:15"],
            ),
            // At midnight: the day begins at 01:00, and the day before has 23:00 twice.
            (
                "America/Sao_Paulo",
                at(0, 0),
                "2018-11-03 04:00",
                ["2018-11-04 03:00", "2018-11-05 02:00", "2018-11-06 02:00"],
            ),
            (
                "America/Sao_Paulo",
                at(23, 30),
                "2018-02-17 00:00",
                ["2018-02-17 01:30", "2018-02-18 01:30", "2018-02-19 02:30"],
            ),
            (
                "Asia/Beirut",
                at(0, 30),
                "2026-03-28 12:00",
                ["2026-03-28 22:00", "2026-03-29 21:30", "2026-03-30 21:30"],
            ),
            // The last hour of a day is skipped.
            (
                "America/Nuuk",
                at(23, 30),
                "2024-03-29 12:00",
                ["2024-03-30 01:30", "2024-03-31 01:00", "2024-04-01 00:30"],
            ),
            // Set back to the day before, a minute after midnight.
            (
                "America/St_Johns",
                at(0, 0),
                "2010-11-06 12:00",
                ["2010-11-07 02:30", "2010-11-08 03:30", "2010-11-09 03:30"],
            ),
            // Without the 30th of December.
            (
                "Pacific/Apia",
                at(9, 0),
                "2011-12-28 20:00",
                ["2011-12-29 19:00", "2011-12-30 19:00", "2011-12-31 19:00"],
            ),
            (
                "Pacific/Apia",
                at(0, 0),
                "2011-12-29 00:00",
                ["2011-12-29 10:00", "2011-12-30 10:00", "2011-12-31 10:00"],
            ),
        ] {
            let zone = Zone::named(name).unwrap();
            let mut last = time(from);
            for expected in expected {
                last = zone.next(last, clock).unwrap();
                assert_eq!(last, time(expected), "{name} {clock}");
            }
        }
    }

    #[test]
    fn a_day_goes_on_where_its_clock_is_set_back_and_an_hour_ends_where_it_is_set() {
        let zone = |name| Zone::named(name).unwrap();
        let (john, begins) = (zone("America/St_Johns"), time("2010-11-07 02:30"));
        // A minute after midnight it shows 23:01 of the day before.
        assert!(john.repeats_before(begins));
        assert_eq!(john.day(time("2010-11-07 02:45")), begins.date_naive());
        assert_eq!(john.begins(begins.date_naive()), Some(begins));
        let berlin = zone("Europe/Berlin");
        assert!(!berlin.repeats_before(time("2026-10-24 22:00")));
        // Back by half an hour at 2: the hour from 1 has thirty minutes more, in two parts.
        let howe = zone("Australia/Lord_Howe");
        let hour = |at| howe.part(time(at), 3_600);
        let [before, set, after] =
            ["2026-04-04 14:00", "2026-04-04 15:00", "2026-04-04 15:30"].map(time);
        assert_eq!(hour("2026-04-04 14:59"), (before, set));
        assert_eq!(hour("2026-04-04 15:29"), (set, after));
    }

    proptest! {
        // Each walks through a hundred years.
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn no_zone_sets_its_clock_more_often_than_it_is_looked_at(zone in any_zone(), from in 0_i64..300) {
            let offsets = zone.offsets();
            prop_assert!(offsets.windows(2).all(|two| two[0].offset != two[1].offset));
            let mut at = DateTime::UNIX_EPOCH + TimeDelta::hours(from);
            let mut rest = offsets.iter().peekable();
            let mut last = rest.next().unwrap();
            while at < time("2110-01-01") {
                while let Some(next) = rest.next_if(|next| next.at <= at) {
                    last = next;
                }
                prop_assert_eq!(zone.offset(at), last.offset, "{} {}", zone, at);
                // An odd number of hours, so that no two years are looked at in the same places.
                at += TimeDelta::hours(67);
            }
        }
    }

    proptest! {
        #[test]
        fn each_day_of_a_zone_has_one_such_time(
            zone in any_zone(), from in 0_i64..4_102_444_800, at in 0_u32..86_400
        ) {
            let at = NaiveTime::from_num_seconds_from_midnight_opt(at, 0).unwrap();
            let mut last = DateTime::from_timestamp(from, 0).unwrap();
            for _ in 0..8 {
                let next = zone.next(last, at).unwrap();
                prop_assert!(next > last);
                let shown = zone.shown(next).unwrap();
                // Set past it, or it shows it.
                let second = TimeDelta::seconds(1);
                let before = zone.shown(next - second).unwrap();
                let on = match before.time() < at && before.date() < shown.date() {
                    true => before.date(),
                    false => shown.date(),
                };
                let due = on.and_time(at);
                prop_assert!(shown == due || (before < due && due < shown), "{zone} {next} {due}");
                // No moment between the two is a later one of a day that has none.
                let days = (next - last).num_hours();
                prop_assert!(days <= 51, "{zone} {last} {next}");
                last = next;
            }
        }
    }
}
