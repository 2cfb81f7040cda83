//! What a mutation may learn from the store besides its file: the time for what cannot be undone; and what it may
//! report to it: a changed timer, and rows that are mere bookkeeping.

use super::{Uses, WriteTx};
use crate::error::Result;
use crate::time::{Clock, ClockWatch};
use chrono::{DateTime, Utc};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an open store provides to its transactions.
#[derive(Clone, Copy)]
pub(crate) struct Around<'conn> {
    /// Checks whether the clock is right.
    pub(crate) watch: &'conn ClockWatch,
    pub(crate) clock: &'conn dyn Clock,
    /// Set when a timer may be due earlier than was known.
    pub(crate) timers_changed: &'conn AtomicBool,
    /// How many rows of this transaction's are mere bookkeeping.
    pub(crate) bookkeeping: &'conn Cell<u64>,
    /// Where it notes what is used.
    pub(crate) uses: &'conn Uses,
}

impl<'conn> WriteTx<'conn> {
    /// The same transaction, in an open store.
    pub(crate) fn amid(self, around: Around<'conn>) -> Self {
        Self {
            read: self.read.noting(around.uses),
            around: Some(around),
            ..self
        }
    }

    /// The latest time that is certain: [`now`](super::ReadTx::now), or earlier while the clock is ahead of the
    /// time that has passed and is not trusted: see [`Config::clock_jump_wait`](crate::Config::clock_jump_wait).
    /// Use it for what cannot be undone, such as deleting what is old.
    ///
    /// # Errors
    /// [`Panicked`](crate::ErrorKind::Panicked) if the clock, which may be the host's code, panics.
    pub fn sure_now(&self) -> Result<DateTime<Utc>> {
        match self.around {
            None => Ok(self.now()),
            Some(around) => Ok(around.watch.look(around.clock)?.min(self.now())),
        }
    }

    /// Asks the supervisor to look at the timers. This may be called before the commit, because the look is a
    /// mutation too and so comes after this one. For a transaction that is rolled back it is a look in vain.
    pub(crate) fn timers_changed(&self) {
        if let Some(around) = self.around {
            around.timers_changed.store(true, Ordering::SeqCst);
        }
    }

    /// Reports rows that only say when the store did something. They are written every minute, so they are no reason
    /// to copy the WAL into the file.
    pub(crate) fn bookkeeping(&self, rows: usize) {
        if let Some(around) = self.around {
            around
                .bookkeeping
                .set(around.bookkeeping.get() + rows as u64);
        }
    }
}
