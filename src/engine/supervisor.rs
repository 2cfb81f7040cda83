//! The actor that runs what is due, looks at the disk, and tells of actors that were started again.
//!
//! What starts an actor again, this one too, is in `supervision`.

use super::backup_actor::{BackupActor, RunDueBackups};
use super::disk_watch::DiskWatch;
use super::due::Due;
use super::file_watch::FileWatch;
use super::handle::Handle;
use super::writer::Probe;
use crate::error::{ErrorKind, Result};
use crate::events::StoreEvent;
use crate::panics::quietly;
use crate::schedule::{Done, IsDue, RecordRun, Schedule, Turn};
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture,
    Supervised, WrapFuture,
};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How often the supervisor looks whether something is due: the grain of every schedule.
const TICK: Duration = Duration::from_secs(1);

/// The longest wait before a scheduled run that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// "Run what is due now"; answers how many runs there were.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct RunDue;

/// What the store has the engine do besides: the engine knows no table and no operation.
pub(crate) struct Duties {
    pub(crate) upkeep: Vec<Upkeep>,
    /// The event that a scheduled mutation's output is worth.
    pub(crate) announce: fn(&Done) -> Option<StoreEvent>,
}

/// Work of the store's own that comes again and is no single mutation. That it ran is written down when
/// it is done.
pub(crate) struct Upkeep {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    run: Arc<dyn Fn(Arc<Handle>) -> UpkeepRun + Send + Sync>,
}

