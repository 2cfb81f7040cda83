//! Whether the backup worker gets on with its work. It may be in a call to the system that does not
//! return, on a share that does not answer, and nobody can end such a call; but it can be said so.

use crate::error::{Error, ErrorKind};
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What the worker does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doing {
    Backup,
    Drill,
}

/// The job that the worker is at, and when it was last heard of.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) doing: Doing,
    /// By the store's clock.
    pub(super) began: DateTime<Utc>,
    heard: Instant,
    given_up: Option<Error>,
}

pub(super) struct Heartbeat {
    deadline: Duration,
    job: Mutex<Option<Job>>,
}

/// What a look at the worker finds.
pub(super) enum State {
    /// At work, or not.
    Well,
    /// It has not been heard of for too long. The first to see that has the job too, to tell of it.
    Stalled(Error, Option<Job>),
}

impl Heartbeat {
    pub(super) fn new(deadline: Duration) -> Self {
        let job = Mutex::new(None);
        Self { deadline, job }
    }

    /// The worker begins with a job; it is at it until the answer is dropped.
    pub(super) fn begin(&self, now: DateTime<Utc>) -> AtIt<'_> {
        *self.job() = Some(Job {
            doing: Doing::Backup,
            began: now,
            heard: Instant::now(),
            given_up: None,
        });
        AtIt(self)
    }

    /// The worker turns to this. It counts from here, so that a job that was given up has another
    /// chance with its next part.
    pub(super) fn turn_to(&self, doing: Doing) {
        if let Some(job) = &mut *self.job() {
            job.doing = doing;
            job.heard = Instant::now();
            job.given_up = None;
        }
    }

    /// The worker is heard of; true if it is to stop, because it was given up before.
    pub(super) fn beat(&self) -> bool {
        self.job().as_mut().is_some_and(|job| {
            job.heard = Instant::now();
            job.given_up.is_some()
        })
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.job().is_some()
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.job()
            .as_ref()
            .is_some_and(|job| job.given_up.is_some())
    }

    pub(super) fn look(&self) -> State {
        let mut job = self.job();
        let Some(job) = &mut *job else {
            return State::Well;
        };
        if let Some(error) = &job.given_up {
            return State::Stalled(error.clone(), None);
        }
        if job.heard.elapsed() < self.deadline {
            return State::Well;
        }
        let (what, operation) = match job.doing {
            Doing::Backup => ("a backup", "TakeBackup"),
            Doing::Drill => ("a drill", "RunDrill"),
        };
        let why = format!(
            "{what} has got no further for {:?}: look whether the disk or share of the backups \
             answers; others are made when it does",
            self.deadline
        );
        let error = Error::new(ErrorKind::Deadline, why).in_operation(operation);
        job.given_up = Some(error.clone());
        State::Stalled(error, Some(job.clone()))
    }

    /// How often to look.
    pub(super) fn pause(&self) -> Duration {
        (self.deadline / 4).min(Duration::from_secs(1))
    }

    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock()
    }
}

/// The worker is at a job.
pub(super) struct AtIt<'a>(&'a Heartbeat);

impl Drop for AtIt<'_> {
    fn drop(&mut self) {
        *self.0.job() = None;
    }
}
