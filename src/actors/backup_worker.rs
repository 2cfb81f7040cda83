//! Makes backups and tries them out, one at a time, on a thread and a connection of its own.
//!
//! A plain thread, and no actor's: whatever it waits for may never answer, and then it is left behind
//! where an actor's thread would be waited for.

use super::Dispatch;
use super::archivist::lock;
use super::heartbeat::{Doing, Heartbeat};
use crate::backup::{self, Backup, DrillReport, Reason, TakeBackup};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{BackupReport, LastRun, StoreEvent};
use crate::holders::AtWork;
use crate::sqlite;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// The longest wait before a scheduled backup or drill that failed is tried again.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// How long a store without any backup is not looked at for one to try out.
const NOTHING_TO_DRILL: Duration = Duration::from_secs(60);

/// Something for the worker to do.
pub(super) type Job = Box<dyn FnOnce(&mut BackupWorker) + Send>;

pub(super) struct BackupWorker {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) at_work: AtWork,
    pub(super) heartbeat: Arc<Heartbeat>,
    /// Opened when it is first needed: most stores make no backup for hours.
    pub(super) conn: Option<Connection>,
    pub(super) backup_due: Option<DateTime<Utc>>,
    pub(super) drill_due: Option<DateTime<Utc>>,
    /// Whether the drill waits until there is something to try out.
    pub(super) waits_for_a_backup: bool,
}

