//! What a store reports of itself.

use crate::archive::DrillReport;
use crate::events::{BackupReport, LastRun, Role};
use crate::migration::{SchemaStep, UnknownObjects};
use crate::sqlite::FileProblem;
use crate::time::seconds;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The state of a store. Asking costs a few questions to the file system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store takes requests: open, all actors at work, the file there, the one that was
    /// opened, and not damaged,
    /// nothing wrong with the disk when it was last used, and no checkpoint that could not sync the
    /// file. After a failure the writer tries the disk once a second, so that this is true again
    /// without anybody writing; but after one of a checkpoint, the store has to be opened again.
    pub ok: bool,
    /// What SQLite said when it found the file damaged. Stays until the store is opened again: restore
    /// a backup.
    pub damage: Option<String>,
    /// What is wrong with where the database's files are, now. Those that
    /// [stop writing](FileProblem::stops_writing) make [`ok`](Self::ok) false, the others are warnings.
    pub file_problems: Vec<FileProblem>,
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
    /// The size of the WAL beside it, in bytes.
    pub wal_bytes: u64,
    /// The last time the WAL was copied into the file, if it was since opening.
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
    /// How far the clock is ahead of the time that has passed, while it is not believed for what cannot be
    /// undone: see [`Config::clock_jump_wait`](crate::Config::clock_jump_wait).
    /// In JSON a number of seconds.
    #[serde(with = "seconds::maybe", default)]
    pub clock_ahead: Option<Duration>,
    /// How often a connection was opened anew because its state was in doubt.
    pub reconnects: u64,
    /// The store's actors.
    pub actors: Vec<ActorHealth>,
}

/// How one actor of the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActorHealth {
    /// What it does.
    pub role: Role,
    /// Whether it is at work.
    pub running: bool,
    /// How often it panicked since opening. It was started again, unless it was given up: see
    /// [`Config::max_restarts`](crate::Config::max_restarts).
    pub restarts: u64,
}

/// What the last checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// When it ended, by the store's clock.
    pub at: DateTime<Utc>,
    /// Frames (pages) in the WAL when it ran.
    pub frames: i64,
    /// How many of them are in the file now. Fewer than `frames` when a reader still needed the
    /// state before them, or more came in meanwhile.
    pub copied: i64,
    /// How long it took; in JSON a number of seconds.
    #[serde(with = "seconds")]
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
    pub batches: u64,
    /// Transactions rolled back and run again because a mutation in them failed.
    pub reruns: u64,
    /// The largest number of mutations in one transaction.
    pub largest_batch: u64,
    /// How many transactions had 1, 2, 3–4, 5–8, 9–16 … mutations.
    pub batch_sizes: Vec<u64>,
    /// How often the WAL was copied to its end, so that it starts over.
    pub wal_restarts: u64,
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
