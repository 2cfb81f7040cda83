//! Money.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

const NANOS: f64 = 1e9;

/// An amount of US dollars, in billionths: a token of a cheap model costs about a hundred of them.
///
/// Sums are exact, in any order. An amount is from −9,223,372,036 to 9,223,372,036 dollars; a sum beyond that
/// stops at the limit. A request costs from 0 to 9,000,000 dollars;
/// a limit, a price or a sum that a bot sets may be 1,000,000,000.
///
/// The bot's tables and JSON hold dollars as floating-point numbers. Both return each amount below 4,194,304
/// dollars unchanged, and a larger one to about its sixteenth digit: a double has 53 bits.
///
/// ```
/// use botstore::Usd;
///
/// let cost = Usd::from_dollars(0.0125)?;
/// assert_eq!(cost.nanos(), 12_500_000);
/// assert_eq!((cost + cost).to_string(), "$0.025");
/// # Ok::<_, botstore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of this many billionths of a dollar.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// An amount of this many dollars, rounded to the nearest billionth.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for NaN, an infinite number, and more than 9,223,372,036 dollars
    /// in either direction.
    pub fn from_dollars(dollars: f64) -> Result<Self> {
        let nanos = (dollars * NANOS).round();
        if nanos.abs() < i64::MAX as f64 {
            return Ok(Self(nanos as i64));
        }
        Err(Error::invalid(
            "cost",
            "must be a number of US dollars, at most 9,223,372,036",
        ))
    }

    /// The amount nearest to the file's number.
    pub(crate) fn nearest(dollars: f64) -> Self {
        // The cast saturates at the limits of the type, and makes NaN 0.
        Self((dollars * NANOS).round() as i64)
    }

    /// The amount in billionths of a dollar.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The amount in dollars: the nearest double.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Usd {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with at least two digits after the point, and only as many as needed: `$12.50`, `$0.0125`. A
/// precision, as in `{:.2}`, sets the number of digits.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        if let Some(precision) = f.precision() {
            return f.pad_integral(
                true,
                "",
                &format!("{sign}${:.precision$}", self.dollars().abs()),
            );
        }
        let (dollars, nanos) = (
            self.0.unsigned_abs() / 1_000_000_000,
            self.0.unsigned_abs() % 1_000_000_000,
        );
        let digits = format!("{nanos:09}");
        let digits = digits.trim_end_matches('0');
        f.pad_integral(true, "", &format!("{sign}${dollars}.{digits:0<2}"))
    }
}

/// As a number of dollars.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_dollars(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