impl BackupWorker {
    /// Does what comes until nothing can come any more.
    pub(super) fn run(mut self, jobs: mpsc::Receiver<Job>) {
        let heartbeat = Arc::clone(&self.heartbeat);
        for job in jobs {
            let _at_it = heartbeat.begin(self.dispatch.now_for_upkeep());
            // What panics in a job has its own guard; this one is for what a subscriber to the log may
            // do, which must not end the worker.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(&mut self))) {
                std::mem::forget(payload);
            }
        }
    }

    /// Does what is due; gives how much that was.
    pub(super) fn do_what_is_due(&mut self) -> usize {
        let (every, drill_every) = (self.config.backups.every, self.config.backups.drill_every);
        let backed_up = every.is_some_and(|every| self.backup_if_due(every));
        let drilled = drill_every.is_some_and(|every| self.drill_if_due(every));
        usize::from(backed_up) + usize::from(drilled)
    }

    /// Runs `work` on the connection. What panics in it, such as a host's progress hook, must not
    /// end the actor.
    fn work<T>(&mut self, work: impl FnOnce(&mut Connection, &Self) -> Result<T>) -> Result<T> {
        if self.dispatch.is_closing() {
            return Err(Error::closed());
        }
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => sqlite::open_archivist(&self.path, &self.config)?,
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut conn, self)));
        let result = done.unwrap_or_else(|payload| {
            std::mem::forget(payload);
            let why =
                "code of the host's panicked; the panic's message is where the panic hook writes";
            Err(Error::new(ErrorKind::Panicked, why))
        });
        // After an error its state may be in doubt, and it is seldom needed.
        if result.is_ok() {
            self.conn = Some(conn);
        }
        result
    }

    /// Whether the work is to end, asked again and again while it goes on: which shows that it does.
    fn closing(&self) -> impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static {
        let dispatch = AssertUnwindSafe(Arc::clone(&self.dispatch));
        let heartbeat = AssertUnwindSafe(Arc::clone(&self.heartbeat));
        move || heartbeat.beat() || dispatch.is_closing()
    }

    pub(super) fn back_up(&mut self, request: TakeBackup, reason: Reason) -> Result<Backup> {
        self.heartbeat.turn_to(Doing::Backup);
        let closing = self.closing();
        let result = self.work(|conn, worker| {
            let (path, config) = (&worker.path, &worker.config);
            let at_work = &worker.at_work;
            backup::of_open_store(conn, path, config, request, reason, at_work, closing)
        });
        let result = result.map_err(|e| e.in_operation("TakeBackup"));
        let report = result.as_ref().map(|backup| BackupReport {
            name: backup.manifest.name.clone(),
            reason,
            at: backup.manifest.taken_at,
            bytes: backup.manifest.artefact.bytes,
        });
        let last = &self.dispatch.last_runs.backup;
        self.note(
            report,
            last,
            StoreEvent::BackupDone,
            StoreEvent::BackupFailed,
        );
        if result.is_ok() && std::mem::take(&mut self.waits_for_a_backup) {
            self.drill_due = None;
        }
        result
    }

    pub(super) fn drill(&mut self) -> Result<DrillReport> {
        self.heartbeat.turn_to(Doing::Drill);
        let closing = self.closing();
        let result = self.work(|conn, worker| {
            backup::drill_of_open_store(conn, &worker.path, &worker.config, closing)
        });
        let result = result.map_err(|e| e.in_operation("RunDrill"));
        let report = match &result {
            Ok(report) => Ok(report.clone()),
            Err(error) => Err(error),
        };
        let last = &self.dispatch.last_runs.drill;
        self.note(report, last, StoreEvent::DrillDone, StoreEvent::DrillFailed);
        result
    }

    /// Keeps what came of it for `health`, and tells the subscribers. That somebody stopped it is
    /// nobody else's news; and of a job that was given up they have been told.
    fn note<T: Clone>(
        &self,
        report: Result<T, &Error>,
        last: &Mutex<Option<LastRun<T>>>,
        done: fn(T) -> StoreEvent,
        failed: fn(Error) -> StoreEvent,
    ) {
        let (run, event) = match report {
            Ok(report) => (LastRun::Done(report.clone()), done(report)),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed) => {
                return;
            }
            Err(_) if self.heartbeat.is_given_up() => return,
            Err(error) => {
                tracing::warn!(%error, "a backup or a drill failed");
                let run = LastRun::Failed {
                    at: self.dispatch.now_for_upkeep(),
                    error: error.to_string(),
                };
                (run, failed(error.clone()))
            }
        };
        *lock(last) = Some(run);
        self.dispatch.subscribers.tell(event);
    }

    /// When the next scheduled backup is due: a period after the newest in the folder, and now if
    /// there is none.
    fn first_backup_due(&mut self, every: Duration) -> Result<DateTime<Utc>> {
        let now = self.dispatch.now_for_upkeep();
        let last = self
            .work(|conn, worker| backup::last_scheduled(conn, &worker.path, &worker.config, now))?;
        Ok(last.map_or(now, |last| after(last, every)))
    }

    fn backup_if_due(&mut self, every: Duration) -> bool {
        let now = self.dispatch.now_for_upkeep();
        let due = match self.backup_due.filter(|&due| due <= after(now, every)) {
            Some(due) => due,
            None => match self.first_backup_due(every) {
                Ok(due) => due,
                Err(error) if error.kind() == ErrorKind::Closed => return false,
                Err(error) => {
                    tracing::warn!(%error, "the folder of backups cannot be looked at");
                    now
                }
            },
        };
        self.backup_due = Some(due);
        self.dispatch.last_runs.backup_is_due_from(due);
        // Looking into the folder takes time, and what is due at its end is due.
        let now = self.dispatch.now_for_upkeep();
        if due > now {
            return false;
        }
        let done = self
            .back_up(TakeBackup::default(), Reason::Scheduled)
            .is_ok();
        let pause = if done { every } else { every.min(RETRY) };
        self.backup_due = Some(after(now, pause));
        if done {
            self.dispatch
                .last_runs
                .backup_is_next_due(after(now, every));
        }
        done
    }

    fn drill_if_due(&mut self, every: Duration) -> bool {
        self.heartbeat.turn_to(Doing::Drill);
        let now = self.dispatch.now_for_upkeep();
        let due = self.drill_due.filter(|&due| due <= after(now, every));
        let due = due.unwrap_or_else(|| {
            let last = backup::last_drill(&self.path, &self.config);
            match last.filter(|last| last.at <= now) {
                Some(last) => after(last.at, every),
                None => now,
            }
        });
        self.drill_due = Some(due);
        if due > now {
            return false;
        }
        // A store that has no backup yet has nothing to try out, which is no failure.
        let has_any = self.work(|conn, worker| backup::has_any(conn, &worker.path, &worker.config));
        self.waits_for_a_backup = matches!(has_any, Ok(false));
        if self.waits_for_a_backup {
            self.drill_due = Some(after(now, every.min(NOTHING_TO_DRILL)));
            return false;
        }
        let done = self.drill().is_ok();
        let pause = if done { every } else { every.min(RETRY) };
        self.drill_due = Some(after(now, pause));
        done
    }
}

fn after(time: DateTime<Utc>, interval: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(interval)
        .ok()
        .and_then(|interval| time.checked_add_signed(interval))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
