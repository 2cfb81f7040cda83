//! When messages are written: how many in which hour, and times as the file spells them.

use crate::Failure;
use botstore::rusqlite::ToSql;
use botstore::rusqlite::types::{ToSqlOutput, ValueRef};
use botstore::time;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime};

pub(crate) const HOUR: i64 = 3_600_000_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// How busy each hour of a day is.
const HOURS: [f64; 24] = [
    0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.5, 1.0, 1.9, 2.6, 2.9, 2.7, 2.1, 2.4, 2.8, 2.9, 2.6, 2.1, 1.6,
    1.4, 1.5, 1.4, 1.0, 0.6,
];

/// How busy each day of a week is, from Monday.
const WEEKDAYS: [f64; 7] = [1.0, 1.1, 1.1, 1.05, 0.9, 0.45, 0.4];

/// The hours of the history.
pub(crate) struct Calendar {
    /// The beginning of the first hour, in microseconds.
    first: i64,
    /// What share of all work is done at the end of each hour, growing to the total.
    shares: Vec<f64>,
    messages: u64,
}

impl Calendar {
    /// The `days` days before `end`.
    pub(crate) fn new(
        end: NaiveDate,
        days: u32,
        messages: u64,
        seed: u64,
    ) -> Result<Self, Failure> {
        let first = end
            .checked_sub_days(Days::new(days.into()))
            .filter(|first| first.year() >= 1970 && end.year() <= 9999)
            .ok_or("the history must be within the years 1970 to 9999")?;
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut total = 0.0;
        let mut shares = Vec::new();
        for (number, day) in first.iter_days().take(days as usize).enumerate() {
            let growth = 0.4 + 1.2 * number as f64 / f64::from(days);
            let weekday = WEEKDAYS[day.weekday().num_days_from_monday() as usize];
            let busy = growth * weekday * (0.8 + 0.4 * dice.f64());
            for hour in HOURS {
                total += busy * hour;
                shares.push(total);
            }
        }
        Ok(Self {
            first: first.and_time(NaiveTime::MIN).and_utc().timestamp_micros(),
            shares,
            messages,
        })
    }

    /// The end of the history, in microseconds.
    pub(crate) fn end(&self) -> i64 {
        self.first + self.shares.len() as i64 * HOUR
    }

    /// The beginning of each hour, in microseconds, and how many messages are written in it.
    pub(crate) fn hours(&self) -> impl Iterator<Item = (i64, u64)> {
        let all = self.messages as f64 / self.shares.last().copied().unwrap_or(1.0);
        let mut before = 0;
        self.shares.iter().zip(0..).map(move |(share, hour)| {
            let until = (share * all).round() as u64;
            let messages = until - before;
            before = until;
            (self.first + hour * HOUR, messages)
        })
    }
}

/// A time in microseconds and in the file's spelling.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    pub(crate) micros: i64,
    text: [u8; 32],
}

impl Time {
    pub(crate) fn at(micros: i64) -> Self {
        let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        let mut text = [0; 32];
        text.copy_from_slice(time::format(at).as_bytes());
        Self { micros, text }
    }

    /// The same, quicker for a time within the same hour.
    pub(crate) fn set(&mut self, micros: i64) {
        if micros / HOUR != self.micros / HOUR {
            *self = Self::at(micros);
            return;
        }
        self.micros = micros;
        let in_hour = (micros % HOUR) as u32;
        let seconds = in_hour / 1_000_000;
        digits(&mut self.text[14..16], seconds / 60);
        digits(&mut self.text[17..19], seconds % 60);
        digits(&mut self.text[20..26], in_hour % 1_000_000);
    }

    pub(crate) fn day(&self) -> i64 {
        self.micros / DAY
    }

    /// The day in the file's spelling.
    pub(crate) fn date(&self) -> String {
        String::from_utf8_lossy(&self.text[..10]).into_owned()
    }
}

fn digits(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl ToSql for Time {
    fn to_sql(&self) -> botstore::rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.text)))
    }
}
