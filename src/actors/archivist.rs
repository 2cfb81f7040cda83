//! The actor that makes backups and tries them out, one at a time, on a thread and a connection of
//! its own.

use super::Dispatch;
use super::reader::Retire;
use crate::backup::{self, Backup, DrillReport, Reason, RunDrill, TakeBackup};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{BackupReport, LastRun, StoreEvent};
use crate::holders::AtWork;
use crate::sqlite;
use actix::{Actor, ActorContext, Context, Handler, Message};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest wait before a scheduled backup or drill that failed is tried again.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// "Make a backup, or try one out, if its time has come"; answers how many of both it did.
#[derive(Message)]
#[rtype(result = "usize")]
pub(super) struct ArchiveDue;

/// What came of the last backup and the last drill.
#[derive(Default)]
pub(crate) struct LastRuns {
    backup: Mutex<Option<LastRun<BackupReport>>>,
    drill: Mutex<Option<LastRun<DrillReport>>>,
}

impl LastRuns {
    pub(crate) fn backup(&self) -> Option<LastRun<BackupReport>> {
        lock(&self.backup).clone()
    }

    pub(crate) fn drill(&self) -> Option<LastRun<DrillReport>> {
        lock(&self.drill).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes backups of an open store, and tries them out: takes [`TakeBackup`] and [`RunDrill`].
/// See [`Store::archivist`](crate::Store::archivist).
pub struct Archivist {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) at_work: AtWork,
    /// Opened when it is first needed: most stores make no backup for hours.
    pub(super) conn: Option<Connection>,
    pub(super) backup_due: Option<DateTime<Utc>>,
    pub(super) drill_due: Option<DateTime<Utc>>,
}

impl Actor for Archivist {
    type Context = Context<Self>;
}

impl Archivist {
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

    fn closing(&self) -> impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static {
        let dispatch = AssertUnwindSafe(Arc::clone(&self.dispatch));
        move || dispatch.is_closing()
    }

    fn back_up(&mut self, request: TakeBackup, reason: Reason) -> Result<Backup> {
        let closing = self.closing();
        let result = self.work(|conn, archivist| {
            let (path, config) = (&archivist.path, &archivist.config);
            let at_work = &archivist.at_work;
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
        result
    }

    fn drill(&mut self) -> Result<DrillReport> {
        let closing = self.closing();
        let result = self.work(|conn, archivist| {
            backup::drill_of_open_store(conn, &archivist.path, &archivist.config, closing)
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
    /// nobody else's news.
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
        let last = self.work(|conn, archivist| {
            backup::last_scheduled(conn, &archivist.path, &archivist.config)
        })?;
        let now = self.dispatch.now_for_upkeep();
        // One from the future was made before the clock was set back.
        Ok(match last.filter(|&last| last <= now) {
            Some(last) => after(last, every),
            None => now,
        })
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
        done
    }

    fn drill_if_due(&mut self, every: Duration) -> bool {
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

impl Handler<TakeBackup> for Archivist {
    type Result = Result<Backup>;

    fn handle(&mut self, request: TakeBackup, _ctx: &mut Self::Context) -> Self::Result {
        self.back_up(request, Reason::Manual)
    }
}

impl Handler<RunDrill> for Archivist {
    type Result = Result<DrillReport>;

    fn handle(&mut self, _: RunDrill, _ctx: &mut Self::Context) -> Self::Result {
        self.drill()
    }
}

impl Handler<ArchiveDue> for Archivist {
    type Result = usize;

    fn handle(&mut self, _: ArchiveDue, _ctx: &mut Self::Context) -> usize {
        let (every, drill_every) = (self.config.backups.every, self.config.backups.drill_every);
        let backed_up = every.is_some_and(|every| self.backup_if_due(every));
        let drilled = drill_every.is_some_and(|every| self.drill_if_due(every));
        usize::from(backed_up) + usize::from(drilled)
    }
}

impl Handler<Retire> for Archivist {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        self.conn = None;
        ctx.stop();
    }
}
