//! The actor that runs what is due, watches the disk, and reports restarted actors.
//!
//! The restarts themselves, also of this actor, are in `supervision`.

use super::backup_actor::{BackupActor, RunDueBackups};
use super::checkpointer::{Checkpoint, Checkpointer};
use super::clock_report::ClockReport;
use super::disk_watch::DiskWatch;
use super::duty::Duty;
use super::file_watch::FileWatch;
use super::handle::Handle;
use super::idle_watch::IdleWatch;
use super::timers::{Timers, Why};
use super::writer::{CountRest, LookAtLog, Probe, Recount};
use crate::events::StoreEvent;
use crate::panics::quietly;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture,
    Supervised, WrapFuture,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often the supervisor checks whether something is due: the resolution of every schedule.
const TICK: Duration = Duration::from_secs(1);

/// How many ticks rows wait to be counted, if too few have come to be due: a minute. At each tick, a bot with one
/// message a second would write the counts for each.
const WAIT_TICKS: u32 = 60;

/// "Run what is due now"; answers the number of runs.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct RunDue;

pub(crate) struct Supervisor {
    handle: Arc<Handle>,
    backups: Addr<BackupActor>,
    checkpointer: Addr<Checkpointer>,
    duties: Vec<Arc<Duty>>,
    timers: Arc<Timers>,
    /// Held during that work: a backup may take an hour, and a disk half a minute to fail.
    backing_up: Arc<Mutex<()>>,
    probing: Arc<Mutex<()>>,
    looking_at_log: Arc<Mutex<()>>,
    /// For how many ticks rows may have waited to be counted.
    waited: u32,
    disk: DiskWatch,
    clock: ClockReport,
    files: FileWatch,
    idle: IdleWatch,
    /// In the order of `Supervision::health`.
    restarts_reported: Vec<u64>,
}

impl Supervisor {
    pub(super) fn new(
        handle: Arc<Handle>,
        backups: Addr<BackupActor>,
        checkpointer: Addr<Checkpointer>,
        duties: Vec<Duty>,
    ) -> Self {
        let timers = Timers::new(handle.shared.config.timers.clone());
        Self {
            handle,
            backups,
            checkpointer,
            timers: Arc::new(timers),
            duties: duties.into_iter().map(Arc::new).collect(),
            backing_up: Arc::default(),
            probing: Arc::default(),
            looking_at_log: Arc::default(),
            waited: 0,
            disk: DiskWatch::new(),
            clock: ClockReport::default(),
            files: FileWatch::default(),
            idle: IdleWatch::new(),
            restarts_reported: Vec::new(),
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let shared = Arc::clone(&self.handle.shared);
        if shared.is_closing() {
            return;
        }
        self.report_restarts();
        // First, so that due work, which may write, knows of the problems.
        self.files.look(&shared);
        self.clock.look(&shared);
        for duty in &self.duties {
            if let Ok(due) = Arc::clone(&duty.due).try_lock_owned() {
                let run = Arc::clone(duty).run_if_due(due, Arc::clone(&self.handle));
                ctx.spawn(run.into_actor(self).map(|_, _, _| ()));
            }
        }
        if let Ok(known) = Arc::clone(&self.timers.known).try_lock_owned() {
            let timers = Arc::clone(&self.timers);
            let run = timers.run_due(known, Arc::clone(&self.handle), Why::Tick);
            ctx.spawn(run.into_actor(self).map(|_, _, _| ()));
        }
        if let Ok(busy) = Arc::clone(&self.backing_up).try_lock_owned() {
            let run = self.backups.send(RunDueBackups);
            ctx.spawn(run.into_actor(self).map(|_, _, _| drop(busy)));
        }
        // Without this, a store with nothing to write would not notice that the disk works again.
        if shared.disk.is_failing()
            && let Ok(busy) = Arc::clone(&self.probing).try_lock_owned()
        {
            let probe = self.handle.writer.send(Probe);
            ctx.spawn(probe.into_actor(self).map(|_, _, _| drop(busy)));
        }
        if shared.files.log_may_be_cut() {
            if let Ok(busy) = Arc::clone(&self.looking_at_log).try_lock_owned() {
                let look = self.handle.writer.send(LookAtLog);
                ctx.spawn(look.into_actor(self).map(|_, _, _| drop(busy)));
            }
        } else if self.idle.look(&shared) {
            let copy = self.checkpointer.send(Checkpoint).into_actor(self);
            ctx.spawn(copy.map(|done, this, _| this.idle.note(done.unwrap_or(false))));
        }
        self.waited = match shared.may_wait.load(Relaxed) {
            true => self.waited + 1,
            false => 0,
        };
        if self.waited >= WAIT_TICKS {
            self.waited = 0;
            self.handle.writer.do_send(CountRest);
        }
        if shared.recounting.is_due() {
            self.handle.writer.do_send(Recount);
        }
        self.disk.look_at_state(&shared);
        self.disk.look_for_space(&shared);
    }

    /// Reports restarted actors. A log subscriber that panics at this line as well must not cause the next
    /// restart.
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
            self.handle.shared.subscribers.send(event);
            quietly(|| tracing::error!(%role, restarts, "an actor panicked and was restarted"));
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, Self::look);
        // The first look at once, so that schedules also work in a bot that never runs for long. Not from here: an
        // actor that panics in `started` never gets to its mailbox.
        ctx.run_later(Duration::ZERO, Self::look);
    }
}

impl Supervised for Supervisor {}

impl Handler<RunDue> for Supervisor {
    type Result = ResponseActFuture<Self, usize>;

    fn handle(&mut self, _: RunDue, _ctx: &mut Self::Context) -> Self::Result {
        let (handle, duties) = (Arc::clone(&self.handle), self.duties.clone());
        let timers = Arc::clone(&self.timers);
        self.clock.look(&handle.shared);
        let backups = self.backups.send(RunDueBackups);
        let run = async move {
            let mut ran = 0;
            for duty in duties {
                let due = Arc::clone(&duty.due).lock_owned().await;
                ran += duty.run_if_due(due, Arc::clone(&handle)).await;
            }
            let known = Arc::clone(&timers.known).lock_owned().await;
            ran += timers.run_due(known, Arc::clone(&handle), Why::Asked).await;
            ran + backups.await.unwrap_or(0)
        };
        Box::pin(run.into_actor(self))
    }
}
