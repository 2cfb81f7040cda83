//! Makes backups and drills, one at a time, on a thread and a connection of its own.
//!
//! A plain thread and not an actor's: a system call in it may never return. Then this thread is left behind, while
//! closing would wait for an actor's thread.

use super::due::Due;
use super::last_runs::Doing;
use super::shared::Shared;
use super::snapshots::SnapshotSlot;
use super::supervision::Supervisee;
use crate::archive::{self, Backup, DrillReport, Reason, TakeBackup};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{BackupReport, LastRun, StoreEvent};
use crate::panics::caught;
use crate::sqlite;
use crate::time::after;
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The longest wait before a scheduled backup or drill that failed is tried again.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// How long to wait before looking again for a backup to try, in a store without any.
const NOTHING_TO_DRILL: Duration = Duration::from_secs(60);

/// Something for the worker to do.
pub(super) type Work = Box<dyn FnOnce(&mut BackupWorker) + Send>;

pub(super) struct BackupWorker {
    shared: Arc<Shared>,
    slot: SnapshotSlot,
    /// Opened when it is first needed: most stores make no backup for hours.
    conn: Option<Connection>,
    backup_due: Due,
    drill_due: Due,
    /// Whether the drill waits until there is a backup to try.
    waits_for_a_backup: bool,
}

