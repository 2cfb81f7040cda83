//! The handle that a bot holds.

mod closures;
mod duties;
mod open;
mod pages;
mod repair;

pub use closures::{Ask, Transact};
pub use pages::{Items, Pages};

use crate::archive::{Backup, DrillReport, RunDrill, TakeBackup};
use crate::config::Config;
use crate::domain::rollups::{FindRepairs, RollupReport};
use crate::engine::{BackupActor, Counter, Entry, Handle, RunDue, Supervisor};
use crate::error::{Error, ErrorKind, Result};
use crate::events::StoreEvent;
use crate::files;
use crate::health::{Health, ReaderHealth, WriterHealth};
use crate::migration::{SchemaStep, UnknownObjects};
use crate::opening;
use crate::operation::{Lane, Mutation, Query};
use crate::panics::shielded;
use crate::recipients::{Mutations, Queries};
use crate::sqlite::{self, FileProblem};
use actix::{Addr, Recipient};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use tokio::sync::{oneshot, watch};

/// A repair gives up when as many comparisons in a row have found no fewer differences.
const REPAIRS_IN_VAIN: usize = 5;

/// An open store: cheap to clone, and to be shared with every task and actor of a bot.
///
/// It works the same inside an actix System and on plain tokio: its actors have a System and
/// threads of their own. (Sharing the host's System was turned down: `System::stop` would end the
/// writer in the middle of its queue.)
///
/// When the last clone is dropped the store closes as with [`close`](Self::close), and the
/// dropping thread waits for it, for as long as that.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bot.db");
/// use botstore::{Store, users};
///
/// let store = Store::open(&path).await?;
/// store.write(users::EnsureUser::new(42, Some("ada"))).await?;
/// assert!(!store.read(users::IsAllowed::new(42)).await?);
/// store.close().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    handle: Arc<Handle>,
    /// The last step of each schema. They only change while no store is open.
    schemas: Vec<SchemaStep>,
    unknown_objects: UnknownObjects,
    network_file_system: Option<String>,
    /// Reader actors of the interactive lane and of the analytics lane.
    readers: (usize, usize),
    mutations: Addr<Mutations>,
    queries: Addr<Queries>,
    supervisor: Addr<Supervisor>,
    backups: Addr<BackupActor>,
    closed: watch::Receiver<Option<Result<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The threads of the actors, which must not wait for themselves.
    own_threads: Vec<ThreadId>,
}

impl Store {
    /// Opens the file, creates or upgrades its tables, and starts the actors.
    ///
    /// A file left by the Python bot whose schema this is is taken over: see
    /// `docs/operations.md`. Before an existing file is changed by a migration, a verified copy is
    /// put beside it.
    ///
    /// An `open` whose future is dropped goes on in the background and then closes what it opened;
    /// until then the file counts as open.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a setting out of its range;
    /// [`AlreadyOpen`](ErrorKind::AlreadyOpen) when another store has the file open;
    /// [`ForeignFile`](ErrorKind::ForeignFile), [`NewerSchema`](ErrorKind::NewerSchema) and
    /// [`ChangedMigration`](ErrorKind::ChangedMigration) for a file that this program must not
    /// touch, which stays as it is; [`Corrupt`](ErrorKind::Corrupt) for one that is damaged, or is empty or
    /// gone while something beside it says that there was more; [`Replaced`](ErrorKind::Replaced) for one
    /// beside which another's WAL lies; [`Untrusted`](ErrorKind::Untrusted) for one with unknown triggers
    /// where [`Config::unknown_triggers`] refuses those; [`Migration`](ErrorKind::Migration) when a step failed;
    /// [`ReadOnly`](ErrorKind::ReadOnly), [`DiskFull`](ErrorKind::DiskFull) and
    /// [`Io`](ErrorKind::Io) from the operating system.
    pub async fn open(config: impl Into<Config>) -> Result<Self> {
        let config = config.into();
        let config = opening::complete(config)?;
        let (opened, open) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("botstore".to_owned())
            .spawn(move || open::run(&config, opened))
            .map_err(|e| Error::io("cannot start a thread", e))?;
        let store: Self = open.await.unwrap_or_else(|_| {
            let why = "opening the store panicked";
            Err(Error::new(ErrorKind::Panicked, why))
        })?;
        *store.inner.thread.lock() = Some(thread);
        Ok(store)
    }

