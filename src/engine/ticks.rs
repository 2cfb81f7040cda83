//! Wakes those who wait, to look at the time.

use crate::panics::quietly;
use parking_lot::Mutex;
use std::mem;
use std::task::Waker;

/// Those who wait for the next tick. tokio's `Notify` was turned down: where one waker panics, which is
/// of somebody's executor, it wakes none of the others.
#[derive(Default)]
pub(super) struct Ticks(Mutex<Places>);

#[derive(Default)]
struct Places {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Ticks {
    /// A place from which to wait.
    pub(super) fn place(&self) -> Place<'_> {
        let mut places = self.0.lock();
        let at = places.free.pop().unwrap_or_else(|| {
            places.wakers.push(None);
            places.wakers.len() - 1
        });
        Place { ticks: self, at }
    }

    pub(super) fn tick(&self) {
        let wakers: Vec<_> = {
            let mut places = self.0.lock();
            places.wakers.iter_mut().filter_map(Option::take).collect()
        };
        for waker in wakers {
            quietly(|| waker.wake());
        }
    }
}

/// Somebody's place among those who wait.
pub(super) struct Place<'a> {
    ticks: &'a Ticks,
    at: usize,
}

impl Place<'_> {
    /// Has this waker woken with the next tick.
    pub(super) fn wait(&self, waker: &Waker) {
        let waker = Some(waker.clone());
        let before = mem::replace(&mut self.ticks.0.lock().wakers[self.at], waker);
        drop(before);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = {
            let mut places = self.ticks.0.lock();
            places.free.push(self.at);
            places.wakers[self.at].take()
        };
        drop(waker);
    }
}
