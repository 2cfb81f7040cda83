//! The events that a store sends on its own.

mod timers;

pub use timers::{FailedTimer, FiredTimer};

use crate::archive::{DrillReport, NotRemoved, Reason};
use crate::domain::limits::LimitNotice;
use crate::error::Error;
use crate::migration::UnknownObjects;
use crate::panics::quietly;
use crate::sqlite::FileProblem;
use actix::{Message, Recipient};
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::broadcast;

/// How many events a receiver may lag behind, or are kept for the first subscriber, before the oldest is lost.
const BACKLOG: usize = 64;

/// Something that happened in a store: see [`Store::subscribe`](crate::Store::subscribe) and
/// [`Store::events`](crate::Store::events).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum StoreEvent {
    /// A backup was made and read back.
    BackupDone(BackupReport),
    /// A backup was not made. The others are unchanged. With [`Deadline`](crate::ErrorKind::Deadline) the backup
    /// has stalled; the schedule continues when the system call that it waits for returns.
    BackupFailed(Error),
    /// Old backups, or remains of an interrupted one, should have been removed and are still there: the disk of
    /// the backups fills until somebody intervenes. Sent after each backup for which this is so.
    #[non_exhaustive]
    BackupsNotRemoved {
        /// Which ones, and why.
        backups: Vec<NotRemoved>,
    },
    /// A drill restored the newest backup, and it is good.
    DrillDone(DrillReport),
    /// A drill could not restore the newest backup: do not rely on it.
    DrillFailed(Error),
    /// Opening upgraded the file, and the backup made before that is not encrypted and lies beside the database
    /// instead of among the other backups, which are encrypted: the settings name no
    /// [`recipient`](crate::backup::Backups). Move it to a safe place. Sent to the first subscriber, since nobody
    /// can subscribe before the store is open.
    #[non_exhaustive]
    ClearCopyBeside {
        /// The backup.
        path: PathBuf,
    },
    /// Sessions were ended because they had been idle for too long.
    SessionsExpired {
        /// How many.
        sessions: usize,
    },
    /// The warning of a limit is reached ([`SetLimit::soft`](crate::limits::SetLimit::soft())): what is spent in the
    /// period is as much, or a request was granted with which it will be. Sent once a period, within a second or two,
    /// whoever spends, also without a reservation; what another program writes is seen within a minute.
    LimitNear(LimitNotice),
    /// A limit is reached: as much as it allows is spent in the period, or a request was denied. Sent once a period, as
    /// [`LimitNear`](Self::LimitNear). Before somebody has subscribed, neither is sent: what is to be told stays in the
    /// file, also when the store is closed.
    LimitReached(LimitNotice),
    /// Timers have run, and their changes are committed. Sent after the commit, and only to those who are
    /// subscribed then: a hint to look into the bot's own tables; do not rely on it alone.
    #[non_exhaustive]
    TimersFired {
        /// Which ones, in the order in which they ran.
        timers: Vec<FiredTimer>,
    },
    /// Timers have failed or panicked. They are kept and tried again after a minute, two, four, up to an hour;
    /// after the tenth failure only when the store is opened again. Other timers still run.
    #[non_exhaustive]
    TimersFailed {
        /// Which ones, and why.
        timers: Vec<FailedTimer>,
    },
    /// Timers are due whose name is not registered ([`Config::timer`](crate::Config::timer)). They are kept, and
    /// run once the store is opened with that type registered.
    #[non_exhaustive]
    TimersUnknown {
        /// The name.
        name: String,
        /// How many have become due since the last such event.
        timers: usize,
    },
    /// The WAL is over its ceiling and cannot start over, because a query, a backup or another program still needs
    /// an older state, or because the disk does not take the pages to be copied. Not sent again until the WAL has
    /// started over.
    WalOverCeiling {
        /// Its size.
        bytes: u64,
        /// [`Config::wal_ceiling_bytes`](crate::Config::wal_ceiling_bytes).
        ceiling_bytes: u64,
        /// Who reads an older state, as far as is known: first those in this process, the longest-running first.
        held_by: Vec<WalHolder>,
    },
    /// The disk, or another program's lock, keeps the store from reading or writing:
    /// [`DiskFull`](crate::ErrorKind::DiskFull), [`Io`](crate::ErrorKind::Io),
    /// [`InDoubt`](crate::ErrorKind::InDoubt), [`Busy`](crate::ErrorKind::Busy) or
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly). Requests get the same error. Sent within a second, and not again
    /// until the store has recovered.
    Failing(Error),
    /// The store has written again after a failure. Sent within a second or two.
    Recovered,
    /// SQLite has found the file damaged: restore a backup. Sent once; undamaged pages stay usable.
    Damaged(Error),
    /// Something is wrong with the place of the database's files: one was replaced, moved or removed under the
    /// open store, or it has more than one name. The [`FileProblem`] says what to do, also in a sentence. Sent
    /// within a second, and once for as long as the problem lasts. If nobody has subscribed yet, the first
    /// subscriber gets it.
    #[non_exhaustive]
    FileProblem {
        /// What is wrong.
        problem: FileProblem,
        /// The database's path.
        path: PathBuf,
    },
    /// The store was closed after its database was replaced or removed, and has saved all that it had in this new
    /// file, which only its owner can read. [`close`](crate::Store::close) reports the same.
    #[non_exhaustive]
    CopySaved {
        /// The copy: a database like any other.
        path: PathBuf,
    },
    /// The rollups differ from a full count: see [`Store::repair_rollups`](crate::Store::repair_rollups). If
    /// nobody has subscribed yet, the first subscriber gets it.
    RollupsDiffer {
        /// The number of rows that differ.
        rows: usize,
    },
    /// The file has triggers, views, virtual tables or generated columns that no step made. They are in force,
    /// except for triggers if [`Config::unknown_triggers`](crate::Config::unknown_triggers) disables them. Sent to
    /// every subscriber, since nobody can subscribe before the file is opened; a task may get it again when
    /// another one subscribes.
    UnknownObjects(UnknownObjects),
    /// An actor of the store panicked, in the host's code such as a log subscriber, and was started again. The
    /// request that it was working on got an error. Sent within a second or two.
    #[non_exhaustive]
    ActorRestarted {
        /// What the actor does.
        role: Role,
        /// How many times it was restarted since opening.
        restarts: u64,
    },
    /// An actor panicked too often and is not started again: requests get
    /// [`Unavailable`](crate::ErrorKind::Unavailable) until the store is opened again. See
    /// [`Config::max_restarts`](crate::Config::max_restarts).
    #[non_exhaustive]
    ActorGivenUp {
        /// What the actor did.
        role: Role,
    },
    /// The clock has jumped ahead of the time that has passed: it was set, or the machine slept. Check whether it
    /// is right: what cannot be undone waits until the lead has lasted for
    /// [`Config::clock_jump_wait`](crate::Config::clock_jump_wait). Sent within a second, once for each jump;
    /// [`Health::clock_ahead`](crate::Health) shows when the wait is over.
    #[non_exhaustive]
    ClockAhead {
        /// The lead.
        by: Duration,
    },
    /// Little space is left on the database's disk. Not sent again until there was more.
    DiskNearlyFull {
        /// The free space, in bytes.
        free_bytes: u64,
    },
}

