//! For tests of this crate and of its hosts: a store in a temporary folder, and a clock that the test sets.
//! Requires the feature `testing`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! use botstore::testing::TestStore;
//! use botstore::{sessions, users};
//! use std::time::Duration;
//!
//! let store = TestStore::open().await?;
//! store.write(users::EnsureUser::new(1, None)).await?;
//! store.write(sessions::CreateSession::new(1, "s", "/")).await?;
//!
//! store.clock().advance(Duration::from_secs(3600));
//! let expired = store.write(sessions::ExpireIdle::new(Duration::from_secs(60))).await?;
//! assert_eq!(expired, 1);
//! # Ok(()) }
//! ```

use crate::archive::Upgrading;
use crate::migration::{Pace, Recounted, recount};
use crate::sqlite::FileLock;
use crate::texts::Limits;
use crate::time::{self, Clock};
use crate::{Config, Error, ReadTx, Result, Store, Usd, WriteTx, opening, sqlite};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A clock that stands still until it is set or advanced. Clones share one clock.
#[derive(Clone, Debug)]
pub struct FixedClock {
    state: Arc<Mutex<Stands>>,
    made: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Stands {
    at: DateTime<Utc>,
    /// The time that was let pass by `advance` since the clock was made.
    passed: Duration,
}

impl FixedClock {
    /// A clock that shows this time.
    pub fn at(now: DateTime<Utc>) -> Self {
        let at = time::to_micros(now);
        let passed = Duration::ZERO;
        Self {
            state: Arc::new(Mutex::new(Stands { at, passed })),
            made: Instant::now(),
        }
    }

    /// Sets the clock, forwards or backwards, as somebody sets a real clock: no time passes. After a jump
    /// forwards, what cannot be undone waits: see [`Config::clock_jump_wait`].
    pub fn set(&self, now: DateTime<Utc>) {
        self.state.lock().at = time::to_micros(now);
    }

    /// Lets this much time pass.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock();
        let delta = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let latest = DateTime::<Utc>::MAX_UTC;
        state.at = state.at.checked_add_signed(delta).unwrap_or(latest);
        state.passed = state.passed.saturating_add(by);
    }

    /// Lets time pass until `then`, so that the clock is trusted. An earlier time sets the clock back.
    pub fn advance_to(&self, then: DateTime<Utc>) {
        let by = then.signed_duration_since(self.now());
        match by.to_std() {
            Ok(by) => self.advance(by),
            Err(_) => self.set(then),
        }
    }
}

impl Default for FixedClock {
    /// 2026-03-10 15:30:00 UTC.
    fn default() -> Self {
        Self::at(DateTime::UNIX_EPOCH + Duration::from_secs(1_773_156_600))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.state.lock().at
    }

    fn instant(&self) -> Instant {
        let passed = self.state.lock().passed;
        self.made.checked_add(passed).unwrap_or(self.made)
    }
}

/// A store on a [`FixedClock`] in a temporary folder, which is removed with it. Use it as a [`Store`].
#[derive(Debug)]
pub struct TestStore {
    // Dropped in this order: the file is closed before its folder is removed.
    store: Store,
    clock: FixedClock,
    folder: TempDir,
}

impl TestStore {
    /// Opens a new store with the default settings. Takes a few milliseconds.
    pub async fn open() -> Result<Self> {
        Self::open_with(|config| config).await
    }

    /// Opens a new store with other settings: the host's schema, small limits, schedules.
    pub async fn open_with(configure: impl FnOnce(Config) -> Config) -> Result<Self> {
        let folder =
            tempfile::tempdir().map_err(|e| Error::io("cannot make a temporary folder", e))?;
        let clock = FixedClock::default();
        let config = Config::new(folder.path().join("test.db")).clock(clock.clone());
        let store = Store::open(configure(config)).await?;
        // Completes the supervisor's first look at its schedules, so that from here on only the test changes the
        // file.
        store.run_due().await?;
        Ok(Self {
            store,
            clock,
            folder,
        })
    }

    /// The clock of the store.
    pub fn clock(&self) -> &FixedClock {
        &self.clock
    }

    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store and returns the folder and the file in it, for inspection.
    pub async fn into_file(self) -> Result<(TempDir, PathBuf)> {
        self.store.close().await?;
        let path = self.store.path().to_owned();
        Ok((self.folder, path))
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Runs operations on one plain connection, without actors, batches or queues: for the unit test of a host's own
/// operation, and as the upper bound that benchmarks compare with.
///
/// ```
/// # fn main() -> botstore::Result<()> {
/// use botstore::{testing::Plain, users};
///
/// let folder = tempfile::tempdir().unwrap();
/// let plain = Plain::open(folder.path().join("plain.db"))?;
/// let user = plain.write(|tx| tx.apply(&users::EnsureUser::new(1, None)))?;
/// assert_eq!(user.user_id, 1);
/// # Ok(()) }
/// ```
pub struct Plain {
    conn: Connection,
    clock: Arc<dyn Clock>,
    limits: Limits,
    _lock: FileLock,
}

impl Plain {
    /// Opens and migrates a file with the settings of a store's writer. If another time zone is wanted, all rows are
    /// counted by it first.
    pub fn open(config: impl Into<Config>) -> Result<Self> {
        let config = opening::complete(config)?;
        let path = sqlite::resolve(&config.path)?;
        let lock = FileLock::acquire(&path)?;
        let mut conn = opening::connect(&path, &config)?;
        let recounts = opening::Recounts::InBackground;
        opening::upgrade(&mut conn, &path, &config, Upgrading::Opening, recounts)?;
        // There is nobody else who would.
        let (program, mut pace) = (config.program(), Pace::default());
        while recount(&conn, &program, &mut pace)? != Recounted::Nothing {}
        sqlite::trust(&mut conn)?;
        Ok(Self {
            conn,
            clock: Arc::clone(&config.clock),
            limits: config.limits(),
            _lock: lock,
        })
    }

    /// Runs `work` in one transaction and commits it, or rolls it back when it fails.
    pub fn write<T>(&self, work: impl FnOnce(&WriteTx<'_>) -> Result<T>) -> Result<T> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let done = work(&WriteTx::new(&self.conn, self.clock.now()).within(self.limits));
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.conn.execute_batch(end)?;
        done
    }

    /// Runs `work` without a transaction, so each statement sees its own snapshot.
    pub fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        work(&ReadTx::new(&self.conn, self.clock.now()).within(self.limits))
    }

    /// The connection, for settings that a benchmark varies.
    pub fn connection(&self) -> &Connection {
        &self.conn
    }
}

/// This many US dollars, rounded to the nearest billionth. An amount that [`Usd::from_dollars`] refuses becomes
/// the nearest possible one.
///
/// ```
/// use botstore::testing::usd;
/// assert_eq!(usd(0.25), botstore::Usd::from_nanos(250_000_000));
/// ```
pub fn usd(dollars: f64) -> Usd {
    Usd::nearest(dollars)
}
