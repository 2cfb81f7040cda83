//! Whether the backup worker makes progress. It may be in a system call that does not return, on a share that does
//! not answer. Nothing can end such a call; but the problem can be reported.

use super::last_runs::Doing;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The worker's current job, and its last sign of progress.
struct Job {
    doing: Doing,
    /// By the store's clock.
    began: DateTime<Utc>,
    last_progress: Instant,
    given_up: Option<Error>,
}

pub(super) struct Heartbeat {
    deadline: Duration,
    job: Mutex<Option<Job>>,
}

impl Heartbeat {
    pub(super) fn new(deadline: Duration) -> Self {
        let job = Mutex::new(None);
        Self { deadline, job }
    }

    /// The worker begins a job, which lasts until [`end`](Self::end).
    pub(super) fn begin(&self, now: DateTime<Utc>) {
        *self.job.lock() = Some(Job {
            doing: Doing::Backup,
            began: now,
            last_progress: Instant::now(),
            given_up: None,
        });
    }

    pub(super) fn end(&self) {
        *self.job.lock() = None;
    }

    /// The worker turns to another part of its job. The deadline starts anew, so that a job that was given up has
    /// another chance with its next part.
    pub(super) fn turn_to(&self, doing: Doing) {
        if let Some(job) = &mut *self.job.lock() {
            job.doing = doing;
            job.last_progress = Instant::now();
            job.given_up = None;
        }
    }

    /// Records progress of the worker; returns true if it is to stop, because it was given up before.
    pub(super) fn beat(&self) -> bool {
        self.job.lock().as_mut().is_some_and(|job| {
            job.last_progress = Instant::now();
            job.given_up.is_some()
        })
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.job.lock().is_some()
    }

    pub(super) fn is_given_up(&self) -> bool {
        let job = self.job.lock();
        job.as_ref().is_some_and(|job| job.given_up.is_some())
    }

    /// Waits for the worker's answer as long as it makes progress.
    pub(super) async fn wait<T>(
        &self,
        shared: &Shared,
        mut answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        let pause = (self.deadline / 4).min(Duration::from_secs(1));
        loop {
            match timeout(pause, &mut answer).await {
                Ok(answered) => return answered.unwrap_or_else(|_| Err(shared.why_dropped())),
                Err(_) => self.check(shared)?,
            }
        }
    }

    /// # Errors
    /// [`Deadline`](ErrorKind::Deadline) while the worker makes no progress. The first call that notices this
    /// reports it.
    pub(super) fn check(&self, shared: &Shared) -> Result<()> {
        let (doing, began, error) = {
            let mut job = self.job.lock();
            let Some(job) = &mut *job else {
                return Ok(());
            };
            if let Some(error) = &job.given_up {
                return Err(error.clone());
            }
            if job.last_progress.elapsed() < self.deadline {
                return Ok(());
            }
            let what = match job.doing {
                Doing::Backup => "a backup",
                Doing::Drill => "a drill",
            };
            let why = format!(
                "{what} has made no progress for {:?}: check whether the disk or share of the backups \
                 answers; when it does, backups continue",
                self.deadline
            );
            let error = Error::new(ErrorKind::Deadline, why).in_operation(job.doing.operation());
            job.given_up = Some(error.clone());
            (job.doing, job.began, error)
        };
        if matches!(doing, Doing::Backup) && shared.config.backups.every.is_some() {
            shared.last_runs.backup_is_due_from(began);
        }
        doing.note_failed(shared, &error);
        tracing::warn!(%error, "the backup worker is stuck");
        Err(error)
    }
}
