//! Lets a backup run beside a busy store: it rests as long as it works, reports its progress, and stops
//! on request.

use crate::error::{Error, ErrorKind, Result};
use crate::sqlite::{Meter, too_big_for};
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::panic::RefUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it works before it rests: shorter than a batch of mutations takes.
const STINT: Duration = Duration::from_millis(4);

/// How many of SQLite's virtual machine instructions run between two looks at the clock: well under a
/// millisecond.
const INSTRUCTIONS: std::ffi::c_int = 1_000;

/// The shortest time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// The progress of a backup, a restore or a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The current stage.
    pub stage: Stage,
    /// Bytes of the database done in this stage.
    pub done: u64,
    /// Bytes of the whole database.
    pub total: u64,
}

/// The stages of a backup or a restore, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Copying the database, on one snapshot.
    Copy,
    /// Compressing the copy, and encrypting it.
    Pack,
    /// Reading a backup back.
    Unpack,
    /// Checking what came out.
    Check,
}

/// A function that gets the progress, and decides whether to go on.
pub type OnProgress = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>;

/// How much of the time a backup works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pace {
    /// Half of the time, so that a bot on the same machine does not notice.
    #[default]
    Gentle,
    /// All of the time.
    Fast,
}

/// Whether the work is to end, and when it last rested. Shared with SQLite's progress handler.
struct Rest {
    pace: Pace,
    stopped: AtomicBool,
    /// Answers true once the store closes.
    closing: Box<dyn Fn() -> bool + Send + Sync + RefUnwindSafe>,
    /// Asked while no store is open: during an opening, and by the command line.
    stop: Option<fn() -> bool>,
    started: Instant,
    /// When the work began, in nanoseconds after `started`.
    work_began: AtomicU64,
}

impl Rest {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Rests if it has worked for long enough. Returns true if the work is to end.
    fn rest_or_stop(&self) -> bool {
        if self.pace == Pace::Gentle {
            let worked = self.now() - self.work_began.load(Ordering::Relaxed);
            let worked = Duration::from_nanos(worked);
            if worked >= STINT {
                // A long piece of work, on a slow disk, is followed by a shorter rest of at most eight
                // stints.
                std::thread::sleep(worked.min(STINT * 8));
                self.work_began.store(self.now(), Ordering::Relaxed);
            }
        }
        if (self.closing)() || self.stop.is_some_and(|stop| stop()) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Long work calls this at each step.
pub(super) struct Throttle {
    rest: Arc<Rest>,
    /// How long SQLite may work on one file. `None`: derived from the size of the file.
    limit: Option<Duration>,
    on_progress: Mutex<(Option<OnProgress>, Instant, Option<Stage>)>,
}

impl Throttle {
    pub(super) fn new(
        pace: Pace,
        on_progress: Option<OnProgress>,
        closing: impl Fn() -> bool + Send + Sync + RefUnwindSafe + 'static,
    ) -> Self {
        let started = Instant::now();
        Self {
            rest: Arc::new(Rest {
                pace,
                stopped: AtomicBool::new(false),
                closing: Box::new(closing),
                stop: None,
                started,
                work_began: AtomicU64::new(0),
            }),
            limit: None,
            on_progress: Mutex::new((on_progress, started, None)),
        }
    }

    /// Also ends the work once `stop` answers true.
    pub(super) fn stopped_by(mut self, stop: Option<fn() -> bool>) -> Self {
        if let Some(rest) = Arc::get_mut(&mut self.rest) {
            rest.stop = stop;
        }
        self
    }

    /// Limits how long SQLite may work on one file.
    pub(super) fn limit(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// Makes SQL on this connection, which is open on the file at `path`, rest while it runs, and end
    /// when the work is to end or the time limit is reached.
    pub(super) fn attach(&self, conn: &mut Connection, path: &Path) -> Result<()> {
        let rest = Arc::clone(&self.rest);
        let meter = Meter::new(path, self.limit);
        let stop = move || rest.rest_or_stop() || meter.is_over();
        Ok(conn.progress_handler(INSTRUCTIONS, Some(stop))?)
    }

    /// Removes the handler from the connection.
    pub(super) fn detach(conn: &mut Connection) -> Result<()> {
        Ok(conn.progress_handler(0, None::<fn() -> bool>)?)
    }

    /// Replaces the error of SQL that this stopped: SQLite only says "interrupted". A value that is too
    /// large means that the file is not to be trusted.
    pub(super) fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.or_else(|error| self.check().and(Err(too_big_for(error))))
    }

    /// Reports the progress, and rests if it is time to.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled) when the work is to end.
    pub(super) fn step(&self, stage: Stage, done: u64, total: u64) -> Result<()> {
        let mut place = self
            .on_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (on_progress, reported_at, reported) = &mut *place;
        if let Some(report) = on_progress
            && (*reported != Some(stage) || done >= total || reported_at.elapsed() >= REPORT_EVERY)
        {
            *reported_at = Instant::now();
            *reported = Some(stage);
            let progress = Progress { stage, done, total };
            if report(progress).is_break() {
                self.rest.stopped.store(true, Ordering::Relaxed);
            }
        }
        drop(place);
        self.rest.rest_or_stop();
        self.check()
    }

    /// Whether the work may go on.
    pub(super) fn check(&self) -> Result<()> {
        if self.rest.stopped.load(Ordering::Relaxed) {
            let why = match (self.rest.closing)() {
                true => "the store was closed before this was done",
                false => "stopped on request",
            };
            return Err(Error::new(ErrorKind::Cancelled, why));
        }
        Ok(())
    }
}
