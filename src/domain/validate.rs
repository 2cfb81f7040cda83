//! Checks of the values in messages.

use super::Usd;
use crate::error::{Error, Result};

const BILLION: i64 = 1_000_000_000;

/// More than any request costs: a thousand of them can be added up, in billionths. As much of a row is what rollups and
/// counters add, whoever wrote it (`rollups::facts`), so nothing that the store takes counts as less than it is.
const MAX_OF_REQUEST: Usd = Usd::from_nanos(9_000_000 * BILLION);

/// More than any sum, limit or price. Keeps every sum finite.
pub(super) const MAX_COST: Usd = Usd::from_nanos(BILLION * BILLION);

/// More turns and messages than any session has. Counts that are added, and the sum over all sessions, must stay
/// integers: on overflow, SQLite would continue with a floating-point number.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// Checks what a request costs.
pub(super) fn request_cost(field: &'static str, cost: Usd) -> Result<()> {
    if (Usd::ZERO..=MAX_OF_REQUEST).contains(&cost) {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        "must be from 0 to 9,000,000 US dollars",
    ))
}

/// Checks a sum of costs, a limit of them, or a price.
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
