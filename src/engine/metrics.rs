//! Counters since opening. They decide nothing.

use crate::error::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many classes of batch sizes are counted: 1, 2, 3–4, 5–8 … 8,193 and more.
const SIZE_CLASSES: usize = 15;

/// Counts events for `health`.
#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) committed: Counter,
    pub(crate) failed: Counter,
    pub(crate) panicked: Counter,
    pub(crate) batches: Counter,
    pub(crate) reruns: Counter,
    pub(crate) largest_batch: Counter,
    pub(crate) batch_sizes: [Counter; SIZE_CLASSES],
    pub(crate) wal_restarts: Counter,
    pub(crate) reconnects: Counter,
    /// Mutations in the current batch.
    pub(crate) in_batch: Counter,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn set(&self, number: usize) {
        self.0.store(number as u64, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Metrics {
    pub(super) fn count_failed(&self, error: &Error) {
        self.failed.count();
        if error.kind() == ErrorKind::Panicked {
            self.panicked.count();
        }
    }

    pub(super) fn count_batch(&self, size: usize) {
        self.batches.count();
        self.largest_batch.0.fetch_max(size as u64, Relaxed);
        // 1 → 0, 2 → 1, 3..=4 → 2, 5..=8 → 3
        let class = size.saturating_sub(1).checked_ilog2();
        let class = class.map_or(0, |log| log as usize + 1);
        self.batch_sizes[class.min(SIZE_CLASSES - 1)].count();
    }
}
