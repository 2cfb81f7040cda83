//! Opening a store, and the store's own thread, which starts the engine, waits until the store is to close, and
//! closes it.

use super::duties;
use super::{Inner, Store};
use crate::archive::Upgrading;
use crate::config::{BeforeUpgrade, Config};
use crate::domain::rollups::Zones;
use crate::domain::{messages, tokens};
use crate::engine::{self, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::events::StoreEvent;
use crate::files;
use crate::migration::{self, SchemaStep, UnknownObjects};
use crate::opening;
use crate::operation::ReadTx;
use crate::panics::{caught, quietly};
use crate::recipients::{Door, Mutations, Queries};
use crate::schedule;
use crate::sqlite::{self, FileLock, OpenFiles};
use crate::time::ClockRecord;
use actix::Actor;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Opens the file, starts the engine, and stays until the store is closed.
pub(super) fn run(config: &Config, opened: oneshot::Sender<Result<Store>>) {
    let system = actix::System::new();
    let started = config
        .sqlite_settings()
        .explain(prepare(config))
        .and_then(|prepared| system.block_on(async { Running::start(config, prepared) }));
    let (running, store) = match started {
        Ok(started) => started,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let path = store.path().to_owned();
    quietly(|| tracing::info!(path = %path.display(), "the store is open"));
    // If the `open` future is gone, the store is dropped here, which closes it. The waker of the caller runs here
    // too.
    quietly(|| drop(opened.send(Ok(store))));
    let result = running.stay(&system);
    quietly(|| tracing::info!(path = %path.display(), ok = result.is_ok(), "the store is closed"));
}

/// What the store's thread keeps while the store is open.
struct Running {
    engine: Engine,
    lock: Arc<FileLock>,
    recipients: [Arc<Door>; 2],
    closed: watch::Sender<Option<Result<()>>>,
}

impl Running {
    fn start(config: &Config, prepared: Prepared) -> Result<(Self, Store)> {
        let lock = Arc::new(prepared.lock);
        let duties = duties::of(config, prepared.zones.wanted);
        let Prepared { conn, files, .. } = prepared;
        let engine = engine::start(
            conn,
            &lock,
            files,
            config,
            duties,
            prepared.clock,
            tokens::record_uses,
        )
        .map_err(|error| prepared.unknown_objects.explain(error))?;
        let shared = &engine.handle.shared;
        shared.recounting.begin(prepared.zones.next);
        let subscribers = &shared.subscribers;
        for event in prepared.news {
            subscribers.keep(event);
        }
        if !prepared.unknown_objects.is_empty() {
            let standing = StoreEvent::UnknownObjects(prepared.unknown_objects.clone());
            subscribers.set_standing(standing);
        }
        let recipients = [(); 2].map(|()| Door::new(&engine.handle));
        let [mutations, queries] = recipients.clone();
        let (closed, closing) = watch::channel(None);
        let store = Store {
            inner: Arc::new(Inner {
                path: prepared.path,
                handle: Arc::clone(&engine.handle),
                schemas: prepared.schemas,
                unknown_objects: prepared.unknown_objects,
                network_file_system: prepared.network_file_system,
                readers: (config.readers, config.analytics_readers),
                mutations: Mutations(mutations).start(),
                queries: Queries(queries).start(),
                supervisor: engine.supervisor.clone(),
                backups: engine.backups.clone(),
                closed: closing,
                thread: Mutex::new(None),
                own_threads: engine.thread_ids.clone(),
            }),
        };
        let running = Self {
            engine,
            lock,
            recipients,
            closed,
        };
        Ok((running, store))
    }

    /// Waits until the store is to close, and closes it.
    fn stay(self, system: &actix::SystemRunner) -> Result<()> {
        let shared = Arc::clone(&self.engine.handle.shared);
        let closed = caught(|| {
            system.block_on(async {
                shared.close_requested.wait().await;
                let closed = self.engine.shut_down().await;
                // Every message has its answer by now, but one of these doors may still have to pass it on.
                for door in &self.recipients {
                    door.passes_on().await;
                }
                closed
            })
        });
        self.engine.end_threads();
        drop(self.lock);
        let why = "closing the store panicked; the panic hook's output has the panic's message";
        let closed = closed.unwrap_or_else(|| Err(Error::new(ErrorKind::Panicked, why)));
        self.closed.send_replace(Some(closed.clone()));
        closed
    }
}

/// A file that is open, ours, and up to date.
struct Prepared {
    lock: FileLock,
    path: PathBuf,
    conn: rusqlite::Connection,
    files: OpenFiles,
    schemas: Vec<SchemaStep>,
    unknown_objects: UnknownObjects,
    network_file_system: Option<String>,
    clock: ClockRecord,
    /// In whose days the bot wants statistics, and schedules run.
    zones: Zones,
    /// Events for the first subscribers.
    news: Vec<StoreEvent>,
}

/// Does everything about opening that can fail, before any actor starts.
fn prepare(config: &Config) -> Result<Prepared> {
    if config.before_upgrade == BeforeUpgrade::Refuse {
        // Locking the name would leave a lock beside a file that is not there.
        sqlite::existing(&config.path)?;
    }
    let path = sqlite::resolve(&config.path)?;
    let network_file_system = files::network_file_system(&path);
    if let Some(kind) = &network_file_system {
        tracing::warn!(
            path = %path.display(), kind,
            "the file is on a network file system, where the store promises nothing"
        );
    }
    let lock = FileLock::acquire(&path)?;
    for file in sqlite::open_to_others(&path) {
        tracing::warn!(
            file = %file.display(),
            "accounts other than its owner's can read or write this file: chmod 600 it"
        );
    }
    opening::refuse_upgrade(&path, config)?;
    let mut conn = opening::connect(&path, config)?;
    // At once: a file that takes this name later is another one.
    let files = OpenFiles::of(&path, &config.path);
    // Before the steps, which leave a WAL if the process is killed.
    lock.note_opened(&files);
    let recounts = opening::recounts(config);
    let (upgraded, zones) =
        opening::upgrade(&mut conn, &path, config, Upgrading::Opening, recounts)?;
    let clear_copy = upgraded.clear_copy;
    let news = clear_copy.map(|path| StoreEvent::ClearCopyBeside { path });
    sqlite::warn_of_shared_cache(&conn)?;
    let now = config.clock.now();
    let unknown_objects = upgraded.unknown_objects;
    sqlite::use_memory(&conn)?;
    // Changing the place of temporary tables resets all that is temporary; and these triggers may be new.
    migration::run_own_triggers(&conn, &config.program())?;
    let tx = ReadTx::new(&conn, now);
    let schemas = migration::steps(&tx)?;
    let clock = clock_record(&tx).map_err(|error| unknown_objects.explain(error))?;
    if !unknown_objects.is_empty() {
        tracing::warn!(
            path = %path.display(), total = unknown_objects.total,
            "the file has schema objects that no step of this program made"
        );
    }
    Ok(Prepared {
        lock,
        path,
        conn,
        files,
        schemas,
        unknown_objects,
        network_file_system,
        clock,
        zones,
        news: news.into_iter().collect(),
    })
}

/// What the file says of the clock, or else its newest message.
fn clock_record(tx: &ReadTx<'_>) -> Result<ClockRecord> {
    let mut clock = schedule::recorded_clock(tx)?;
    if clock.believed.is_none() {
        clock.believed = messages::newest_time(tx)?;
    }
    Ok(clock)
}
