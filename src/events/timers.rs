//! What a store tells of timers.

use crate::error::Error;
use crate::operation::TimerId;
use chrono::{DateTime, Utc};

/// A timer that has run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FiredTimer {
    /// Which. It is not in the file any more.
    pub timer_id: TimerId,
    /// Its message's [`Timer::NAME`](crate::Timer::NAME).
    pub name: String,
    /// When it was due.
    pub due_at: DateTime<Utc>,
}

/// A timer that has failed, and is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedTimer {
    /// Which.
    pub timer_id: TimerId,
    /// Its message's [`Timer::NAME`](crate::Timer::NAME).
    pub name: String,
    /// How often it has failed by now.
    pub failures: u64,
    /// When it is tried again; `None` if it waits until the store is opened again.
    pub try_at: Option<DateTime<Utc>>,
    /// Why it failed this time.
    pub error: Error,
}