impl Upkeep {
    pub(crate) fn new<F>(
        name: &'static str,
        every: Duration,
        run: impl Fn(Arc<Handle>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let run = Arc::new(move |handle| Box::pin(run(handle)) as UpkeepRun);
        Self { name, every, run }
    }
}

type UpkeepRun = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

type Planned<T> = Arc<Mutex<Vec<(T, Due)>>>;

pub(crate) struct Supervisor {
    handle: Arc<Handle>,
    backups: Addr<BackupActor>,
    announce: fn(&Done) -> Option<StoreEvent>,
    /// Held by who runs them, so that runs do not pile up while the writer is held up.
    schedules: Planned<Schedule>,
    upkeep: Planned<Upkeep>,
    /// The same for backups, which may take an hour, and for probes: a disk may take half a minute to fail.
    backing_up: Arc<Mutex<()>>,
    probing: Arc<Mutex<()>>,
    disk: DiskWatch,
    files: FileWatch,
    /// In the order of `Supervision::health`.
    restarts_reported: Vec<u64>,
}

impl Supervisor {
    pub(super) fn new(handle: Arc<Handle>, backups: Addr<BackupActor>, duties: Duties) -> Self {
        let schedules = handle.shared.config.schedules.iter();
        let schedules = schedules.map(|schedule| (schedule.clone(), Due::every(schedule.every)));
        let upkeep = duties.upkeep.into_iter().map(|upkeep| {
            let due = Due::every(upkeep.every);
            (upkeep, due)
        });
        Self {
            schedules: Arc::new(Mutex::new(schedules.collect())),
            upkeep: Arc::new(Mutex::new(upkeep.collect())),
            handle,
            backups,
            announce: duties.announce,
            backing_up: Arc::default(),
            probing: Arc::default(),
            disk: DiskWatch::new(),
            files: FileWatch::default(),
            restarts_reported: Vec::new(),
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let shared = Arc::clone(&self.handle.shared);
        if shared.is_closing() {
            return;
        }
        self.report_restarts();
        // Before what is due is run, which may write.
        self.files.look(&shared);
        if let Ok(schedules) = Arc::clone(&self.schedules).try_lock_owned() {
            let run = run_schedules(Arc::clone(&self.handle), schedules, self.announce);
            ctx.spawn(run.into_actor(self).map(|_, _, _| ()));
        }
        if let Ok(upkeep) = Arc::clone(&self.upkeep).try_lock_owned() {
            let run = run_upkeep(Arc::clone(&self.handle), upkeep);
            ctx.spawn(run.into_actor(self).map(|_, _, _| ()));
        }
        if let Ok(busy) = Arc::clone(&self.backing_up).try_lock_owned() {
            let run = self.backups.send(RunDueBackups);
            ctx.spawn(run.into_actor(self).map(|_, _, _| drop(busy)));
        }
        // Whoever has nothing to write would not find out that the disk works again.
        if shared.disk.is_failing()
            && let Ok(busy) = Arc::clone(&self.probing).try_lock_owned()
        {
            let probe = self.handle.writer.send(Probe);
            ctx.spawn(probe.into_actor(self).map(|_, _, _| drop(busy)));
        }
        self.disk.look_at_state(&shared);
        self.disk.look_for_space(&shared);
    }

    /// Tells of actors that were started again. A subscriber to the log that panics at this line as well
    /// must not be the reason for the next restart.
    fn report_restarts(&mut self) {
        let supervision = &self.handle.shared.supervision;
        let actors = supervision.health();
        self.restarts_reported.resize(actors.len(), 0);
        for (actor, reported) in actors.iter().zip(&mut self.restarts_reported) {
            let (role, restarts) = (actor.role, actor.restarts);
            if std::mem::replace(reported, restarts) == restarts {
                continue;
            }
            let event = StoreEvent::ActorRestarted { role, restarts };
            self.handle.shared.subscribers.tell(event);
            quietly(|| tracing::error!(%role, restarts, "an actor panicked and was started again"));
        }
    }
}

/// Runs the schedules that are due; gives how many ran.
async fn run_schedules(
    handle: Arc<Handle>,
    mut schedules: OwnedMutexGuard<Vec<(Schedule, Due)>>,
    announce: fn(&Done) -> Option<StoreEvent>,
) -> usize {
    let mut ran = 0;
    for (schedule, due) in &mut *schedules {
        if handle.shared.is_closing() || !due.is_due(handle.shared.now()) {
            continue;
        }
        let turn = match schedule.run() {
            Ok(run) => handle.write(run).await,
            Err(error) => Err(error),
        };
        match turn {
            Ok(Turn::NotBefore(at)) => due.set(at),
            Ok(Turn::Due(done)) => {
                ran += 1;
                due.ran(handle.shared.now());
                if let Some(event) = done.as_ref().and_then(announce) {
                    handle.shared.subscribers.tell(event);
                }
                // A host's value.
                quietly(|| drop(done));
            }
            Err(error) => failed(&schedule.name, due, &handle, &error),
        }
    }
    ran
}

/// Runs the store's own work that is due; gives how much ran.
async fn run_upkeep(handle: Arc<Handle>, mut upkeep: OwnedMutexGuard<Vec<(Upkeep, Due)>>) -> usize {
    let mut ran = 0;
    for (upkeep, due) in &mut *upkeep {
        if handle.shared.is_closing() || !due.is_due(handle.shared.now()) {
            continue;
        }
        let Upkeep { name, every, run } = &*upkeep;
        let (name, every) = (*name, *every);
        let done = async {
            let turn = handle.write(IsDue { name, every }).await?;
            if matches!(turn, Turn::Due(_)) {
                run(Arc::clone(&handle)).await?;
                handle.write(RecordRun { name }).await?;
            }
            Ok(turn)
        };
        match done.await {
            Ok(Turn::NotBefore(at)) => due.set(at),
            Ok(Turn::Due(_)) => {
                ran += 1;
                due.ran(handle.shared.now());
            }
            Err(error) => failed(name, due, &handle, &error),
        }
    }
    ran
}

fn failed(schedule: &str, due: &mut Due, handle: &Handle, error: &crate::Error) {
    if error.kind() == ErrorKind::Closed {
        return;
    }
    due.retry(handle.shared.now(), RETRY);
    tracing::warn!(schedule, %error, "a scheduled run failed");
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, Self::look);
        // The first look at once, so that a bot that never runs for long has its schedules too. Not from
        // here: an actor that panics in `started` never gets to its mailbox.
        ctx.run_later(Duration::ZERO, Self::look);
    }
}

impl Supervised for Supervisor {}

impl Handler<RunDue> for Supervisor {
    type Result = ResponseActFuture<Self, usize>;

    fn handle(&mut self, _: RunDue, _ctx: &mut Self::Context) -> Self::Result {
        let (handle, announce) = (Arc::clone(&self.handle), self.announce);
        let (schedules, upkeep) = (Arc::clone(&self.schedules), Arc::clone(&self.upkeep));
        let backups = self.backups.send(RunDueBackups);
        let run = async move {
            let schedules = schedules.lock_owned().await;
            let ran = run_schedules(Arc::clone(&handle), schedules, announce).await;
            let upkeep = upkeep.lock_owned().await;
            ran + run_upkeep(handle, upkeep).await + backups.await.unwrap_or(0)
        };
        Box::pin(run.into_actor(self))
    }
}
