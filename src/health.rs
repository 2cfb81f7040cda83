//! What a store tells of itself, and the counters behind it.

use crate::backup::DrillReport;
use crate::error::{Error, ErrorKind};
use crate::events::{BackupReport, LastRun};
use crate::schema::UnknownObjects;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state of a store. Asking costs two file sizes and a question to the file system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store takes requests: open, all actors at work, the file there and not damaged,
    /// nothing wrong with the disk when it was last used, and no checkpoint that could not sync the
    /// file. After a failure the writer tries the disk once a second, so that this is true again
    /// without anybody writing; but after one of a checkpoint, the store has to be opened again.
    pub ok: bool,
    /// What SQLite said when it found the file damaged. Stays until the store is opened again: restore
    /// a backup.
    pub damage: Option<String>,
    /// The writer.
    pub writer: WriterHealth,
    /// The readers of the interactive lane.
    pub interactive: ReaderHealth,
    /// The readers of the analytics lane.
    pub analytics: ReaderHealth,
    /// The last step that the file has of each schema.
    pub schemas: Vec<SchemaStep>,
    /// What was in the file's schema at opening that no step made: triggers, views, virtual tables and
    /// generated columns. See [`Config::unknown_triggers`](crate::Config::unknown_triggers).
    pub unknown_objects: UnknownObjects,
    /// The size of the database file, in bytes.
    pub file_bytes: u64,
    /// The size of the write-ahead log beside it, in bytes.
    pub wal_bytes: u64,
    /// The last time the log was copied into the file, if it was since opening.
    pub last_checkpoint: Option<CheckpointReport>,
    /// How much room is left on the disk that the file is on, in bytes; `None` if it does not say.
    pub free_bytes: Option<u64>,
    /// The kind of network file system that the file is on, such as `nfs4`, if it is on one. There
    /// nothing is promised: see `docs/reliability.md`.
    pub network_file_system: Option<String>,
    /// What came of the last backup since opening.
    pub last_backup: Option<LastRun<BackupReport>>,
    /// Since when a backup has been due by [`Backups::every`](crate::backup::Backups::every) and has
    /// not been made, by the store's clock: because it is being made, because it failed, or because the
    /// folder of the backups does not answer. `None` when none is due, none is scheduled, or nobody has
    /// looked yet, as in the first moment after opening.
    pub backup_due_since: Option<DateTime<Utc>>,
    /// What came of the last drill since opening.
    pub last_drill: Option<LastRun<DrillReport>>,
    /// How often a connection was opened anew because its state was in doubt.
    pub reconnects: u64,
}

/// What the last checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointReport {
    /// When it ended, by the store's clock.
    pub at: DateTime<Utc>,
    /// Frames (pages) in the log when it ran.
    pub frames: i64,
    /// How many of them are in the file now. Fewer than `frames` when a reader still needed the
    /// state before them, or more came in meanwhile.
    pub copied: i64,
    /// How long it took.
    pub took: Duration,
}

/// Counters since opening, and the load now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriterHealth {
    /// Mutations in the queue.
    pub waiting: usize,
    /// Mutations waiting or running.
    pub in_flight: usize,
    /// The bytes that they hold.
    pub in_flight_bytes: usize,
    /// Mutations committed.
    pub committed: u64,
    /// Mutations answered with an error.
    pub failed: u64,
    /// Of these, the ones that panicked.
    pub panicked: u64,
    /// Transactions committed.
    pub groups: u64,
    /// Transactions rolled back and run again because a mutation in them failed.
    pub reruns: u64,
    /// The largest number of mutations in one transaction.
    pub largest_group: u64,
    /// How many transactions had 1, 2, 3–4, 5–8, 9–16 … mutations.
    pub group_sizes: Vec<u64>,
    /// How often the log was copied to its end, so that it starts over.
    pub log_restarts: u64,
    /// The last error that came from the file or the disk and not from a message.
    pub last_error: Option<String>,
}

/// Counters since opening, for one lane of queries, and the load now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReaderHealth {
    /// Reader actors.
    pub readers: usize,
    /// Queries in the queue.
    pub waiting: usize,
    /// Queries waiting or running.
    pub in_flight: usize,
}

/// How far a schema is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaStep {
    /// The schema's name.
    pub schema: String,
    /// Its last applied step.
    pub step: u32,
}

const SIZE_CLASSES: usize = 15;

