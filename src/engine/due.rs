//! When something recurring is due: duties, backups, drills, looks at the disk.

use crate::time::after;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Something recurring. This only caches when it is due; the last run is recorded elsewhere.
pub(super) struct Due {
    every: Duration,
    at: Option<DateTime<Utc>>,
}

impl Due {
    pub(super) fn every(every: Duration) -> Self {
        Self { every, at: None }
    }

    /// When it is due, if that is known. A time further away than the interval counts as unknown: the clock was
    /// set back since.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.at.filter(|&at| at <= after(now, self.every))
    }

    /// Whether it is due, or that is unknown.
    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.at(now).is_none_or(|at| at <= now)
    }

    /// Records the last run; returns when the next is due.
    pub(super) fn ran(&mut self, last: DateTime<Utc>) -> DateTime<Utc> {
        *self.at.insert(after(last, self.every))
    }

    /// Sets when it is due.
    pub(super) fn set(&mut self, at: DateTime<Utc>) {
        self.at = Some(at);
    }

    /// Records that it failed, or that there was nothing to do: it is tried again after the interval, or after
    /// `pause` if that is shorter.
    pub(super) fn retry(&mut self, now: DateTime<Utc>, pause: Duration) {
        self.at = Some(after(now, self.every.min(pause)));
    }

    /// Makes it unknown when it is due.
    pub(super) fn forget(&mut self) {
        self.at = None;
    }
}
