//! The time for what cannot be undone.

use super::WriteTx;
use crate::error::Result;
use crate::time::{Clock, ClockWatch};
use chrono::{DateTime, Utc};

impl<'conn> WriteTx<'conn> {
    /// The same transaction, where the clock is watched.
    pub(crate) fn watched_by(self, watch: &'conn ClockWatch, clock: &'conn dyn Clock) -> Self {
        Self {
            clock: Some((watch, clock)),
            ..self
        }
    }

    /// The latest time that it is for sure: [`now`](super::ReadTx::now), or earlier while the clock is ahead of the time
    /// that has passed and not believed: see [`Config::clock_jump_wait`](crate::Config::clock_jump_wait). For
    /// what cannot be undone, such as deleting what is old.
    ///
    /// # Errors
    /// [`Panicked`](crate::ErrorKind::Panicked) when the clock panics, which is a host's.
    pub fn sure_now(&self) -> Result<DateTime<Utc>> {
        match self.clock {
            None => Ok(self.now()),
            Some((watch, clock)) => Ok(watch.look(clock)?.min(self.now())),
        }
    }
}
