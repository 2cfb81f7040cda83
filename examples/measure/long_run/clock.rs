//! A clock that goes faster than ours, and can be put forward.

use botstore::time::Clock;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone)]
pub(crate) struct FastClock {
    started: Instant,
    began_at: DateTime<Utc>,
    speed: u32,
    /// In milliseconds.
    skipped: Arc<AtomicU64>,
}

impl FastClock {
    pub(crate) fn new(began_at: DateTime<Utc>, speed: u32) -> Self {
        Self {
            started: Instant::now(),
            began_at,
            speed,
            skipped: Arc::default(),
        }
    }

    /// Puts it forward.
    pub(crate) fn skip(&self, stored: Duration) {
        let millis = stored.as_millis() as u64;
        self.skipped.fetch_add(millis, Ordering::Relaxed);
    }

    /// How long a time of ours is by this clock.
    pub(crate) fn stored(&self, real: Duration) -> Duration {
        real * self.speed
    }

    /// How long ago a time of this clock is by ours, if it was not put forward since.
    pub(crate) fn real_since(&self, at: DateTime<Utc>) -> Duration {
        let stored = self.now().signed_duration_since(at);
        stored.to_std().unwrap_or_default() / self.speed
    }
}

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        let skipped = Duration::from_millis(self.skipped.load(Ordering::Relaxed));
        self.began_at + skipped + self.stored(self.started.elapsed())
    }

    /// As much passes as it says: that it is put forward is meant.
    fn instant(&self) -> Instant {
        let skipped = Duration::from_millis(self.skipped.load(Ordering::Relaxed));
        self.started + skipped + self.stored(self.started.elapsed())
    }
}
