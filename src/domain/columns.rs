//! Reads columns of the seed schema, nearly all of which may be NULL.

use crate::error::Result;
use crate::time::Timestamp;
use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::Value;

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    Ok(row.get::<_, Timestamp>(column)?.0)
}

pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    Ok(row.get::<_, Option<Timestamp>>(column)?.map(|time| time.0))
}

pub(super) fn amount(row: &Row<'_>, column: usize) -> Result<f64> {
    Ok(row.get::<_, Option<f64>>(column)?.unwrap_or(0.0))
}

pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    // A file may hold a negative number; no count is one.
    let count = row.get::<_, Option<i64>>(column)?.unwrap_or(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

pub(super) fn maybe_count(row: &Row<'_>, column: usize) -> Result<Option<u64>> {
    let count = row.get::<_, Option<i64>>(column)?;
    Ok(count.map(|count| u64::try_from(count).unwrap_or(0)))
}

pub(super) fn flag(row: &Row<'_>, column: usize) -> Result<bool> {
    Ok(row.get::<_, Option<bool>>(column)?.unwrap_or(false))
}

/// A day as the seed spells it, `YYYY-MM-DD`.
pub(super) fn day(row: &Row<'_>, column: usize) -> Result<NaiveDate> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?;
    // What follows the day, if anything, is a time of it.
    let day = text.get(..10).unwrap_or(text);
    NaiveDate::parse_from_str(day, "%Y-%m-%d").map_err(|e| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(e)).into()
    })
}

/// A JSON text. One that is malformed reads as `{}`, as it does in the Python bot.
pub(super) fn json(row: &Row<'_>, column: usize) -> Result<Option<Value>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        // The seed declares these columns as JSON, which SQLite takes for a kind of number: a text
        // that is nothing but a number is kept as that number.
        ValueRef::Integer(number) => Some(number.into()),
        ValueRef::Real(number) => Some(number.into()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(
            serde_json::from_slice(text).unwrap_or_else(|_| Value::Object(serde_json::Map::new())),
        ),
    })
}
