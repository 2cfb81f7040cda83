//! The one text format of a time in the file, and the clock that the store uses.
//!
//! Every time is stored as UTC text, `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`, always 32 characters. So the texts sort
//! as the times do, and SQLite's date functions read them. An integer would be smaller; text is what the seed
//! schema has, and what a person can read in the `sqlite3` shell.

pub(crate) mod seconds;
mod watch;
mod zone;

pub(crate) use watch::{ClockRecord, ClockWatch};
pub(crate) use zone::Zone;

use crate::error::{Error, ErrorKind, Result, quote};
use crate::panics::caught;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The source of the store's time. Tests set it. Everything that the store writes or compares uses it, never
/// SQLite's `datetime('now')`.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time now. The store cuts off anything finer than a microsecond.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the time of a clock that is never set and only goes forwards. By it the store notices that
    /// [`now`](Self::now) was set: what cannot be undone then waits until the clock has kept its lead for
    /// [`Config::clock_jump_wait`](crate::Config::clock_jump_wait). The default is the machine's monotonic clock.
    /// A clock of another pace, as in a simulation, has to return the time that has passed at its pace.
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// The operating system's clock: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A time in the file's format: binds and reads a [`DateTime<Utc>`] in a statement.
///
/// Hosts use it in their own tables, so that their times sort and compare with this crate's. Reading accepts every
/// format of older files (see [`parse`]), and a number as a Unix time: in seconds below 10¹¹, in milliseconds
/// below 10¹⁴, in microseconds below 10¹⁷, else in nanoseconds.
///
/// ```
/// use botstore::time::Timestamp;
/// use chrono::{TimeZone, Utc};
///
/// let at = Timestamp(Utc.with_ymd_and_hms(2026, 3, 10, 15, 30, 0).unwrap());
/// assert_eq!(at.to_string(), "2026-03-10T15:30:00.000000+00:00");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub DateTime<Utc>);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.0))
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Text(format(self.0))))
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            // The seed's columns may be NULL. A missing time reads as the epoch, because one such row must not
            // make a whole list unreadable.
            ValueRef::Null => Ok(Self(DateTime::UNIX_EPOCH)),
            ValueRef::Text(bytes) => {
                // A leap second in the file's own format sorts after the time that it reads as, so that a list
                // would never get past it. No program writes one.
                let leaps = bytes.len() == 32 && bytes.get(17..19) == Some(b"60");
                read(value).filter(|_| !leaps).map(Self).ok_or_else(|| {
                    let text = String::from_utf8_lossy(bytes);
                    FromSqlError::Other(format!("{} is not a point in time", quote(&text)).into())
                })
            }
            _ => read(value).map(Self).ok_or(FromSqlError::InvalidType),
        }
    }
}

/// The time after an interval; the calendar's last one if the interval is too long.
pub(crate) fn after(time: DateTime<Utc>, interval: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(interval)
        .ok()
        .and_then(|interval| time.checked_add_signed(interval))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The time that a value means: a text, also one stored as bytes, as [`parse`] reads it; a number as a Unix time.
/// `None` if it means no time, or one outside the years 0–9999.
pub(crate) fn read(value: ValueRef<'_>) -> Option<DateTime<Utc>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => from_unix(number),
        // Seconds. A float of today's time is about as precise as a microsecond.
        ValueRef::Real(number) if number.abs() < 1e11 => in_reach((number * 1e6).round() as i64),
        // Larger numbers are refused: the cast would end at the largest integer, which reads as nanoseconds of a
        // future year.
        ValueRef::Real(number) if number.abs() < 9e18 => from_unix(number as i64),
        ValueRef::Real(_) => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => parse(std::str::from_utf8(bytes).ok()?),
    }
}