/// Counts what happens. Written by one thread each, read by `health`.
#[derive(Default)]
pub(crate) struct Metrics {
    committed: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    groups: AtomicU64,
    reruns: AtomicU64,
    largest_group: AtomicU64,
    group_sizes: [AtomicU64; SIZE_CLASSES],
    log_restarts: AtomicU64,
    reconnects: AtomicU64,
    disk: Mutex<Disk>,
    /// Whether the last transaction was lost to the disk.
    ailing: AtomicBool,
    /// Whether a checkpoint could not sync.
    keeps_log: AtomicBool,
}

/// What the disk did wrong.
#[derive(Default)]
struct Disk {
    last_error: Option<Error>,
    /// Whether the last error has come since somebody looked.
    is_news: bool,
    damage: Option<Error>,
}

impl Metrics {
    pub(crate) fn count_committed(&self) {
        self.committed.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_failed(&self, error: &Error) {
        self.failed.fetch_add(1, Relaxed);
        if error.kind() == ErrorKind::Panicked {
            self.panicked.fetch_add(1, Relaxed);
        }
        self.note_trouble(error);
    }

    pub(crate) fn count_group(&self, size: usize) {
        let size = size as u64;
        self.groups.fetch_add(1, Relaxed);
        self.largest_group.fetch_max(size, Relaxed);
        // 1 → 0, 2 → 1, 3..=4 → 2, 5..=8 → 3
        let class = size
            .saturating_sub(1)
            .checked_ilog2()
            .map_or(0, |log| log + 1);
        self.group_sizes[(class as usize).min(SIZE_CLASSES - 1)].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_rerun(&self) {
        self.reruns.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_log_restart(&self) {
        self.log_restarts.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_read(&self, failure: Option<&Error>) {
        if let Some(error) = failure {
            self.note_trouble(error);
        }
    }

    /// Notes a failure, if it is one of the disk.
    pub(crate) fn note_trouble(&self, error: &Error) {
        if !error.is_of_the_disk() {
            return;
        }
        let mut disk = self.disk();
        disk.last_error = Some(error.clone());
        // A damaged page is no reason to write no others.
        if error.kind() == ErrorKind::Corrupt {
            disk.damage = Some(error.clone());
        } else {
            disk.is_news = true;
            self.ailing.store(true, Relaxed);
        }
    }

    /// Notes that a checkpoint failed. When it could not sync the file, no page that it or an earlier
    /// one has copied need be on the disk, nor would another sync bring it there; and SQLite does not
    /// copy them again before the log's index is made anew. So the log, which has them all, is kept.
    pub(crate) fn note_failed_checkpoint(&self, error: Error) {
        if !error.is_failed_sync() {
            return self.note_trouble(&error);
        }
        self.keeps_log.store(true, Relaxed);
        let kept = "a checkpoint could not sync the file, so its log is kept, and grows, until the \
                    store is opened again";
        self.note_trouble(&error.because(ErrorKind::Io, kept));
    }

    /// Whether the log must not start over.
    pub(crate) fn keeps_log(&self) -> bool {
        self.keeps_log.load(Relaxed)
    }

    /// Notes that something was written and synced.
    pub(crate) fn note_well(&self) {
        self.ailing.store(false, Relaxed);
    }

    /// The last failure of the disk, if there was one since this was last asked.
    pub(crate) fn take_trouble(&self) -> Option<Error> {
        let mut disk = self.disk();
        let is_news = std::mem::take(&mut disk.is_news);
        disk.last_error.clone().filter(|_| is_news)
    }

    /// What was found damaged.
    pub(crate) fn damage(&self) -> Option<Error> {
        self.disk().damage.clone()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_ailing(&self) -> bool {
        self.ailing.load(Relaxed)
    }

    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Relaxed)
    }

    pub(crate) fn writer(&self, load: (usize, usize, usize)) -> WriterHealth {
        let (waiting, in_flight, in_flight_bytes) = load;
        WriterHealth {
            waiting,
            in_flight,
            in_flight_bytes,
            committed: self.committed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            groups: self.groups.load(Relaxed),
            reruns: self.reruns.load(Relaxed),
            largest_group: self.largest_group.load(Relaxed),
            group_sizes: self.group_sizes.iter().map(|n| n.load(Relaxed)).collect(),
            log_restarts: self.log_restarts.load(Relaxed),
            last_error: self.disk().last_error.as_ref().map(Error::to_string),
        }
    }
}
