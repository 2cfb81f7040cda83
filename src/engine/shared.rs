//! What the actors and the callers of a store share. Every field says who writes it.

use super::checkpointer::CheckpointLock;
use super::disk_state::DiskState;
use super::gates::ReadGates;
use super::heartbeat::Heartbeat;
use super::last_runs::LastRuns;
use super::metrics::Metrics;
use super::process::OwnProcess;
use super::snapshots::Snapshots;
use super::supervision::Supervision;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Subscribers;
use crate::health::CheckpointReport;
use crate::sqlite::{FileLock, FileProblem, OpenFiles};
use crate::time::{self, ClockRecord, ClockWatch};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::SetOnce;

pub(crate) struct Shared {
    pub(super) path: PathBuf,
    /// Which file that is. The supervisor, `health` and closing look.
    pub(super) files: OpenFiles,
    /// The writer holds it; the supervisor sees that it keeps its name.
    pub(super) lock: Weak<FileLock>,
    /// The process that opened the store.
    pub(super) process: OwnProcess,
    /// The writer, while it saves what it has under another name: the pages so far, in steps.
    pub(super) saving: Arc<AtomicU64>,
    pub(super) config: Config,
    /// The writer makes rows void, readers put them in, callers take them out.
    pub(super) cache: Cache,
    /// Whoever looks at the clock for what cannot be undone, and the supervisor.
    pub(crate) clock_watch: ClockWatch,
    /// The writer, when a timer was set; the supervisor takes it back.
    pub(crate) timers_changed: AtomicBool,
    /// Whoever has used the disk.
    pub(crate) disk: DiskState,
    /// The writer and the readers.
    pub(crate) metrics: Metrics,
    /// What runs the actors.
    pub(crate) supervision: Arc<Supervision>,
    /// Whoever has news.
    pub(crate) subscribers: Subscribers,
    /// Whoever has run a checkpoint: the checkpointer or the writer.
    pub(crate) last_checkpoint: Mutex<Option<CheckpointReport>>,
    /// Whoever reads the file, the backup worker too.
    pub(super) snapshots: Snapshots,
    /// The readers go in, the writer shuts them. Apart, since each read writes to it: what lies beside it
    /// would be fetched anew by whoever reads that.
    pub(super) gates: Box<ReadGates>,
    /// The checkpointer and the writer.
    pub(super) checkpoints: CheckpointLock,
    /// The backup worker, and who waits for it.
    pub(super) heartbeat: Heartbeat,
    /// The same.
    pub(crate) last_runs: LastRuns,
    /// Callers ask for it, the store's thread waits for it.
    pub(crate) close_requested: SetOnce<()>,
    /// The store's thread: from then on nothing new is let in.
    closing: AtomicBool,
    /// The store's thread, when closing has waited for long enough: interrupts what runs in SQLite.
    pub(super) interrupt: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(
        files: OpenFiles,
        lock: Weak<FileLock>,
        config: &Config,
        clock: ClockRecord,
    ) -> Self {
        let (most_restarts, within) = config.max_restarts;
        let clock_watch = ClockWatch::new(config.clock_jump_wait, clock);
        // Once now, so that whatever the clock does from here on is seen. One that panics is looked at later.
        let _ = clock_watch.look(&*config.clock);
        let path = files.path().to_owned();
        Self {
            snapshots: Snapshots::new(path.clone()),
            path,
            lock,
            files,
            process: OwnProcess::this(),
            saving: Arc::default(),
            config: config.clone(),
            cache: Cache::new(config.row_cache_answers, config.row_cache_bytes),
            clock_watch,
            timers_changed: AtomicBool::new(false),
            disk: DiskState::default(),
            metrics: Metrics::default(),
            supervision: Arc::new(Supervision::new(most_restarts, within)),
            subscribers: Subscribers::default(),
            last_checkpoint: Mutex::default(),
            gates: Box::default(),
            checkpoints: CheckpointLock::default(),
            heartbeat: Heartbeat::new(config.backups.stall_deadline),
            last_runs: LastRuns::default(),
            close_requested: SetOnce::new(),
            closing: AtomicBool::new(false),
            interrupt: Arc::default(),
        }
    }

    pub(super) fn begin_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) and [`Unavailable`](crate::ErrorKind::Unavailable), when
    /// requests are not let in any more.
    pub(super) fn check_open(&self) -> Result<()> {
        if self.is_closing() {
            return Err(Error::closed());
        }
        self.supervision.check()
    }

    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) in a process that was forked from the store's.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.process.check()
    }

    /// Whether this process was forked from the one that opened the store.
    pub(crate) fn is_forked(&self) -> bool {
        self.process.is_forked()
    }

    /// What is wrong with where the files are, now; after closing, what was at the last look.
    pub(crate) fn file_problems(&self) -> Vec<FileProblem> {
        let found = self.files.compare();
        // Closing removes the WAL.
        if self.is_closing() {
            return self.files.known();
        }
        self.files.note(&found);
        found
    }

    /// Why somebody's request was dropped without an answer.
    pub(crate) fn why_dropped(&self) -> Error {
        if let Err(given_up) = self.supervision.check() {
            return given_up;
        }
        if self.is_closing() {
            return Error::closed();
        }
        let why = "the actor that was at it panicked and was started again; the panic's message is \
                   where the panic hook writes";
        Error::new(ErrorKind::Panicked, why)
    }

    /// The time by the store's clock, which is a host's code.
    pub(crate) fn clock_now(&self) -> DateTime<Utc> {
        self.config.clock.now()
    }

    /// The time for the store's own work, which must not end with a clock that panics.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        time::ask(&*self.config.clock).unwrap_or_else(|_| Utc::now())
    }

    /// Whether the store takes requests, every actor is at work, and the disk was well when last used.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.is_closing() && self.disk.is_healthy() && self.supervision.all_run()
    }
}
