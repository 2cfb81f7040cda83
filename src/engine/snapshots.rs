//! Who of the store's own reads a snapshot, and since when: so that it can be said who keeps the WAL from
//! starting over.

use crate::archive::SnapshotObserver;
use crate::events::WalHolder;
use crate::sqlite;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who has read for less than this holds nobody up.
const BRIEF: Duration = Duration::from_millis(20);

/// What a snapshot is read for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Query(&'static str),
    Backup,
}

/// Where one reader notes what it reads.
#[derive(Clone, Default)]
pub(super) struct SnapshotSlot(Arc<Mutex<Option<(Purpose, Instant)>>>);

impl SnapshotSlot {
    /// Notes that a snapshot is read until the answer is dropped.
    pub(super) fn mark(&self, reading: Purpose) -> Mark<'_> {
        *self.0.lock() = Some((reading, Instant::now()));
        Mark(self)
    }
}

impl SnapshotObserver for SnapshotSlot {
    fn while_reading<T>(&self, read: impl FnOnce() -> T) -> T {
        let _mark = self.mark(Purpose::Backup);
        read()
    }
}

pub(super) struct Mark<'a>(&'a SnapshotSlot);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}

/// Everybody who reads the file, and may keep its WAL from starting over.
pub(super) struct Snapshots {
    path: PathBuf,
    slots: Mutex<Vec<SnapshotSlot>>,
}

impl Snapshots {
    pub(super) fn new(path: PathBuf) -> Self {
        let slots = Mutex::default();
        Self { path, slots }
    }

    /// A slot for one more reader.
    pub(super) fn add(&self) -> SnapshotSlot {
        let slot = SnapshotSlot::default();
        self.slots.lock().push(slot.clone());
        slot
    }

    /// What is read, and since when.
    fn marks(&self) -> Vec<(Purpose, Instant)> {
        let slots = self.slots.lock();
        slots.iter().filter_map(|slot| *slot.0.lock()).collect()
    }

    /// Whether queries of the store's own are all that may keep the WAL from starting over.
    pub(super) fn only_queries(&self) -> bool {
        let marks = self.marks();
        let is_query = |(reading, _): &(Purpose, Instant)| matches!(reading, Purpose::Query(_));
        !marks.is_empty()
            && marks.iter().all(is_query)
            && sqlite::other_readers(&self.path).is_empty()
    }

    /// Those who may keep the WAL from starting over, the longest at it first.
    pub(super) fn holders(&self) -> Vec<WalHolder> {
        let marks = self.marks().into_iter();
        let mut own: Vec<_> = marks
            .map(|(reading, since)| (since.elapsed(), reading))
            .filter(|(running, _)| *running >= BRIEF)
            .collect();
        own.sort_by_key(|(running, _)| Reverse(*running));
        let own = own.into_iter().map(|(running, reading)| match reading {
            Purpose::Query(operation) => WalHolder::Query { operation, running },
            Purpose::Backup => WalHolder::Backup { running },
        });
        let others = sqlite::other_readers(&self.path).into_iter();
        own.chain(others.map(WalHolder::Process)).collect()
    }
}