impl BackupWorker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let backups = &shared.config.backups;
        Self {
            backup_due: Due::every(backups.every.unwrap_or(Duration::MAX)),
            drill_due: Due::every(backups.drill_every.unwrap_or(Duration::MAX)),
            slot: shared.snapshots.add(),
            shared,
            conn: None,
            waits_for_a_backup: false,
        }
    }

    /// Does the work in the queue until the queue is closed.
    pub(super) fn run(mut self, queue: mpsc::Receiver<Work>, supervisee: &Supervisee) {
        // The remains of a process that was killed stay only until the next opening.
        let tidy: Work = Box::new(|worker| archive::clear_unfinished(&worker.source()));
        for work in std::iter::once(tidy).chain(queue) {
            self.shared.heartbeat.begin(self.shared.now());
            // A backup catches its own panics; this is for a log subscriber's.
            let done = caught(|| work(&mut self));
            self.shared.heartbeat.end();
            if done.is_none() {
                self.conn = None;
                if !self.shared.supervision.restarts(supervisee) {
                    break;
                }
            }
        }
    }

    /// The store's file, as a source of backups.
    fn source(&self) -> archive::Source<'_> {
        self.shared.config.backup_source(&self.shared.path)
    }

    /// Does what is due; returns how many backups and drills that was.
    pub(super) fn run_due(&mut self) -> usize {
        let (every, drill_every) = {
            let backups = &self.shared.config.backups;
            (backups.every, backups.drill_every)
        };
        let backed_up = every.is_some_and(|every| self.backup_if_due(every));
        let drilled = drill_every.is_some_and(|every| self.drill_if_due(every));
        usize::from(backed_up) + usize::from(drilled)
    }

    /// Runs `work` on the connection. A panic in it, such as one of a host's progress hook, must not end the
    /// worker.
    fn work<T>(&mut self, work: impl FnOnce(&mut Connection, &Self) -> Result<T>) -> Result<T> {
        if self.shared.is_closing() {
            return Err(Error::closed());
        }
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let settings = self.shared.config.sqlite_settings();
                let files = &self.shared.files;
                files.connect(|path| sqlite::open_backup_source(path, &settings))?
            }
        };
        let result = caught(|| work(&mut conn, self)).unwrap_or_else(|| {
            let why =
                "code of the host's panicked; the panic hook's output has the panic's message";
            Err(Error::new(ErrorKind::Panicked, why))
        });
        // After an error its state may be in doubt, and it is seldom needed.
        if result.is_ok() {
            self.conn = Some(conn);
        }
        result
    }

    /// Whether the work is to stop. The work calls this all the time, which also shows that it makes progress.
    fn closing(&self) -> impl Fn() -> bool + Send + Sync + std::panic::RefUnwindSafe + 'static {
        let shared = AssertUnwindSafe(Arc::clone(&self.shared));
        move || shared.heartbeat.beat() || shared.is_closing()
    }

    pub(super) fn back_up(&mut self, request: TakeBackup, reason: Reason) -> Result<Backup> {
        let made = self.job(Doing::Backup, |conn, worker| {
            let (source, observer) = (worker.source(), &worker.slot);
            archive::of_open_store(conn, &source, request, reason, observer, worker.closing())
        })?;
        let (backup, not_removed) = (made.backup, made.not_removed);
        let report = BackupReport {
            name: backup.manifest.name.clone(),
            reason,
            at: backup.manifest.taken_at,
            bytes: backup.manifest.artefact.bytes,
        };
        *self.shared.last_runs.backup.lock() = Some(LastRun::Done(report.clone()));
        self.shared.subscribers.send(StoreEvent::BackupDone(report));
        if !not_removed.is_empty() {
            let event = StoreEvent::BackupsNotRemoved {
                backups: not_removed,
            };
            self.shared.subscribers.send(event);
        }
        if std::mem::take(&mut self.waits_for_a_backup) {
            self.drill_due.forget();
        }
        Ok(backup)
    }

    pub(super) fn drill(&mut self) -> Result<DrillReport> {
        let report = self.job(Doing::Drill, |conn, worker| {
            archive::drill_of_open_store(conn, &worker.source(), worker.closing())
        })?;
        *self.shared.last_runs.drill.lock() = Some(LastRun::Done(report.clone()));
        let event = StoreEvent::DrillDone(report.clone());
        self.shared.subscribers.send(event);
        Ok(report)
    }

    /// Does one backup or drill and reports its failure. Does not report that it was stopped by its caller or by
    /// closing, nor the failure of one that was given up, which was reported then.
    fn job<T>(
        &mut self,
        doing: Doing,
        work: impl FnOnce(&mut Connection, &Self) -> Result<T>,
    ) -> Result<T> {
        self.shared.heartbeat.turn_to(doing);
        let done = self.work(work);
        let done = done.map_err(|error| error.in_operation(doing.operation()));
        if let Err(error) = &done
            && !matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed)
            && !self.shared.heartbeat.is_given_up()
        {
            doing.note_failed(&self.shared, error);
            tracing::warn!(%error, "a backup or a drill failed");
        }
        done
    }

    /// When the next scheduled backup is due: a period after the newest in the folder, or now if there is none.
    fn first_backup_due(&mut self, every: Duration) -> Result<DateTime<Utc>> {
        let now = self.shared.now();
        let last =
            self.work(|conn, worker| archive::last_scheduled(conn, &worker.source(), now))?;
        Ok(last.map_or(now, |last| after(last, every)))
    }

    fn backup_if_due(&mut self, every: Duration) -> bool {
        let known = self.backup_due.at(self.shared.now());
        let (due, trouble) = match known.map_or_else(|| self.first_backup_due(every), Ok) {
            Ok(due) => (due, None),
            Err(error) if error.kind() == ErrorKind::Closed => return false,
            Err(error) => (self.shared.now(), Some(error)),
        };
        self.backup_due.set(due);
        self.shared.last_runs.backup_is_due_from(due);
        if let Some(error) = trouble {
            tracing::warn!(%error, "the folder of backups cannot be read");
        }
        // Reading the folder takes time, and a backup that has become due meanwhile counts as due.
        let now = self.shared.now();
        if due > now {
            return false;
        }
        let done = self.back_up(TakeBackup::default(), Reason::Scheduled);
        match &done {
            Ok(_) => {
                let next = self.backup_due.ran(now);
                self.shared.last_runs.backup_is_next_due(next);
            }
            Err(_) => self.backup_due.retry(now, RETRY),
        }
        done.is_ok()
    }

    fn drill_if_due(&mut self, every: Duration) -> bool {
        self.shared.heartbeat.turn_to(Doing::Drill);
        let now = self.shared.now();
        let due = self.drill_due.at(now).unwrap_or_else(|| {
            let last = archive::last_drill(&self.source());
            match last.filter(|last| last.at <= now) {
                Some(last) => after(last.at, every),
                None => now,
            }
        });
        self.drill_due.set(due);
        if due > now {
            return false;
        }
        // A store that has no backup yet has none to try, which is not a failure.
        let has_any = self.work(|conn, worker| archive::has_any(conn, &worker.source()));
        self.waits_for_a_backup = matches!(has_any, Ok(false));
        if self.waits_for_a_backup {
            self.drill_due.retry(now, NOTHING_TO_DRILL);
            return false;
        }
        let done = self.drill().is_ok();
        if done {
            self.drill_due.ran(now);
        } else {
            self.drill_due.retry(now, RETRY);
        }
        done
    }
}
