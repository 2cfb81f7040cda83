//! A messenger's id for an update.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The id of an update within its source: the messenger's own, from 1 byte to 4 KiB.
///
/// A message takes any text or whole number for it, in JSON too. A number is the same as its decimal digits: 7 is
/// "7". It is written as a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UpdateId(String);

impl UpdateId {
    /// The update with this id.
    pub fn new(id: impl Into<Self>) -> Self {
        id.into()
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for UpdateId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&String> for UpdateId {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<&UpdateId> for UpdateId {
    fn from(id: &UpdateId) -> Self {
        id.clone()
    }
}

impl From<&str> for UpdateId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A macro, since an implementation for every type with `to_string` would also take fractions.
macro_rules! from_numbers {
    ($($number:ty)*) => {
        $(impl From<$number> for UpdateId {
            fn from(number: $number) -> Self {
                Self(number.to_string())
            }
        })*
    };
}

from_numbers!(i32 u32 i64 u64);

impl fmt::Display for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for UpdateId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrNumber)
    }
}

/// Not an untagged enum, whose error does not say what is expected.
struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = UpdateId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number of at most 64 bits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<UpdateId, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<UpdateId, E> {
        Ok(text.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<UpdateId, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<UpdateId, E> {
        Ok(number.into())
    }
}
