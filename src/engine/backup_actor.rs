//! The actor that takes requests for backups and drills. The work is a thread's, see [`BackupWorker`]; the
//! actor hands it out, and answers when the thread does, or when the thread has made no progress for too
//! long. So it always answers.

use super::backup_worker::{BackupWorker, Work};
use super::heartbeat::{Doing, Heartbeat, State};
use super::shared::Shared;
use super::supervision::Supervisee;
use crate::archive::{Backup, DrillReport, Reason, RunDrill, TakeBackup};
use crate::error::{Error, Result};
use crate::events::{BackupReport, LastRun, StoreEvent};
use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How often closing looks whether the worker is done.
const CLOSING_PAUSE: Duration = Duration::from_millis(20);

/// "Make a backup, or a drill, if it is due"; answers how many of both it made.
#[derive(Message)]
#[rtype(result = "usize")]
pub(super) struct RunDueBackups;

/// "Stop, and let go of the file." Answers when that is done; or after `by`, when the worker is in the
/// middle of something then, and is left behind.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StopBackups {
    pub(super) by: Instant,
}

/// What came of the last backup and the last drill, and when the next backup is due.
#[derive(Default)]
pub(crate) struct LastRuns {
    pub(super) backup: Mutex<Option<LastRun<BackupReport>>>,
    pub(super) drill: Mutex<Option<LastRun<DrillReport>>>,
    backup_due: Mutex<Option<DateTime<Utc>>>,
}

impl LastRuns {
    pub(crate) fn backup(&self) -> Option<LastRun<BackupReport>> {
        self.backup.lock().clone()
    }

    pub(crate) fn drill(&self) -> Option<LastRun<DrillReport>> {
        self.drill.lock().clone()
    }

    /// Since when a scheduled backup has been due, if one is.
    pub(crate) fn backup_due_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.backup_due.lock().filter(|&due| due <= now)
    }

    /// One is due from then on; and if one is due already, since then.
    pub(super) fn backup_is_due_from(&self, due: DateTime<Utc>) {
        let mut since = self.backup_due.lock();
        *since = Some(since.map_or(due, |since| since.min(due)));
    }

    /// One was made, so the next is due then.
    pub(super) fn backup_is_next_due(&self, due: DateTime<Utc>) {
        *self.backup_due.lock() = Some(due);
    }
}

/// Makes backups of an open store, and tries them out: takes [`TakeBackup`] and [`RunDrill`].
/// See [`Store::backup_actor`](crate::Store::backup_actor).
pub struct BackupActor {
    /// `None` when the store closes.
    work: Option<mpsc::Sender<Work>>,
    /// The worker's thread.
    worker: Arc<Supervisee>,
    watch: Watch,
}

impl Actor for BackupActor {
    type Context = Context<Self>;
}

impl Supervised for BackupActor {}

impl BackupActor {
    pub(super) fn new(
        work: mpsc::Sender<Work>,
        worker: Arc<Supervisee>,
        heartbeat: Arc<Heartbeat>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            work: Some(work),
            worker,
            watch: Watch { heartbeat, shared },
        }
    }

    /// Has the worker do something when it has done what came before; the answer comes when it has, or
    /// when it makes no progress any more.
    fn ask<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut BackupWorker) -> T + Send + 'static,
    {
        let watch = self.watch.clone();
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |worker| {
            // Whoever was told that it will not be done must not have it done.
            if !reply.is_closed() {
                let _ = reply.send(work(worker));
            }
        });
        let sent = watch.check().and_then(|()| {
            let queue = self.work.as_ref().ok_or_else(Error::closed)?;
            queue.send(work).map_err(|_| watch.shared.why_dropped())
        });
        async move {
            sent?;
            watch.wait(answer).await
        }
    }
}

/// Sees whether the worker makes progress, and reports if it does not.
#[derive(Clone)]
struct Watch {
    heartbeat: Arc<Heartbeat>,
    shared: Arc<Shared>,
}

impl Watch {
    async fn wait<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T> {
        loop {
            match timeout(self.heartbeat.pause(), &mut answer).await {
                Ok(answered) => return answered.map_err(|_| self.shared.why_dropped()),
                Err(_) => self.check()?,
            }
        }
    }

    /// # Errors
    /// [`Deadline`](crate::ErrorKind::Deadline) while the worker makes no progress.
    fn check(&self) -> Result<()> {
        let State::Stalled(error, news) = self.heartbeat.look() else {
            return Ok(());
        };
        if let Some(job) = news {
            let last_runs = &self.shared.last_runs;
            let (at, why) = (self.shared.now(), error.to_string());
            let event = match job.doing {
                Doing::Backup => {
                    if self.shared.config.backups.every.is_some() {
                        last_runs.backup_is_due_from(job.began);
                    }
                    *last_runs.backup.lock() = Some(LastRun::Failed { at, error: why });
                    StoreEvent::BackupFailed(error.clone())
                }
                Doing::Drill => {
                    *last_runs.drill.lock() = Some(LastRun::Failed { at, error: why });
                    StoreEvent::DrillFailed(error.clone())
                }
            };
            self.shared.subscribers.tell(event);
            tracing::warn!(%error, "the backup worker is stuck");
        }
        Err(error)
    }
}

impl Handler<TakeBackup> for BackupActor {
    type Result = ResponseFuture<Result<Backup>>;

    fn handle(&mut self, request: TakeBackup, _ctx: &mut Self::Context) -> Self::Result {
        let made = self.ask(move |worker| worker.back_up(request, Reason::Manual));
        Box::pin(async move { made.await? })
    }
}

impl Handler<RunDrill> for BackupActor {
    type Result = ResponseFuture<Result<DrillReport>>;

    fn handle(&mut self, _: RunDrill, _ctx: &mut Self::Context) -> Self::Result {
        let tried = self.ask(BackupWorker::drill);
        Box::pin(async move { tried.await? })
    }
}

impl Handler<RunDueBackups> for BackupActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: RunDueBackups, _ctx: &mut Self::Context) -> Self::Result {
        let backups = &self.watch.shared.config.backups;
        if backups.every.is_none() && backups.drill_every.is_none() {
            return Box::pin(async { 0 });
        }
        let done = self.ask(BackupWorker::run_due);
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
        // What was sent last is the last: the worker ends when it has refused what waits.
        self.work = None;
        let (worker, heartbeat) = (Arc::clone(&self.worker), Arc::clone(&self.watch.heartbeat));
        Box::pin(async move {
            while timeout(CLOSING_PAUSE, worker.ended()).await.is_err() {
                if Instant::now() >= by && heartbeat.is_at_work() {
                    return;
                }
            }
        })
    }
}
