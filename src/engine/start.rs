//! Starts the actors: who gets which connection, queue and thread.

use super::backup_actor::BackupActor;
use super::backup_worker::BackupWorker;
use super::batch::Batcher;
use super::checkpoint::CheckpointPolicy;
use super::checkpointer::{CheckpointLock, Checkpointer};
use super::gates::ReadGates;
use super::handle::Handle;
use super::heartbeat::Heartbeat;
use super::in_flight::InFlightLimit;
use super::queue::WorkQueue;
use super::reader::{ReadConnection, Reader};
use super::shared::Shared;
use super::snapshots::{SnapshotSlot, Snapshots};
use super::supervision::{Supervisee, start_on};
use super::supervisor::{Duties, Supervisor};
use super::writer::Writer;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::events::{Role, StoreEvent};
use crate::operation::Lane;
use crate::panics::quietly;
use crate::sqlite::{FileLock, OpenFiles};
use actix::{Addr, Arbiter, ArbiterHandle};
use rusqlite::Connection;
use std::sync::{Arc, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

/// How often callers of queries look at the time.
const DEADLINE_TICK: Duration = Duration::from_millis(100);

/// A store's actors at work.
pub(crate) struct Engine {
    pub(crate) handle: Arc<Handle>,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) backups: Addr<BackupActor>,
    pub(super) checkpointer: Addr<Checkpointer>,
    /// Each with the actor that is on it.
    pub(super) threads: Vec<(Arbiter, Arc<Supervisee>)>,
    pub(super) writer: Arc<Supervisee>,
    /// The engine's own, so that none of them ever waits for itself.
    pub(crate) thread_ids: Vec<ThreadId>,
}

/// Threads that end when starting fails half-way.
#[derive(Default)]
struct Threads {
    arbiters: Vec<(Arbiter, Arc<Supervisee>)>,
    ids: Vec<ThreadId>,
}

impl Threads {
    fn add(&mut self, actor: &Arc<Supervisee>) -> Result<ArbiterHandle> {
        let arbiter = Arbiter::try_new().map_err(|e| Error::io("cannot start a thread", e))?;
        let handle = arbiter.handle();
        let (send, receive) = mpsc::channel();
        handle.spawn_fn(move || {
            let _ = send.send(std::thread::current().id());
        });
        self.ids.extend(receive.recv());
        self.arbiters.push((arbiter, Arc::clone(actor)));
        Ok(handle)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waits for them, so that they have let go of the file and its lock when opening has failed.
        for (arbiter, _) in self.arbiters.drain(..) {
            arbiter.stop();
            let _ = arbiter.join();
        }
    }
}