/// The time this many seconds after the epoch. Larger numbers are milliseconds, as in JavaScript, microseconds, or
/// nanoseconds, as in data frames.
fn from_unix(number: i64) -> Option<DateTime<Utc>> {
    in_reach(match number.unsigned_abs() {
        0..100_000_000_000 => number.checked_mul(1_000_000)?,
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000)?,
        100_000_000_000_000..100_000_000_000_000_000 => number,
        _ => number / 1_000,
    })
}

fn in_reach(micros: i64) -> Option<DateTime<Utc>> {
    use chrono::Datelike;
    let time = DateTime::from_timestamp_micros(micros)?;
    (0..=9999).contains(&time.year()).then_some(time)
}

/// The time of a host's clock, which may panic.
pub(crate) fn ask(clock: &dyn Clock) -> Result<DateTime<Utc>> {
    caught(|| clock.now()).ok_or_else(|| {
        let why = "the host's clock panicked; nothing was changed";
        Error::new(ErrorKind::Panicked, why)
    })
}

/// Cuts a time to microseconds, which the file keeps.
pub(crate) fn to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    // `duration_trunc` counts nanoseconds, and so covers only the years 1678 to 2261.
    let nanos = time.timestamp_subsec_nanos();
    // The text format has no leap second, whose nanoseconds are 1,000,000,000 and more.
    let rest = nanos - nanos.min(999_999_999) / 1_000 * 1_000;
    time.checked_sub_signed(TimeDelta::nanoseconds(rest.into()))
        .unwrap_or(time)
}

/// Returns a time in the file's text format. Years outside 0–9999 become the nearest end of that range, since five
/// digits would break the order of the texts.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// let time = Utc.timestamp_micros(1_773_156_600_000_001).unwrap();
/// assert_eq!(botstore::time::format(time), "2026-03-10T15:30:00.000001+00:00");
/// ```
pub fn format(time: DateTime<Utc>) -> String {
    use chrono::{Datelike, Timelike};
    // A leap second's nanoseconds are 1,000,000,000 and more; the text format has none.
    let micros = (time.nanosecond() / 1_000).min(999_999);
    let mut text = Vec::with_capacity(32);
    if !(0..=9999).contains(&time.year()) {
        let end = if time.year() < 0 {
            "0000-01-01T00:00:00.000000+00:00"
        } else {
            "9999-12-31T23:59:59.999999+00:00"
        };
        return end.to_owned();
    }
    let mut put = |value: u32, digits: u32, then: &[u8]| {
        for place in (0..digits).rev() {
            text.push(b'0' + (value / 10_u32.pow(place) % 10) as u8);
        }
        text.extend_from_slice(then);
    };
    put(time.year() as u32, 4, b"-");
    put(time.month(), 2, b"-");
    put(time.day(), 2, b"T");
    put(time.hour(), 2, b":");
    put(time.minute(), 2, b":");
    put(time.second(), 2, b".");
    put(micros, 6, b"+00:00");
    text.into_iter().map(char::from).collect()
}

/// Reads a time in any format that a file may hold: date and time with a blank or a `T` between them, with or
/// without seconds and a fraction, with an offset, `Z`, or neither (which means UTC); or a date alone. `None` if
/// the text is not a time.
///
/// ```
/// use botstore::time::{format, parse};
/// let same = "2026-03-10T15:30:00.000000+00:00";
/// for spelling in ["2026-03-10 15:30:00", "2026-03-10T15:30:00Z", "2026-03-10 17:30:00.0+02:00"] {
///     assert_eq!(parse(spelling).map(format).as_deref(), Some(same));
/// }
/// assert_eq!(parse("yesterday"), None);
/// ```
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    parse_own(text).or_else(|| parse_any(text))
}

