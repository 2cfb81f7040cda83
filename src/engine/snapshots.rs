//! Which of the store's own readers use a snapshot, and since when: so that an event can say what keeps the WAL
//! from starting over.

use crate::archive::SnapshotObserver;
use crate::events::WalHolder;
use crate::sqlite;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reader that has read for less than this rarely holds anything up.
const BRIEF: Duration = Duration::from_millis(20);

/// The purpose of a snapshot.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Query(&'static str),
    Backup,
}

/// The slot in which one reader records its snapshot.
#[derive(Clone, Default)]
pub(super) struct SnapshotSlot(Arc<Mutex<Option<(Purpose, Instant)>>>);

impl SnapshotSlot {
    /// Records that a snapshot is in use until the returned mark is dropped.
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

impl Mark<'_> {
    /// The same snapshot now has this purpose.
    pub(super) fn rename(&self, reading: Purpose) {
        if let Some((purpose, _)) = &mut *self.0.0.lock() {
            *purpose = reading;
        }
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}

/// The slots of all readers of the file, which may keep its WAL from starting over.
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

    /// The snapshots in use, and since when.
    fn marks(&self) -> Vec<(Purpose, Instant)> {
        let slots = self.slots.lock();
        slots.iter().filter_map(|slot| *slot.0.lock()).collect()
    }

    /// Whether only the store's own queries may keep the WAL from starting over.
    pub(super) fn only_queries(&self) -> bool {
        let marks = self.marks();
        let is_query = |(reading, _): &(Purpose, Instant)| matches!(reading, Purpose::Query(_));
        !marks.is_empty()
            && marks.iter().all(is_query)
            && sqlite::other_readers(&self.path).is_empty()
    }

    /// What may keep the WAL from starting over, the longest-running first. Brief readers are named only if there is
    /// nothing else.
    pub(super) fn holders(&self) -> Vec<WalHolder> {
        let marks = self.marks().into_iter();
        let mut own: Vec<_> = marks
            .map(|(reading, since)| (since.elapsed(), reading))
            .collect();
        own.sort_by_key(|(running, _)| Reverse(*running));
        let others = sqlite::other_readers(&self.path);
        let long = own.iter().filter(|(running, _)| *running >= BRIEF).count();
        if long > 0 || !others.is_empty() {
            own.truncate(long);
        }
        let own = own.into_iter().map(|(running, reading)| match reading {
            Purpose::Query(operation) => WalHolder::Query { operation, running },
            Purpose::Backup => WalHolder::Backup { running },
        });
        own.chain(others.into_iter().map(WalHolder::Process))
            .collect()
    }
}