/// What keeps the WAL from starting over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalHolder {
    /// One of the store's own queries.
    Query {
        /// The name of the operation.
        operation: &'static str,
        /// For how long it has been running.
        running: Duration,
    },
    /// One of the store's own backups.
    Backup {
        /// For how long it has been running.
        running: Duration,
    },
    /// Another process that has the file open, by its process id. Known on Linux only.
    Process(u32),
}

/// What an actor of the store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Owns the connection that writes, and commits mutations.
    Writer,
    /// Answers queries of the interactive lane.
    Reader,
    /// Answers queries of the analytics lane.
    AnalyticsReader,
    /// Copies the WAL into the file.
    Checkpointer,
    /// Makes backups and drills: an actor that takes the requests, and a thread that does the work.
    Backups,
    /// Runs schedules and upkeep, and watches the disk.
    Supervisor,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::AnalyticsReader => "analytics reader",
            Self::Checkpointer => "checkpointer",
            Self::Backups => "backup worker",
            Self::Supervisor => "supervisor",
        })
    }
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// Its name, which is also its folder's name.
    pub name: String,
    /// Why it was made.
    pub reason: Reason,
    /// When its snapshot was taken, by the store's clock.
    pub at: DateTime<Utc>,
    /// The size of the compressed file, in bytes.
    pub bytes: u64,
}

