//! A duty: recurring work that the supervisor runs when it is due.

use super::due::Due;
use super::handle::Handle;
use super::in_flight::Entry;
use crate::error::{ErrorKind, Result};
use crate::events::StoreEvent;
use crate::panics::quietly;
use crate::schedule::{Done, RecordRun, RunIfDue, Schedule, Turn, When};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The longest wait before a run that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Recurring work. The file keeps the time of the last run, under this name.
pub(crate) struct Duty {
    name: String,
    run: Box<dyn Fn(Arc<Handle>) -> Run + Send + Sync>,
    /// Held during a run, so that runs do not pile up while the writer is delayed.
    pub(super) due: Arc<Mutex<Due>>,
}

/// Asks the file whether the duty is due, and runs it if so.
type Run = Pin<Box<dyn Future<Output = Result<Turn>> + Send>>;

impl Duty {
    fn new<F>(
        name: &str,
        when: When,
        run: impl Fn(Arc<Handle>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Turn>> + Send + 'static,
    {
        Self {
            name: name.to_owned(),
            run: Box::new(move |handle| Box::pin(run(handle))),
            due: Arc::new(Mutex::new(Due::of(when))),
        }
    }

    /// A host's mutation. `announce` returns the event that reports its output, if any.
    pub(crate) fn scheduled(schedule: Schedule, announce: fn(&Done) -> Option<StoreEvent>) -> Self {
        let (name, when) = (schedule.name.clone(), schedule.when);
        Self::new(&name, when, move |handle| {
            let run = schedule.run();
            async move {
                let turn = handle.write(run?, Entry::Waits).await?;
                if let Turn::Due(Some(done)) = &turn
                    && let Some(event) = announce(done)
                {
                    handle.shared.subscribers.send(event);
                }
                Ok(turn)
            }
        })
    }

    /// The store's own work that is not a single mutation. Its run is recorded when it is done.
    pub(crate) fn upkeep<F>(
        name: &'static str,
        every: Duration,
        work: impl Fn(Arc<Handle>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let when = When::Every(every);
        Self::new(name, when, move |handle| {
            let work = work(Arc::clone(&handle));
            async move {
                let ask = RunIfDue::ask(name, when);
                let turn = handle.write(ask, Entry::Waits).await?;
                if let Turn::Due(_) = turn {
                    work.await?;
                    handle.write(RecordRun { name }, Entry::Waits).await?;
                }
                Ok(turn)
            }
        })
    }

    /// Work whose last run is of no interest to the file, since what it works on is in memory. A run counts as none.
    pub(crate) fn unrecorded<F>(
        name: &'static str,
        every: Duration,
        work: impl Fn(Arc<Handle>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let when = When::Every(every);
        Self::new(name, when, move |handle| {
            let work = work(Arc::clone(&handle));
            async move {
                work.await?;
                Ok(Turn::NotBefore(when.next(handle.shared.now())))
            }
        })
    }

    /// A look of the store's own at what was committed, for what subscribers are to be told: at each tick after a commit.
    /// The file does not know of it, and it is no run. Without a subscriber there is no look: a tool opens a store for a
    /// moment, and would take what is to be told from the bot that opens it next.
    pub(crate) fn look<F>(
        name: &'static str,
        work: impl Fn(Arc<Handle>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let seen = AtomicU64::new(u64::MAX);
        Self::new(name, When::Every(RETRY), move |handle| {
            // Before the look: what is committed meanwhile is looked at next time.
            let committed = handle.shared.metrics.committed.get();
            let is_due =
                handle.shared.subscribers.are_there() && seen.swap(committed, Relaxed) != committed;
            let work = is_due.then(|| work(handle.clone()));
            async move {
                if let Some(work) = work {
                    work.await?;
                }
                Ok(Turn::NotBefore(handle.shared.now()))
            }
        })
    }

    /// Runs the duty if it is due; returns the number of runs.
    pub(super) async fn run_if_due(
        self: Arc<Self>,
        mut due: OwnedMutexGuard<Due>,
        handle: Arc<Handle>,
    ) -> usize {
        let shared = &handle.shared;
        if shared.is_closing() || !due.is_due(shared.now()) {
            return 0;
        }
        match (self.run)(Arc::clone(&handle)).await {
            Ok(Turn::Due(done)) => {
                due.ran(shared.now());
                // This value is the host's, and its drop may panic.
                quietly(|| drop(done));
                return 1;
            }
            Ok(Turn::NotBefore(at)) => due.set(at),
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) => {
                due.retry(shared.now(), RETRY);
                tracing::warn!(schedule = self.name, %error, "a scheduled run failed");
            }
        }
        0
    }
}
