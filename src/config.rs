//! Every setting of a store, with its unit, default and range, and what it sets.

mod inspecting;
mod parts;
mod point_reads;
mod texts;
mod times;
mod validate;

pub use point_reads::PointReads;

use crate::archive::Backups;
use crate::error::Result;
use crate::migration::{Schema, SchemaDef, UnknownTriggers};
#[cfg(doc)]
use crate::operation::Mutation;
#[cfg(doc)]
use crate::operation::Query;
use crate::schedule::{Schedule, TimerKinds};
use crate::sqlite::Durability;
use crate::texts::Limits;
use crate::time::{Clock, SystemClock, Zone};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What is done with an existing file before a migration step changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BeforeUpgrade {
    /// Makes a verified backup: see [`backup`](crate::backup). Takes the time to copy, compress and check the
    /// file, and meanwhile up to twice its size on the disk.
    #[default]
    Backup,
    /// Does nothing: for a host that has just made its own backup.
    Skip,
    /// Refuses to open it, with [`OlderSchema`](crate::ErrorKind::OlderSchema), and changes nothing: for a tool, which
    /// must not migrate the file of a bot. Such a program does not create a file either. Also refuses a file whose rows
    /// would be counted first, because an upgrade was interrupted. If no [`time_zone`](Config::time_zone) is set, the
    /// file keeps its zone's rules, too. [`schema::apply`](crate::schema::apply()) is not
    /// refused: it is asked to migrate.
    Refuse,
}

/// The path of the file and the settings of the store. Every setting has a default that suits a bot.
///
/// ```no_run
/// # async fn demo() -> botstore::Result<()> {
/// use botstore::{Config, Durability, Store, sessions};
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let config = Config::new("bot.db")
///     .durability(Durability::Full)
///     .readers(2)
///     .every(DAY, || sessions::ExpireIdle::new(30 * DAY));
/// let store = Store::open(config).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing until a store is opened with it"]
pub struct Config {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) before_upgrade: BeforeUpgrade,
    pub(crate) backups: Backups,
    pub(crate) unknown_triggers: UnknownTriggers,
    pub(crate) inspect_deadline: Option<Duration>,
    pub(crate) stop: Option<fn() -> bool>,
    pub(crate) disk_low_bytes: u64,
    pub(crate) readers: usize,
    pub(crate) point_reads: PointReads,
    pub(crate) analytics_readers: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) max_in_flight_bytes: usize,
    pub(crate) max_text_bytes: usize,
    pub(crate) max_answer_bytes: usize,
    pub(crate) max_tool_result_bytes: usize,
    pub(crate) max_batch: usize,
    pub(crate) max_batch_time: Duration,
    pub(crate) mutation_deadline: Duration,
    pub(crate) interactive_deadline: Duration,
    pub(crate) analytics_deadline: Duration,
    pub(crate) busy_timeout: Duration,
    pub(crate) close_deadline: Duration,
    pub(crate) max_restarts: (u32, Duration),
    pub(crate) checkpoint_at_bytes: u64,
    pub(crate) wal_ceiling_bytes: u64,
    pub(crate) cache_bytes: usize,
    pub(crate) mmap_bytes: u64,
    pub(crate) row_cache_answers: usize,
    pub(crate) row_cache_bytes: usize,
    pub(crate) idempotency_retention: Duration,
    time_zone: Option<String>,
    pub(crate) reconcile_every: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_jump_wait: Duration,
    /// The host's schemas. This crate's own schema is put in front of them when a file is opened.
    pub(crate) schemas: Vec<SchemaDef>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) timers: TimerKinds,
}

const MIB: u64 = 1024 * 1024;

/// The largest [`Config::checkpoint_at_bytes`], which turns copying in the background off.
const NO_COPY_BYTES: u64 = 64 * 1024 * MIB;