    /// Makes a change and gives its answer after its commit. Waits while as many requests are in
    /// flight as the store may hold.
    ///
    /// Nothing happens until the future is first polled. One that is dropped before the writer has
    /// begun with it does not run; one that is dropped later may have run.
    ///
    /// # Errors
    /// Those of the mutation; [`Closed`](ErrorKind::Closed), [`Panicked`](ErrorKind::Panicked), and
    /// those of the disk. After any error but [`InDoubt`](ErrorKind::InDoubt) the change was not made.
    pub async fn write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        self.inner.handle.write(mutation, Entry::Waits).await
    }

    /// The same, but answers [`Overloaded`](ErrorKind::Overloaded) at once where
    /// [`write`](Self::write) would wait for room.
    pub async fn try_write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        self.inner.handle.write(mutation, Entry::AtOnce).await
    }

    /// Asks a question. It sees every change whose `Ok` came before it was asked.
    ///
    /// # Errors
    /// Those of the query; [`Deadline`](ErrorKind::Deadline) when it took too long,
    /// [`Closed`](ErrorKind::Closed), [`Panicked`](ErrorKind::Panicked), and those of the disk.
    pub async fn read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.inner.handle.read(query, Entry::Waits).await
    }

    /// The same, but answers [`Overloaded`](ErrorKind::Overloaded) at once where
    /// [`read`](Self::read) would wait for room.
    pub async fn try_read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.inner.handle.read(query, Entry::AtOnce).await
    }

    /// Compares the rollups with a full count, as [`ReconcileRollups`](crate::rollups::ReconcileRollups) does, and mends what differs:
    /// in pieces that each hold the writer for a moment. Compares again until nothing does, because
    /// what is saved beside a damaged row may be counted wrongly. Gives what differed at first.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when two repairs run at once, or when it does not come to
    /// an end; those of [`read`](Self::read) and [`write`](Self::write).
    pub async fn repair_rollups(&self) -> Result<RollupReport> {
        let mut first = None;
        let (mut fewest, mut in_vain) = (usize::MAX, 0);
        loop {
            let found = self.read(FindRepairs).await?;
            let differences = found.report.differences;
            let first = first.get_or_insert(found.report);
            if differences == 0 {
                return Ok(std::mem::take(first));
            }
            // What is saved beside a damaged row may be counted wrongly once; not again and again.
            in_vain = if differences < fewest { 0 } else { in_vain + 1 };
            fewest = fewest.min(differences);
            if in_vain == REPAIRS_IN_VAIN {
                let why = "the rollups differ again after each repair: something else changes them";
                return Err(Error::new(ErrorKind::Conflict, why));
            }
            for piece in found.pieces {
                self.write(piece).await?;
            }
        }
    }

    /// The actor that takes every [`Mutation`] as a message. A bot's actor that should not know the
    /// store holds `store.mutations().recipient::<Write<SaveInteraction>>()`, and its test a mock.
    pub fn mutations(&self) -> Addr<Mutations> {
        self.inner.mutations.clone()
    }

    /// The actor that takes every [`Query`] as a message.
    pub fn queries(&self) -> Addr<Queries> {
        self.inner.queries.clone()
    }

    /// Makes a backup while everybody goes on: a snapshot of the moment at which it begins, read
    /// back and checked before it counts. One is made at a time; the next waits.
    ///
    /// A dropped future does not stop it; see [`TakeBackup::on_progress`].
    ///
    /// # Errors
    /// Those of [`TakeBackup`]; [`Deadline`](ErrorKind::Deadline) when it, or one before it, gets no
    /// further: see [`Backups::stall_deadline`](crate::backup::Backups::stall_deadline);
    /// [`Closed`](ErrorKind::Closed).
    pub async fn back_up(&self, request: TakeBackup) -> Result<Backup> {
        self.inner.handle.shared.check_process()?;
        let answer = self.inner.backups.send(request).await;
        answer.unwrap_or_else(|_| Err(self.inner.handle.shared.why_dropped()))
    }

    /// Tries the newest backup out, as [`Backups::drill_every`](crate::backup::Backups::drill_every) does
    /// on a schedule.
    ///
    /// # Errors
    /// Those of [`RunDrill`]; [`Deadline`](ErrorKind::Deadline) as with [`back_up`](Self::back_up);
    /// [`Closed`](ErrorKind::Closed).
    pub async fn drill(&self) -> Result<DrillReport> {
        self.inner.handle.shared.check_process()?;
        let answer = self.inner.backups.send(RunDrill).await;
        answer.unwrap_or_else(|_| Err(self.inner.handle.shared.why_dropped()))
    }

    /// The actor that takes [`TakeBackup`] and [`RunDrill`] as messages.
    pub fn backup_actor(&self) -> Addr<BackupActor> {
        self.inner.backups.clone()
    }

    /// Has an actor told of what happens in the store, for as long as it lives. In a forked child nothing
    /// happens.
    pub fn subscribe(&self, actor: Recipient<StoreEvent>) {
        if self.inner.handle.shared.is_forked() {
            return;
        }
        self.inner.handle.shared.subscribers.add(actor);
    }

    /// The same for a task. One that lags more than 64 events behind misses the oldest.
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<StoreEvent> {
        self.inner.handle.shared.subscribers.receiver()
    }

    /// The file, without links and dots in its path.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The time by the store's clock.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        crate::time::to_micros(self.inner.handle.shared.clock_now())
    }

    /// Runs what is scheduled and due now instead of within a second; gives how many runs there
    /// were. For tests that set the clock.
    pub async fn run_due(&self) -> Result<usize> {
        self.inner.handle.shared.check_process()?;
        let ran = self.inner.supervisor.send(RunDue).await;
        ran.map_err(|_| self.inner.handle.shared.why_dropped())
    }

    /// How the store is: counters, queues, sizes, schema steps, the last checkpoint. Asks no actor,
    /// so it answers when everything else does not, and after closing too.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) in a process that was forked from the store's.
    pub async fn health(&self) -> Result<Health> {
        let handle = &self.inner.handle;
        let shared = &handle.shared;
        shared.check_process()?;
        let lane = |lane, readers| {
            let (waiting, in_flight) = handle.read_load(lane);
            ReaderHealth {
                readers,
                waiting,
                in_flight,
            }
        };
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
        let (interactive, analytics) = self.inner.readers;
        // First, so that no damage that is found meanwhile is told beside `ok`.
        let damage = shared.disk.damage();
        let file_problems = shared.file_problems();
        let in_place = !file_problems.iter().any(FileProblem::stops_writing);
        // Each lock is let go of at once: the clock below is a host's.
        let last_checkpoint = *shared.last_checkpoint.lock();
        let last_backup = shared.last_runs.backup.lock().clone();
        let last_drill = shared.last_runs.drill.lock().clone();
        Ok(Health {
            ok: damage.is_none() && in_place && shared.is_healthy(),
            damage: damage.map(|error| error.to_string()),
            file_problems,
            writer: writer_health(handle),
            interactive: lane(Lane::Interactive, interactive),
            analytics: lane(Lane::Analytics, analytics),
            schemas: self.inner.schemas.clone(),
            unknown_objects: self.inner.unknown_objects.clone(),
            file_bytes: size(self.path()),
            wal_bytes: size(&sqlite::beside(self.path(), "-wal")),
            last_checkpoint,
            free_bytes: files::free_bytes(files::folder_of(self.path())).ok(),
            network_file_system: self.inner.network_file_system.clone(),
            last_backup,
            backup_due_since: shared.last_runs.backup_due_since(shared.now()),
            last_drill,
            clock_ahead: shared.clock_watch.ahead(),
            reconnects: shared.metrics.reconnects.get(),
            actors: shared.supervision.health(),
        })
    }

    /// Closes the store: requests that were taken in are answered, new ones get
    /// [`Closed`](ErrorKind::Closed), the WAL is emptied into the file and removed, the lock
    /// released. Waits for all of that: [`Config::close_deadline`] for requests and for a backup at work, and
    /// ten seconds more for what nothing interrupts, such as an operation in code of its own, which is then left
    /// behind; and at most ten seconds for the file. Closing again gives the same answer.
    ///
    /// # Errors
    /// [`Replaced`](ErrorKind::Replaced) when the database was replaced, moved or removed while it was open:
    /// all that the store had is saved in a new file beside it, which the error names, and closing takes as
    /// long as that. Those of the last checkpoint; [`Deadline`](ErrorKind::Deadline) when a mutation that is left behind
    /// keeps the file open until it ends; [`Unavailable`](ErrorKind::Unavailable) when the writer was given up;
    /// [`Closed`](ErrorKind::Closed) in a process that was forked from the store's, where nothing happens;
    /// [`Busy`](ErrorKind::Busy) when another program, or a backup
    /// that was left behind, still reads an older state. Nothing acknowledged is lost with them: the WAL stays, and
    /// the next opening reads it.
    pub async fn close(&self) -> Result<()> {
        self.inner.handle.shared.check_process()?;
        let _ = self.inner.handle.shared.close_requested.set(());
        let mut closed = self.inner.closed.clone();
        let outcome = shielded(closed.wait_for(Option::is_some))
            .await
            .map_err(|_| {
                Error::new(
                    ErrorKind::Panicked,
                    "the store's thread ended before the store was closed",
                )
            })?;
        outcome.clone().unwrap_or(Ok(()))
    }
}