/// Reads the store's own format, digit by digit. Nearly every time in a file has it, and a page has a time for each of
/// its messages; chrono's parser, which reads the others, takes several times as long.
fn parse_own(text: &str) -> Option<DateTime<Utc>> {
    let text: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let apart = [4, 7, 10, 13, 16, 19].map(|at| text[at]);
    if apart != *b"--T::." || !text.ends_with(b"+00:00") {
        return None;
    }
    let number = |digits: Range<usize>| {
        text[digits].iter().try_fold(0, |number, digit| {
            let is_digit = digit.is_ascii_digit();
            is_digit.then(|| number * 10 + u32::from(digit - b'0'))
        })
    };
    let date = NaiveDate::from_ymd_opt(number(0..4)? as i32, number(5..7)?, number(8..10)?)?;
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let time = date.and_hms_micro_opt(hour, minute, second, number(20..26)?)?;
    Some(time.and_utc())
}

fn parse_any(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    // A date alone means its first second, and so does a minute.
    let padded = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{text}:00"),
        19.. => text.to_owned(),
        _ => return None,
    };
    let text = padded.as_str();
    // The fraction is only a dot and digits, so an offset can only start at a later sign.
    let (clock, offset) = match text[19..].find(['+', '-', 'Z', 'z']) {
        Some(at) => text.split_at(19 + at),
        None => (text, ""),
    };
    let separator = match clock.as_bytes()[10] {
        b'T' | b't' => &clock[10..11],
        b' ' => " ",
        _ => return None,
    };
    let naive = NaiveDateTime::parse_from_str(clock, &format!("%Y-%m-%d{separator}%H:%M:%S%.f"));
    let shift = match offset {
        "" | "Z" | "z" => TimeDelta::zero(),
        _ => parse_offset(offset)?,
    };
    naive
        .ok()?
        .and_utc()
        .checked_sub_signed(shift)
        .map(to_micros)
}

/// `+HH:MM`, `+HHMM` or `+HH`, within a day.
fn parse_offset(text: &str) -> Option<TimeDelta> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(|&c| c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = digits.get(2..4).map_or(Some(0), |m| m.parse().ok())?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some(TimeDelta::minutes(sign * (hours * 60 + minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;

    #[test]
    fn the_four_spellings_of_older_files_and_their_relatives_are_read() {
        let expected = "2026-02-18T23:59:59.120000+00:00";
        for spelling in [
            "2026-02-18 23:59:59.12",
            "2026-02-18 23:59:59.120000",
            "2026-02-18T23:59:59.120000+00:00",
            "2026-02-18 23:59:59.120000+00:00",
            "2026-02-19T01:59:59.120000+02:00",
            "2026-02-18T18:29:59.120000-0530",
            "2026-02-18T23:59:59.120000Z",
        ] {
            assert_eq!(
                parse(spelling).map(format).as_deref(),
                Some(expected),
                "{spelling}"
            );
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "2026-02",
            "2026-02-18T23",
            "2026-13-01 00:00:00",
            "2026-02-18 23:59:59+99:00",
            "2026-02-18x23:59:59",
            "2026-02-18 23:59:59 extra",
            "２０２６-02-18 23:59:59.000",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_order_is_time_order_and_nothing_is_lost(
            a in 0_i64..253_402_300_799_000_000, b in 0_i64..253_402_300_799_000_000
        ) {
            let (a, b) = (Utc.timestamp_micros(a).unwrap(), Utc.timestamp_micros(b).unwrap());
            prop_assert_eq!(format(a).len(), 32);
            prop_assert_eq!(parse(&format(a)), Some(a));
            prop_assert_eq!(format(a).cmp(&format(b)), a.cmp(&b));
        }

        #[test]
        fn the_stores_own_format_is_read_as_any_other(
            micros in 0_i64..253_402_300_799_000_000, at in 0_usize..32, other in "[ -~]"
        ) {
            let mut text = format(Utc.timestamp_micros(micros).unwrap());
            prop_assert!(parse_own(&text).is_some());
            text.replace_range(at..=at, &other);
            if let Some(time) = parse_own(&text) {
                prop_assert_eq!(parse_any(&text), Some(time), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,48}") {
            let _ = parse(&text);
        }
    }
}
