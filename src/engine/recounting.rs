//! Has the schemas do, beside the work of an open store, what takes too long for an opening: counting rows by another
//! time zone, from which answers come once it is done, and removing what was counted before.
//!
//! In pieces of some 10 ms, each a transaction of its own between two batches. Where callers write, the writer is free
//! for them for three times as long as a piece took; where nobody does, the next piece comes at once. A thread with a
//! connection of its own was turned down: batches would wait for its transactions all the same, and it for theirs.

use super::shared::Shared;
use super::transaction::WriteConnection;
use crate::error::Result;
use crate::migration::{Pace, Recounted, recount};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// For how many times as long as a piece took the writer is free for its callers.
const FREE: u32 = 3;

/// What is known of that work outside the writer.
#[derive(Default)]
pub(crate) struct Recounting {
    /// Whether there may be something to do.
    is_due: AtomicBool,
    zone: Mutex<Option<String>>,
}

impl Recounting {
    /// Says by which time zone rows are to be counted, if they are. There may be something to remove in any case.
    pub(crate) fn begin(&self, zone: Option<String>) {
        *self.zone.lock() = zone;
        self.is_due.store(true, Relaxed);
    }

    /// The time zone by which rows are being counted.
    pub(crate) fn zone(&self) -> Option<String> {
        self.zone.lock().clone()
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due.load(Relaxed)
    }
}

/// The writer's part.
pub(super) struct Recounter {
    shared: Arc<Shared>,
    pace: Pace,
    /// How many mutations were committed before the last piece.
    committed: u64,
}

impl Recounter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            pace: Pace::default(),
            committed: 0,
        }
    }

    /// Does a piece. Returns how long to wait before the next; `None` if there was nothing to do. After a failure there
    /// still is.
    pub(super) fn piece(&mut self, open: &WriteConnection) -> Result<Option<Duration>> {
        let began = Instant::now();
        let done = recount(&open.conn, &self.shared.config.program(), &mut self.pace)?;
        let recounting = &self.shared.recounting;
        match done {
            Recounted::UpTo(..) | Recounted::Removed(_) => {}
            Recounted::All(_) | Recounted::GivenUp => *recounting.zone.lock() = None,
            Recounted::Nothing => {
                *recounting.zone.lock() = None;
                recounting.is_due.store(false, Relaxed);
                return Ok(None);
            }
        }
        // So that it is copied into the file when the store is at rest.
        self.shared.checkpoints.written.store(true, Relaxed);
        let committed = self.shared.metrics.committed.get();
        let is_busy = std::mem::replace(&mut self.committed, committed) != committed;
        Ok(Some(match is_busy {
            true => began.elapsed() * FREE,
            false => Duration::ZERO,
        }))
    }
}
