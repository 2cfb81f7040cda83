//! Copies the write-ahead log into the file, on a thread and a connection of its own, so that no
//! commit waits for it.

use super::Dispatch;
use super::wal::Signals;
use crate::error::Result;
use crate::health::CheckpointReport;
use crate::sqlite;
use actix::{Actor, ActorContext, Context, Handler, Message};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// "The log is long enough to be worth copying."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Checkpoint;

/// "Let go of the file."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Release;

pub(super) struct Checkpointer {
    pub(super) path: PathBuf,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) conn: Option<Connection>,
    pub(super) signals: Arc<Signals>,
}

impl Actor for Checkpointer {
    type Context = Context<Self>;
}

impl Checkpointer {
    fn checkpoint(&mut self) -> Result<()> {
        let signals = Arc::clone(&self.signals);
        let turn = signals.turn.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        if self.dispatch.metrics.keeps_log() {
            return Ok(());
        }
        let done = self.copy();
        if let Err(error) = &done {
            // Before it is the writer's turn, who would start the log over after a sync that failed.
            self.dispatch.metrics.note_failed_checkpoint(error.clone());
        }
        done
    }

    fn copy(&mut self) -> Result<()> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(sqlite::open_checkpointer(&self.path)?),
        };
        let started = Instant::now();
        let (busy, frames, copied) = sqlite::checkpoint(conn, "PASSIVE")?;
        // Otherwise another program is at it.
        if !busy {
            note(&self.dispatch, frames, copied, started);
        }
        Ok(())
    }
}

/// Writes down what a checkpoint did.
pub(super) fn note(dispatch: &Dispatch, frames: i64, copied: i64, started: Instant) {
    let report = CheckpointReport {
        at: dispatch.now_for_upkeep(),
        frames,
        copied,
        took: started.elapsed(),
    };
    tracing::debug!(frames, copied, took = ?report.took, "checkpoint");
    *dispatch
        .last_checkpoint
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(report);
}

impl Handler<Checkpoint> for Checkpointer {
    type Result = ();

    fn handle(&mut self, _: Checkpoint, _ctx: &mut Self::Context) {
        if let Err(error) = self.checkpoint() {
            // The log keeps what could not be copied, and the next order tries again.
            tracing::warn!(%error, "checkpoint failed");
            self.conn = None;
        }
        self.signals.ordered.store(false, Ordering::Release);
    }
}

impl Handler<Release> for Checkpointer {
    type Result = ();

    fn handle(&mut self, _: Release, ctx: &mut Self::Context) {
        self.conn = None;
        ctx.stop();
    }
}
