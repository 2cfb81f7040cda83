//! Has the schemas do, beside the work of an open store, what takes too long for an opening: counting rows by another
//! time zone, from which answers come once it is done, and removing what was counted before.
//!
//! In pieces of some 10 ms and a sync, each a transaction of its own between two batches. Where callers write, the writer
//! is free for them for three times as long as a piece took, unless rows come faster than they are counted; where nobody
//! does, a third of the time is free for other programs. A thread with a connection of its own was turned down: batches
//! would wait for its transactions all the same, and it for theirs.

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

/// How long to wait after a failure, and at most after many in a row.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

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
    /// Of which table the last piece was, and how many ids it left.
    left: (&'static str, i64),
    /// How long to wait after the next failure, and until when after the last.
    patience: Duration,
    again_at: Instant,
}

impl Recounter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            pace: Pace::default(),
            committed: 0,
            left: ("", 0),
            patience: PATIENCE[0],
            again_at: Instant::now(),
        }
    }

    /// Does a piece. Returns how long to wait before the next; `None` if there was nothing to do, or it is too early after
    /// a failure.
    pub(super) fn piece(&mut self, open: &WriteConnection) -> Result<Option<Duration>> {
        let began = Instant::now();
        if began < self.again_at {
            return Ok(None);
        }
        let done = recount(&open.conn, &self.shared.config.program(), &mut self.pace);
        let done = done.inspect_err(|_| {
            self.again_at = Instant::now() + self.patience;
            self.patience = (self.patience * 2).min(PATIENCE[1]);
        })?;
        self.patience = PATIENCE[0];
        let recounting = &self.shared.recounting;
        match done {
            Recounted::UpTo { .. } | Recounted::Removed(_) => {}
            Recounted::All(_) | Recounted::GivenUp => *recounting.zone.lock() = None,
            Recounted::Nothing => {
                *recounting.zone.lock() = None;
                recounting.is_due.store(false, Relaxed);
                return Ok(None);
            }
        }
        // So that it is copied into the file when the store is at rest.
        self.shared.checkpoints.written.store(true, Relaxed);
        Ok(Some(self.pause(&done, began.elapsed())))
    }

    /// How long the writer does something else after this piece.
    fn pause(&mut self, done: &Recounted, took: Duration) -> Duration {
        let committed = self.shared.metrics.committed.get();
        let is_busy = std::mem::replace(&mut self.committed, committed) != committed;
        let left = match done {
            Recounted::UpTo { table, behind, .. } => (*table, *behind),
            _ => ("", 0),
        };
        let before = std::mem::replace(&mut self.left, left);
        let falls_back = left.0 == before.0 && left.1 >= before.1;
        match (is_busy, falls_back) {
            (false, _) => took / 2,
            (true, false) => took * FREE,
            // It would never end.
            (true, true) => Duration::ZERO,
        }
    }
}