impl Config {
    /// The default settings for the file at `path`, which may also be written `sqlite:///path`. Opening creates
    /// the file and its folder if they are missing.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            path: path.as_ref().to_owned(),
            durability: Durability::default(),
            before_upgrade: BeforeUpgrade::default(),
            backups: Backups::default(),
            unknown_triggers: UnknownTriggers::default(),
            inspect_deadline: None,
            stop: None,
            disk_low_bytes: 512 * MIB,
            readers: cores.min(4),
            point_reads: PointReads::default(),
            analytics_readers: 1,
            max_in_flight: 4096,
            max_in_flight_bytes: 64 * MIB as usize,
            max_text_bytes: Limits::DEFAULT.max_text_bytes,
            max_answer_bytes: Limits::DEFAULT.max_answer_bytes,
            max_tool_result_bytes: Limits::DEFAULT.max_tool_result_bytes,
            max_batch: 256,
            max_batch_time: Duration::from_millis(10),
            mutation_deadline: Duration::from_secs(30),
            interactive_deadline: Duration::from_secs(5),
            analytics_deadline: Duration::from_secs(60),
            busy_timeout: Duration::from_secs(5),
            close_deadline: Duration::from_secs(10),
            max_restarts: (5, Duration::from_secs(60)),
            checkpoint_at_bytes: 24 * MIB,
            wal_ceiling_bytes: 64 * MIB,
            cache_bytes: 8 * MIB as usize,
            mmap_bytes: 0,
            row_cache_answers: 16_384,
            row_cache_bytes: 8 * MIB as usize,
            idempotency_retention: Duration::from_secs(7 * 24 * 60 * 60),
            time_zone: None,
            reconcile_every: None,
            clock: Arc::new(SystemClock),
            clock_jump_wait: Duration::from_secs(60 * 60),
            schemas: Vec::new(),
            schedules: Vec::new(),
            timers: TimerKinds::default(),
        }
    }

    /// What an acknowledgement is worth when the power fails. Sets `PRAGMA synchronous`.
    /// Default: [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What is done before a migration changes an existing file.
    /// Default: [`BeforeUpgrade::Backup`].
    pub fn before_upgrade(mut self, what: BeforeUpgrade) -> Self {
        self.before_upgrade = what;
        self
    }

    /// Where backups go, when they are made and how. Default: [`Backups::default`], which makes one before an
    /// upgrade and on request.
    pub fn backups(mut self, backups: Backups) -> Self {
        self.backups = backups;
        self
    }

    /// What the store does about triggers, views, virtual tables and generated columns in the file that no step of
    /// these schemas made. Applies at opening and to a backup that is restored. Default:
    /// [`UnknownTriggers::Allow`]; [`StoreEvent::UnknownObjects`](crate::StoreEvent) then reports them.
    pub fn unknown_triggers(mut self, what: UnknownTriggers) -> Self {
        self.unknown_triggers = what;
        self
    }

    /// Below how much free space on the file's disk the store sends
    /// [`StoreEvent::DiskNearlyFull`](crate::StoreEvent). 0 for never; default 512 MiB.
    pub fn disk_low_bytes(mut self, bytes: u64) -> Self {
        self.disk_low_bytes = bytes;
        self
    }

    /// Where the bot's days begin and end: the days of statistics, of costs, and of
    /// [`daily_at`](Self::daily_at). The name of a zone in the
    /// [IANA database](https://en.wikipedia.org/wiki/List_of_tz_database_time_zones), such as `Europe/Berlin`, whose
    /// days have 23 or 25 hours where the clocks are set; or a fixed offset from UTC, such as `+05:30`. The database
    /// is compiled in, so it is the same on every machine; the machine's own zone is not looked at.
    ///
    /// The file keeps the zone. If it is opened with another, or with a program that has newer rules for the zone, and a
    /// day of its statistics may be another by it, the store counts them again in the background. Until that is done,
    /// statistics, limits and [`TimeZone`](crate::analytics::TimeZone) have the days of the zone before, all of them;
    /// [`Health::next_time_zone`](crate::Health) names the new one. [`daily_at`](Self::daily_at) goes by the new one at
    /// once. See [`docs/operations.md`](crate::guide::operations) for how long it takes. Default: the zone that the file
    /// has, or is to have; UTC in a new one.
    ///
    /// Opening refuses an unknown name with [`Invalid`](crate::ErrorKind::Invalid), and proposes names that are near.
    ///
    /// ```no_run
    /// let config = botstore::Config::new("bot.db").time_zone("America/Sao_Paulo");
    /// ```
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.time_zone = Some(name.into());
        self
    }

    /// The time zone, if one was given.
    pub(crate) fn zone(&self) -> Result<Option<Zone>> {
        self.time_zone.as_deref().map(Zone::named).transpose()
    }

    /// Compares the rollups with a full count at this interval, and reports a difference as
    /// [`StoreEvent::RollupsDiffer`](crate::StoreEvent). The count reads all messages on an analytics reader, some
    /// seconds for each million, and has to end within [`analytics_deadline`](Self::analytics_deadline). The first
    /// comparison is one interval after the file was first opened with this setting; the file keeps the time of
    /// the last one. At least 1 s; default: never.
    pub fn reconcile_every(mut self, interval: Duration) -> Self {
        self.reconcile_every = Some(interval);
        self
    }

    /// How many reader actors serve [`Lane::Interactive`](crate::Lane), each with a thread and a connection.
    /// Range 1–32; default: the number of cores, at most 4.
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = count;
        self
    }

    /// How many reader actors serve [`Lane::Analytics`](crate::Lane), in addition to the interactive ones.
    /// Range 1–32; default 1.
    pub fn analytics_readers(mut self, count: usize) -> Self {
        self.analytics_readers = count;
        self
    }

    /// How many requests may wait or run at once: counted for mutations, and for each lane of queries. At the
    /// limit a caller waits; a `try_` call gets [`Overloaded`](crate::ErrorKind::Overloaded) instead.
    /// Range 1–1,000,000; default 4,096.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// How many bytes the mutations in flight may hold ([`Mutation::size_bytes`]), and the queries in flight on
    /// each lane ([`Query::size_bytes`]). A larger request than this runs alone. Range 1 KiB–2 GiB; default
    /// 64 MiB.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.max_in_flight_bytes = bytes;
        self
    }

    /// How many mutations may share one commit. Range 1–10,000; default 256.
    pub fn max_batch(mut self, mutations: usize) -> Self {
        self.max_batch = mutations;
        self
    }

    /// For how long the writer adds waiting mutations to one transaction before it commits. Range 0–1 s; default
    /// 10 ms.
    pub fn max_batch_time(mut self, time: Duration) -> Self {
        self.max_batch_time = time;
        self
    }

    /// How long a mutation may run, once begun, before it is interrupted with
    /// [`Deadline`](crate::ErrorKind::Deadline) and undone. Only its SQL is interrupted: Rust code in it that does
    /// not end keeps the writer occupied. Range 1 ms–1 h; default 30 s.
    pub fn mutation_deadline(mut self, time: Duration) -> Self {
        self.mutation_deadline = time;
        self
    }

    /// How long a query may take on the interactive lane, including the time in the queue, before it is
    /// interrupted with [`Deadline`](crate::ErrorKind::Deadline). Range 1 ms–1 h; default 5 s.
    pub fn interactive_deadline(mut self, time: Duration) -> Self {
        self.interactive_deadline = time;
        self
    }

    /// As [`interactive_deadline`](Self::interactive_deadline), for the analytics lane. Range 1 ms–1 h; default
    /// 60 s.
    pub fn analytics_deadline(mut self, time: Duration) -> Self {
        self.analytics_deadline = time;
        self
    }

    /// How long to wait for another program that holds SQLite's write lock. Sets `PRAGMA busy_timeout`.
    /// Range 0–60 s; default 5 s.
    pub fn busy_timeout(mut self, time: Duration) -> Self {
        self.busy_timeout = time;
        self
    }

    /// How long closing waits before it interrupts the operations that still run and refuses those that still
    /// wait. Range 0–10 min; default 10 s.
    pub fn close_deadline(mut self, time: Duration) -> Self {
        self.close_deadline = time;
        self
    }

    /// How many times an actor of the store may panic within a period: it is restarted after each but the last of
    /// these panics. Then it is given up, and requests get [`Unavailable`](crate::ErrorKind::Unavailable) until
    /// the store is opened again. Only the host's code that runs outside an operation makes an actor panic, such
    /// as a log subscriber. Range 1–1,000 within 1 s–1 day; default 5 within 60 s.
    pub fn max_restarts(mut self, restarts: u32, within: Duration) -> Self {
        self.max_restarts = (restarts, within);
        self
    }

    /// By how much the WAL grows before it is copied into the file in the background. A page that was written
    /// several times is copied once, so a larger size means less work, but more to read when opening finds a WAL.
    /// If the last copy began at least 0.3 s ago, a sixth of this size is enough: where there is time for many
    /// short copies, they delay requests less. A WAL of any size is copied when nothing has been written for 3 to
    /// 4 s. Range 64 KiB–64 GiB, reduced to the ceiling, where 64 GiB turns both kinds of copies off; default
    /// 24 MiB.
    pub fn checkpoint_at_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_at_bytes = bytes;
        self
    }

    /// The size of the WAL at which commits wait while the writer copies the rest of it into the file. The WAL may
    /// exceed it by one batch of mutations, and by more while an older query keeps its snapshot. Sets
    /// `PRAGMA journal_size_limit`. Range 256 KiB–64 GiB; default 64 MiB.
    pub fn wal_ceiling_bytes(mut self, bytes: u64) -> Self {
        self.wal_ceiling_bytes = bytes;
        self
    }

    /// The size of each connection's page cache. Sets `PRAGMA cache_size`. The writer, the checkpointer and each
    /// reader have one connection each. Range 64 KiB–16 GiB; default 8 MiB.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How many bytes of the file each reader maps into memory. Sets `PRAGMA mmap_size`. Default 0, which maps
    /// nothing: an I/O error under a mapping ends the process, where a read returns an error.
    pub fn mmap_bytes(mut self, bytes: u64) -> Self {
        self.mmap_bytes = bytes;
        self
    }

    /// How many answers of point reads the row cache keeps on the callers' side ([`Query::cacheable`]): users,
    /// permissions, sessions, and a host's own. About 300 bytes each. Range 0–10,000,000, where 0 keeps none;
    /// default 16,384. [`row_cache_bytes`](Self::row_cache_bytes) limits them too.
    pub fn row_cache_answers(mut self, answers: usize) -> Self {
        self.row_cache_answers = answers;
        self
    }

    /// How many bytes the row cache's answers may hold together. An answer of more than 4 KiB is not kept.
    /// Range 0–16 GiB, where less than 4 KiB keeps none; default 8 MiB.
    pub fn row_cache_bytes(mut self, bytes: usize) -> Self {
        self.row_cache_bytes = bytes;
        self
    }

    /// How long an idempotency key and a claimed update are remembered; sent again later, they count as new. Old
    /// ones are deleted at intervals of an eighth of this time, but at least daily and at most once a minute; so
    /// they are remembered for up to an eighth longer. Range 1 min–10 years; default 7 days.
    pub fn idempotency_retention(mut self, time: Duration) -> Self {
        self.idempotency_retention = time;
        self
    }

    /// Adds the host's own tables: see [`Schema`]. They are migrated after this crate's, in the order in which
    /// they were added.
    pub fn schema<S: Schema>(mut self) -> Self {
        self.schemas.push(SchemaDef::of::<S>());
        self
    }
}

impl<P: AsRef<Path>> From<P> for Config {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}
