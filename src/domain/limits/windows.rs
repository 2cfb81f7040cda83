//! Periods of the calendar, as spans of time.

use super::Per;
use crate::domain::rollups;
use crate::operation::ReadTx;
use crate::time::{self, Zone};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Utc};

/// How the file spells the bounds of a period: as it spells times, to the second.
const SPELLING: &str = "%Y-%m-%dT%H:%M:%S";

/// After every time.
const NEVER: &str = "~";

/// Before every day, and after that of rows whose time is none.
const FIRST: &str = "!";

/// A period: a span of time that ends before `ends`, both in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// `None` for that of open reservations, which belong to every period.
    pub(super) per: Option<Per>,
    pub(super) starts: String,
    pub(super) ends: String,
}

impl Window {
    /// Now, as the bounds are spelled.
    pub(super) fn now(tx: &ReadTx<'_>) -> String {
        tx.now_text()[..19].to_owned()
    }

    /// A time, as the bounds are spelled.
    pub(super) fn spelled(time: DateTime<Utc>) -> String {
        let mut text = time::format(time);
        text.truncate(19);
        text
    }

    pub(super) fn open() -> Self {
        Self {
            per: None,
            starts: String::new(),
            ends: String::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.per.is_none()
    }

    /// Reads it back; `None` if it is none that this program knows.
    pub(super) fn of_row(per: &str, starts: String, ends: String) -> Option<Self> {
        let per = match per {
            "open" => None,
            per => Some(Per::read(per)?),
        };
        Some(Self { per, starts, ends })
    }

    /// When the next one begins.
    pub(super) fn resets_at(&self) -> Option<DateTime<Utc>> {
        time(&self.ends)
    }

    pub(super) fn starts_at(&self) -> Option<DateTime<Utc>> {
        time(&self.starts)
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(text, SPELLING).ok()?;
    Some(time.and_utc())
}

/// The zone of the store's days.
pub(super) struct Zoned {
    zone: Zone,
    /// Whether its days are those by which rollups count.
    is_of_rollups: bool,
}

impl Zoned {
    pub(super) fn of(tx: &ReadTx<'_>) -> Self {
        let (zone, is_of_rollups) = rollups::zone_of_days(tx);
        Self {
            zone,
            is_of_rollups,
        }
    }

    /// The period that contains a time.
    pub(super) fn window(&self, per: Per, at: DateTime<Utc>) -> Window {
        let (starts, ends) = match per {
            Per::Ever => (String::new(), NEVER.to_owned()),
            Per::Minute => spelled(self.zone.part(at, 60)),
            Per::Hour => spelled(self.zone.part(at, 3_600)),
            Per::Day | Per::Week | Per::Month => {
                let day = self.zone.day(at);
                let [first, next] = days(per, day);
                spelled((self.begins(first, at), self.begins(next, at)))
            }
        };
        Window {
            per: Some(per),
            starts,
            ends,
        }
    }

    /// When a day begins. A day that the zone skips begins with the next.
    fn begins(&self, day: NaiveDate, at: DateTime<Utc>) -> DateTime<Utc> {
        let mut days = day.iter_days().take(3);
        days.find_map(|day| self.zone.begins(day)).unwrap_or(at)
    }

    /// The days of which a period consists, the first and the last, as rollups spell them; `None` if it does not
    /// consist of days by which they count. They have the day that the clock shows: where it is set back across
    /// midnight, it shows the day before once more.
    pub(super) fn days(&self, window: &Window) -> Option<[String; 2]> {
        let per = window.per?;
        if per == Per::Ever {
            return Some([FIRST.to_owned(), NEVER.to_owned()]);
        }
        if !self.is_of_rollups || matches!(per, Per::Minute | Per::Hour) {
            return None;
        }
        let (starts, ends) = (window.starts_at()?, window.resets_at()?);
        if self.window(per, starts) != *window {
            return None;
        }
        let is_clean = |at| !self.zone.repeats_before(at);
        let last = self.zone.day(ends).pred_opt()?;
        let days = [self.zone.day(starts).to_string(), last.to_string()];
        (is_clean(starts) && is_clean(ends)).then_some(days)
    }

    /// The days that a period touches, if rollups count by this zone's days.
    pub(super) fn touched(&self, window: &Window) -> Option<[String; 2]> {
        let (starts, ends) = (window.starts_at()?, window.resets_at()?);
        let first = self.zone.day(starts).pred_opt()?;
        let last = self.zone.day(ends).succ_opt()?;
        self.is_of_rollups
            .then(|| [first.to_string(), last.to_string()])
    }
}

/// The first day of the period that contains a day, and that of the next.
fn days(per: Per, day: NaiveDate) -> [NaiveDate; 2] {
    let first = match per {
        Per::Week => {
            let back = day.weekday().num_days_from_monday();
            day.checked_sub_days(Days::new(back.into()))
        }
        Per::Month => day.with_day(1),
        _ => Some(day),
    };
    let first = first.unwrap_or(day);
    let next = match per {
        Per::Week => first.checked_add_days(Days::new(7)),
        Per::Month => first.checked_add_months(Months::new(1)),
        _ => first.succ_opt(),
    };
    [first, next.unwrap_or(first)]
}

fn spelled((starts, ends): (DateTime<Utc>, DateTime<Utc>)) -> (String, String) {
    let text = |at: DateTime<Utc>| at.format(SPELLING).to_string();
    (text(starts), text(ends))
}
