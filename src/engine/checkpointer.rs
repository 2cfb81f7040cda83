//! Copies the WAL into the file, on a thread and a connection of its own, so that no commit waits for it.

use super::shared::Shared;
use crate::error::Result;
use crate::health::CheckpointReport;
use crate::sqlite;
use actix::{Actor, ActorContext, Context, Handler, Message, Supervised};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// "The WAL is worth copying." Answers whether all of it is in the file then.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct Checkpoint;

/// "Close the file."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

/// The state that the checkpointer, the writer and the supervisor share.
#[derive(Default)]
pub(super) struct CheckpointLock {
    /// True from an order to the end of the work, so that there is one order at a time.
    pub(super) ordered: AtomicBool,
    /// Held during a checkpoint: SQLite runs one at a time, and refuses a second.
    pub(super) running: Mutex<()>,
    /// Set by the writer when it has committed more than the store's own bookkeeping; cleared by the supervisor.
    pub(super) written: AtomicBool,
}

impl CheckpointLock {
    /// Returns true if no checkpoint was ordered. Then one is, and the caller sends for it.
    pub(super) fn order(&self) -> bool {
        !self.ordered.swap(true, Ordering::AcqRel)
    }
}

pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    conn: Option<Connection>,
}

impl Actor for Checkpointer {
    type Context = Context<Self>;
}

impl Supervised for Checkpointer {
    fn restarting(&mut self, _ctx: &mut Self::Context) {
        self.conn = None;
        self.shared
            .checkpoints
            .ordered
            .store(false, Ordering::Release);
    }
}

impl Checkpointer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, conn: None }
    }

    fn checkpoint(&mut self) -> Result<Option<CheckpointReport>> {
        let shared = Arc::clone(&self.shared);
        let _running = shared.checkpoints.running.lock();
        if !shared.disk.allows_checkpoints() {
            return Ok(None);
        }
        let done = self.copy();
        if let Err(error) = &done {
            // Before the writer's turn: it would start the WAL over after a failed sync.
            shared.disk.note_failed_checkpoint(error.clone());
            self.conn = None;
        }
        done
    }

    fn copy(&mut self) -> Result<Option<CheckpointReport>> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(self.shared.files.connect(sqlite::open_checkpointer)?),
        };
        let started = Instant::now();
        let (busy, frames, copied) = sqlite::checkpoint(conn, "PASSIVE")?;
        // If busy, another program runs a checkpoint.
        Ok((!busy).then(|| note(&self.shared, frames, copied, started)))
    }
}

/// Records a checkpoint for `health`.
pub(super) fn note(
    shared: &Shared,
    frames: i64,
    copied: i64,
    started: Instant,
) -> CheckpointReport {
    let report = CheckpointReport {
        at: shared.now(),
        frames,
        copied,
        took: started.elapsed(),
    };
    *shared.last_checkpoint.lock() = Some(report);
    report
}

impl Handler<Checkpoint> for Checkpointer {
    type Result = bool;

    fn handle(&mut self, _: Checkpoint, _ctx: &mut Self::Context) -> bool {
        let done = self.checkpoint();
        self.shared
            .checkpoints
            .ordered
            .store(false, Ordering::Release);
        match done {
            Ok(Some(done)) => {
                tracing::debug!(done.frames, done.copied, took = ?done.took, "checkpoint");
                done.copied == done.frames
            }
            Ok(None) => false,
            // The WAL keeps what could not be copied, and the next order tries again.
            Err(error) => {
                tracing::warn!(%error, "checkpoint failed");
                false
            }
        }
    }
}

impl Handler<Stop> for Checkpointer {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.conn = None;
        ctx.stop();
    }
}
