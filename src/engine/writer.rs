//! The actor that owns the only connection that writes.
//!
//! Its mailbox takes every mutation as a typed message; the in-flight limit bounds it. The first mutation queues a
//! [`Commit`] behind the others in the mailbox. The commit runs the mutations that have come, and queues itself
//! again; if none has come meanwhile, it commits.

use super::batch::{Batcher, Step};
use super::checkpoint::CheckpointPolicy;
use super::checkpointer::Checkpointer;
use super::counting::Counting;
use super::file_watch::{must_be_saved, save_and_close};
use super::job::Pending;
use super::last_uses;
use super::shared::Shared;
use super::transaction::WriteConnection;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Mutation;
use crate::sqlite::{self, FileLock};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Supervised};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long the writer spins before it parks: see `queue`.
const SPIN: Duration = Duration::from_micros(50);

/// How long closing waits for another program that keeps the WAL from being emptied.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// An accepted mutation. The caller boxes it, so that the writer moves no more than a pointer.
pub(super) struct Admitted<M: Mutation>(pub(super) Box<Pending<M, M::Output>>);

impl<M: Mutation> Message for Admitted<M> {
    type Result = ();
}

/// "Run and commit what has come."
#[derive(Message)]
#[rtype(result = "()")]
struct Commit;

/// "Commit or refuse everything that waits."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Drain {
    pub(super) by: Instant,
}

/// "Empty the WAL, close the file." Comes last, when no other connection is left.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(super) struct CloseFile;

/// "Refresh the query planner's statistics."
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(super) struct Optimize;

/// "Check whether the disk works again."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Probe;

/// "Count the rows that wait, however few."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CountRest;

/// "Do what is to be done beside the work, if it is not being done."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Recount;

/// "Check whether the whole WAL is there."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LookAtLog;

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Held as long as this may write, also if closing leaves it behind.
    lock: Arc<FileLock>,
    batcher: Batcher,
    checkpoints: CheckpointPolicy,
    counting: Counting,
    /// Whether the next piece of the work beside is on its way.
    recount_queued: bool,
    /// Whether a [`Commit`] is on its way.
    commit_queued: bool,
    /// Until when to spin for the next mutation.
    spin_until: Instant,
    /// Whether the store closes, so that new mutations are refused.
    drained: bool,
}

impl Writer {
    /// `conn` is the connection that writes; its schema is up to date.
    pub(super) fn new(
        conn: Connection,
        lock: Arc<FileLock>,
        shared: &Arc<Shared>,
        checkpointer: Addr<Checkpointer>,
    ) -> Result<Self> {
        Ok(Self {
            shared: Arc::clone(shared),
            lock,
            batcher: Batcher::new(conn, Arc::clone(shared))?,
            checkpoints: CheckpointPolicy::new(Arc::clone(shared), checkpointer)?,
            counting: Counting::new(Arc::clone(shared)),
            recount_queued: false,
            commit_queued: false,
            spin_until: Instant::now(),
            drained: false,
        })
    }

    fn queue_commit(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.commit_queued, true) {
            ctx.notify(Commit);
        }
    }

    /// Takes one step with the batch.
    fn step(&mut self) -> Step {
        let step = self.batcher.step();
        if matches!(step, Step::Settled) {
            self.count(Counting::after_commit);
            self.look_at_wal();
        }
        step
    }

    /// Counts rows that wait. A failure harms nobody: the rows wait on, and answers count them.
    fn count(&mut self, count: impl FnOnce(&mut Counting, &WriteConnection) -> Result<()>) {
        let Some(open) = self.batcher.connection() else {
            return;
        };
        if let Err(error) = count(&mut self.counting, open) {
            self.batcher.note_failure(&error);
            tracing::warn!(%error, "rows could not be counted for statistics; they wait");
        }
    }

    /// Does a piece of what is to be done beside the work, and the next one later. After a failure the supervisor orders
    /// it again.
    fn recount(&mut self, ctx: &mut Context<Self>) {
        self.recount_queued = false;
        let shared = &self.shared;
        if shared.is_closing() || shared.disk.is_failing() || !shared.recounting.is_due() {
            return;
        }
        self.batcher.finish();
        let mut pause = None;
        self.count(|counting, open| {
            pause = counting.beside(open)?;
            Ok(())
        });
        if let Some(pause) = pause {
            self.recount_queued = true;
            ctx.run_later(pause, |this, ctx| this.recount(ctx));
        }
        self.look_at_wal();
    }

    /// Writes down what was used. A failure loses no more than a kill would, so it is noted and not told.
    fn record_uses(&mut self) {
        let Some(open) = self.batcher.connection() else {
            return;
        };
        if let Err(error) = last_uses::record_rest(open, &self.shared) {
            self.batcher.note_failure(&error);
        }
    }

    fn look_for_a_cut(&mut self) {
        let Some(open) = self.batcher.connection() else {
            return;
        };
        if let Err(error) = self.checkpoints.look_for_a_cut(open) {
            self.batcher.note_failure(&error);
        }
    }

    fn look_at_wal(&mut self) {
        let Some(open) = self.batcher.connection() else {
            return;
        };
        if let Err(error) = self.checkpoints.after_commit(open) {
            self.batcher.note_failure(&error);
            tracing::warn!(%error, "the WAL could not be looked at");
        }
    }
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.queue_commit(ctx);
    }
}

