//! Reads values of any type.

use crate::time;
use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::types::ValueRef;
use std::borrow::Cow;

/// Amounts of US dollars are smaller, and no sum of smaller amounts is infinite. `rollups` leaves out larger
/// ones, too.
const ENDLESS: f64 = 1e18;

/// A text; a number's digits; bytes as UTF-8, with U+FFFD for those that are none. `None` for NULL.
pub(super) fn text(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(number.to_string().into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
    }
}

/// An id: only a whole number, since a row's owner must not be guessed. (SQLite converts a text that is a number
/// when it is stored in a column of numbers.)
pub(super) fn id(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

/// A number, as SQLite adds it up: for a text or bytes, the number at its beginning, or 0. `None` for NULL and
/// infinity.
pub(super) fn number(value: ValueRef<'_>) -> Option<f64> {
    let number = match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number as f64,
        ValueRef::Real(number) => number,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => leading_number(bytes),
    };
    number.is_finite().then_some(number)
}

/// The same, if it is small enough to be an amount of money.
pub(super) fn amount(value: ValueRef<'_>) -> Option<f64> {
    number(value).filter(|amount| amount.abs() < ENDLESS)
}

/// What a cost counts for in statistics, in US dollars: a larger one counts as this, and a negative one as 0.
pub(super) const COUNTED_COST: std::ops::RangeInclusive<f64> = 0.0..=9e6;

/// A whole number from 0; 0 for a negative one. `None` for NULL.
pub(super) fn count(value: ValueRef<'_>) -> Option<u64> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(u64::try_from(number).unwrap_or(0)),
        // The cast of a float saturates at the limits of the type.
        _ => Some(number(value).unwrap_or(0.0) as u64),
    }
}

/// A yes or no: a number that is not 0, or a word that means yes. `None` for NULL.
pub(super) fn flag(value: ValueRef<'_>) -> Option<bool> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number != 0),
        ValueRef::Real(number) => Some(number != 0.0),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let word = bytes.trim_ascii().to_ascii_lowercase();
            Some([&b"1"[..], b"true", b"t", b"yes", b"y", b"on"].contains(&word.as_slice()))
        }
    }
}

/// A permission: 1 and nothing else. Python takes any non-empty text for true, even 'False', which would let in
/// a user whom nobody permitted. Lists use SQL's `= 1`, which accepts no text either.
pub(super) fn permission(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Integer(number) => number == 1,
        ValueRef::Real(number) => number == 1.0,
        _ => false,
    }
}

/// A point in time, in any spelling and of any type.
pub(super) fn time(value: ValueRef<'_>) -> Option<DateTime<Utc>> {
    time::read(value)
}

/// A day in the seed's spelling, `YYYY-MM-DD`; a time of day may follow it.
pub(super) fn day(value: ValueRef<'_>) -> Option<NaiveDate> {
    let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = value else {
        return None;
    };
    let text = std::str::from_utf8(bytes).ok()?;
    NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()
}

/// The number at the beginning of a text, by SQLite's rules for a CAST; 0 if it begins with none.
fn leading_number(bytes: &[u8]) -> f64 {
    // SQLite's blanks include the vertical tab, which Rust's do not.
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let blanks = bytes.iter().take_while(|byte| is_blank(byte)).count();
    let bytes = &bytes[blanks..];
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let is_at = |at: usize, signs: &[u8]| bytes.get(at).is_some_and(|byte| signs.contains(byte));
    let mut end = digits(usize::from(is_at(0, b"+-")));
    if is_at(end, b".") {
        end = digits(end + 1);
    }
    if is_at(end, b"eE") {
        let from = end + 1 + usize::from(is_at(end + 1, b"+-"));
        let to = digits(from);
        end = if to > from { to } else { end };
    }
    let number = std::str::from_utf8(&bytes[..end]).ok();
    number.and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn numbers_are_those_that_sqlite_adds_up() {
        let conn = Connection::open_in_memory().unwrap();
        for text in [
            "",
            " ",
            "12",
            " 12",
            "+12",
            "-12.5e1x",
            "12 or so",
            ".5",
            "5.",
            "-.5e-1",
            "1e",
            "1e+",
            "1e3",
            "e3",
            "much",
            "0x10",
            "1,5",
            "--1",
            "+",
            ".",
            "-.",
            "NaN",
            "inf",
            "Infinity",
            "\u{b}7",
            "99999999999999999999",
            "1e999",
        ] {
            let sql = "SELECT 0.0 + ?1, 0.0 + CAST(?1 AS BLOB)";
            let row = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?]);
            let sums: [Option<f64>; 2] = conn.query_row(sql, [text], row).unwrap();
            let finite = sums.map(|sum| sum.filter(|sum| sum.is_finite()));
            let read = [
                ValueRef::Text(text.as_bytes()),
                ValueRef::Blob(text.as_bytes()),
            ];
            assert_eq!(read.map(number), finite, "{text:?}");
        }
    }

    #[test]
    fn nobody_is_let_in_by_a_word() {
        for value in [&b"True"[..], b"true", b"yes", b"1", b"t", b""] {
            assert!(!permission(ValueRef::Text(value)) && !permission(ValueRef::Blob(value)));
        }
        for number in [-1, 0, 2, i64::MAX] {
            assert!(!permission(ValueRef::Integer(number)));
        }
        assert!(permission(ValueRef::Integer(1)) && !permission(ValueRef::Null));
        assert!(!permission(ValueRef::Real(0.5)) && !permission(ValueRef::Real(f64::NAN)));
    }
}
