//! The actors that answer queries, each on a read-only connection of its own.
//!
//! The readers of a lane share one [`WorkQueue`](super::queue::WorkQueue); each takes queries from it until it
//! ends.
//!
//! **Point reads share a snapshot**: a `BEGIN` and a `COMMIT` take as long as a short query. So a reader of the
//! interactive lane goes on with the queries that were asked before its snapshot began, and which therefore see in
//! it every change that their callers know of. It takes them from the queue one by one. To take many at once was
//! turned down: behind a slow one they would wait for this reader while others are idle.

use super::handle::Handle;
use super::queue::{self, Queued};
use super::read_connection::ReadConnection;
use super::snapshots::SnapshotSlot;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Lane;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Supervised};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a scan is held back if none runs: a little more than the time between two attempts of the writer at a
/// WAL that is held up.
const HELD: Duration = Duration::from_millis(500);

/// The most point reads in one snapshot: then the snapshot is a fiftieth of its queries' time.
const SHARED_BY: usize = 64;

/// How old a snapshot becomes before the next query gets another one. So a checkpoint waits for little more than a
/// single query.
const SHARED_FOR: Duration = Duration::from_micros(200);

/// "Take queries from the queue until it ends."
#[derive(Message)]
#[rtype(result = "()")]
struct Serve;

pub(super) struct Reader {
    handle: Arc<Handle>,
    lane: Lane,
    slot: SnapshotSlot,
    connection: Option<ReadConnection>,
    /// The current query. Here and not on the stack, so that it is answered after a panic.
    current: Option<Queued>,
    /// A query that was taken from the queue and needs another snapshot. Here for the same reason.
    next: Option<Queued>,
}

impl Actor for Reader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Serve);
    }
}

impl Supervised for Reader {
    fn restarting(&mut self, _ctx: &mut Self::Context) {
        self.connection = None;
        if let Some(queued) = self.current.take() {
            let why = "the reader panicked and was restarted; the panic hook's output has the panic's \
                       message";
            queued.job.refuse(Error::new(ErrorKind::Panicked, why));
        }
    }
}

impl Handler<Serve> for Reader {
    type Result = ();

    fn handle(&mut self, _: Serve, ctx: &mut Self::Context) {
        let handle = Arc::clone(&self.handle);
        let queue = handle.queue(self.lane);
        while let Some(queued) = self.next.take().or_else(|| queue.next()) {
            self.serve(queued);
            handle.callers_reads.tend(&handle.shared);
            give_way(&handle);
        }
        self.connection = None;
        ctx.stop();
    }
}

/// Lets the writer run, if there is a mutation: it sleeps in fsync, and on a busy machine it would wake to find
/// readers on every core.
fn give_way(handle: &Handle) {
    if handle.write_limit.in_flight() > 0 {
        std::thread::yield_now();
    }
}

impl Reader {
    pub(super) fn new(handle: Arc<Handle>, lane: Lane) -> Result<Self> {
        Ok(Self {
            slot: handle.shared.snapshots.add(),
            connection: Some(ReadConnection::open(&handle.shared)?),
            handle,
            lane,
            current: None,
            next: None,
        })
    }

    fn serve(&mut self, queued: Queued) {
        let interrupted = self.handle.shared.interrupt.load(Ordering::Relaxed);
        if interrupted || queued.job.is_abandoned() {
            return queued.job.refuse(Error::closed());
        }
        self.current = Some(queued);
        let outcome = self.run();
        self.settle(outcome);
    }

    /// Runs the current query in a snapshot, and after it others; answers them. One that fails is the last, and is
    /// left to be settled when the snapshot has ended.
    fn run(&mut self) -> Result<()> {
        let shared = &self.handle.shared;
        let queue = self.handle.queue(self.lane);
        let Some(first) = &self.current else {
            return Ok(());
        };
        if Instant::now() >= first.deadline {
            return Err(queue::too_late());
        }
        let open = match &mut self.connection {
            Some(open) => open,
            none => none.insert(ReadConnection::open(shared)?),
        };
        let (inside, most) = match self.lane {
            Lane::Interactive => (shared.gates.enter_point(), SHARED_BY),
            Lane::Analytics => (shared.gates.enter_scan(first.deadline, HELD), 1),
        };
        let asked = queue.asked();
        let snapshot = open.begin(shared, &self.slot, inside, first.job.name())?;
        for ran in 1.. {
            let Some(Queued { job, deadline, .. }) = &mut self.current else {
                break;
            };
            snapshot.run(&mut **job, *deadline);
            // The connection may be in doubt after a failure.
            if job.error().is_some() {
                break;
            }
            // Before the snapshot ends, which takes a microsecond of which the caller need not know.
            if let Some(done) = self.current.take() {
                done.job.answer();
            }
            if ran == most {
                break;
            }
            give_way(&self.handle);
            let Some(next) = queue.try_next() else { break };
            let now = Instant::now();
            let is_late = now >= next.deadline || now >= snapshot.since() + SHARED_FOR;
            if is_late || !next.is_among(asked) || next.job.is_abandoned() {
                self.next = Some(next);
                break;
            }
            snapshot.rename(next.job.name());
            self.current = Some(next);
        }
        snapshot.end()
    }

    /// Gives the connection up if it is in doubt, and answers the current query if it has no answer yet.
    fn settle(&mut self, outcome: Result<()>) {
        let current = self.current.take().map(|queued| queued.job);
        let of_the_query = current.as_ref().and_then(|job| job.error());
        let error = outcome.as_ref().err().or(of_the_query);
        let open = self.connection.as_ref();
        if open.is_some_and(|open| open.is_in_doubt(error)) {
            self.connection = None;
            self.handle.shared.metrics.reconnects.count();
        }
        if let Some(error) = error {
            self.handle.shared.disk.note(error);
        }
        let interrupted = self.handle.shared.interrupt.load(Ordering::Relaxed)
            && error.is_some_and(|error| error.kind() == ErrorKind::Deadline);
        let Some(job) = current else { return };
        match outcome {
            _ if interrupted => job.refuse(Error::closed()),
            Err(error) => job.refuse(error),
            Ok(()) => job.answer(),
        }
    }
}
