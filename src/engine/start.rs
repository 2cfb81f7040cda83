//! Starts the actors: which of them gets which connection, queue and thread.

use super::backup_actor::BackupActor;
use super::backup_worker::BackupWorker;
use super::callers_reads::CallersReads;
use super::checkpointer::Checkpointer;
use super::duty::Duty;
use super::handle::Handle;
use super::in_flight::InFlightLimit;
use super::last_uses::RecordUses;
use super::queue::WorkQueue;
use super::reader::Reader;
use super::shared::Shared;
use super::supervision::{Post, Supervisee, Supervision};
use super::supervisor::Supervisor;
use super::writer::Writer;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::events::{Role, StoreEvent};
use crate::operation::Lane;
use crate::panics::quietly;
use crate::sqlite::{FileLock, OpenFiles};
use crate::time::ClockRecord;
use actix::{Addr, Arbiter, ArbiterHandle};
use rusqlite::Connection;
use std::sync::{Arc, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

/// How often callers of queries check their deadline.
const DEADLINE_TICK: Duration = Duration::from_millis(100);

/// A store's running actors.
pub(crate) struct Engine {
    pub(crate) handle: Arc<Handle>,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) backups: Addr<BackupActor>,
    pub(super) checkpointer: Addr<Checkpointer>,
    /// Each thread with its actor.
    pub(super) threads: Vec<(Arbiter, Arc<Supervisee>)>,
    pub(super) writer: Arc<Supervisee>,
    /// The engine's own threads, so that none of them ever waits for itself.
    pub(crate) thread_ids: Vec<ThreadId>,
}

/// Threads that end if starting fails half-way.
struct Threads {
    supervision: Arc<Supervision>,
    arbiters: Vec<(Arbiter, Arc<Supervisee>)>,
    ids: Vec<ThreadId>,
}

impl Threads {
    /// A post on a new thread.
    fn post(&mut self, role: Role) -> Result<Post> {
        let arbiter = Arbiter::try_new().map_err(|e| Error::io("cannot start a thread", e))?;
        let post = self.post_on(arbiter.handle(), role);
        let (send, receive) = mpsc::channel();
        post.arbiter.spawn_fn(move || {
            let _ = send.send(std::thread::current().id());
        });
        self.ids.extend(receive.recv());
        self.arbiters.push((arbiter, Arc::clone(&post.actor)));
        Ok(post)
    }

    fn post_on(&self, arbiter: ArbiterHandle, role: Role) -> Post {
        Post {
            arbiter,
            supervision: Arc::clone(&self.supervision),
            actor: self.supervision.add(role),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waits for them, so that they have closed the file and released its lock when opening has failed.
        for (arbiter, _) in self.arbiters.drain(..) {
            arbiter.stop();
            let _ = arbiter.join();
        }
    }
}

/// Starts all actors in the current System. `conn` is the connection that writes to `files`; its schema is up to
/// date. The writer holds `lock` as long as it has the file open. `clock` is what the file knows about the clock, and
/// `record_uses` writes what was used into it.
pub(crate) fn start(
    conn: Connection,
    lock: &Arc<FileLock>,
    files: OpenFiles,
    config: &Config,
    duties: Vec<Duty>,
    clock: ClockRecord,
    record_uses: RecordUses,
) -> Result<Engine> {
    let shared = Shared::new(files, Arc::downgrade(lock), config, clock, record_uses);
    let shared = Arc::new(shared);
    let mut threads = Threads {
        supervision: Arc::clone(&shared.supervision),
        arbiters: Vec::new(),
        ids: vec![std::thread::current().id()],
    };
    let limit = || InFlightLimit::new(config, 1);

    let checkpointer = Checkpointer::new(Arc::clone(&shared));
    let checkpointer = threads.post(Role::Checkpointer)?.start(checkpointer);
    let writer = Writer::new(conn, Arc::clone(lock), &shared, checkpointer.clone())?;
    let post = threads.post(Role::Writer)?;
    let writer_at_work = Arc::clone(&post.actor);
    let writer = post.start(writer);

    let queue = |timeout| Arc::new(WorkQueue::new(limit(), timeout));
    let handle = Arc::new(Handle {
        shared: Arc::clone(&shared),
        writer,
        write_limit: limit(),
        interactive: queue(config.interactive_deadline),
        analytics: queue(config.analytics_deadline),
        callers_reads: CallersReads::open(&shared, config)?,
    });

    // Everything that may fail comes before the first reader starts: a reader that waits for a query occupies its
    // thread, which would never end.
    let interactive = vec![(Lane::Interactive, Role::Reader); config.readers];
    let analytics = vec![(Lane::Analytics, Role::AnalyticsReader); config.analytics_readers];
    let mut readers = Vec::new();
    for (lane, role) in [interactive, analytics].concat() {
        let reader = Reader::new(Arc::clone(&handle), lane)?;
        readers.push((threads.post(role)?, reader));
    }
    let backups = start_backups(&shared, &mut threads)?;
    for (post, reader) in readers {
        post.start(reader);
    }
    let supervisor = Supervisor::new(
        Arc::clone(&handle),
        backups.clone(),
        checkpointer.clone(),
        duties,
    );
    let post = threads.post_on(Arbiter::current(), Role::Supervisor);
    let supervisor = post.start(supervisor);
    actix::spawn(keep_time(Arc::clone(&handle)));
    actix::spawn(report_given_up(Arc::clone(&handle)));
    Ok(Engine {
        handle,
        supervisor,
        backups,
        checkpointer,
        writer: writer_at_work,
        thread_ids: std::mem::take(&mut threads.ids),
        threads: std::mem::take(&mut threads.arbiters),
    })
}

/// Wakes the callers of queries to check their deadline, as long as the store's thread runs.
async fn keep_time(handle: Arc<Handle>) {
    loop {
        tokio::time::sleep(DEADLINE_TICK).await;
        handle.interactive.tick();
        handle.analytics.tick();
    }
}

/// Reports an actor that was given up, and ends the waiting for readers that may no longer run.
async fn report_given_up(handle: Arc<Handle>) {
    let shared = &handle.shared;
    let &role = shared.supervision.given_up.wait().await;
    let why = shared.why_dropped();
    handle.interactive.end(why.clone());
    handle.analytics.end(why);
    shared.subscribers.send(StoreEvent::ActorGivenUp { role });
    quietly(|| tracing::error!(%role, "an actor panicked too often and is not restarted"));
}

/// Starts the backup worker on a thread of its own, and the actor in front of it.
fn start_backups(shared: &Arc<Shared>, threads: &mut Threads) -> Result<Addr<BackupActor>> {
    let worker = BackupWorker::new(Arc::clone(shared));
    let (queue, work) = mpsc::channel();
    let role = shared.supervision.add(Role::Backups);
    let actor = BackupActor::new(queue, Arc::clone(&role), Arc::clone(shared));
    let thread = std::thread::Builder::new()
        .name("botstore-backup".to_owned())
        .spawn(move || {
            // The host's requests are dropped with the queue.
            quietly(|| worker.run(work, &role));
            let _ = role.ended.set(());
        })
        .map_err(|e| Error::io("cannot start a thread", e))?;
    // The host's code runs there too.
    threads.ids.push(thread.thread().id());
    let post = threads.post_on(Arbiter::current(), Role::Backups);
    Ok(post.start(actor))
}
