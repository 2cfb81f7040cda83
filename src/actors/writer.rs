//! The actor that owns the only connection that writes.

use super::Dispatch;
use super::group::{Committer, Connected, Mood, Request, next_wanted};
use super::lane::{Bell, Worker};
use super::request::WriteRequest;
use super::wal::WalKeeper;
use crate::cache::Changes;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::schema;
use crate::sqlite::{self, Guard, Watchdog};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Groups between two looks at the mailbox, so that orders do not starve behind mutations.
const GROUPS_PER_BELL: usize = 16;

/// How long closing waits for another program to let the log be emptied.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// "Commit or refuse everything that waits."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Finish {
    pub(super) by: Instant,
}

/// "Empty the log, close the file." Comes last, when no other connection is left.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(super) struct CloseFile;

/// "Refresh the query planner's statistics."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Optimize;

/// "See whether the disk does what it is asked again."
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Probe;

pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) queue: Worker<dyn WriteRequest>,
    pub(super) wal: WalKeeper,
    pub(super) connection: Option<WriteConnection>,
    /// The connection before, until there is one again: without any, the next to open the file would
    /// read the log from its beginning, with what was refused in it.
    pub(super) doubtful: Option<WriteConnection>,
    pub(super) mood: Mood,
    /// Set when the store cannot wait for mutations any longer.
    pub(super) stop: Arc<AtomicBool>,
}

/// The connection and what is watched on it.
pub(super) struct WriteConnection {
    conn: Connection,
    guard: Guard,
    watchdog: Watchdog,
    changes: Changes,
    frame_bytes: u64,
}

impl WriteConnection {
    pub(super) fn new(mut conn: Connection, stop: &Arc<AtomicBool>) -> Result<Self> {
        // Only `CloseFile` empties the log, and knows whether it could.
        sqlite::keep_log(&conn)?;
        sqlite::unbound_values(&conn)?;
        let guard = Guard::install(&mut conn, sqlite::for_mutations)?;
        let watchdog = Watchdog::new(Arc::clone(stop));
        watchdog.install(&mut conn)?;
        let changes = Changes::default();
        sqlite::watch_rows(&mut conn, changes.clone())?;
        let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(Self {
            conn,
            guard,
            watchdog,
            changes,
            frame_bytes: page as u64 + sqlite::FRAME_OVERHEAD,
        })
    }
}

impl Actor for Writer {
    type Context = Context<Self>;
}

impl Writer {
    /// Commits one group. False when nothing waits.
    fn commit_group(&mut self) -> bool {
        // An operation's panics are caught where it runs. This is for the rest, such as a host's
        // clock: the writer must live on, on a connection whose state is known.
        catch_unwind(AssertUnwindSafe(|| self.commit_next())).unwrap_or_else(|payload| {
            std::mem::forget(payload);
            self.connection = None;
            true
        })
    }

    fn commit_next(&mut self) -> bool {
        let Some(first) = next_wanted(&self.queue) else {
            return false;
        };
        if self.connection.is_none()
            && let Err(error) = self.reconnect()
        {
            self.refuse_waiting(first, &error);
            return true;
        }
        let Some(open) = &self.connection else {
            return true;
        };
        let mut unsure = Vec::new();
        let mut committer = Committer {
            conn: &open.conn,
            guard: &open.guard,
            clock: &*self.dispatch.clock,
            watchdog: &open.watchdog,
            changes: &open.changes,
            cache: &self.dispatch.cache,
            metrics: &self.dispatch.metrics,
            config: &self.config,
            stop: &self.stop,
            mood: &mut self.mood,
            unsure: &mut unsure,
        };
        match committer.commit(first, &self.queue) {
            Connected::Sound => self.tend_log(),
            Connected::InDoubt => self.doubt(unsure),
        }
        true
    }

    fn tend_log(&mut self) {
        let Some(open) = &self.connection else { return };
        if let Err(error) = self.wal.tend(&open.conn, open.frame_bytes) {
            tracing::warn!(%error, "the WAL could not be looked at");
            self.note_failure(&error);
        }
    }

    /// Gives the connection up. The next is opened when it is needed; and at once if there are those
    /// whose commit failed, since it writes over what they may have left in the log.
    fn doubt(&mut self, unsure: Vec<(Request, Error)>) {
        if let Some(open) = self.connection.take() {
            // One whose transaction does not end would keep the next from writing.
            self.doubtful = Some(open).filter(|open| open.conn.is_autocommit());
        }
        if unsure.is_empty() {
            return;
        }
        let written_over = self.reconnect();
        for (request, error) in unsure {
            let error = match &written_over {
                Ok(()) => error,
                Err(_) => error.because(
                    ErrorKind::InDoubt,
                    "the commit failed, and the disk does not let the store take it back: if the \
                     process ends before it does, the next opening may find it done",
                ),
            };
            self.dispatch.metrics.count_failed(&error);
            request.refuse(error);
        }
    }

