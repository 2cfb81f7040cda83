//! The actor that takes requests for backups and drills. A thread does the work, see [`BackupWorker`]. The actor
//! hands the work to it, and answers when the thread does, or when the thread has made no progress for too long.
//! So the actor always answers.

use super::backup_worker::{BackupWorker, Work};
use super::shared::Shared;
use super::supervision::Supervisee;
use crate::archive::{Backup, DrillReport, Reason, RunDrill, TakeBackup};
use crate::error::{Error, Result};
use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How often closing checks whether the worker has ended.
const CLOSING_PAUSE: Duration = Duration::from_millis(20);

/// "Make a backup, or a drill, if it is due"; answers how many of both were made.
#[derive(Message)]
#[rtype(result = "usize")]
pub(super) struct RunDueBackups;

/// "Stop, and close the file." Answers when that is done; or after `by` if the worker is busy then, which is left
/// behind.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StopBackups {
    pub(super) by: Instant,
}

/// Makes backups and drills of an open store: takes [`TakeBackup`] and [`RunDrill`]. See
/// [`Store::backup_actor`](crate::Store::backup_actor).
pub struct BackupActor {
    /// `None` once the store closes.
    work: Option<mpsc::Sender<Work>>,
    /// The worker's thread.
    worker: Arc<Supervisee>,
    shared: Arc<Shared>,
}

impl Actor for BackupActor {
    type Context = Context<Self>;
}

impl Supervised for BackupActor {}

impl BackupActor {
    pub(super) fn new(
        work: mpsc::Sender<Work>,
        worker: Arc<Supervisee>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            work: Some(work),
            worker,
            shared,
        }
    }

    /// Queues work for the worker. The answer comes when the work is done, or when the worker makes no more
    /// progress.
    fn ask<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut BackupWorker) -> Result<T> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |worker| {
            // A caller that was told that it will not be done must not have it done.
            if !reply.is_closed() {
                let _ = reply.send(work(worker));
            }
        });
        let sent = shared.heartbeat.check(&shared).and_then(|()| {
            let queue = self.work.as_ref().ok_or_else(Error::closed)?;
            queue.send(work).map_err(|_| shared.why_dropped())
        });
        async move {
            sent?;
            shared.heartbeat.wait(&shared, answer).await
        }
    }
}

impl Handler<TakeBackup> for BackupActor {
    type Result = ResponseFuture<Result<Backup>>;

    fn handle(&mut self, request: TakeBackup, _ctx: &mut Self::Context) -> Self::Result {
        Box::pin(self.ask(move |worker| worker.back_up(request, Reason::Manual)))
    }
}

impl Handler<RunDrill> for BackupActor {
    type Result = ResponseFuture<Result<DrillReport>>;

    fn handle(&mut self, _: RunDrill, _ctx: &mut Self::Context) -> Self::Result {
        Box::pin(self.ask(BackupWorker::drill))
    }
}

impl Handler<RunDueBackups> for BackupActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: RunDueBackups, _ctx: &mut Self::Context) -> Self::Result {
        let backups = &self.shared.config.backups;
        if backups.every.is_none() && backups.drill_every.is_none() {
            return Box::pin(async { 0 });
        }
        let done = self.ask(|worker| Ok(worker.run_due()));
        Box::pin(async move { done.await.unwrap_or(0) })
    }
}

impl Handler<StopBackups> for BackupActor {
    type Result = ResponseFuture<()>;

    fn handle(
        &mut self,
        StopBackups { by }: StopBackups,
        _ctx: &mut Self::Context,
    ) -> Self::Result {
        // Closes the queue: the worker ends once it has refused what waits.
        self.work = None;
        let (worker, shared) = (Arc::clone(&self.worker), Arc::clone(&self.shared));
        Box::pin(async move {
            while timeout(CLOSING_PAUSE, worker.ended.wait()).await.is_err() {
                if Instant::now() >= by && shared.heartbeat.is_at_work() {
                    return;
                }
            }
        })
    }
}
