//! The actor that owns the only connection that writes.

use super::Dispatch;
use super::group::{Committer, Connected, Mood, next_wanted};
use super::lane::{Bell, Worker};
use super::request::WriteRequest;
use super::wal::WalKeeper;
use crate::cache::Changes;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::sqlite::{self, Guard, Watchdog};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Groups between two looks at the mailbox, so that orders do not starve behind mutations.
const GROUPS_PER_BELL: usize = 16;

/// How long closing waits for another program to let the log be emptied.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What a frame adds to a page in the log: <https://sqlite.org/fileformat2.html#walformat>.
const FRAME_HEADER_BYTES: u64 = 24;

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

pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) queue: Worker<dyn WriteRequest>,
    pub(super) wal: WalKeeper,
    pub(super) connection: Option<WriteConnection>,
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
    /// Frames in the log after the last commit.
    frames: Arc<AtomicI64>,
    frame_bytes: u64,
}

impl WriteConnection {
    pub(super) fn new(mut conn: Connection, stop: &Arc<AtomicBool>) -> Result<Self> {
        let guard = Guard::install(&mut conn, sqlite::for_mutations)?;
        let watchdog = Watchdog::new(Arc::clone(stop));
        watchdog.install(&mut conn)?;
        let changes = Changes::default();
        sqlite::watch_rows(&mut conn, changes.clone())?;
        let frames = Arc::new(AtomicI64::new(0));
        sqlite::watch_wal(&mut conn, Arc::clone(&frames))?;
        let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(Self {
            conn,
            guard,
            watchdog,
            changes,
            frames,
            frame_bytes: page as u64 + FRAME_HEADER_BYTES,
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
            self.dispatch.metrics.count_failed(&error);
            first.refuse(error);
            return true;
        }
        let Some(open) = &self.connection else {
            return true;
        };
        let mut committer = Committer {
            conn: &open.conn,
            guard: &open.guard,
            clock: &*self.dispatch.clock,
            watchdog: &open.watchdog,
            changes: &open.changes,
            cache: &self.dispatch.cache,
            metrics: &self.dispatch.metrics,
            config: &self.config,
            mood: &mut self.mood,
        };
        match committer.commit(first, &self.queue) {
            Connected::Sound => {
                let frames = open.frames.load(Ordering::Relaxed).max(0);
                let bytes = frames as u64 * open.frame_bytes;
                self.wal.tend(&open.conn, frames, bytes);
            }
            // Opened anew when the next mutation comes.
            Connected::InDoubt => self.connection = None,
        }
        true
    }

    fn reconnect(&mut self) -> Result<()> {
        let conn = sqlite::connect_again(&self.path, &self.config)?;
        sqlite::make_writer(&conn, &self.path, &self.config)?;
        self.connection = Some(WriteConnection::new(conn, &self.stop)?);
        self.dispatch.metrics.count_reconnect();
        tracing::info!("the writer has opened its connection anew");
        Ok(())
    }
}

impl Handler<Bell> for Writer {
    type Result = ();

    fn handle(&mut self, _: Bell, ctx: &mut Self::Context) {
        for _ in 0..GROUPS_PER_BELL {
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
        if let Some(open) = &self.connection {
            // Another program's lock is not waited for past the deadline.
            let left = order.by.saturating_duration_since(Instant::now());
            let _ = open.conn.busy_timeout(left.min(self.config.busy_timeout));
        }
        while Instant::now() < order.by {
            if !self.commit_group() {
                return;
            }
        }
        while let Some(late) = next_wanted(&self.queue) {
            late.refuse(Error::closed());
        }
    }
}

impl Handler<Optimize> for Writer {
    type Result = ();

    fn handle(&mut self, _: Optimize, _ctx: &mut Self::Context) {
        let Some(open) = &self.connection else { return };
        if let Err(error) = sqlite::optimize(&open.conn) {
            tracing::warn!(%error, "PRAGMA optimize failed");
        }
    }
}

impl Handler<CloseFile> for Writer {
    type Result = Result<()>;

    fn handle(&mut self, _: CloseFile, ctx: &mut Self::Context) -> Result<()> {
        ctx.stop();
        let Some(open) = self.connection.take() else {
            return Ok(());
        };
        open.conn.busy_timeout(CLOSE_PATIENCE)?;
        let (busy, ..) = sqlite::checkpoint(&open.conn, "TRUNCATE")?;
        if busy {
            return Err(Error::new(
                ErrorKind::Busy,
                "another program uses the file, so its log stays beside it; nothing is lost, and \
                 the next opening or closing takes it in",
            ));
        }
        // Statements in the cache hold the connection, so they go first.
        open.conn.flush_prepared_statement_cache();
        open.conn.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}