/// The outcome of the last run of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LastRun<T> {
    /// It went well.
    Done(T),
    /// It did not.
    Failed {
        /// When, by the store's clock.
        at: DateTime<Utc>,
        /// Why, in a sentence.
        error: String,
    },
}

/// The subscribers, and the events that are kept for them.
pub(crate) struct Subscribers {
    actors: Mutex<Vec<Recipient<StoreEvent>>>,
    tasks: broadcast::Sender<StoreEvent>,
    /// Events from before the first subscription.
    kept: Mutex<Vec<StoreEvent>>,
    /// The event that each new subscriber gets.
    standing: Mutex<Option<StoreEvent>>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self {
            actors: Mutex::default(),
            tasks: broadcast::channel(BACKLOG).0,
            kept: Mutex::default(),
            standing: Mutex::default(),
        }
    }
}

impl Subscribers {
    pub(crate) fn add(&self, actor: Recipient<StoreEvent>) {
        if let Some(event) = self.standing() {
            actor.do_send(event);
        }
        self.actors().push(actor);
        self.send_kept();
    }

    pub(crate) fn receiver(&self) -> broadcast::Receiver<StoreEvent> {
        let receiver = self.tasks.subscribe();
        if let Some(event) = self.standing() {
            let _ = self.tasks.send(event);
        }
        self.send_kept();
        receiver
    }

    /// Keeps an event for the first subscriber; if nobody subscribes, only the latest 64 are kept.
    pub(crate) fn keep(&self, event: StoreEvent) {
        let mut kept = self.kept();
        if kept.len() == BACKLOG {
            kept.remove(0);
        }
        kept.push(event);
    }

    /// Sends an event to all subscribers, or keeps it for the first one.
    pub(crate) fn send_or_keep(&self, event: StoreEvent) {
        match self.are_there() {
            true => self.send(event),
            false => self.keep(event),
        }
    }

    /// Whether somebody has subscribed.
    pub(crate) fn are_there(&self) -> bool {
        self.tasks.receiver_count() > 0 || !self.actors().is_empty()
    }

    fn send_kept(&self) {
        let kept = std::mem::take(&mut *self.kept());
        for event in kept {
            self.send(event);
        }
    }

    /// Sends an event to everybody who subscribes from now on.
    pub(crate) fn set_standing(&self, event: StoreEvent) {
        *self.standing.lock() = Some(event);
    }

    fn standing(&self) -> Option<StoreEvent> {
        self.standing.lock().clone()
    }

    /// Sends an event to all subscribers, without waiting.
    pub(crate) fn send(&self, event: StoreEvent) {
        let mut actors = self.actors();
        actors.retain(Recipient::connected);
        for actor in actors.iter() {
            // Also to a full mailbox: events are few, and this one may matter.
            quietly(|| actor.do_send(event.clone()));
        }
        // This may panic in another executor's waker, which must not end the actor that sends. An error means that
        // nobody listens.
        quietly(|| drop(self.tasks.send(event)));
    }

    fn kept(&self) -> MutexGuard<'_, Vec<StoreEvent>> {
        self.kept.lock()
    }

    fn actors(&self) -> MutexGuard<'_, Vec<Recipient<StoreEvent>>> {
        self.actors.lock()
    }
}
