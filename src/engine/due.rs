//! When something that comes again is next to run: duties, backups, drills, looks at the disk.

use crate::time::after;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Something that comes again. What it remembers is a cache: when it last ran is written down where it
/// belongs.
pub(super) struct Due {
    every: Duration,
    at: Option<DateTime<Utc>>,
}

impl Due {
    pub(super) fn every(every: Duration) -> Self {
        Self { every, at: None }
    }

    /// When it is due, if that is known. A time further away than the interval is not: the clock was set
    /// back since.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.at.filter(|&at| at <= after(now, self.every))
    }

    /// Whether it is due, or nobody knows.
    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.at(now).is_none_or(|at| at <= now)
    }

    /// It last ran then; gives when it is due.
    pub(super) fn ran(&mut self, last: DateTime<Utc>) -> DateTime<Utc> {
        *self.at.insert(after(last, self.every))
    }

    /// It is due then.
    pub(super) fn set(&mut self, at: DateTime<Utc>) {
        self.at = Some(at);
    }

    /// It failed, or there was nothing to do: it is tried again after the interval, or after `pause` if
    /// that is shorter.
    pub(super) fn retry(&mut self, now: DateTime<Utc>, pause: Duration) {
        self.at = Some(after(now, self.every.min(pause)));
    }

    /// Nobody knows any more when it is due.
    pub(super) fn forget(&mut self) {
        self.at = None;
    }
}
