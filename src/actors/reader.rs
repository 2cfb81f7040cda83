//! The actors that answer queries, each on a read-only connection of its own.

use super::Dispatch;
use super::gate::Gates;
use super::lane::{Bell, Worker};
use super::request::{Outcome, ReadRequest, Ticket};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::holders::{AtWork, Task};
use crate::operation::{Lane, ReadTx};
use crate::sqlite::{self, Guard, Watchdog};
use crate::time;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Queries between two looks at the mailbox.
const QUERIES_PER_BELL: usize = 64;

/// How long a scan is held back when none runs: a little more than between two looks that the writer
/// takes at a log that is held up.
const HELD: Duration = Duration::from_millis(500);

/// "Answer what waits, then let go of the file."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Retire;

pub(super) struct Reader {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) lane: Lane,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) queue: Worker<dyn ReadRequest>,
    pub(super) gates: Arc<Gates>,
    pub(super) at_work: AtWork,
    /// Set when the store cannot wait for queries any longer.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) connection: Option<ReadConnection>,
}

pub(super) struct ReadConnection {
    conn: Connection,
    /// Prepared once, as texts that no operation can bring.
    begin: String,
    end: String,
    guard: Guard,
    watchdog: Watchdog,
}

impl ReadConnection {
    pub(super) fn open(
        path: &std::path::Path,
        config: &Config,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let mut conn = sqlite::open_reader(path, config)?;
        let guard = Guard::install(&mut conn, sqlite::for_queries)?;
        let watchdog = Watchdog::new(Arc::clone(stop));
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
}

impl Reader {
    /// Answers one query. False when none waits.
    fn answer_one(&mut self) -> bool {
        // As in the writer: for what panics outside the query itself.
        catch_unwind(AssertUnwindSafe(|| self.answer_next())).unwrap_or_else(|payload| {
            std::mem::forget(payload);
            self.connection = None;
            true
        })
    }

    fn answer_next(&mut self) -> bool {
        let Some(request) = self.queue.next() else {
            return false;
        };
        if request.is_abandoned() {
            // Not just dropped: a host's `Drop` may panic.
            request.refuse(Error::closed());
            return true;
        }
        if self.stop.load(Ordering::Relaxed) {
            request.refuse(Error::closed());
            return true;
        }
        if Instant::now() >= request.deadline() {
            self.refuse(
                request,
                Error::new(
                    ErrorKind::Deadline,
                    "it waited for a reader until its deadline; more readers, or fewer queries at once",
                ),
            );
            return true;
        }
        if self.connection.is_none() {
            match ReadConnection::open(&self.path, &self.config, &self.stop) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    self.refuse(request, error);
                    return true;
                }
            }
        }
        self.run(request);
        // Where there are fewer cores than threads, those who write give way to whoever reads: they
        // sleep at each sync, and find the cores taken when they wake. This gives way back.
        if self.dispatch.write_load().1 > 0 {
            std::thread::yield_now();
        }
        true
    }

    fn run(&mut self, request: Ticket<dyn ReadRequest>) {
        let Some(open) = &self.connection else { return };
        let fetched = {
            let _inside = match self.lane {
                Lane::Interactive => self.gates.points.enter(),
                Lane::Analytics => self.gates.scans.enter_by(request.deadline(), HELD),
            };
            self.at_work.during(Task::Query(request.name()), || {
                snapshot(open, &*request, &self.dispatch)
            })
        };
        let failure = request.failure();
        // A connection whose transaction cannot be ended is in doubt, and after an I/O error what
        // it holds may differ from the file. Opening anew costs a millisecond.
        let in_doubt = !open.conn.is_autocommit()
            || failure
                .as_ref()
                .or(fetched.as_ref().err())
                .is_some_and(Error::leaves_in_doubt);
        if in_doubt {
            self.connection = None;
            self.dispatch.metrics.count_reconnect();
        }
        if let Err(error) = fetched {
            return self.refuse(request, error);
        }
        self.dispatch.metrics.count_read(failure.as_ref());
        let stopped = self.stop.load(Ordering::Relaxed)
            && failure.is_some_and(|error| error.kind() == ErrorKind::Deadline);
        match stopped {
            true => request.refuse(Error::closed()),
            false => request.answer(),
        }
    }

    fn refuse(&self, request: Ticket<dyn ReadRequest>, error: Error) {
        self.dispatch.metrics.count_read(Some(&error));
        request.refuse(error);
    }
}

/// Runs a query in a transaction: SQLite takes the snapshot at its first read.
fn snapshot(
    open: &ReadConnection,
    request: &dyn ReadRequest,
    dispatch: &Dispatch,
) -> Result<Outcome> {
    let now = time::ask(&*dispatch.clock)?;
    let seen = dispatch.cache.seen();
    open.conn.prepare_cached(&open.begin)?.execute([])?;
    let tx = ReadTx::new(&open.conn, now).within(dispatch.limits);
    let outcome = open.watchdog.until(request.deadline(), || {
        open.guard
            .during(|| request.fetch(&tx, &dispatch.cache, seen))
    });
    if !open.conn.is_autocommit() {
        open.conn.prepare_cached(&open.end)?.execute([])?;
    }
    Ok(outcome)
}

impl Handler<Bell> for Reader {
    type Result = ();

    fn handle(&mut self, _: Bell, ctx: &mut Self::Context) {
        for _ in 0..QUERIES_PER_BELL {
            if !self.answer_one() && self.queue.rest() {
                return;
            }
        }
        ctx.notify(Bell);
    }
}

impl Handler<Retire> for Reader {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        while self.answer_one() {}
        self.connection = None;
        ctx.stop();
    }
}
