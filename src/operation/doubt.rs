//! What a store knows beside its file, as far as a mutation may: the time for what cannot be undone, and who is to
//! hear of timers.

use super::WriteTx;
use crate::error::Result;
use crate::time::{Clock, ClockWatch};
use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicBool, Ordering};

/// What an open store has around its transactions.
#[derive(Clone, Copy)]
pub(crate) struct Around<'conn> {
    /// Tells whether the clock is right.
    pub(crate) watch: &'conn ClockWatch,
    pub(crate) clock: &'conn dyn Clock,
    /// Set when timers may be due earlier than was known.
    pub(crate) timers_changed: &'conn AtomicBool,
}

impl<'conn> WriteTx<'conn> {
    /// The same transaction, in an open store.
    pub(crate) fn amid(self, around: Around<'conn>) -> Self {
        Self {
            around: Some(around),
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
        match self.around {
            None => Ok(self.now()),
            Some(around) => Ok(around.watch.look(around.clock)?.min(self.now())),
        }
    }

    /// Has the timers looked at. Before the commit: whoever looks has it done by the writer, behind this. A
    /// transaction that comes to nothing costs a look.
    pub(crate) fn timers_changed(&self) {
        if let Some(around) = self.around {
            around.timers_changed.store(true, Ordering::SeqCst);
        }
    }
}
