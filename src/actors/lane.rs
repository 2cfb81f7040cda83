//! A queue that one or more workers take from, and the bells that wake them.
//!
//! The permits bound it (see `dispatch`). The channel itself is not bounded, because crossbeam's
//! bounded one keeps its messages when the last receiver goes: a request that came a moment too
//! late would wait for ever. This one drops them, and their callers hear that the store is closed.
//!
//! Senders ring a bell only when a worker rests, so that a busy store hands over requests without
//! waking anybody. Workers that block on the queue itself were turned down: they could not take an
//! actor's messages, and so not be stopped in order.

use super::request::{Request, Ticket};
use actix::{Message, Recipient};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a worker stays up without work: about as long as it takes to wake a caller, and the
/// caller to ask again. Costs an idle store nothing, and a busy one this much a pause.
const LINGER: Duration = Duration::from_micros(50);

/// "There is work in your lane."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Bell;

/// The senders' end.
pub(super) struct Lane<R: ?Sized + Request> {
    queue: Sender<Ticket<R>>,
    /// A bit for each worker that rests.
    resting: AtomicU64,
    bells: OnceLock<Vec<Recipient<Bell>>>,
}

/// A worker's end.
pub(super) struct Worker<R: ?Sized + Request> {
    lane: Arc<Lane<R>>,
    queue: Receiver<Ticket<R>>,
    bit: u64,
}

/// A lane and the ends of its workers, of which there are at most 64.
pub(super) fn lane<R: ?Sized + Request>(workers: usize) -> (Arc<Lane<R>>, Vec<Worker<R>>) {
    let (sender, receiver) = unbounded();
    let lane = Arc::new(Lane {
        queue: sender,
        resting: AtomicU64::new(0),
        bells: OnceLock::new(),
    });
    let ends = (0..workers).map(|index| Worker {
        lane: Arc::clone(&lane),
        queue: receiver.clone(),
        bit: 1 << index,
    });
    let ends = ends.collect();
    (lane, ends)
}

impl<R: ?Sized + Request> Lane<R> {
    /// Tells the lane whom to wake. Workers count as resting from here on.
    pub(super) fn staff(&self, bells: Vec<Recipient<Bell>>) {
        let everybody = bells
            .iter()
            .enumerate()
            .fold(0, |bits, (index, _)| bits | 1 << index);
        let _ = self.bells.set(bells);
        self.resting.store(everybody, Ordering::SeqCst);
    }

    /// Queues a request and wakes a worker if one rests. Without workers it is dropped, and its
    /// caller hears so.
    pub(super) fn send(&self, request: Ticket<R>) {
        if self.queue.send(request).is_err() {
            return;
        }
        // Pairs with the fence in `rest`: either the worker sees the request, or we see it rest.
        fence(Ordering::SeqCst);
        let mut resting = self.resting.load(Ordering::Relaxed);
        while resting != 0 {
            let bit = resting & resting.wrapping_neg();
            let before = self.resting.fetch_and(!bit, Ordering::SeqCst);
            if before & bit != 0 {
                let bells = self.bells.get().map_or(&[][..], Vec::as_slice);
                if let Some(bell) = bells.get(bit.trailing_zeros() as usize) {
                    bell.do_send(Bell);
                }
                break;
            }
            resting = before & !bit;
        }
    }

    /// Whether every worker is there.
    pub(super) fn is_staffed(&self) -> bool {
        let bells = self.bells.get().map_or(&[][..], Vec::as_slice);
        bells.iter().all(Recipient::connected)
    }

    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

impl<R: ?Sized + Request> Worker<R> {
    /// Waits a moment for the next request without lying down. Whoever has just been answered often
    /// asks again at once, and need not wake anybody then. Gives way to every thread that has
    /// something to do.
    fn linger(&self) -> bool {
        let until = Instant::now() + LINGER;
        while self.queue.is_empty() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// The next request, if one waits.
    pub(super) fn next(&self) -> Option<Ticket<R>> {
        self.queue.try_recv().ok()
    }

    /// Lies down, after it has lingered. False if work came in meanwhile and is this worker's to do.
    pub(super) fn rest(&self) -> bool {
        if self.linger() {
            return false;
        }
        self.lane.resting.fetch_or(self.bit, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.queue.is_empty() {
            return true;
        }
        // Whoever clears the bit has the duty: if it was a sender, its bell is on the way.
        let before = self.lane.resting.fetch_and(!self.bit, Ordering::SeqCst);
        before & self.bit == 0
    }
}
