//! A clock that goes faster than ours.

use botstore::time::Clock;
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub(crate) struct FastClock {
    started: Instant,
    began_at: DateTime<Utc>,
    speed: u32,
}

impl FastClock {
    pub(crate) fn new(speed: u32) -> Self {
        Self {
            started: Instant::now(),
            began_at: Utc::now(),
            speed,
        }
    }

    /// How long a time of ours is by this clock.
    pub(crate) fn stored(self, real: Duration) -> Duration {
        real * self.speed
    }

    /// How long ago a time of this clock is by ours.
    pub(crate) fn real_since(self, at: DateTime<Utc>) -> Duration {
        let stored = self.now().signed_duration_since(at);
        stored.to_std().unwrap_or_default() / self.speed
    }
}

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        self.began_at + self.stored(self.started.elapsed())
    }
}
