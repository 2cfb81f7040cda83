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

/// A repair gives up after this many comparisons in a row that found no fewer differences.
const REPAIRS_IN_VAIN: usize = 5;

/// An open store: cheap to clone, and meant to be shared by all tasks and actors of a bot.
///
/// It works the same inside an actix System and on plain tokio: its actors have a System and threads of their own.
/// (Sharing the host's System was turned down: `System::stop` would end the writer in the middle of its queue.)
///
/// Dropping the last clone closes the store as [`close`](Self::close) does; the dropping thread waits for as long
/// as that takes.
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
    /// How many readers the interactive lane and the analytics lane have.
    readers: (usize, usize),
    mutations: Addr<Mutations>,
    queries: Addr<Queries>,
    supervisor: Addr<Supervisor>,
    backups: Addr<BackupActor>,
    closed: watch::Receiver<Option<Result<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The threads of the store's own actors, which must not wait for themselves.
    own_threads: Vec<ThreadId>,
}

impl Store {
    /// Opens the file, creates or upgrades its tables, and starts the actors.
    ///
    /// Takes over a file of the Python bot if its schema is the expected one: see `docs/operations.md`. Makes a
    /// verified backup before a migration changes an existing file, unless [`Config::before_upgrade`] says
    /// otherwise.
    ///
    /// If the future is dropped, opening continues in the background and then closes what it opened; until then
    /// the file counts as open.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a setting out of its range; [`AlreadyOpen`](ErrorKind::AlreadyOpen) if
    /// another store has the file open; [`ForeignFile`](ErrorKind::ForeignFile),
    /// [`NewerSchema`](ErrorKind::NewerSchema) and [`ChangedMigration`](ErrorKind::ChangedMigration) for a file
    /// that this program must not touch and leaves unchanged; [`Corrupt`](ErrorKind::Corrupt) for a damaged file,
    /// or for an empty or missing one if a file beside it shows that there was more;
    /// [`Replaced`](ErrorKind::Replaced) if the WAL beside it belongs to another file;
    /// [`Untrusted`](ErrorKind::Untrusted) for unknown triggers that [`Config::unknown_triggers`] refuses;
    /// [`Migration`](ErrorKind::Migration) if a step failed; [`ReadOnly`](ErrorKind::ReadOnly),
    /// [`DiskFull`](ErrorKind::DiskFull) and [`Io`](ErrorKind::Io) from the operating system.
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

