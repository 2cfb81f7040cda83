//! The actor that takes requests for backups and drills. The work is a thread's, see
//! [`BackupWorker`]; the actor hands it out, and answers when the thread does, or when it has not been
//! heard of for too long. So it always answers.

use super::Dispatch;
use super::backup_worker::{BackupWorker, Job};
use super::heartbeat::{Doing, Heartbeat, State};
use crate::backup::{Backup, DrillReport, Reason, RunDrill, TakeBackup};
use crate::error::{Error, Result};
use crate::events::{BackupReport, LastRun, StoreEvent};
use actix::{Actor, Context, Handler, Message, ResponseFuture};
use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How often closing looks whether the worker is done.
const CLOSING_PAUSE: Duration = Duration::from_millis(20);

/// "Make a backup, or try one out, if its time has come"; answers how many of both it did.
#[derive(Message)]
#[rtype(result = "usize")]
pub(super) struct ArchiveDue;

/// "Stop, and let go of the file." Answers when that is done; or after `by`, when the worker is in the
/// middle of something then, and is left behind.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave {
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
        lock(&self.backup).clone()
    }

    pub(crate) fn drill(&self) -> Option<LastRun<DrillReport>> {
        lock(&self.drill).clone()
    }

    /// Since when a scheduled backup has been due, if one is.
    pub(crate) fn backup_due_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        lock(&self.backup_due).filter(|&due| due <= now)
    }

    /// One is due from then on; and if one is due already, since then.
    pub(super) fn backup_is_due_from(&self, due: DateTime<Utc>) {
        let mut since = lock(&self.backup_due);
        *since = Some(since.map_or(due, |since| since.min(due)));
    }

    /// One was made, so the next is due then.
    pub(super) fn backup_is_next_due(&self, due: DateTime<Utc>) {
        *lock(&self.backup_due) = Some(due);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes backups of an open store, and tries them out: takes [`TakeBackup`] and [`RunDrill`].
/// See [`Store::archivist`](crate::Store::archivist).
pub struct Archivist {
    /// `None` when the store closes.
    jobs: Option<mpsc::Sender<Job>>,
    /// Hears when the worker has ended.
    ended: Option<oneshot::Receiver<()>>,
    watch: Watch,
}

impl Actor for Archivist {
    type Context = Context<Self>;
}

impl Archivist {
    /// With the worker on a thread of its own, whose id is the answer's second part.
    pub(super) fn employ(worker: BackupWorker) -> Result<(Self, ThreadId)> {
        let watch = Watch {
            heartbeat: Arc::clone(&worker.heartbeat),
            dispatch: Arc::clone(&worker.dispatch),
            has_schedule: worker.config.backups.every.is_some(),
        };
        let (jobs, to_do) = mpsc::channel();
        let (ends, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("botstore-backup".to_owned())
            .spawn(move || {
                worker.run(to_do);
                drop(ends);
            })
            .map_err(|e| Error::io("cannot start a thread", e))?;
        let archivist = Self {
            jobs: Some(jobs),
            ended: Some(ended),
            watch,
        };
        Ok((archivist, thread.thread().id()))
    }

    /// Has the worker do something when it has done what came before; the answer comes when it has, or
    /// when it is not heard of any more.
    fn ask<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut BackupWorker) -> T + Send + 'static,
    {
        let watch = self.watch.clone();
        let (tell, answer) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            // Whoever was told that it will not be done must not have it done.
            if !tell.is_closed() {
                let _ = tell.send(work(worker));
            }
        });
        let sent = watch.check().and_then(|()| {
            let jobs = self.jobs.as_ref().ok_or_else(Error::closed)?;
            jobs.send(job).map_err(|_| Error::closed())
        });
        async move {
            sent?;
            watch.wait(answer).await
        }
    }
}

/// Sees whether the worker gets on, and tells if it does not.
#[derive(Clone)]
struct Watch {
    heartbeat: Arc<Heartbeat>,
    dispatch: Arc<Dispatch>,
    has_schedule: bool,
}

impl Watch {
    async fn wait<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T> {
        loop {
            match timeout(self.heartbeat.pause(), &mut answer).await {
                Ok(answered) => return answered.map_err(|_| Error::closed()),
                Err(_) => self.check()?,
            }
        }
    }

    /// # Errors
    /// [`Deadline`](crate::ErrorKind::Deadline) while the worker is not heard of.
    fn check(&self) -> Result<()> {
        let State::Stalled(error, news) = self.heartbeat.look() else {
            return Ok(());
        };
        if let Some(job) = news {
            tracing::warn!(%error, "the backup worker is stuck");
            let last_runs = &self.dispatch.last_runs;
            let (at, why) = (self.dispatch.now_for_upkeep(), error.to_string());
            let event = match job.doing {
                Doing::Backup => {
                    if self.has_schedule {
                        last_runs.backup_is_due_from(job.began);
                    }
                    *lock(&last_runs.backup) = Some(LastRun::Failed { at, error: why });
                    StoreEvent::BackupFailed(error.clone())
                }
                Doing::Drill => {
                    *lock(&last_runs.drill) = Some(LastRun::Failed { at, error: why });
                    StoreEvent::DrillFailed(error.clone())
                }
            };
            self.dispatch.subscribers.tell(event);
        }
        Err(error)
    }
}

impl Handler<TakeBackup> for Archivist {
    type Result = ResponseFuture<Result<Backup>>;

    fn handle(&mut self, request: TakeBackup, _ctx: &mut Self::Context) -> Self::Result {
        let made = self.ask(move |worker| worker.back_up(request, Reason::Manual));
        Box::pin(async move { made.await? })
    }
}

impl Handler<RunDrill> for Archivist {
    type Result = ResponseFuture<Result<DrillReport>>;

    fn handle(&mut self, _: RunDrill, _ctx: &mut Self::Context) -> Self::Result {
        let tried = self.ask(BackupWorker::drill);
        Box::pin(async move { tried.await? })
    }
}

impl Handler<ArchiveDue> for Archivist {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: ArchiveDue, _ctx: &mut Self::Context) -> Self::Result {
        let done = self.ask(BackupWorker::do_what_is_due);
        Box::pin(async move { done.await.unwrap_or(0) })
    }
}

impl Handler<Leave> for Archivist {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Leave { by }: Leave, _ctx: &mut Self::Context) -> Self::Result {
        // The last job was the last: the worker ends when it has refused what waits.
        self.jobs = None;
        let (ended, heartbeat) = (self.ended.take(), Arc::clone(&self.watch.heartbeat));
        Box::pin(async move {
            let Some(mut ended) = ended else { return };
            while timeout(CLOSING_PAUSE, &mut ended).await.is_err() {
                if Instant::now() >= by && heartbeat.is_at_work() {
                    tracing::warn!("a backup that gets no further is left behind");
                    return;
                }
            }
        })
    }
}
