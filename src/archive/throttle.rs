//! Lets a backup work beside a busy store: it rests as long as it has worked, tells how far it is,
//! and stops when it is asked to.

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

/// How many of SQLite's own instructions run between two looks at the clock: well under a
/// millisecond.
const INSTRUCTIONS: std::ffi::c_int = 1_000;

/// How often the caller hears how far it is, at most.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// How far a backup, a restore or a check of one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it does now.
    pub stage: Stage,
    /// Bytes of the database done in this stage.
    pub done: u64,
    /// Bytes of the database in all.
    pub total: u64,
}

/// What a backup or a restore does, in this order.
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

/// Hears of progress, and says whether to go on.
pub type OnProgress = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>;

/// How much of its time a backup works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pace {
    /// Half of it, so that a bot on the same machine does not notice.
    #[default]
    Gentle,
    /// All of it.
    Fast,
}

/// Whether the work is to end, and when it last rested. Shared with SQLite's progress handler.
struct Rest {
    pace: Pace,
    stopped: AtomicBool,
    /// Set from outside, when the store closes.
    closing: Box<dyn Fn() -> bool + Send + Sync + RefUnwindSafe>,
    /// Asked where no store is open.
    stop: Option<fn() -> bool>,
    started: Instant,
    /// When the work began, in nanoseconds after `started`.
    work_began: AtomicU64,
}

impl Rest {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Rests if it has worked for long enough; true if the work is to end.
    fn rest_or_stop(&self) -> bool {
        if self.pace == Pace::Gentle {
            let worked = self.now() - self.work_began.load(Ordering::Relaxed);
            let worked = Duration::from_nanos(worked);
            if worked >= STINT {
                // Work that was long, because the disk was slow, is paid back in part only.
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

/// What a long piece of work calls again and again.
pub(super) struct Throttle {
    rest: Arc<Rest>,
    /// How long SQLite may be at work on one file; by its size if nothing is said.
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

    /// The same, and it ends when `stop` says so.
    pub(super) fn stopped_by(mut self, stop: Option<fn() -> bool>) -> Self {
        if let Some(rest) = Arc::get_mut(&mut self.rest) {
            rest.stop = stop;
        }
        self
    }

    /// For how long SQLite may be at work on one file.
    pub(super) fn limit(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// Has SQL on the connection, which is open on the file at `path`, rest in the middle of itself,
    /// and end when it is to end or does not end by itself.
    pub(super) fn attach(&self, conn: &mut Connection, path: &Path) -> Result<()> {
        let rest = Arc::clone(&self.rest);
        let meter = Meter::new(path, self.limit);
        let stop = move || rest.rest_or_stop() || meter.is_over();
        Ok(conn.progress_handler(INSTRUCTIONS, Some(stop))?)
    }

    /// Lets the connection go its own way again.
    pub(super) fn detach(conn: &mut Connection) -> Result<()> {
        Ok(conn.progress_handler(0, None::<fn() -> bool>)?)
    }

    /// What SQL that was ended says of itself is "interrupted"; whoever ended it knows better. And
    /// what is too large is so because the file is not to be trusted.
    pub(super) fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.or_else(|error| self.check().and(Err(too_big_for(error))))
    }

    /// Tells how far the work is and rests if it is time to.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled) when the work is to end.
    pub(super) fn step(&self, stage: Stage, done: u64, total: u64) -> Result<()> {
        let mut place = self
            .on_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (on_progress, told_at, told) = &mut *place;
        if let Some(tell) = on_progress
            && (*told != Some(stage) || done >= total || told_at.elapsed() >= TELL_EVERY)
        {
            *told_at = Instant::now();
            *told = Some(stage);
            let progress = Progress { stage, done, total };
            if tell(progress).is_break() {
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
                true => "the store was closed before it was done",
                false => "it was asked to stop",
            };
            return Err(Error::new(ErrorKind::Cancelled, why));
        }
        Ok(())
    }
}
