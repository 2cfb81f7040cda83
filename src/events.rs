//! What a store tells without being asked.

mod timers;

pub use timers::{FailedTimer, FiredTimer};

use crate::archive::{DrillReport, NotRemoved, Reason};
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

/// How many events a receiver may lag behind, or are kept for the first, before it misses the oldest.
const BACKLOG: usize = 64;

/// Something that happened in a store and that somebody may want to be told of: see
/// [`Store::subscribe`](crate::Store::subscribe) and [`Store::events`](crate::Store::events).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum StoreEvent {
    /// A backup was made and read back.
    BackupDone(BackupReport),
    /// A backup was not made. The others are as they were. With
    /// [`Deadline`](crate::ErrorKind::Deadline): it gets no further, and the schedule goes on when the
    /// call returns that it waits in.
    BackupFailed(Error),
    /// Old backups, or what was left of one that was cut short, were to be removed and are still there: the
    /// disk of the backups fills until somebody looks. Told after each backup for which it is so.
    #[non_exhaustive]
    BackupsNotRemoved {
        /// Which, and why.
        backups: Vec<NotRemoved>,
    },
    /// The newest backup was tried out and is good.
    DrillDone(DrillReport),
    /// The newest backup was tried out and could not be restored: do not rely on it.
    DrillFailed(Error),
    /// The file was upgraded at opening, and the backup from before is in the clear, beside the
    /// database and not where the others go, which are encrypted: the settings name no
    /// [`recipient`](crate::backup::Backups). Move it to where it may lie. Told to who subscribes
    /// first, since nobody can before the store is open.
    #[non_exhaustive]
    ClearCopyBeside {
        /// The backup.
        path: PathBuf,
    },
    /// Sessions were ended because they had not been used for long.
    SessionsExpired {
        /// How many.
        sessions: usize,
    },
    /// Timers have run, and what they changed is committed. Told after the commit, to who listens then and to
    /// nobody else: a hint to look into the bot's own tables, and not the only reason to.
    #[non_exhaustive]
    TimersFired {
        /// Which, in the order in which they ran.
        timers: Vec<FiredTimer>,
    },
    /// Timers have failed, or panicked. They are kept, and tried again after a minute, two, four, up to an hour;
    /// after the tenth time when the store is opened again. The others run.
    #[non_exhaustive]
    TimersFailed {
        /// Which, and why.
        timers: Vec<FailedTimer>,
    },
    /// Timers are due whose name nobody has registered ([`Config::timer`](crate::Config::timer)). They are kept, and
    /// run when the store is opened with it.
    #[non_exhaustive]
    TimersUnknown {
        /// The name.
        name: String,
        /// How many have become due since this was last told.
        timers: usize,
    },
    /// The WAL is over its ceiling and cannot start over, because a query, a backup or
    /// another program still needs an older state, or because the disk does not take what is to be
    /// copied. Told once until it has started over.
    WalOverCeiling {
        /// Its size.
        bytes: u64,
        /// [`Config::wal_ceiling_bytes`](crate::Config::wal_ceiling_bytes).
        ceiling_bytes: u64,
        /// Who reads an older state, as far as it can be told: first those in this process, the
        /// longest at it first.
        held_by: Vec<WalHolder>,
    },
    /// The disk, or another program's lock, keeps the store from reading or writing:
    /// [`DiskFull`](crate::ErrorKind::DiskFull), [`Io`](crate::ErrorKind::Io),
    /// [`InDoubt`](crate::ErrorKind::InDoubt), [`Busy`](crate::ErrorKind::Busy) or [`ReadOnly`](crate::ErrorKind::ReadOnly). Requests get
    /// the same error. Told within a second, and once until it has recovered.
    Failing(Error),
    /// The store has written again since it failed. Told within a second or two.
    Recovered,
    /// SQLite has found the file damaged: restore a backup. Told once; what is not damaged goes on.
    Damaged(Error),
    /// Something is wrong with where the database's files are: one was replaced, moved or removed under
    /// the open store, or it has more than one name. The [`FileProblem`] says what to do, also in a
    /// sentence. Told within a second, and once for as long as it lasts; what is so when nobody has
    /// subscribed yet is told to who subscribes first.
    #[non_exhaustive]
    FileProblem {
        /// What is wrong.
        problem: FileProblem,
        /// The database's path.
        path: PathBuf,
    },
    /// The store was closed after its database was replaced or removed, and all that it had is in this
    /// new file, which only its owner can read. [`close`](crate::Store::close) says the same.
    #[non_exhaustive]
    CopySaved {
        /// The copy: a database like any other.
        path: PathBuf,
    },
    /// The rollups are not what a full count says: see
    /// [`Store::repair_rollups`](crate::Store::repair_rollups). What is found before anybody has subscribed is
    /// told to who subscribes first.
    RollupsDiffer {
        /// In how many rows.
        rows: usize,
    },
    /// The file has triggers, views, virtual tables or generated columns that no step made, and they are
    /// in force but for what [`Config::unknown_triggers`](crate::Config::unknown_triggers) says of
    /// triggers. Told to everybody who subscribes (a task may hear it again when another one does), since
    /// nobody can have subscribed before the file was opened.
    UnknownObjects(UnknownObjects),
    /// An actor of the store panicked, in code of the host's such as a subscriber to the log, and was
    /// started again. What it was at got an error. Told within a second or two.
    #[non_exhaustive]
    ActorRestarted {
        /// What the actor does.
        role: Role,
        /// How often it was started again since opening.
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
    /// The clock has jumped ahead of the time that has passed: it was set, or the machine slept. What cannot be
    /// undone waits until it has gone on so for
    /// [`Config::clock_jump_wait`](crate::Config::clock_jump_wait): look whether it is right. Told within a
    /// second, once for each jump; [`Health::clock_ahead`](crate::Health) says when it is over.
    #[non_exhaustive]
    ClockAhead {
        /// By how much.
        by: Duration,
    },
    /// Little room is left on the disk of the database. Told once until there is more again.
    DiskNearlyFull {
        /// How much.
        free_bytes: u64,
    },
}

