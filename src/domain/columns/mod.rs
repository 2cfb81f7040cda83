//! Reads columns of the bot's tables. A value may be odd: one that its column should not hold. Only this module
//! decides what an answer shows in its place, and nothing else in `domain` reads a column:
//!
//! * The owner's id and the day are never guessed. If such a value is odd, the row is left out: [`id`] and
//!   [`day`] return `None`.
//! * Any other odd value has a replacement, and the row is shown: see the functions. So one value never fails a
//!   page.
//!
//! [`CheckFile`](crate::integrity::CheckFile) lists the odd values. `kinds` says which values are odd, and what
//! a repair writes: the value that is shown.
//!
//! Nearly all columns of the seed may be NULL.

mod kinds;
mod values;

pub(super) use kinds::{Judged, Kind, TABLES, Table};

use super::Usd;
use crate::error::Result;
use crate::json;
use crate::sqlite::Cell;
use crate::time;
use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// An id; `None` for a value that is no whole number, which leaves the row out.
pub(super) fn id(row: &Row<'_>, column: usize) -> Result<Option<i64>> {
    Ok(values::id(row.get_ref(column)?))
}

/// A whole number of the store's own tables; 0 for any other value.
pub(super) fn integer(row: &Row<'_>, column: usize) -> Result<i64> {
    Ok(id(row, column)?.unwrap_or(0))
}

/// A text, with U+FFFD for bytes that are no UTF-8; empty for NULL.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String> {
    Ok(maybe_text(row, column)?.unwrap_or_default())
}

/// The same, but `None` for NULL.
pub(super) fn maybe_text(row: &Row<'_>, column: usize) -> Result<Option<String>> {
    Ok(values::text(row.get_ref(column)?).map(Into::into))
}

/// A time; the epoch for a value that is no time.
pub(super) fn time(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    Ok(values::time(row.get_ref(column)?).unwrap_or(DateTime::UNIX_EPOCH))
}

/// The same, but `None` for NULL.
pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    let value = row.get_ref(column)?;
    let known = (value != ValueRef::Null).then(|| time(row, column));
    known.transpose()
}

/// A time of the store's own tables, in microseconds since 1970 or any other spelling; the epoch for a value
/// that is no time.
pub(super) fn micros(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    Ok(maybe_micros(row, column)?.unwrap_or(DateTime::UNIX_EPOCH))
}

/// The same, but `None` for NULL.
pub(super) fn maybe_micros(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    let value = row.get_ref(column)?;
    let known = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(micros) => DateTime::from_timestamp_micros(micros),
        _ => values::time(value),
    };
    Ok(Some(known.unwrap_or(DateTime::UNIX_EPOCH)))
}

/// Bytes of this length; `None` for any other value.
pub(super) fn bytes_of<const N: usize>(row: &Row<'_>, column: usize) -> Result<Option<[u8; N]>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Blob(bytes) => bytes.try_into().ok(),
        _ => None,
    })
}

/// A day; `None` for a value that is no day, which leaves the row out.
pub(super) fn day(row: &Row<'_>, column: usize) -> Result<Option<NaiveDate>> {
    Ok(values::day(row.get_ref(column)?))
}

/// An amount of money; 0 for a value that is none, or infinite.
pub(super) fn amount(row: &Row<'_>, column: usize) -> Result<Usd> {
    let amount = values::amount(row.get_ref(column)?);
    Ok(amount.map_or(Usd::ZERO, Usd::nearest))
}

/// An amount of money in whole billionths, of the rollups. A sum that is too large for them is at its limit.
pub(super) fn nanos(row: &Row<'_>, column: usize) -> Result<Usd> {
    Ok(Usd::from_nanos(match row.get_ref(column)? {
        ValueRef::Integer(nanos) => nanos,
        // The cast of a float saturates at the limits of the type.
        value => values::number(value).unwrap_or(0.0) as i64,
    }))
}

/// The same, but `None` for NULL.
pub(super) fn maybe_nanos(row: &Row<'_>, column: usize) -> Result<Option<Usd>> {
    let known = (row.get_ref(column)? != ValueRef::Null).then(|| nanos(row, column));
    known.transpose()
}

/// A number that a statement has computed; `None` for NULL and infinity.
pub(super) fn maybe_number(row: &Row<'_>, column: usize) -> Result<Option<f64>> {
    Ok(values::number(row.get_ref(column)?))
}

/// A count; 0 for a negative number, and for a value that is no number.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(maybe_count(row, column)?.unwrap_or(0))
}

/// The same, but `None` for NULL.
pub(super) fn maybe_count(row: &Row<'_>, column: usize) -> Result<Option<u64>> {
    Ok(values::count(row.get_ref(column)?))
}

/// A yes or no; no for NULL, and for a word that does not mean yes.
pub(super) fn flag(row: &Row<'_>, column: usize) -> Result<bool> {
    Ok(values::flag(row.get_ref(column)?).unwrap_or(false))
}

/// A permission: only the number 1 grants it.
pub(super) fn permission(row: &Row<'_>, column: usize) -> Result<bool> {
    Ok(values::permission(row.get_ref(column)?))
}

/// A JSON document; one string of the whole text if a [`Value`] cannot hold it.
pub(super) fn json(row: &Row<'_>, column: usize) -> Result<Option<Value>> {
    Ok(json::read(row.get_ref(column)?))
}

/// A JSON document as a column stores it. A number is stored as the bytes of its text: the columns are declared
/// JSON, which gives them SQLite's numeric affinity, and a text would become another number (1.0 becomes 1).
/// Python's `json.loads` reads bytes.
pub(super) fn json_cell(value: &Value) -> Cell {
    match value {
        Value::Number(number) => Cell::Blob(number.to_string().into_bytes()),
        _ => Cell::text(value.to_string()),
    }
}

/// A time, if it is in the store's own spelling.
pub(super) fn canonical_time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    let value = row.get_ref(column)?;
    let known = values::time(value);
    Ok(known.filter(|at| value.as_str().is_ok_and(|text| text == time::format(*at))))
}

/// A raw value, to bind again.
pub(super) fn cell(row: &Row<'_>, column: usize) -> Result<Cell> {
    Ok(row.get_ref(column)?.into())
}

/// All columns as raw values, to bind again.
pub(super) fn cells(row: &Row<'_>) -> Result<Vec<Cell>> {
    (0..row.as_ref().column_count())
        .map(|column| cell(row, column))
        .collect()
}

/// The first two columns as raw values.
pub(super) fn key(row: &Row<'_>) -> Result<(Cell, Cell)> {
    Ok((cell(row, 0)?, cell(row, 1)?))
}

/// About how many bytes a row has in the file. What a JSON text takes in memory is known only after it is read.
pub(super) fn bytes(row: &Row<'_>) -> usize {
    let columns = 0..row.as_ref().column_count();
    let bytes = columns.map(|at| match row.get_ref(at) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len(),
        _ => size_of::<i64>(),
    });
    bytes.sum()
}
