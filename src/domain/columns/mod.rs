//! Reads columns of the bot's tables. This is the one place that decides what an answer makes of a value that
//! its column should not hold, and nothing else in `domain` reads one:
//!
//! * An id that is no number (of a user, whose the row is) and a day that is none are not guessed: the row is
//!   left out, by [`id`] and [`day`] giving `None`.
//! * Anything else has a replacement, and the row is shown: see the functions. So one value never fails a page.
//!
//! [`CheckFile`](crate::integrity::CheckFile) names each such value; `kinds` says which those are, and what a
//! repair writes in their place: what is shown.
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

/// An id; `None` if it is no whole number, which leaves the row out.
pub(super) fn id(row: &Row<'_>, column: usize) -> Result<Option<i64>> {
    Ok(values::id(row.get_ref(column)?))
}

/// A whole number of the store's own tables; 0 in place of what is none.
pub(super) fn integer(row: &Row<'_>, column: usize) -> Result<i64> {
    Ok(id(row, column)?.unwrap_or(0))
}

/// A text; with U+FFFD for what is no UTF-8, and empty for NULL.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String> {
    Ok(maybe_text(row, column)?.unwrap_or_default())
}

/// The same, and NULL is none.
pub(super) fn maybe_text(row: &Row<'_>, column: usize) -> Result<Option<String>> {
    Ok(values::text(row.get_ref(column)?).map(Into::into))
}

/// A time; the epoch in place of what is none.
pub(super) fn time(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    Ok(values::time(row.get_ref(column)?).unwrap_or(DateTime::UNIX_EPOCH))
}

/// The same, but NULL is none.
pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    let value = row.get_ref(column)?;
    let known = (value != ValueRef::Null).then(|| time(row, column));
    known.transpose()
}

/// A time of the store's own tables in microseconds since 1970, or in any other spelling; the epoch in place of
/// what is none.
pub(super) fn micros(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    Ok(maybe_micros(row, column)?.unwrap_or(DateTime::UNIX_EPOCH))
}

/// The same, and NULL is none.
pub(super) fn maybe_micros(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    let value = row.get_ref(column)?;
    let known = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(micros) => DateTime::from_timestamp_micros(micros),
        _ => values::time(value),
    };
    Ok(Some(known.unwrap_or(DateTime::UNIX_EPOCH)))
}

/// Bytes of this length; `None` in place of anything else.
pub(super) fn bytes_of<const N: usize>(row: &Row<'_>, column: usize) -> Result<Option<[u8; N]>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Blob(bytes) => bytes.try_into().ok(),
        _ => None,
    })
}

/// A day; `None` if it is none, which leaves the row out.
pub(super) fn day(row: &Row<'_>, column: usize) -> Result<Option<NaiveDate>> {
    Ok(values::day(row.get_ref(column)?))
}

/// An amount of money; 0 in place of what is none, or infinite.
pub(super) fn amount(row: &Row<'_>, column: usize) -> Result<Usd> {
    Ok(maybe_amount(row, column)?.unwrap_or(Usd::ZERO))
}

/// The same, but what is none is `None`.
pub(super) fn maybe_amount(row: &Row<'_>, column: usize) -> Result<Option<Usd>> {
    Ok(values::amount(row.get_ref(column)?).map(Usd::nearest))
}

/// A number that a statement has made of others, if there is one and it is finite.
pub(super) fn maybe_number(row: &Row<'_>, column: usize) -> Result<Option<f64>> {
    Ok(values::number(row.get_ref(column)?))
}

/// A count; 0 in place of what is none, or less.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(maybe_count(row, column)?.unwrap_or(0))
}

/// The same, but NULL is none.
pub(super) fn maybe_count(row: &Row<'_>, column: usize) -> Result<Option<u64>> {
    Ok(values::count(row.get_ref(column)?))
}

/// Whether something is so: not if it is NULL, or no word for yes.
pub(super) fn flag(row: &Row<'_>, column: usize) -> Result<bool> {
    Ok(values::flag(row.get_ref(column)?).unwrap_or(false))
}

/// Whether somebody may: only if it is the number 1.
pub(super) fn permission(row: &Row<'_>, column: usize) -> Result<bool> {
    Ok(values::permission(row.get_ref(column)?))
}

/// A JSON document: one string of the whole text where it cannot be read.
pub(super) fn json(row: &Row<'_>, column: usize) -> Result<Option<Value>> {
    Ok(json::read(row.get_ref(column)?))
}

/// A JSON document as a column takes it. A number goes there as the bytes of its text: the columns are declared
/// JSON, which SQLite takes for a kind of number, so that the text would become another (1 of 1.0). Python's
/// `json.loads` reads bytes.
pub(super) fn json_cell(value: &Value) -> Cell {
    match value {
        Value::Number(number) => Cell::Blob(number.to_string().into_bytes()),
        _ => Cell::text(value.to_string()),
    }
}

/// A time that is spelled as the store spells it.
pub(super) fn canonical_time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    let value = row.get_ref(column)?;
    let known = values::time(value);
    Ok(known.filter(|at| value.as_str().is_ok_and(|text| text == time::format(*at))))
}

/// A value as it is, to be bound again.
pub(super) fn cell(row: &Row<'_>, column: usize) -> Result<Cell> {
    Ok(row.get_ref(column)?.into())
}

/// All columns as they are, to be bound again.
pub(super) fn cells(row: &Row<'_>) -> Result<Vec<Cell>> {
    (0..row.as_ref().column_count())
        .map(|column| cell(row, column))
        .collect()
}

/// The first two columns as they are.
pub(super) fn key(row: &Row<'_>) -> Result<(Cell, Cell)> {
    Ok((cell(row, 0)?, cell(row, 1)?))
}

/// How many bytes a row has in the file, about. What a JSON text comes to in memory is known only when it has
/// been read.
pub(super) fn bytes(row: &Row<'_>) -> usize {
    let columns = 0..row.as_ref().column_count();
    let bytes = columns.map(|at| match row.get_ref(at) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len(),
        _ => size_of::<i64>(),
    });
    bytes.sum()
}
