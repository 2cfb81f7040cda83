//! The names of backups, which sort in the order in which the backups were made.

use super::manifest::Reason;
use crate::error::{Error, ErrorKind, Result};
use crate::time;
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;

const STAMP: &str = "%Y%m%dT%H%M%S%.6fZ";
/// `20261123T071844.123456Z`
const STAMP_CHARS: usize = 23;

/// A backup whose name is further ahead of the clock than this was made while the clock was wrong, or
/// has an invented time. The next name does not follow it, but begins a new series.
fn farthest_ahead() -> TimeDelta {
    TimeDelta::days(1)
}

const LAST_SERIES: u32 = 999_999;

/// The name of a backup: `20261123T071844.123456Z-scheduled`, or, after the clock was set back by more
/// than a day for the second time, `20261123T071844.123456Z-2-scheduled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// How often the clock had been set back by more than a day. All names of a series sort before
    /// those of the next, whatever their times.
    series: u32,
    stamp: DateTime<Utc>,
    reason: Reason,
}

impl Name {
    /// Returns `None` for a name that no backup has.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (stamp, rest) = name.split_at_checked(STAMP_CHARS)?;
        let rest = rest.strip_prefix('-')?;
        let (series, reason) = match rest.split_once('-') {
            Some((series, reason)) if series.starts_with(|c: char| c.is_ascii_digit()) => {
                (series.parse().ok()?, reason)
            }
            _ => (0, rest),
        };
        let known = [Reason::Manual, Reason::Scheduled, Reason::BeforeUpgrade];
        let reason = *known.iter().find(|known| known.to_string() == reason)?;
        let stamp = chrono::NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
        let parsed = Self {
            series,
            stamp: stamp.and_utc(),
            reason,
        };
        // A name has one spelling only.
        (series <= LAST_SERIES && parsed.to_string() == name).then_some(parsed)
    }

    /// The sort key of names.
    pub(super) fn order(&self) -> (u32, DateTime<Utc>) {
        (self.series, self.stamp)
    }

    /// Returns a free name for the next backup, after `last`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the clock or the last name is beyond the range of names.
    /// [`parse`](Self::parse) would not know such a name, and nobody would find the backup.
    pub(super) fn next(
        last: Option<Self>,
        now: DateTime<Utc>,
        reason: Reason,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let now = time::to_micros(now);
        let ahead = |last: &Self| last.stamp.signed_duration_since(now) > farthest_ahead();
        let (series, stamp) = match last {
            None => (0, now),
            Some(last) if ahead(&last) => (last.series + 1, now),
            Some(last) => (
                last.series,
                now.max(last.stamp + TimeDelta::microseconds(1)),
            ),
        };
        let mut name = Self {
            series,
            stamp,
            reason,
        };
        loop {
            let text = name.to_string();
            if Self::parse(&text) != Some(name) {
                let why = format!(
                    "{text} cannot be the name of a backup: check the clock, and the names in the \
                     folder of the backups"
                );
                return Err(Error::new(ErrorKind::Invalid, why));
            }
            if !is_taken(&text) {
                return Ok(name);
            }
            name.stamp += TimeDelta::microseconds(1);
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.stamp.format(STAMP))?;
        if self.series > 0 {
            write!(f, "{}-", self.series)?;
        }
        write!(f, "{}", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn at(year: i32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(year, 11, 23, 7, 18, 44).unwrap()
    }

    fn next(last: &str, year: i32) -> Result<String> {
        let last = Name::parse(last).unwrap();
        let next = Name::next(Some(last), at(year), Reason::Manual, |_| false)?;
        assert!(next.order() > last.order(), "{next} comes after {last}");
        Ok(next.to_string())
    }

    #[test]
    fn a_name_comes_after_the_last_whatever_the_clock_says() {
        let taken = "20261123T071844.000000Z-scheduled";
        assert_eq!(next(taken, 2027).unwrap(), "20271123T071844.000000Z-manual");
        assert_eq!(next(taken, 2026).unwrap(), "20261123T071844.000001Z-manual");
        assert_eq!(
            next(taken, 2025).unwrap(),
            "20251123T071844.000000Z-1-manual"
        );
        let twice = "20990101T000000.000000Z-1-before-upgrade";
        assert_eq!(
            next(twice, 2026).unwrap(),
            "20261123T071844.000000Z-2-manual"
        );
    }

    #[test]
    fn a_name_that_nobody_would_find_is_not_made() {
        for (last, year) in [
            ("20261123T071844.000000Z-manual", 10_000),
            ("99991231T235959.999999Z-999999-manual", 2026),
        ] {
            assert_eq!(next(last, year).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in [
            "+100000101T000000.000000Z-manual",
            "20261123T071844.000000Z-0-manual",
            "20261123T071844.000000Z-01-manual",
            "20261123T071844.000000Z-1000000-manual",
            "20261123T071844.000000Z--manual",
            "20261123T071844.000000Z-manual.partial",
            "20261123T071844.000000-manual",
            "-9991123T071844.000000Z-manual",
            "20261323T071844.000000Z-manual",
            "",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
