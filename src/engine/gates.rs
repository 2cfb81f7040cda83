//! Gates for readers, so that the WAL can start over: it only does when no reader uses it.
//!
//! Under steady point reads some reader always does. So the writer holds new ones back until the running ones have
//! ended, or for [`PATIENCE`]. That is a lock that the writer takes for a moment.
//!
//! The writer never waits for scans. Their gate is shut only while the WAL is over its ceiling and nothing but
//! queries keeps it there: if one scan follows another without a pause, the WAL would never be free. The next scan
//! waits until the WAL has started over, or until no scan has run for long enough that the writer has had its
//! chance.

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

/// How long the writer waits for point reads to end when the WAL is to start over.
const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Default)]
pub(super) struct ReadGates {
    points: RwLock<()>,
    scans: Mutex<Scans>,
    changed: Condvar,
}

#[derive(Default)]
struct Scans {
    running: usize,
    shut: bool,
}

/// A query that is running; dropping this shows the writer that it has ended.
pub(super) enum Inside<'a> {
    Point(#[expect(dead_code, reason = "it is held")] RwLockReadGuard<'a, ()>),
    Scan(&'a ReadGates),
}

impl ReadGates {
    pub(super) fn enter_point(&self) -> Inside<'_> {
        Inside::Point(self.points.read())
    }

    /// As [`enter_point`](Self::enter_point), for a caller that must not wait.
    pub(super) fn try_enter_point(&self) -> Option<Inside<'_>> {
        self.points.try_read().map(Inside::Point)
    }

    /// Waits until the running point reads have ended, and holds others back meanwhile. Gives up after
    /// [`PATIENCE`].
    pub(super) fn drain_points(&self) {
        drop(self.points.try_write_for(PATIENCE));
    }

    /// Waits until the gate opens, until no scan has run for `patience`, or until `deadline`, whichever
    /// comes first.
    pub(super) fn enter_scan(&self, deadline: Instant, patience: Duration) -> Inside<'_> {
        let mut scans = self.scans.lock();
        while scans.shut && scans.running > 0 {
            if self.changed.wait_until(&mut scans, deadline).timed_out() {
                break;
            }
        }
        let until = deadline.min(Instant::now() + patience);
        while scans.shut && scans.running == 0 {
            if self.changed.wait_until(&mut scans, until).timed_out() {
                scans.shut = false;
                self.changed.notify_all();
            }
        }
        scans.running += 1;
        Inside::Scan(self)
    }

    /// Keeps scans from beginning.
    pub(super) fn hold_scans(&self) {
        self.scans.lock().shut = true;
    }

    /// Lets scans begin again.
    pub(super) fn let_scans_in(&self) {
        self.scans.lock().shut = false;
        self.changed.notify_all();
    }

    pub(super) fn no_scan_runs(&self) -> bool {
        self.scans.lock().running == 0
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Self::Scan(gates) = self {
            gates.scans.lock().running -= 1;
            gates.changed.notify_all();
        }
    }
}
