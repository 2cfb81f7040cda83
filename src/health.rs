//! What a store reports about itself.

use crate::archive::DrillReport;
use crate::events::{BackupReport, LastRun, Role};
use crate::migration::{SchemaStep, UnknownObjects};
use crate::sqlite::FileProblem;
use crate::time::seconds;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The state of a store. Reading it costs a few calls to the file system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store takes requests: it is open, all actors run, the file that was opened is in its place and
    /// not damaged, the disk worked when it was last used, and no checkpoint failed to sync the file. After a
    /// failure the writer tries the disk once a second, so that this becomes true again even if nobody writes;
    /// after a failed sync of a checkpoint, the store has to be opened again.
    pub ok: bool,
    /// What SQLite said when it found the file damaged. Stays until the store is opened again: restore a backup.
    pub damage: Option<String>,
    /// What is wrong now with the place of the database's files. Problems that [stop
    /// writing](FileProblem::stops_writing) make [`ok`](Self::ok) false; the others are warnings.
    pub file_problems: Vec<FileProblem>,
    /// The writer.
    pub writer: WriterHealth,
    /// The readers of the interactive lane.
    pub interactive: ReaderHealth,
    /// The readers of the analytics lane.
    pub analytics: ReaderHealth,
    /// The last step that the file has of each schema.
    pub schemas: Vec<SchemaStep>,
    /// The objects in the file's schema at opening that no step made: triggers, views, virtual tables and
    /// generated columns. See [`Config::unknown_triggers`](crate::Config::unknown_triggers).
    pub unknown_objects: UnknownObjects,
    /// The size of the database file, in bytes.
    pub file_bytes: u64,
    /// The size of the WAL beside it, in bytes.
    pub wal_bytes: u64,
    /// The last checkpoint since opening, if there was one.
    pub last_checkpoint: Option<CheckpointReport>,
    /// The free space on the file's disk, in bytes; `None` if it is not known.
    pub free_bytes: Option<u64>,
    /// The kind of network file system that holds the file, such as `nfs4`; `None` if it is on no known one. On a
    /// network file system nothing is promised: see `docs/reliability.md`.
    pub network_file_system: Option<String>,
    /// The outcome of the last backup since opening.
    pub last_backup: Option<LastRun<BackupReport>>,
    /// Since when a backup has been due by [`Backups::every`](crate::backup::Backups::every), by the store's
    /// clock, if it has not been made: because it is being made, because it failed, or because the folder of the
    /// backups does not answer. `None` if none is due, none is scheduled, or the store has not looked yet, as
    /// right after opening.
    pub backup_due_since: Option<DateTime<Utc>>,
    /// The outcome of the last drill since opening.
    pub last_drill: Option<LastRun<DrillReport>>,
    /// How far the clock is ahead of the time that has passed, while it is not trusted for what cannot be undone:
    /// see [`Config::clock_jump_wait`](crate::Config::clock_jump_wait). In JSON a number of seconds.
    #[serde(with = "seconds::maybe", default)]
    pub clock_ahead: Option<Duration>,
    /// The [time zone](crate::Config::time_zone) whose days statistics will have, while their rows are counted by it in
    /// the background: until that is done, they have the days of the zone before. `None` if no other zone is
    /// wanted, or if somebody has deleted how far they are counted: then the next opening begins again.
    #[serde(default)]
    pub next_time_zone: Option<String>,
    /// How many times a connection was reopened because its state was in doubt.
    pub reconnects: u64,
    /// The store's actors.
    pub actors: Vec<ActorHealth>,
}

/// The state of one actor of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActorHealth {
    /// What it does.
    pub role: Role,
    /// Whether it runs.
    pub running: bool,
    /// How many times it panicked since opening. It was restarted each time, unless it was given up: see
    /// [`Config::max_restarts`](crate::Config::max_restarts).
    pub restarts: u64,
}

/// What the last checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// When the checkpoint ended, by the store's clock.
    pub at: DateTime<Utc>,
    /// Frames (pages) in the WAL when it ran.
    pub frames: i64,
    /// How many of them are in the file now. Fewer than `frames` if a reader still needed an older state, or more
    /// frames arrived meanwhile.
    pub copied: i64,
    /// How long it took; in JSON a number of seconds.
    #[serde(with = "seconds")]
    pub took: Duration,
}

/// The writer's counters since opening, and its current load.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriterHealth {
    /// Mutations in the queue.
    pub waiting: usize,
    /// Mutations waiting or running.
    pub in_flight: usize,
    /// The bytes that the mutations in flight hold.
    pub in_flight_bytes: usize,
    /// Mutations committed.
    pub committed: u64,
    /// Mutations answered with an error.
    pub failed: u64,
    /// How many of these panicked.
    pub panicked: u64,
    /// Transactions committed.
    pub batches: u64,
    /// Transactions rolled back and run again because a mutation in them failed.
    pub reruns: u64,
    /// The largest number of mutations in one transaction.
    pub largest_batch: u64,
    /// How many transactions had 1, 2, 3–4, 5–8, 9–16 … mutations, in this order.
    pub batch_sizes: Vec<u64>,
    /// How many times the WAL was copied completely, so that it starts over.
    pub wal_restarts: u64,
    /// The last error of the file or the disk, as opposed to an error in a message.
    pub last_error: Option<String>,
}

/// The counters of one lane of queries, and its current load.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReaderHealth {
    /// Reader actors.
    pub readers: usize,
    /// Queries in the queue.
    pub waiting: usize,
    /// Queries waiting or running.
    pub in_flight: usize,
    /// Queries since opening that were answered on their callers' threads: see
    /// [`Config::point_reads`](crate::Config::point_reads).
    #[serde(default)]
    pub on_callers_thread: u64,
    /// Queries since opening that took too long for their callers' threads, and went to the readers.
    #[serde(default)]
    pub cut_on_callers_thread: u64,
}
