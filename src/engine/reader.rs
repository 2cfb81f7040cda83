//! The actors that answer queries, each on a read-only connection of its own.
//!
//! The readers of a lane share one [`WorkQueue`](super::queue::WorkQueue); each takes queries from it until it
//! ends.

use super::handle::Handle;
use super::job::ReadJob;
use super::queue;
use super::shared::Shared;
use super::snapshots::{Purpose, SnapshotSlot};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Lane, ReadTx};
use crate::sqlite::{self, Authorizer, Watchdog};
use crate::time;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Supervised};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a scan is held back if none runs: a little more than the time between two attempts of the writer at a
/// WAL that is held up.
const HELD: Duration = Duration::from_millis(500);

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
    job: Option<Box<dyn ReadJob>>,
}

struct ReadConnection {
    conn: Connection,
    /// Prepared once, with texts that no operation can use.
    begin: String,
    end: String,
    guard: Authorizer,
    watchdog: Watchdog,
}

impl ReadConnection {
    fn open(shared: &Shared) -> Result<Self> {
        let settings = shared.config.sqlite_settings();
        let files = &shared.files;
        let mut conn = files.connect(|path| sqlite::open_reader(path, &settings))?;
        let guard = Authorizer::install(&mut conn, sqlite::for_queries)?;
        let watchdog = Watchdog::new(Arc::clone(&shared.interrupt));
        watchdog.install(&mut conn)?;
        Ok(Self {
            conn,
            begin: sqlite::unguarded("BEGIN")?,
            end: sqlite::unguarded("COMMIT")?,
            guard,
            watchdog,
        })
    }
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
        if let Some(job) = self.job.take() {
            let why = "the reader panicked and was restarted; the panic hook's output has the panic's \
                       message";
            job.refuse(Error::new(ErrorKind::Panicked, why));
        }
    }
}

impl Handler<Serve> for Reader {
    type Result = ();

    fn handle(&mut self, _: Serve, ctx: &mut Self::Context) {
        let handle = Arc::clone(&self.handle);
        while let Some((job, deadline)) = handle.queue(self.lane).next() {
            self.serve(job, deadline);
            // The writer sleeps in fsync; on a busy machine it would wake to find readers on every core.
            if handle.write_limit.in_flight() > 0 {
                std::thread::yield_now();
            }
        }
        self.connection = None;
        ctx.stop();
    }
}

impl Reader {
    pub(super) fn new(handle: Arc<Handle>, lane: Lane) -> Result<Self> {
        Ok(Self {
            slot: handle.shared.snapshots.add(),
            connection: Some(ReadConnection::open(&handle.shared)?),
            handle,
            lane,
            job: None,
        })
    }

    fn serve(&mut self, job: Box<dyn ReadJob>, deadline: Instant) {
        let interrupted = self.handle.shared.interrupt.load(Ordering::Relaxed);
        if interrupted || job.is_abandoned() {
            return job.refuse(Error::closed());
        }
        self.job = Some(job);
        let outcome = self.run(deadline);
        self.settle(outcome);
    }

    /// Runs the current query in a transaction: SQLite takes the snapshot at its first read.
    fn run(&mut self, deadline: Instant) -> Result<()> {
        if Instant::now() >= deadline {
            return Err(queue::too_late());
        }
        let shared = &self.handle.shared;
        let Some(job) = &mut self.job else {
            return Ok(());
        };
        let open = match &mut self.connection {
            Some(open) => open,
            none => none.insert(ReadConnection::open(shared)?),
        };
        let _inside = match self.lane {
            Lane::Interactive => shared.gates.enter_point(),
            Lane::Analytics => shared.gates.enter_scan(deadline, HELD),
        };
        let _mark = self.slot.mark(Purpose::Query(job.name()));
        let now = time::ask(&*shared.config.clock)?;
        let snapshot = shared.cache.before_snapshot();
        open.conn.prepare_cached(&open.begin)?.execute([])?;
        let tx = ReadTx::new(&open.conn, now).within(shared.config.limits());
        let guarded = || open.guard.during(|| job.run(&tx, &shared.cache, &snapshot));
        open.watchdog.until(deadline, guarded);
        if !open.conn.is_autocommit() {
            open.conn.prepare_cached(&open.end)?.execute([])?;
        }
        Ok(())
    }

    /// Answers the current query.
    fn settle(&mut self, outcome: Result<()>) {
        let Some(job) = self.job.take() else { return };
        let error = outcome.as_ref().err().or(job.error());
        // A connection whose transaction cannot be ended is in doubt, and after an I/O error its memory may differ
        // from the file. Opening a new one costs a millisecond.
        let open = self.connection.as_ref();
        let in_doubt = open.is_some_and(|open| !open.conn.is_autocommit())
            || error.is_some_and(Error::leaves_in_doubt);
        if in_doubt {
            self.connection = None;
            self.handle.shared.metrics.reconnects.count();
        }
        if let Some(error) = error {
            self.handle.shared.disk.note(error);
        }
        let interrupted = self.handle.shared.interrupt.load(Ordering::Relaxed)
            && error.is_some_and(|error| error.kind() == ErrorKind::Deadline);
        match outcome {
            _ if interrupted => job.refuse(Error::closed()),
            Err(error) => job.refuse(error),
            Ok(()) => job.answer(),
        }
    }
}