    /// Makes a change and returns its answer after the commit. Waits while the limit of requests in flight is
    /// reached.
    ///
    /// Nothing happens until the future is first polled. If it is dropped before the writer has begun with the
    /// mutation, the mutation does not run; if it is dropped later, the mutation may have run.
    ///
    /// # Errors
    /// Those of the mutation; [`Closed`](ErrorKind::Closed), [`Panicked`](ErrorKind::Panicked), and those of the
    /// disk. After any error but [`InDoubt`](ErrorKind::InDoubt) the change was not made; one that is made in
    /// pieces, such as [`DeleteUser`](crate::users::DeleteUser), keeps the pieces that it has committed.
    pub async fn write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        self.inner.handle.write(mutation, Entry::Waits).await
    }

    /// As [`write`](Self::write), but returns [`Overloaded`](ErrorKind::Overloaded) at once instead of waiting.
    pub async fn try_write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        self.inner.handle.write(mutation, Entry::AtOnce).await
    }

    /// Answers a query. The answer includes every change whose `Ok` came before this call.
    ///
    /// # Errors
    /// Those of the query; [`Deadline`](ErrorKind::Deadline) if it took too long, [`Closed`](ErrorKind::Closed),
    /// [`Panicked`](ErrorKind::Panicked), and those of the disk.
    pub async fn read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.inner.handle.read(query, Entry::Waits).await
    }

    /// As [`read`](Self::read), but returns [`Overloaded`](ErrorKind::Overloaded) at once instead of waiting.
    pub async fn try_read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.inner.handle.read(query, Entry::AtOnce).await
    }

    /// Compares the rollups with a full count, as [`ReconcileRollups`](crate::rollups::ReconcileRollups) does, and
    /// repairs the differences in pieces that each occupy the writer for a moment. Compares again until there is
    /// no difference, because a message that is saved beside a damaged row may be counted wrongly. Returns the
    /// first comparison's report.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) if another repair runs at the same time, or if five comparisons in a row
    /// find no fewer differences; those of [`read`](Self::read) and [`write`](Self::write).
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
            // A message saved beside a damaged row may be counted wrongly once, but not again and again.
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

    /// The actor that takes every [`Mutation`] as a message. An actor of the bot that should not depend on the
    /// store holds `store.mutations().recipient::<Write<SaveInteraction>>()`; its test gives it a mock.
    pub fn mutations(&self) -> Addr<Mutations> {
        self.inner.mutations.clone()
    }

    /// The actor that takes every [`Query`] as a message.
    pub fn queries(&self) -> Addr<Queries> {
        self.inner.queries.clone()
    }

    /// Makes a backup while other requests go on: a snapshot of the moment at which it begins, which is read back
    /// and checked before it counts. Only one is made at a time; the next waits.
    ///
    /// Dropping the future does not stop the backup; [`TakeBackup::on_progress`] can.
    ///
    /// # Errors
    /// Those of [`TakeBackup`]; [`Deadline`](ErrorKind::Deadline) if this backup, or the one before it, stalls:
    /// see [`Backups::stall_deadline`](crate::backup::Backups::stall_deadline);
    /// [`Closed`](ErrorKind::Closed).
    pub async fn back_up(&self, request: TakeBackup) -> Result<Backup> {
        self.inner.handle.shared.check_process()?;
        let answer = self.inner.backups.send(request).await;
        answer.unwrap_or_else(|_| Err(self.inner.handle.shared.why_dropped()))
    }

    /// Restores the newest backup as a test, as [`Backups::drill_every`](crate::backup::Backups::drill_every) does
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

    /// Subscribes an actor to the store's events until it stops. Does nothing in a forked child.
    pub fn subscribe(&self, actor: Recipient<StoreEvent>) {
        if self.inner.handle.shared.is_forked() {
            return;
        }
        self.inner.handle.shared.subscribers.add(actor);
    }

    /// Returns a receiver of the store's events, for a task. A receiver that lags more than 64 events behind
    /// misses the oldest.
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<StoreEvent> {
        self.inner.handle.shared.subscribers.receiver()
    }

    /// The path of the file, with links and dots resolved.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The time of the store's clock.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        crate::time::to_micros(self.inner.handle.shared.clock_now())
    }

    /// Runs at once what is scheduled and due, instead of within a second; returns the number of runs. For tests
    /// that set the clock.
    pub async fn run_due(&self) -> Result<usize> {
        self.inner.handle.shared.check_process()?;
        let ran = self.inner.supervisor.send(RunDue).await;
        ran.map_err(|_| self.inner.handle.shared.why_dropped())
    }

    /// Returns the state of the store: counters, queues, sizes, schema steps, the last checkpoint. Asks no actor,
    /// so it works when the actors do not answer, and after closing too.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) in a process that was forked from the store's process.
    pub async fn health(&self) -> Result<Health> {
        let handle = &self.inner.handle;
        let shared = &handle.shared;
        shared.check_process()?;
        let lane = |lane, readers| {
            let (waiting, in_flight) = handle.read_load(lane);
            let (on_callers_thread, cut_on_callers_thread) = handle.reads_of_callers(lane);
            ReaderHealth {
                readers,
                waiting,
                in_flight,
                on_callers_thread,
                cut_on_callers_thread,
            }
        };
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
        let (interactive, analytics) = self.inner.readers;
        // Read first, so that damage found meanwhile does not appear beside `ok: true`.
        let damage = shared.disk.damage();
        let file_problems = shared.file_problems();
        let in_place = !file_problems.iter().any(FileProblem::stops_writing);
        // Each lock is released at once: the clock below is the host's code.
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
            next_time_zone: shared.recounting.zone(),
            reconnects: shared.metrics.reconnects.get(),
            actors: shared.supervision.health(),
        })
    }

    /// Closes the store: answers the requests that were accepted, refuses new ones with
    /// [`Closed`](ErrorKind::Closed), copies the WAL into the file and removes it, and releases the lock. Waits
    /// for all of that: [`Config::close_deadline`] for requests and a running backup; up to ten seconds more for
    /// what cannot be interrupted, such as an operation in Rust code, which is then left behind; and up to ten
    /// seconds for the file. Closing again returns the same answer.
    ///
    /// # Errors
    /// [`Replaced`](ErrorKind::Replaced) if the database was replaced, moved or removed while it was open: all
    /// that the store had is saved in a new file beside it, which the error names, and closing takes as long as
    /// that. Those of the last checkpoint; [`Deadline`](ErrorKind::Deadline) if a mutation that is left behind
    /// keeps the file open until it ends; [`Unavailable`](ErrorKind::Unavailable) if the writer was given up;
    /// [`Closed`](ErrorKind::Closed) in a process that was forked from the store's, where nothing happens;
    /// [`Busy`](ErrorKind::Busy) if another program, or a backup or query that was left behind, still uses the
    /// file. None of these loses an acknowledged change: the WAL stays, and the next opening reads it.
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

/// In a forked child the store's threads do not exist and their locks are held for ever. So a forked child drops
/// nothing of the store and touches no file.
impl Drop for Store {
    fn drop(&mut self) {
        if self.inner.handle.shared.is_forked() {
            std::mem::forget(Arc::clone(&self.inner));
        }
    }
}

/// Also closes a store whose `open` was dropped just before it returned.
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