    /// Refuses all who wait by now: where a disk takes its time to fail, one after the other would
    /// wait for long.
    fn refuse_waiting(&self, first: Request, error: &Error) {
        let waiting = std::iter::from_fn(|| next_wanted(&self.queue));
        let waiting = waiting.take(self.config.max_in_flight);
        for request in std::iter::once(first).chain(waiting) {
            self.dispatch.metrics.count_failed(error);
            request.refuse(error.clone());
        }
    }

    fn reconnect(&mut self) -> Result<()> {
        let conn = sqlite::connect_again(&self.path, &self.config)?;
        sqlite::make_writer(&conn, &self.path, &self.config)?;
        schema::run_own_triggers(&conn, &self.config)?;
        let open = WriteConnection::new(conn, &self.stop)?;
        sqlite::commit_nothing(&open.conn)?;
        self.connection = Some(open);
        self.wal.connection_is_new();
        self.doubtful = None;
        self.mood = Mood::default();
        self.dispatch.metrics.count_reconnect();
        tracing::info!("the writer has opened its connection anew");
        Ok(())
    }

    /// Notes a failure of the store's own work.
    fn note_failure(&mut self, error: &Error) {
        self.dispatch.metrics.note_trouble(error);
        if error.leaves_in_doubt() {
            self.doubt(Vec::new());
        }
    }

    fn probe(&mut self) -> Result<()> {
        match &self.connection {
            Some(open) => sqlite::commit_nothing(&open.conn),
            None => self.reconnect(),
        }
    }
}

impl Handler<Bell> for Writer {
    type Result = ();

    fn handle(&mut self, _: Bell, ctx: &mut Self::Context) {
        for _ in 0..GROUPS_PER_BELL {
            if self.dispatch.is_closing() {
                // `Finish` is on its way, and knows by when.
                return;
            }
            if !self.commit_group() && self.queue.rest() {
                return;
            }
        }
        ctx.notify(Bell);
    }
}

impl Handler<Finish> for Writer {
    type Result = ();

    fn handle(&mut self, order: Finish, _ctx: &mut Self::Context) {
        // Another program's lock is not waited for past the deadline, on this connection or the next.
        let left = order.by.saturating_duration_since(Instant::now());
        self.config.busy_timeout = self.config.busy_timeout.min(left);
        if let Some(open) = &self.connection {
            let _ = open.conn.busy_timeout(self.config.busy_timeout);
        }
        while Instant::now() < order.by {
            if !self.commit_group() {
                break;
            }
        }
        while let Some(late) = next_wanted(&self.queue) {
            late.refuse(Error::closed());
        }
        self.wal.let_scans_in();
    }
}

impl Handler<Optimize> for Writer {
    type Result = ();

    fn handle(&mut self, _: Optimize, _ctx: &mut Self::Context) {
        let Some(open) = &self.connection else { return };
        if let Err(error) = sqlite::optimize(&open.conn) {
            tracing::warn!(%error, "PRAGMA optimize failed");
            self.note_failure(&error);
        }
    }
}

impl Handler<Probe> for Writer {
    type Result = ();

    fn handle(&mut self, _: Probe, _ctx: &mut Self::Context) {
        if self.dispatch.is_closing() || !self.dispatch.metrics.is_ailing() {
            return;
        }
        match self.probe() {
            Ok(()) => {
                self.dispatch.metrics.note_well();
                self.tend_log();
            }
            Err(error) => self.note_failure(&error),
        }
    }
}

impl Handler<CloseFile> for Writer {
    type Result = Result<()>;

    fn handle(&mut self, _: CloseFile, ctx: &mut Self::Context) -> Result<()> {
        ctx.stop();
        if self.connection.is_none() {
            self.reconnect()?;
        }
        let Some(open) = self.connection.take() else {
            return Ok(());
        };
        open.conn.busy_timeout(CLOSE_PATIENCE)?;
        if self.dispatch.metrics.keeps_log() {
            return Err(Error::new(
                ErrorKind::Io,
                "a checkpoint could not sync the file, so its log stays beside it; nothing is lost, \
                 and the next opening copies it again",
            ));
        }
        let (busy, ..) = sqlite::checkpoint(&open.conn, "TRUNCATE")?;
        if busy {
            return Err(Error::new(
                ErrorKind::Busy,
                "another program, or a backup that gets no further, uses the file, so its log stays beside it; nothing is lost, and \
                 the next opening or closing takes it in",
            ));
        }
        sqlite::remove_log(&open.conn)?;
        // Statements in the cache hold the connection, so they go first.
        open.conn.flush_prepared_statement_cache();
        open.conn.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}