fn writer_health(handle: &Handle) -> WriterHealth {
    let metrics = &handle.shared.metrics;
    let (waiting, in_flight, in_flight_bytes) = handle.write_load();
    let last_error = handle.shared.disk.last_error();
    WriterHealth {
        waiting,
        in_flight,
        in_flight_bytes,
        committed: metrics.committed.get(),
        failed: metrics.failed.get(),
        panicked: metrics.panicked.get(),
        batches: metrics.batches.get(),
        reruns: metrics.reruns.get(),
        largest_batch: metrics.largest_batch.get(),
        batch_sizes: metrics.batch_sizes.iter().map(Counter::get).collect(),
        wal_restarts: metrics.wal_restarts.get(),
        last_error: last_error.map(|error| error.to_string()),
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// In a forked child the store's threads are not there to be waited for, and what they held is held for
/// ever: so nothing of it is dropped, and no file is touched.
impl Drop for Store {
    fn drop(&mut self) {
        if self.inner.handle.shared.is_forked() {
            std::mem::forget(Arc::clone(&self.inner));
        }
    }
}

/// Also closes a store whose `open` was given up just before it gave its answer.
impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.handle.shared.close_requested.set(());
        let thread = self.thread.lock().take();
        let here = std::thread::current().id();
        if let Some(thread) = thread.filter(|_| !self.own_threads.contains(&here)) {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
