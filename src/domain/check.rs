//! What messages may hold.

use crate::error::{Error, Result};
use serde_json::Value;

/// More than one interaction ever cost. Keeps every sum finite.
pub(super) const MAX_COST: f64 = 1e9;

/// More turns and messages than any session ever had. What is counted on top, and the sum over all
/// sessions, must stay integers: SQLite would go on with an inexact number.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// An amount of US dollars.
pub(super) fn cost(field: &'static str, cost: f64) -> Result<()> {
    if cost.is_finite() && (0.0..=MAX_COST).contains(&cost) {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        "must be a finite number of US dollars from 0 to 1,000,000,000",
    ))
}

/// An identifier, a name, a path.
pub(super) fn not_empty(field: &'static str, value: &str) -> Result<()> {
    if value.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    Ok(())
}

/// A number that SQLite can hold.
pub(super) fn integer(field: &'static str, value: u64) -> Result<i64> {
    i64::try_from(value)
        .map_err(|_| Error::invalid(field, "must be at most 9,223,372,036,854,775,807"))
}

/// A number to go on counting from.
pub(super) fn count(field: &'static str, value: u64) -> Result<i64> {
    if value > MAX_COUNT {
        return Err(Error::invalid(field, "must be at most 1,000,000,000,000"));
    }
    integer(field, value)
}

/// A JSON value that can be read again: the reader gives up at 128 levels.
pub(super) fn json(field: &'static str, value: Option<&Value>) -> Result<()> {
    fn is_deeper(value: &Value, levels: u32) -> bool {
        let inside = |value: &Value| is_deeper(value, levels - 1);
        match value {
            Value::Array(items) => levels == 0 || items.iter().any(inside),
            Value::Object(fields) => levels == 0 || fields.values().any(inside),
            _ => false,
        }
    }
    if value.is_some_and(|value| is_deeper(value, 127)) {
        return Err(Error::invalid(
            field,
            "must be nested at most 127 levels deep",
        ));
    }
    Ok(())
}

/// How many bytes these texts hold.
pub(super) fn bytes(texts: &[&Option<String>]) -> usize {
    texts
        .iter()
        .filter_map(|text| text.as_ref())
        .map(String::len)
        .sum()
}

/// About how many bytes a JSON value holds.
pub(super) fn json_bytes(value: &Value) -> usize {
    size_of_val(value)
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(json_bytes).sum(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| size_of::<String>() + name.len() + json_bytes(value))
                .sum(),
            _ => 0,
        }
}