/// Who keeps the WAL from starting over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalHolder {
    /// A query of the store's own.
    Query {
        /// The name of the operation.
        operation: &'static str,
        /// For how long it has been running.
        running: Duration,
    },
    /// A backup of the store's own.
    Backup {
        /// For how long it has been running.
        running: Duration,
    },
    /// The process with this number, which has the file open too. Told on Linux.
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
    /// Runs schedules and upkeep, and looks at the disk.
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
    /// Its name, which is that of its folder.
    pub name: String,
    /// Why it was made.
    pub reason: Reason,
    /// When its snapshot was taken, by the store's clock.
    pub at: DateTime<Utc>,
    /// The size of the compressed file, in bytes.
    pub bytes: u64,
}

/// The last time that something was done: what came of it.
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

/// Those who want to be told.
pub(crate) struct Subscribers {
    actors: Mutex<Vec<Recipient<StoreEvent>>>,
    tasks: broadcast::Sender<StoreEvent>,
    /// What happened before anybody could listen.
    kept: Mutex<Vec<StoreEvent>>,
    /// What each who subscribes is told.
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
        self.tell_kept();
    }

    pub(crate) fn receiver(&self) -> broadcast::Receiver<StoreEvent> {
        let receiver = self.tasks.subscribe();
        if let Some(event) = self.standing() {
            let _ = self.tasks.send(event);
        }
        self.tell_kept();
        receiver
    }

    /// Tells it to who subscribes first: the latest, if nobody ever does.
    pub(crate) fn keep(&self, event: StoreEvent) {
        let mut kept = self.cacheable();
        if kept.len() == BACKLOG {
            kept.remove(0);
        }
        kept.push(event);
    }

    /// Tells everybody; or, where nobody has subscribed yet, who does so first.
    pub(crate) fn tell_or_keep(&self, event: StoreEvent) {
        let nobody = self.tasks.receiver_count() == 0 && self.actors().is_empty();
        match nobody {
            true => self.keep(event),
            false => self.tell(event),
        }
    }

    fn tell_kept(&self) {
        let kept = std::mem::take(&mut *self.cacheable());
        for event in kept {
            self.tell(event);
        }
    }

    /// Tells everybody who subscribes from now on.
    pub(crate) fn tell_each(&self, event: StoreEvent) {
        *self.standing.lock() = Some(event);
    }

    fn standing(&self) -> Option<StoreEvent> {
        self.standing.lock().clone()
    }

    /// Tells everybody. Waits for nobody.
    pub(crate) fn tell(&self, event: StoreEvent) {
        let mut actors = self.actors();
        actors.retain(Recipient::connected);
        for actor in actors.iter() {
            // To a mailbox that is full too: there are few events, and this one may matter.
            quietly(|| actor.do_send(event.clone()));
        }
        // Wakers of other executors, each: the actor that tells must not end with one. An error says
        // that nobody listens.
        quietly(|| drop(self.tasks.send(event)));
    }

    fn cacheable(&self) -> MutexGuard<'_, Vec<StoreEvent>> {
        self.kept.lock()
    }

    fn actors(&self) -> MutexGuard<'_, Vec<Recipient<StoreEvent>>> {
        self.actors.lock()
    }
}
