//! Wakes waiting callers to check their deadline.

use crate::panics::quietly;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;

/// The callers that wait for the next tick. tokio's `Notify` was turned down: if one waker, which belongs to any
/// executor, panics, it wakes none of the others.
#[derive(Default)]
pub(super) struct Ticks {
    places: AtomicU64,
    /// By their places.
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Ticks {
    /// A place from which to wait.
    pub(super) fn place(&self) -> Place<'_> {
        let at = self.places.fetch_add(1, Relaxed);
        Place { ticks: self, at }
    }

    pub(super) fn tick(&self) {
        let wakers: Vec<_> = self.wakers.lock().drain().collect();
        for (_, waker) in wakers {
            quietly(|| waker.wake());
        }
    }
}

/// One caller's place.
pub(super) struct Place<'a> {
    ticks: &'a Ticks,
    at: u64,
}

impl Place<'_> {
    /// Registers this waker for the next tick.
    pub(super) fn wait(&self, waker: &Waker) {
        let waker = waker.clone();
        let before = self.ticks.wakers.lock().insert(self.at, waker);
        drop(before);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = self.ticks.wakers.lock().remove(&self.at);
        drop(waker);
    }
}
