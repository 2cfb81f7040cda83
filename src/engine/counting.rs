//! Has the schemas count their rows, some hundred of one table at once, between two batches.
//!
//! In a transaction of its own: if the disk has no room for counts, no member of a batch fails for that. In the
//! transaction of a batch it would save one sync in some hundred, and a failure would undo the batch.

use super::recounting::Recounter;
use super::shared::Shared;
use super::transaction::WriteConnection;
use crate::error::Result;
use crate::migration::{Waiting, count_waiting};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// After this many changes of rows, the writer asks whether rows are due to be counted. An interaction changes some
/// eight, so that few statements ask, and not many more rows wait than it takes to be due.
const ASK_EVERY: u64 = 512;

pub(super) struct Counting {
    shared: Arc<Shared>,
    /// How many rows the connection had changed when the schemas were last asked.
    asked_at: u64,
    recounter: Recounter,
}

impl Counting {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            recounter: Recounter::new(Arc::clone(&shared)),
            shared,
            asked_at: 0,
        }
    }

    /// Counts rows after a commit, if so many have come that it is time.
    pub(super) fn after_commit(&mut self, open: &WriteConnection) -> Result<()> {
        let changes = open.conn.total_changes();
        // A new connection begins at 0.
        let since = changes.checked_sub(self.asked_at).unwrap_or(changes);
        if since > 0 {
            self.shared.may_wait.store(true, Relaxed);
        }
        match since >= ASK_EVERY {
            true => self.count(open, Waiting::Due),
            false => Ok(()),
        }
    }

    /// Counts the rows that wait, however few. After a failure they are still known to wait.
    pub(super) fn rest(&mut self, open: &WriteConnection) -> Result<()> {
        self.count(open, Waiting::Any)?;
        self.shared.may_wait.store(false, Relaxed);
        Ok(())
    }

    /// Does a piece of the work beside; returns how long to wait before the next, if there may be one.
    pub(super) fn beside(&mut self, open: &WriteConnection) -> Result<Option<Duration>> {
        let before = open.conn.total_changes();
        let pause = self.recounter.piece(open);
        // These are no rows that wait.
        self.asked_at += open.conn.total_changes() - before;
        pause
    }

    fn count(&mut self, open: &WriteConnection, waiting: Waiting) -> Result<()> {
        let counted = count_waiting(&open.conn, &self.shared.config.program(), waiting);
        // After a failure too, so that each batch does not try again.
        self.asked_at = open.conn.total_changes();
        counted
    }
}