impl Supervised for Writer {
    fn restarting(&mut self, _ctx: &mut Self::Context) {
        self.commit_queued = false;
        self.recount_queued = false;
        self.batcher.recover();
    }
}

impl<M: Mutation> Handler<Admitted<M>> for Writer {
    type Result = ();

    fn handle(&mut self, Admitted(pending): Admitted<M>, ctx: &mut Self::Context) {
        self.batcher.push(pending);
        if self.drained {
            self.batcher.refuse_waiting();
        } else {
            self.queue_commit(ctx);
        }
    }
}

impl Handler<Commit> for Writer {
    type Result = ();

    fn handle(&mut self, _: Commit, ctx: &mut Self::Context) {
        self.commit_queued = false;
        if self.shared.is_closing() {
            // `Drain` is on its way, and has the deadline.
            return;
        }
        match self.step() {
            Step::Open => {}
            Step::Settled => self.spin_until = Instant::now() + SPIN,
            Step::Idle if Instant::now() >= self.spin_until => return,
            Step::Idle => std::thread::yield_now(),
        }
        // Handled after what is in the mailbox by then.
        self.queue_commit(ctx);
    }
}

impl Handler<Drain> for Writer {
    type Result = ();

    fn handle(&mut self, order: Drain, _ctx: &mut Self::Context) {
        self.drained = true;
        // Neither this connection nor the next waits past the deadline for another program's lock.
        self.batcher
            .limit_patience(order.by.saturating_duration_since(Instant::now()));
        while Instant::now() < order.by && !matches!(self.step(), Step::Idle) {}
        self.batcher.finish();
        self.batcher.refuse_waiting();
        self.checkpoints.let_scans_in();
    }
}

impl Handler<Optimize> for Writer {
    type Result = Result<()>;

    fn handle(&mut self, _: Optimize, _ctx: &mut Self::Context) -> Result<()> {
        self.batcher.finish();
        let open = self.batcher.connect();
        let done = open.and_then(|open| sqlite::optimize(&open.conn));
        if let Err(error) = &done {
            self.batcher.note_failure(error);
        }
        done
    }
}

impl Handler<Probe> for Writer {
    type Result = ();

    fn handle(&mut self, _: Probe, _ctx: &mut Self::Context) {
        if self.shared.is_closing() || !self.shared.disk.is_failing() {
            return;
        }
        match self.batcher.probe() {
            Ok(()) => {
                self.shared.disk.note_written();
                self.look_at_wal();
            }
            Err(error) => self.batcher.note_failure(&error),
        }
    }
}

impl Handler<CountRest> for Writer {
    type Result = ();

    fn handle(&mut self, _: CountRest, _ctx: &mut Self::Context) {
        if self.shared.is_closing() || self.shared.disk.is_failing() {
            return;
        }
        self.batcher.finish();
        self.count(Counting::rest);
        self.look_at_wal();
    }
}

impl Handler<Recount> for Writer {
    type Result = ();

    fn handle(&mut self, _: Recount, ctx: &mut Self::Context) {
        if !self.recount_queued {
            self.recount(ctx);
        }
    }
}

impl Handler<LookAtLog> for Writer {
    type Result = ();

    fn handle(&mut self, _: LookAtLog, _ctx: &mut Self::Context) {
        self.batcher.finish();
        self.look_for_a_cut();
    }
}

impl Handler<CloseFile> for Writer {
    type Result = Result<()>;

    fn handle(&mut self, _: CloseFile, ctx: &mut Self::Context) -> Result<()> {
        ctx.stop();
        self.batcher.finish();
        self.batcher.refuse_waiting();
        self.look_for_a_cut();
        if must_be_saved(&self.shared)
            && let Some(open) = self.batcher.take_open_connection()
        {
            open.conn.busy_timeout(CLOSE_PATIENCE)?;
            return save_and_close(open.conn, &self.shared, &self.lock);
        }
        if !self.shared.disk.is_failing() {
            self.batcher.limit_patience(CLOSE_PATIENCE);
            self.record_uses();
            if self.shared.may_wait.load(Relaxed) {
                self.count(Counting::rest);
            }
        }
        let conn = match self.batcher.take_connection() {
            // Only the suspect connection still has the files.
            Err(error) if error.kind() == ErrorKind::Replaced => {
                let Some(open) = self.batcher.take_open_connection() else {
                    return Err(error);
                };
                return save_and_close(open.conn, &self.shared, &self.lock);
            }
            open => open?.conn,
        };
        conn.busy_timeout(CLOSE_PATIENCE)?;
        if !self.shared.disk.allows_checkpoints() {
            return Err(Error::new(
                ErrorKind::Io,
                "a checkpoint could not sync the file, so its WAL stays beside it; nothing is lost, \
                 and the next opening copies it again",
            ));
        }
        let (busy, ..) = sqlite::checkpoint(&conn, "TRUNCATE")?;
        if busy {
            return Err(Error::new(
                ErrorKind::Busy,
                "another program, or an unfinished backup or query, still uses the file, so its WAL \
                 stays beside it; nothing is lost, and the next opening or closing copies it into the \
                 file",
            ));
        }
        sqlite::enable_checkpoint_on_close(&conn)?;
        // Statements in the cache hold the connection, so they are dropped first.
        conn.flush_prepared_statement_cache();
        conn.close().map_err(|(_, error)| error)?;
        self.lock.note_closed();
        Ok(())
    }
}
