//! What the actors and the callers of a store share. The comment on each field says who writes or uses it.

use super::checkpointer::CheckpointLock;
use super::disk_state::DiskState;
use super::gates::ReadGates;
use super::heartbeat::Heartbeat;
use super::last_runs::LastRuns;
use super::last_uses::RecordUses;
use super::metrics::Metrics;
use super::process::OwnProcess;
use super::recounting::Recounting;
use super::snapshots::Snapshots;
use super::supervision::Supervision;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Subscribers;
use crate::health::CheckpointReport;
use crate::operation::Uses;
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
    /// The open files. Read by the supervisor, `health` and closing.
    pub(super) files: OpenFiles,
    /// Held by the writer; the supervisor checks that it keeps its name.
    pub(super) lock: Weak<FileLock>,
    /// The process that opened the store.
    pub(super) process: OwnProcess,
    /// Written by the writer while it saves its contents in a new file: the pages so far, in steps.
    pub(super) saving: Arc<AtomicU64>,
    pub(super) config: Config,
    /// The writer voids rows, readers add answers, callers read them.
    pub(super) cache: Cache,
    /// Used by the supervisor, and by everything that needs the time for what cannot be undone.
    pub(crate) clock_watch: ClockWatch,
    /// Set by the writer when a timer was set; cleared by the supervisor.
    pub(crate) timers_changed: AtomicBool,
    /// Whether rows may wait to be counted: set by the writer after a commit, cleared when it has counted the rest.
    pub(super) may_wait: AtomicBool,
    /// Begun by opening; the writer does it.
    pub(crate) recounting: Recounting,
    /// Noted by all that reads; written down by a duty, and at last by the writer.
    pub(crate) uses: Uses,
    /// How they are written down.
    pub(super) record_uses: RecordUses,
    /// Written by everything that uses the disk.
    pub(crate) disk: DiskState,
    /// Written by the writer and the readers.
    pub(crate) metrics: Metrics,
    /// Written by the code that runs the actors.
    pub(crate) supervision: Arc<Supervision>,
    /// Used by everything that sends events.
    pub(crate) subscribers: Subscribers,
    /// Written by the checkpointer or the writer after a checkpoint.
    pub(crate) last_checkpoint: Mutex<Option<CheckpointReport>>,
    /// Written by all readers of the file, including the backup worker.
    pub(super) snapshots: Snapshots,
    /// Readers enter, the writer shuts. In a box, since each read writes to it: fields in the same cache line
    /// would be fetched anew by each thread that reads them.
    pub(super) gates: Box<ReadGates>,
    /// Used by the checkpointer and the writer.
    pub(super) checkpoints: CheckpointLock,
    /// Written by the backup worker and by those that wait for it.
    pub(super) heartbeat: Heartbeat,
    /// Written by the same.
    pub(crate) last_runs: LastRuns,
    /// Set by callers; the store's thread waits for it.
    pub(crate) close_requested: SetOnce<()>,
    /// Set by the store's thread: from then on no request is accepted.
    closing: AtomicBool,
    /// Set by the store's thread when closing has waited for long enough: interrupts what runs in SQLite.
    pub(super) interrupt: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(
        files: OpenFiles,
        lock: Weak<FileLock>,
        config: &Config,
        clock: ClockRecord,
        record_uses: RecordUses,
    ) -> Self {
        let (most_restarts, within) = config.max_restarts;
        let clock_watch = ClockWatch::new(config.clock_jump_wait, clock);
        // Once now, so that all that the clock does from here on is noticed. If it panics, it is read later.
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
            may_wait: AtomicBool::new(true),
            recounting: Recounting::default(),
            uses: Uses::default(),
            record_uses,
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
    /// [`Closed`](crate::ErrorKind::Closed) or [`Unavailable`](crate::ErrorKind::Unavailable) if requests are no
    /// longer accepted.
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

    /// What is wrong with the place of the files now; after closing, what was wrong at the last look.
    pub(crate) fn file_problems(&self) -> Vec<FileProblem> {
        let found = self.files.compare();
        // Closing removes the WAL.
        if self.is_closing() {
            return self.files.known();
        }
        self.files.note(&found);
        found
    }

    /// Why a request was dropped without an answer.
    pub(crate) fn why_dropped(&self) -> Error {
        if let Err(given_up) = self.supervision.check() {
            return given_up;
        }
        if self.is_closing() {
            return Error::closed();
        }
        let why = "the actor that worked on it panicked and was restarted; the panic hook's output \
                   has the panic's message";
        Error::new(ErrorKind::Panicked, why)
    }

    /// The time of the store's clock, which may be the host's code.
    pub(crate) fn clock_now(&self) -> DateTime<Utc> {
        self.config.clock.now()
    }

    /// The time for the store's own work, which must not fail because the clock panics.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        time::ask(&*self.config.clock).unwrap_or_else(|_| Utc::now())
    }

    /// Whether the store takes requests, every actor runs, and the disk worked when it was last used.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.is_closing() && self.disk.is_healthy() && self.supervision.all_run()
    }
}
