//! Runs due timers: see `schedule::timers` for what is done with them.
//!
//! This caches when the first one is due, so a tick costs nothing while none is. A mutation that sets a timer says
//! so (`Shared::timers_changed`); what other programs write into the file is seen within a minute.

use super::due::Due;
use super::handle::Handle;
use super::in_flight::Entry;
use super::shared::Shared;
use crate::error::Result;
use crate::events::{FailedTimer, FiredTimer, StoreEvent};
use crate::schedule::{AT_ONCE, Blame, DueTimer, FindDue, PutOff, RunTimer, TimerKinds, TryAgain};
use chrono::{DateTime, Utc};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How often the file is looked at if no mutation has set a timer.
const LOOK: Duration = Duration::from_secs(60);

/// How many rounds of [`AT_ONCE`] timers run at one look. The rest follows a second later, behind other due work.
const ROUNDS: usize = 4;

/// What is known about timers.
pub(super) struct Timers {
    kinds: TimerKinds,
    /// Held while timers run.
    pub(super) known: Arc<Mutex<Known>>,
}

pub(super) struct Known {
    /// Whether the timers that waited for this program have been made due.
    are_back: bool,
    /// When the first timer is due, as far as is known.
    next: Option<DateTime<Utc>>,
    look: Due,
}

/// The reason for a look.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Why {
    /// A second has passed.
    Tick,
    Asked,
}

impl Timers {
    pub(super) fn new(kinds: TimerKinds) -> Self {
        let known = Known {
            are_back: false,
            next: None,
            look: Due::every(LOOK),
        };
        Self {
            kinds,
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Runs due timers; returns how many have run.
    pub(super) async fn run_due(
        self: Arc<Self>,
        mut known: OwnedMutexGuard<Known>,
        handle: Arc<Handle>,
        why: Why,
    ) -> usize {
        let shared = &handle.shared;
        // Cleared before the file is looked at: a change from now on is seen at the next tick.
        let changed = shared.timers_changed.swap(false, Ordering::SeqCst);
        if shared.is_closing() || !(changed || why == Why::Asked || known.is_due(shared)) {
            return 0;
        }
        let mut ran = 0;
        match self.run(&mut known, &handle, &mut ran).await {
            Ok(Left::Nothing) => {
                known.look.ran(shared.now());
            }
            Ok(Left::Perhaps) => known.look.forget(),
            Err(error) => {
                known.next = None;
                known.look.retry(shared.now(), LOOK);
                if !shared.is_closing() {
                    tracing::warn!(%error, "due timers could not be read");
                }
            }
        }
        ran
    }

    async fn run(&self, known: &mut Known, handle: &Handle, ran: &mut usize) -> Result<Left> {
        while !known.are_back {
            let again = TryAgain(self.kinds.clone());
            known.are_back = handle.write(again, Entry::Waits).await? < AT_ONCE;
        }
        let mut left = Left::Nothing;
        for _ in 0..ROUNDS {
            let find = FindDue(self.kinds.clone());
            let due = handle.write(find, Entry::Waits).await?;
            known.next = due.next;
            for (name, timers) in due.unknown {
                tracing::warn!(
                    timer = name,
                    timers,
                    "timers of this name are not registered; they are kept"
                );
                let event = StoreEvent::TimersUnknown { name, timers };
                // The first look may end before a host has subscribed.
                handle.shared.subscribers.send_or_keep(event);
            }
            if !due.timers.is_empty() {
                left = Left::Perhaps;
                *ran += self.run_all(handle, due.timers).await?;
            }
            if !due.is_full {
                return Ok(left);
            }
        }
        Ok(Left::Perhaps)
    }

    /// Runs these timers in their order, each as a mutation of its own: one does not affect the others, and they
    /// share commits with other mutations.
    async fn run_all(&self, handle: &Handle, due: Vec<DueTimer>) -> Result<usize> {
        let blames: Vec<_> = due.iter().map(|_| Blame::default()).collect();
        let runs = due.iter().zip(&blames).map(|(timer, blame)| {
            let run = RunTimer {
                timer_id: timer.timer_id,
                kinds: self.kinds.clone(),
                blame: blame.clone(),
            };
            Box::pin(handle.write(run, Entry::Waits))
        });
        let answers = in_order(runs.collect()).await;
        let (mut fired, mut failed) = (Vec::new(), Vec::new());
        for ((timer, blame), answer) in due.into_iter().zip(blames).zip(answers) {
            let DueTimer {
                timer_id,
                name,
                due_at,
            } = timer;
            match answer {
                Ok(true) => fired.push(FiredTimer {
                    timer_id,
                    name,
                    due_at,
                }),
                // It was cancelled meanwhile, or the clock was set back.
                Ok(false) => {}
                Err(error) => failed.push((timer_id, name, blame.fault(&error), error)),
            }
        }
        let ran = fired.len();
        if ran > 0 {
            let event = StoreEvent::TimersFired { timers: fired };
            handle.shared.subscribers.send(event);
        }
        let mut put_off = Vec::new();
        for (timer_id, name, fault, error) in failed {
            if handle.shared.is_closing() {
                return Err(error);
            }
            let message = PutOff { timer_id, fault };
            if let Some((failures, try_at)) = handle.write(message, Entry::Waits).await? {
                put_off.push(FailedTimer {
                    timer_id,
                    name,
                    failures,
                    try_at,
                    error,
                });
            }
        }
        if let Some(first) = put_off.first() {
            tracing::warn!(
                timers = put_off.len(), timer = first.name, failures = first.failures, error = %first.error,
                "timers failed, and are kept"
            );
            let event = StoreEvent::TimersFailed { timers: put_off };
            handle.shared.subscribers.send(event);
        }
        Ok(ran)
    }
}

/// Whether more may be due.
enum Left {
    Nothing,
    Perhaps,
}

impl Known {
    fn is_due(&self, shared: &Shared) -> bool {
        if self.look.is_due(shared.now()) {
            return true;
        }
        // By the time that is certain, which timers use.
        let sure = shared.clock_watch.look(&*shared.config.clock);
        self.next
            .zip(sure.ok())
            .is_some_and(|(next, sure)| next <= sure)
    }
}

/// Their answers, where each is begun before the next, and all before the first is over.
async fn in_order<F: Future>(mut futures: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut answers: Vec<_> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let waiting = futures.iter_mut().zip(&mut answers);
        for (future, answer) in waiting.filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                *answer = Some(ready);
            }
        }
        match answers.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}