/// Starts all actors in the current System. `conn` is the connection that writes, migrated, to `files`; the writer
/// holds `lock` for as long as it has the file open.
pub(crate) fn start(
    conn: Connection,
    lock: &Arc<FileLock>,
    files: OpenFiles,
    config: &Config,
    duties: Duties,
) -> Result<Engine> {
    let mut snapshots = Snapshots::new(files.path().to_owned());
    let shared = Arc::new(Shared::new(files, config));
    let supervision = &shared.supervision;
    let mut threads = Threads::default();
    threads.ids.push(std::thread::current().id());
    let gates = Arc::new(ReadGates::default());
    let limit = || InFlightLimit::new(config.max_in_flight, config.max_in_flight_bytes);

    let role = supervision.add(Role::Checkpointer);
    let checkpoint_lock = Arc::new(CheckpointLock::default());
    let checkpointer = Checkpointer {
        shared: Arc::clone(&shared),
        lock: Arc::clone(&checkpoint_lock),
        conn: None,
    };
    let checkpointer = start_on(&threads.add(&role)?, supervision, &role, || checkpointer);

    let backup_slot = snapshots.add();
    let slots = (config.readers, config.analytics_readers);
    let mut reader_slots: Vec<_> = (0..slots.0 + slots.1).map(|_| snapshots.add()).collect();

    let writer_role = supervision.add(Role::Writer);
    let policy = CheckpointPolicy::new(
        Arc::clone(&shared),
        snapshots,
        checkpointer.clone(),
        checkpoint_lock,
        Arc::clone(&gates),
    )?;
    let batcher = Batcher::new(conn, Arc::clone(&shared))?;
    let writer = Writer::new(Arc::clone(&shared), Arc::clone(lock), batcher, policy);
    let writer = start_on(
        &threads.add(&writer_role)?,
        supervision,
        &writer_role,
        || writer,
    );

    let queue = |timeout| Arc::new(WorkQueue::new(limit(), timeout));
    let handle = Arc::new(Handle {
        shared: Arc::clone(&shared),
        writer,
        write_limit: limit(),
        interactive: queue(config.interactive_deadline),
        analytics: queue(config.analytics_deadline),
    });

    // All that may fail comes before the first reader is at work: one that waits for a query holds its
    // thread, which would never end.
    let mut readers = Vec::new();
    for (lane, role, count) in [
        (Lane::Interactive, Role::Reader, config.readers),
        (
            Lane::Analytics,
            Role::AnalyticsReader,
            config.analytics_readers,
        ),
    ] {
        for slot in reader_slots.drain(..count) {
            let role = supervision.add(role);
            let connection = ReadConnection::open(&shared)?;
            let (handle, gates) = (Arc::clone(&handle), Arc::clone(&gates));
            let reader = Reader::new(handle, lane, gates, slot, connection);
            readers.push((threads.add(&role)?, role, reader));
        }
    }
    let backups = start_backups(&shared, backup_slot, &mut threads)?;
    for (thread, role, reader) in readers {
        start_on(&thread, supervision, &role, || reader);
    }
    let here = Arbiter::current();
    let role = supervision.add(Role::Supervisor);
    let supervisor = Supervisor::new(Arc::clone(&handle), backups.clone(), duties);
    let supervisor = start_on(&here, supervision, &role, || supervisor);
    actix::spawn(keep_time(Arc::clone(&handle)));
    actix::spawn(tell_of_the_end(Arc::clone(&handle)));
    Ok(Engine {
        handle,
        supervisor,
        backups,
        checkpointer,
        writer: writer_role,
        thread_ids: std::mem::take(&mut threads.ids),
        threads: std::mem::take(&mut threads.arbiters),
    })
}

/// Has the callers of queries look at the time, for as long as the store's thread is there.
async fn keep_time(handle: Arc<Handle>) {
    loop {
        tokio::time::sleep(DEADLINE_TICK).await;
        handle.interactive.tick();
        handle.analytics.tick();
    }
}

/// Tells of an actor that is given up, and has nobody wait for readers that may be no more.
async fn tell_of_the_end(handle: Arc<Handle>) {
    let shared = &handle.shared;
    let role = shared.supervision.gives_up().await;
    let why = shared.why_dropped();
    handle.interactive.end(why.clone());
    handle.analytics.end(why);
    shared.subscribers.tell(StoreEvent::ActorGivenUp { role });
    quietly(|| tracing::error!(%role, "an actor panics again and again, and is given up"));
}

/// Starts the backup worker on a thread of its own, and the actor in front of it.
fn start_backups(
    shared: &Arc<Shared>,
    slot: SnapshotSlot,
    threads: &mut Threads,
) -> Result<Addr<BackupActor>> {
    let supervision = &shared.supervision;
    let heartbeat = Arc::new(Heartbeat::new(shared.config.backups.stall_deadline));
    let worker = BackupWorker::new(Arc::clone(shared), slot, Arc::clone(&heartbeat));
    let (queue, work) = mpsc::channel();
    let role = supervision.add(Role::Backups);
    let actor = BackupActor::new(queue, Arc::clone(&role), heartbeat, Arc::clone(shared));
    let thread = std::thread::Builder::new()
        .name("botstore-backup".to_owned())
        .spawn(move || {
            // What a host has asked for is dropped with the queue.
            quietly(|| worker.run(work, &role));
            role.end();
        })
        .map_err(|e| Error::io("cannot start a thread", e))?;
    // A host's code runs there too.
    threads.ids.push(thread.thread().id());
    let role = supervision.add(Role::Backups);
    Ok(start_on(&Arbiter::current(), supervision, &role, || actor))
}
