//! Closing: every accepted request is answered, then all actors close the file, the writer last.
//!
//! This runs on the store's own thread and not in an actor, so that no actor's end can keep a store from closing.
//! No host's code runs here.

use super::backup_actor::StopBackups;
use super::checkpointer::Stop;
use super::start::Engine;
use super::writer::{CloseFile, Drain};
use crate::error::{Error, ErrorKind, Result};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long closing waits, after its deadline, for what cannot be interrupted: a commit, a checkpoint, an
/// operation in Rust code.
const LEAVE_BEHIND_AFTER: Duration = Duration::from_secs(10);

/// How often closing looks whether a caller's thread has ended its query.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Engine {
    /// Closes the store. Takes at most the deadline for closing and twice [`LEAVE_BEHIND_AFTER`], and longer while
    /// a copy is being saved and makes progress.
    pub(crate) async fn shut_down(&self) -> Result<()> {
        let shared = &self.handle.shared;
        let deadline = shared.config.close_deadline;
        let by = Instant::now() + deadline;
        self.handle.begin_closing();
        // All orders are sent before the first answer is awaited.
        let drained = self.handle.writer.send(Drain { by });
        self.handle.interactive.stop();
        self.handle.analytics.stop();
        self.checkpointer.do_send(Stop);
        let backups = self.backups.send(StopBackups { by });
        let others = self.threads.iter().map(|(_, actor)| actor);
        let others = others.filter(|actor| !std::ptr::eq(&***actor, &*self.writer));
        let mut finished = pin!(async {
            // An actor that was given up has nothing left to finish.
            let _ = drained.await;
            for actor in others {
                actor.ended.wait().await;
            }
            // At once, except for one that a caller uses.
            while !self.handle.callers_reads.close() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let _ = backups.await;
        });
        if timeout(deadline, &mut finished).await.is_err() {
            shared.interrupt.store(true, Ordering::Relaxed);
            let _ = timeout(LEAVE_BEHIND_AFTER, finished).await;
        }
        self.handle.interactive.end(Error::closed());
        self.handle.analytics.end(Error::closed());
        let closed = async {
            let closed = self.handle.writer.send(CloseFile).await;
            // The file is closed, and its lock released, when the actor has ended.
            self.writer.ended.wait().await;
            closed
        };
        let mut closed = pin!(closed);
        let closed = loop {
            let saved = shared.saving.load(Ordering::Relaxed);
            match timeout(LEAVE_BEHIND_AFTER, &mut closed).await {
                Err(_) if shared.saving.load(Ordering::Relaxed) > saved => {}
                closed => break closed,
            }
        };
        match closed {
            Ok(Ok(closed)) => closed,
            // The writer was given up. Its connection is closed, and the WAL stays.
            Ok(Err(_)) => Err(shared.why_dropped()),
            Err(_) => Err(Error::new(
                ErrorKind::Deadline,
                "a mutation or the disk keeps the writer busy, so the file stays open until that ends; \
                 nothing acknowledged is lost",
            )),
        }
    }

    /// Ends the threads. Waits for those whose actor has ended; the others end when their current work does.
    pub(crate) fn end_threads(self) {
        for (thread, _) in &self.threads {
            thread.stop();
        }
        for (thread, actor) in self.threads {
            if actor.ended.initialized() {
                let _ = thread.join();
            }
        }
    }
}
