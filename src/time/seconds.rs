//! A duration in JSON: a number of seconds. serde's own form, `{"secs", "nanos"}`, has to be put together before
//! it can be compared or charted; it is still read, since older files have it.

use serde::{Deserialize, Deserializer, Serializer, de};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Seconds(f64),
    Parts(Duration),
}

impl Written {
    fn duration<E: de::Error>(self) -> Result<Duration, E> {
        match self {
            Self::Seconds(seconds) => Duration::try_from_secs_f64(seconds).map_err(E::custom),
            Self::Parts(duration) => Ok(duration),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Written::deserialize(from)?.duration()
}

/// The same for an optional duration.
pub(crate) mod maybe {
    use super::{Deserialize, Deserializer, Duration, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D>(from: D) -> Result<Option<Duration>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let written = Option::<Written>::deserialize(from)?;
        written.map(Written::duration).transpose()
    }
}
