//! The thread that a store has of its own.

use super::{Inner, Store};
use crate::actors::{self, Outcome};
use crate::backup::Upgrading;
use crate::config::Config;
use crate::domain::rollups;
use crate::error::{Error, Result};
use crate::events::StoreEvent;
use crate::files;
use crate::health::SchemaStep;
use crate::operation::ReadTx;
use crate::schema::{self, UnknownObjects};
use crate::sqlite::{self, FileLock};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};

/// Opens the file, starts the actors, and stays until they have closed.
pub(super) fn run(config: &Config, opened: oneshot::Sender<Result<Store>>) {
    let Prepared {
        lock,
        path,
        conn,
        schemas,
        unknown_objects,
        network_file_system,
        news,
    } = match prepare(config) {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let system = actix::System::new();
    let outcome = Outcome::default();
    let hired = system.block_on(async { actors::hire(conn, &path, config, Arc::clone(&outcome)) });
    let staff = match hired {
        Ok(staff) => staff,
        Err(error) => {
            // Ends the threads of those who had started.
            system.block_on(async { actix::System::current().stop() });
            let _ = system.run();
            drop(lock);
            let _ = opened.send(Err(error));
            return;
        }
    };
    tracing::info!(path = %path.display(), "the store is open");
    for event in news {
        staff.dispatch.subscribers.keep(event);
    }
    if !unknown_objects.is_empty() {
        let standing = StoreEvent::UnknownObjects(unknown_objects.clone());
        staff.dispatch.subscribers.tell_each(standing);
    }
    let (closed, closing) = watch::channel(None);
    // When nobody waits for it any more it is dropped here, which closes it.
    let _ = opened.send(Ok(Store {
        inner: Arc::new(Inner {
            path: path.clone(),
            dispatch: staff.dispatch,
            schemas,
            unknown_objects,
            network_file_system,
            readers: (config.readers, config.analytics_readers),
            mutations: staff.mutations,
            queries: staff.queries,
            supervisor: staff.supervisor,
            archivist: staff.archivist,
            closed: closing,
            thread: Mutex::new(None),
            own_threads: staff.thread_ids,
        }),
    }));
    let ran = system.run();
    for thread in staff.threads {
        thread.stop();
        let _ = thread.join();
    }
    drop(lock);
    let result = outcome
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let result =
        result.unwrap_or_else(|| ran.map_err(|e| Error::io("the store's System ended", e)));
    tracing::info!(path = %path.display(), ok = result.is_ok(), "the store is closed");
    closed.send_replace(Some(result));
}

/// A file that is open, ours, and up to date.
struct Prepared {
    lock: FileLock,
    path: PathBuf,
    conn: rusqlite::Connection,
    schemas: Vec<SchemaStep>,
    unknown_objects: UnknownObjects,
    network_file_system: Option<String>,
    /// For those who subscribe when the store is open.
    news: Vec<StoreEvent>,
}

/// Everything about opening that can go wrong, before there is an actor.
fn prepare(config: &Config) -> Result<Prepared> {
    let path = sqlite::resolve(&config.path)?;
    let network_file_system = files::network_file_system(&path);
    if let Some(kind) = &network_file_system {
        tracing::warn!(
            path = %path.display(), kind,
            "the file is on a network file system, where nothing is promised"
        );
    }
    let mut lock = FileLock::acquire(&path)?;
    for file in sqlite::open_to_others(&path) {
        tracing::warn!(
            file = %file.display(),
            "accounts other than its owner's can read or write it: chmod 600"
        );
    }
    let mut conn = schema::connect(&path, config)?;
    let upgraded = schema::upgrade(&mut conn, &path, config, Upgrading::Opening)?;
    let clear_copy = upgraded.clear_copy;
    let news = clear_copy.map(|path| StoreEvent::ClearCopyBeside { path });
    lock.note_opened();
    sqlite::warn_of_shared_cache(&conn)?;
    let now = config.clock.now();
    if let Some(offset) = config.day_offset {
        let minutes = offset.local_minus_utc() / 60;
        let triggers = schema::own_triggers(&ReadTx::new(&conn, now), &config.schemas)?;
        rollups::set_day_offset(&mut conn, &triggers, minutes, now)?;
        schema::run_own_triggers(&conn, config)?;
    }
    let tx = ReadTx::new(&conn, now);
    let schemas = schema::steps(&tx)?;
    let unknown_objects = schema::unknown_in(&tx, &config.schemas)?;
    if !unknown_objects.is_empty() {
        tracing::warn!(
            path = %path.display(), total = unknown_objects.total,
            "the file has triggers, views or the like that no step of this program made"
        );
    }
    Ok(Prepared {
        lock,
        path,
        conn,
        schemas,
        unknown_objects,
        network_file_system,
        news: news.into_iter().collect(),
    })
}
