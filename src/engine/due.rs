//! When something recurring is due: duties, backups, drills, looks at the disk.

use crate::schedule::When;
use crate::time::after;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Something recurring. This only caches when it is due; the last run is recorded elsewhere.
pub(super) struct Due {
    when: When,
    at: Option<DateTime<Utc>>,
}

impl Due {
    pub(super) fn every(every: Duration) -> Self {
        Self::of(When::Every(every))
    }

    pub(super) fn of(when: When) -> Self {
        Self { when, at: None }
    }

    /// When it is due, if that is known. A time after the next one from now counts as unknown: the clock was set
    /// back since.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.at.filter(|&at| at <= self.when.next(now))
    }

    /// Whether it is due, or that is unknown.
    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.at(now).is_none_or(|at| at <= now)
    }

    /// Records the last run; returns when the next is due.
    pub(super) fn ran(&mut self, last: DateTime<Utc>) -> DateTime<Utc> {
        *self.at.insert(self.when.next(last))
    }

    /// Sets when it is due.
    pub(super) fn set(&mut self, at: DateTime<Utc>) {
        self.at = Some(at);
    }

    /// Records that it failed, or that there was nothing to do: it is tried again after `pause`, or when it is next
    /// due if that is earlier.
    pub(super) fn retry(&mut self, now: DateTime<Utc>, pause: Duration) {
        self.at = Some(after(now, pause).min(self.when.next(now)));
    }

    /// Makes it unknown when it is due.
    pub(super) fn forget(&mut self) {
        self.at = None;
    }
}
