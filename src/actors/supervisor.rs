//! The actor that runs what is scheduled and closes the store in order.

use super::Dispatch;
use super::archivist::{ArchiveDue, Archivist, Leave};
use super::checkpointer::{Checkpointer, Release};
use super::reader::Retire;
use super::watch::{DiskSpaceWatch, TroubleWatch};
use super::writer::{CloseFile, Finish, Optimize, Writer};
use crate::config::Config;
use crate::domain::rollups::ReconcileRollups;
use crate::error::{Error, ErrorKind, Result};
use crate::events::StoreEvent;
use crate::operation::{Mutation, WriteTx};
use crate::schedule::Schedule;
use actix::{
    Actor, Addr, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture, System,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the supervisor looks whether something is due: the grain of every schedule.
const TICK: Duration = Duration::from_secs(1);

/// The longest wait before a scheduled run that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// "Run what is due now"; answers how many runs there were.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct RunDue;

/// "Close the store."
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

/// What closing came to, for the thread that tells it when everything else is gone.
pub(crate) type Outcome = Arc<Mutex<Option<Result<()>>>>;

/// When each schedule is next worth asking about. A cache: the truth is in the file.
type DueTimes = Arc<Mutex<HashMap<String, DateTime<Utc>>>>;

/// Those whom the supervisor gives orders.
#[derive(Clone)]
pub(super) struct Crew {
    pub(super) writer: Addr<Writer>,
    pub(super) readers: Vec<Recipient<Retire>>,
    pub(super) checkpointer: Addr<Checkpointer>,
    pub(super) archivist: Addr<Archivist>,
    pub(super) close_deadline: Duration,
    /// Ends the queries that run.
    pub(super) stop: Arc<AtomicBool>,
}

pub(crate) struct Supervisor {
    dispatch: Arc<Dispatch>,
    schedules: Arc<[Schedule]>,
    due: DueTimes,
    looking: Arc<AtomicBool>,
    /// The same for the archivist, whose work may take an hour.
    archiving: Arc<AtomicBool>,
    archives: bool,
    space: DiskSpaceWatch,
    trouble: TroubleWatch,
    reconcile: Reconcile,
    crew: Crew,
    outcome: Outcome,
}

/// Stands for `PRAGMA optimize` in the schedule; the writer runs that outside any transaction.
struct OptimizeFile;

impl Mutation for OptimizeFile {
    type Output = ();

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }

    /// No type has such a name, so no host's schedule is taken for this one.
    fn name() -> &'static str {
        "PRAGMA optimize"
    }
}

impl Supervisor {
    pub(super) fn new(
        dispatch: Arc<Dispatch>,
        path: &Path,
        config: &Config,
        crew: Crew,
        outcome: Outcome,
    ) -> Self {
        let mut schedules = config.schedules.clone();
        schedules.push(Schedule::new(DAY, || OptimizeFile));
        Schedule::number(&mut schedules);
        Self {
            dispatch,
            schedules: schedules.into(),
            due: DueTimes::default(),
            looking: Arc::default(),
            archiving: Arc::default(),
            archives: config.backups.every.is_some() || config.backups.drill_every.is_some(),
            space: DiskSpaceWatch::new(path, config.disk_low_bytes),
            trouble: TroubleWatch::default(),
            reconcile: Reconcile::new(config.reconcile_every),
            crew,
            outcome,
        }
    }

    /// Runs what is due, unless the last look is not over: while the writer is held up, looks must
    /// not pile up in front of it.
    fn look(&mut self) {
        one_at_a_time(&self.looking, self.run_due());
        one_at_a_time(&self.archiving, self.archive_due());
        self.space.look(&self.dispatch);
        self.trouble.look(&self.dispatch, &self.crew.writer);
        self.reconcile.look(&self.dispatch);
    }

    /// Has the archivist do what is due; gives how much that was.
    fn archive_due(&self) -> impl Future<Output = usize> + use<> {
        let archivist = self.archives.then(|| self.crew.archivist.clone());
        async move {
            match archivist {
                Some(archivist) => archivist.send(ArchiveDue).await.unwrap_or(0),
                None => 0,
            }
        }
    }

    fn run_due(&self) -> impl Future<Output = usize> + use<> {
        let dispatch = Arc::clone(&self.dispatch);
        let schedules = Arc::clone(&self.schedules);
        let due = Arc::clone(&self.due);
        let writer = self.crew.writer.clone();
        async move {
            let mut runs = 0;
            for schedule in schedules.iter() {
                if dispatch.is_closing() || !is_due(&due, schedule, dispatch.now_for_upkeep()) {
                    continue;
                }
                let ran = run(schedule, &dispatch, &due).await;
                runs += usize::from(ran);
                if ran && schedule.name() == OptimizeFile::name() {
                    writer.do_send(Optimize);
                }
            }
            runs
        }
    }
}

