//! A messenger's id for an update.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The id of an update within its source: the messenger's own, from 1 byte to 4 KiB.
///
/// A message takes any text or whole number as an update's id. A number equals its decimal digits: 7 is "7".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
