//! What the actors and the callers of a store share. Every field says who writes it.

use super::backup_actor::LastRuns;
use super::disk_state::DiskState;
use super::metrics::Metrics;
use super::process::OwnProcess;
use super::supervision::Supervision;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Subscribers;
use crate::health::CheckpointReport;
use crate::sqlite::{FileProblem, OpenFiles};
use crate::time;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

pub(crate) struct Shared {
    pub(super) path: PathBuf,
    /// Which file that is. The supervisor, `health` and closing look.
    pub(super) files: OpenFiles,
    /// The process that opened the store.
    pub(super) process: OwnProcess,
    /// The writer, while it saves what it has under another name: the pages so far, in steps.
    pub(super) saving: Arc<AtomicU64>,
    pub(super) config: Config,
    /// The writer makes rows void, readers put them in, callers take them out.
    pub(super) cache: Cache,
    /// Whoever has used the disk.
    pub(crate) disk: DiskState,
    /// The writer and the readers.
    pub(crate) metrics: Metrics,
    /// What runs the actors.
    pub(crate) supervision: Arc<Supervision>,
    /// Whoever has news.
    pub(crate) subscribers: Subscribers,
    /// Whoever has run a checkpoint: the checkpointer or the writer.
    pub(super) last_checkpoint: Mutex<Option<CheckpointReport>>,
    /// The backup worker.
    pub(crate) last_runs: LastRuns,
    /// Callers ask for it, the store's thread waits for it.
    close_requested: Notify,
    /// The store's thread: from then on nothing new is let in.
    closing: AtomicBool,
    /// The store's thread, when closing has waited for long enough: interrupts what runs in SQLite.
    pub(super) interrupt: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(files: OpenFiles, config: &Config) -> Self {
        let (most_restarts, within) = config.max_restarts;
        Self {
            path: files.path().to_owned(),
            files,
            process: OwnProcess::this(),
            saving: Arc::default(),
            config: config.clone(),
            cache: Cache::new(config.row_cache_answers, config.row_cache_bytes),
            disk: DiskState::default(),
            metrics: Metrics::default(),
            supervision: Arc::new(Supervision::new(most_restarts, within)),
            subscribers: Subscribers::default(),
            last_checkpoint: Mutex::default(),
            last_runs: LastRuns::default(),
            close_requested: Notify::new(),
            closing: AtomicBool::new(false),
            interrupt: Arc::default(),
        }
    }

    /// Asks the store's thread to close.
    pub(crate) fn request_close(&self) {
        self.close_requested.notify_one();
    }

    pub(crate) async fn close_requested(&self) {
        self.close_requested.notified().await;
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

    pub(crate) fn checkpoint_report(&self) -> Option<CheckpointReport> {
        *self.last_checkpoint.lock()
    }
}
