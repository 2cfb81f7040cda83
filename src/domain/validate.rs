//! Checks of the values in messages.

use super::Usd;
use crate::error::{Error, Result};

/// More than any interaction costs. Keeps every sum finite.
pub(super) const MAX_COST: Usd = Usd::from_nanos(1_000_000_000 * 1_000_000_000);

/// More turns and messages than any session has. Counts that are added, and the sum over all sessions, must stay
/// integers: on overflow, SQLite would continue with a floating-point number.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// Checks a cost.
pub(super) fn cost(field: &'static str, cost: Usd) -> Result<()> {
    if (Usd::ZERO..=MAX_COST).contains(&cost) {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        "must be from 0 to 1,000,000,000 US dollars",
    ))
}

/// Checks an identifier, a name or a path.
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

/// Checks a number that counting continues from.
pub(super) fn count(field: &'static str, value: u64) -> Result<i64> {
    if value > MAX_COUNT {
        return Err(Error::invalid(field, "must be at most 1,000,000,000,000"));
    }
    integer(field, value)
}
