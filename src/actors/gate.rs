//! Lets the writer have a moment without readers.
//!
//! The log can only start over when no reader is in the middle of it. Under steady point reads
//! there is always one, so the writer holds new ones back for as long as the running ones take.
//! A `RwLock` was turned down: its writer cannot give up after a while.
//!
//! Scans have a gate of their own, at which the writer never waits. It is held only when the log is
//! over its ceiling and nothing but scans keeps it there: where one follows another without a pause,
//! there would always be one.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One for point reads, and one for scans.
#[derive(Default)]
pub(super) struct Gates {
    pub(super) points: Gate,
    pub(super) scans: Gate,
}

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    shut: bool,
}

/// A reader inside the gate.
pub(super) struct Inside<'a>(&'a Gate);

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters, once the gate is open.
    pub(super) fn enter(&self) -> Inside<'_> {
        let mut state = self.lock();
        while state.shut {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Inside(self)
    }

    /// Keeps newcomers out, without waiting for those inside.
    pub(super) fn hold(&self) {
        self.lock().shut = true;
    }

    /// Lets them in again.
    pub(super) fn open(&self) {
        self.lock().shut = false;
        self.changed.notify_all();
    }

    /// Whether nobody is inside.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().inside == 0
    }

    /// Enters once the gate is open, or when nobody has been inside for so long: then whoever holds it
    /// has nothing to do meanwhile. At the deadline in any case.
    pub(super) fn enter_by(&self, deadline: Instant, patience: Duration) -> Inside<'_> {
        let mut state = self.lock();
        let mut empty_since = None;
        while state.shut {
            if state.inside > 0 {
                empty_since = None;
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                (state, _) = self
                    .changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let empty = empty_since.get_or_insert_with(Instant::now).elapsed();
            let left = patience.saturating_sub(empty);
            if left.is_zero() {
                state.shut = false;
                self.changed.notify_all();
                break;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Inside(self)
    }

    /// Lets those inside come out before it lets others in; waits for them no longer than `patience`.
    pub(super) fn drain(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        state.shut = true;
        while state.inside > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.shut = false;
        drop(state);
        self.changed.notify_all();
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.inside -= 1;
        if state.shut && state.inside == 0 {
            self.0.changed.notify_all();
        }
    }
}