/// Starts the work unless it is still at it since the last time.
pub(super) fn one_at_a_time(busy: &Arc<AtomicBool>, work: impl Future<Output = usize> + 'static) {
    if busy.swap(true, Ordering::AcqRel) {
        return;
    }
    let busy = Busy(Arc::clone(busy));
    actix::spawn(async move {
        let _busy = busy;
        work.await;
    });
}

/// Work is under way until this is dropped, which it is when the work panics, too.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn is_due(due: &DueTimes, schedule: &Schedule, now: DateTime<Utc>) -> bool {
    let due = due.lock().unwrap_or_else(PoisonError::into_inner);
    let interval = TimeDelta::from_std(schedule.interval()).unwrap_or(TimeDelta::MAX);
    due.get(schedule.name()).is_none_or(|&at| {
        // Further away than an interval: the clock was set back.
        at <= now || at.signed_duration_since(now) > interval
    })
}

/// Runs one schedule if the file agrees that it is due, and notes when to ask again.
async fn run(schedule: &Schedule, dispatch: &Arc<Dispatch>, due: &DueTimes) -> bool {
    let (ran, due_at) = match schedule.run_if_due(Arc::clone(dispatch)).await {
        Ok(turn) => {
            if let Some(event) = turn.event {
                dispatch.subscribers.tell(event);
            }
            (turn.ran, turn.due_at)
        }
        Err(error) if error.kind() == ErrorKind::Closed => return false,
        Err(error) => {
            tracing::warn!(schedule = schedule.name(), %error, "a scheduled run failed");
            let pause = schedule.interval().min(RETRY);
            (false, dispatch.now_for_upkeep() + pause)
        }
    };
    due.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(schedule.name().to_owned(), due_at);
    ran
}

/// Has the rollups compared with a full count now and then.
struct Reconcile {
    every: Option<Duration>,
    due: Option<Instant>,
    busy: Arc<AtomicBool>,
}

impl Reconcile {
    fn new(every: Option<Duration>) -> Self {
        Self {
            every,
            due: every.map(|every| Instant::now() + every),
            busy: Arc::default(),
        }
    }

    fn look(&mut self, dispatch: &Arc<Dispatch>) {
        let (Some(every), Some(due)) = (self.every, self.due) else {
            return;
        };
        if Instant::now() < due {
            return;
        }
        self.due = Some(Instant::now() + every);
        let dispatch = Arc::clone(dispatch);
        one_at_a_time(&self.busy, async move {
            match dispatch.read(ReconcileRollups).await {
                Ok(report) if report.differences > 0 => {
                    let rows = report.differences;
                    tracing::warn!(rows, "the rollups are not what a full count says");
                    dispatch
                        .subscribers
                        .tell(StoreEvent::RollupsDiffer { rows });
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the rollups could not be compared"),
            }
            1
        });
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The first look at once, so that a bot that never runs for long has its schedules too.
        self.look();
        ctx.run_interval(TICK, |supervisor, _| supervisor.look());
    }
}

impl Handler<RunDue> for Supervisor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: RunDue, _ctx: &mut Self::Context) -> Self::Result {
        let (schedules, archive) = (self.run_due(), self.archive_due());
        Box::pin(async move { schedules.await + archive.await })
    }
}

impl Handler<Close> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Close, _ctx: &mut Self::Context) {
        if self.dispatch.is_closing() {
            return;
        }
        self.dispatch.shut();
        let crew = self.crew.clone();
        let outcome = Arc::clone(&self.outcome);
        actix::spawn(async move {
            let result = crew.close().await;
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            System::current().stop();
        });
    }
}

impl Crew {
    /// Has everything that waits answered, then lets go of the file, the writer last.
    async fn close(self) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        let watch = actix::spawn(async move {
            tokio::time::sleep(self.close_deadline).await;
            stop.store(true, Ordering::Relaxed);
        });
        let by = Instant::now() + self.close_deadline;
        // All orders are out before the first answer is waited for.
        let finished = self.writer.send(Finish { by });
        let retired: Vec<_> = self.readers.iter().map(|r| r.send(Retire)).collect();
        let released = self.checkpointer.send(Release);
        let archived = self.archivist.send(Leave { by });
        // An actor that is gone has nothing left to finish.
        let _ = finished.await;
        for reader in retired {
            let _ = reader.await;
        }
        let _ = released.await;
        let _ = archived.await;
        watch.abort();
        self.writer
            .send(CloseFile)
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "the writer is gone")))
    }
}
