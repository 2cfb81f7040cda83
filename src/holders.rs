//! Who of the store's own reads a snapshot, and since when: so that it can be said who keeps the log
//! from starting over.

use crate::events::LogHolder;
use crate::sqlite;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who has read for less than this holds nobody up.
const BRIEF: Duration = Duration::from_millis(20);

/// What somebody reads a snapshot for.
#[derive(Clone, Copy)]
pub(crate) enum Task {
    Query(&'static str),
    Backup,
}

/// Where a reader notes what it is at.
#[derive(Clone, Default)]
pub(crate) struct AtWork(Arc<Mutex<Option<(Task, Instant)>>>);

impl AtWork {
    /// Runs `work` with a note of it.
    pub(crate) fn during<T>(&self, task: Task, work: impl FnOnce() -> T) -> T {
        *self.note() = Some((task, Instant::now()));
        let _over = Over(self);
        work()
    }

    fn note(&self) -> MutexGuard<'_, Option<(Task, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Over<'a>(&'a AtWork);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        *self.0.note() = None;
    }
}

/// All who read the file, and may keep its log from starting over.
pub(crate) struct Holders {
    pub(crate) path: PathBuf,
    at_work: Vec<AtWork>,
}

impl Holders {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            at_work: Vec::new(),
        }
    }

    /// The place of one more reader.
    pub(crate) fn add(&mut self) -> AtWork {
        let place = AtWork::default();
        self.at_work.push(place.clone());
        place
    }

    /// Whether queries of the store's own are all that may keep the log from starting over.
    pub(crate) fn only_queries(&self) -> bool {
        let mut notes = self
            .at_work
            .iter()
            .filter_map(|place| *place.note())
            .peekable();
        notes.peek().is_some()
            && notes.all(|(task, _)| matches!(task, Task::Query(_)))
            && sqlite::other_readers(&self.path).is_empty()
    }

    /// Those who may keep the log from starting over.
    pub(crate) fn list(&self) -> Vec<LogHolder> {
        let notes = self.at_work.iter().filter_map(|place| *place.note());
        let mut own: Vec<_> = notes
            .map(|(task, since)| (since.elapsed(), task))
            .filter(|(running, _)| *running >= BRIEF)
            .collect();
        own.sort_by_key(|(running, _)| std::cmp::Reverse(*running));
        let own = own.into_iter().map(|(running, task)| match task {
            Task::Query(operation) => LogHolder::Query { operation, running },
            Task::Backup => LogHolder::Backup { running },
        });
        let others = sqlite::other_readers(&self.path).into_iter();
        own.chain(others.map(LogHolder::Process)).collect()
    }
}
