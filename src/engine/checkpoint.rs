//! The checkpoint policy: keeps the WAL short without making commits wait for it.
//!
//! A WAL starts over when it is copied completely and no reader still uses it. The checkpointer copies nearly all
//! of it, on its own thread; but meanwhile commits go on. So when the checkpointer is done and few frames have
//! come since, the writer waits for the point reads that have begun and copies these frames itself; the next
//! commit then starts the WAL over. At the ceiling the writer does so however many frames there are.

use super::checkpointer::{self, Checkpoint, Checkpointer};
use super::shared::Shared;
use super::transaction::WriteConnection;
use crate::error::Result;
use crate::events::StoreEvent;
use crate::sqlite::{self, WalWatch};
use actix::Addr;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the policy leaves a WAL alone that would not start over.
const PAUSE: Duration = Duration::from_millis(250);

/// The same while the checkpointer copies a WAL that was held up.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(20);

/// How much of a WAL the writer copies at once, in bytes: commits wait for a tenth of a second or two. The ceiling
/// is not used instead, even if it is lower: under steady writes more than that would arrive during each of the
/// checkpointer's copies, and the WAL would never start over.
const ONE_GO: u64 = 64 << 20;

/// By how much the file of a grown WAL is cut at a time, in bytes: under a tenth of a second.
const CUT: u64 = 256 << 20;

/// If the last copy was this long ago, a part of the usual growth is enough: a checkpoint slows the commits beside
/// it for as long as its sync takes, and where there is time for many short ones, they are noticed less.
const AT_LEISURE: Duration = Duration::from_millis(300);
const PART: u64 = 6;

/// How much the writer copies itself below the ceiling, in frames: about a millisecond.
const LITTLE: i64 = 256;

pub(super) struct CheckpointPolicy {
    shared: Arc<Shared>,
    checkpointer: Addr<Checkpointer>,
    checkpoint_at_bytes: u64,
    ceiling_bytes: u64,
    watch: WalWatch,
    /// When the connection of the last look was opened.
    connection: Option<Instant>,
    /// The WAL's size at the last order.
    ordered_at: u64,
    ordered_when: Instant,
    /// Whether the writer has yet to look at what the checkpointer left.
    unfinished: bool,
    not_before: Option<Instant>,
    /// Whether the subscribers were told that the WAL is over its ceiling.
    ceiling_reported: bool,
    /// Whether scans are held back, and the writer has not tried since the last one ended.
    holds_scans: bool,
}

impl CheckpointPolicy {
    pub(super) fn new(shared: Arc<Shared>, checkpointer: Addr<Checkpointer>) -> Result<Self> {
        let config = &shared.config;
        Ok(Self {
            checkpoint_at_bytes: config.checkpoint_at_bytes.min(config.wal_ceiling_bytes),
            ceiling_bytes: config.wal_ceiling_bytes,
            watch: WalWatch::new(&shared.path)?,
            shared,
            checkpointer,
            connection: None,
            ordered_at: 0,
            ordered_when: Instant::now(),
            unfinished: false,
            not_before: None,
            ceiling_reported: false,
            holds_scans: false,
        })
    }

    /// Looks at the WAL after a commit.
    pub(super) fn after_commit(&mut self, open: &WriteConnection) -> Result<()> {
        if self.connection.replace(open.opened) != Some(open.opened) {
            self.watch.reopen();
        }
        let (conn, frame_bytes) = (&open.conn, open.frame_bytes);
        let Some(wal) = self.watch.look(conn)? else {
            return Ok(());
        };
        let bytes = wal.frames as u64 * frame_bytes;
        self.shared.files.note_log(wal.frames, frame_bytes);
        let left = (wal.frames - wal.copied).max(0) as u64 * frame_bytes;
        if wal.restarted {
            self.note_restart(conn);
        }
        if !self.shared.disk.allows_checkpoints() {
            if bytes >= self.ceiling_bytes {
                self.report_ceiling(bytes);
            }
        } else if bytes >= self.ceiling_bytes {
            if left > self.ceiling_bytes.max(ONE_GO) {
                self.catch_up(conn, bytes);
            } else {
                self.start_over(conn, bytes);
            }
        } else if self.shared.checkpoints.ordered.load(Ordering::Acquire) {
            // The checkpointer is at work.
        } else if self.unfinished {
            self.unfinished = false;
            if wal.frames - wal.copied <= LITTLE {
                self.start_over(conn, bytes);
            }
        } else if self.is_due(bytes) {
            self.ordered_at = bytes;
            self.ordered_when = Instant::now();
            self.unfinished = true;
            self.order();
        }
        Ok(())
    }

    /// Checks whether frames are gone that SQLite believes to be in the WAL. If so, nothing is copied from then
    /// on: what is in their place can be read, but is not what was written.
    pub(super) fn look_for_a_cut(&self, open: &WriteConnection) -> Result<()> {
        let files = &self.shared.files;
        let (mut before, tries) = (None, 3);
        for _ in 0..tries {
            let (busy, frames, _) = sqlite::checkpoint(&open.conn, "NOOP")?;
            if busy {
                continue;
            }
            files.note_log(frames, open.frame_bytes);
            if !files.log_may_be_cut() {
                return Ok(());
            }
            // The WAL has not started over in between.
            if before.replace(frames) == Some(frames) {
                self.shared.disk.forbid_checkpoints();
                files.note_cut_log();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the WAL has grown enough to be copied.
    fn is_due(&self, bytes: u64) -> bool {
        let grown = bytes.saturating_sub(self.ordered_at);
        let at_leisure = || self.ordered_when.elapsed() >= AT_LEISURE;
        grown >= self.checkpoint_at_bytes
            || (grown >= self.checkpoint_at_bytes / PART && at_leisure())
    }

    fn order(&self) {
        if self.shared.checkpoints.order() {
            self.checkpointer.do_send(Checkpoint);
        }
    }

    /// Orders another copy of a WAL that was held up for long, as by a backup. The writer should not copy so much
    /// at once, since commits would wait for a second; the checkpointer comes closer each time.
    fn catch_up(&mut self, conn: &Connection, bytes: u64) {
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then)
            || self.shared.checkpoints.ordered.load(Ordering::Acquire)
        {
            return;
        }
        let report = *self.shared.last_checkpoint.lock();
        if report.is_some_and(|report| report.copied < report.frames) {
            self.report_ceiling(bytes);
            self.hold_scans();
        }
        self.not_before = Some(now + CATCH_UP_PAUSE);
        self.limit_shrinking(conn);
        self.order();
    }

    /// Keeps scans from beginning until the WAL has started over, if only queries hold it up.
    fn hold_scans(&mut self) {
        if self.shared.snapshots.only_queries() {
            self.shared.gates.hold_scans();
            self.holds_scans = true;
        }
    }

    /// Whether the last running scan has just ended while others are held back.
    fn scans_are_over(&mut self) -> bool {
        self.holds_scans
            && self.shared.gates.no_scan_runs()
            && std::mem::take(&mut self.holds_scans)
    }

    /// Reports to the subscribers, once until the WAL has started over, that it is held up.
    fn report_ceiling(&mut self, bytes: u64) {
        if std::mem::replace(&mut self.ceiling_reported, true) {
            return;
        }
        let ceiling_bytes = self.ceiling_bytes;
        let held_by = self.shared.snapshots.holders();
        tracing::warn!(
            bytes,
            ceiling_bytes,
            ?held_by,
            "the WAL is over its ceiling"
        );
        let event = StoreEvent::WalOverCeiling {
            bytes,
            ceiling_bytes,
            held_by,
        };
        self.shared.subscribers.send(event);
    }

    /// Limits by how much the next commit that starts the WAL over cuts its file. That commit cuts it down to
    /// `journal_size_limit`; after a backup under full load that may be gigabytes, which takes the file system a
    /// second. So the file is cut in pieces.
    fn limit_shrinking(&self, conn: &Connection) {
        let log = sqlite::beside(&self.shared.path, "-wal");
        let size = std::fs::metadata(log).map_or(0, |data| data.len());
        let limit = size.saturating_sub(CUT).max(self.ceiling_bytes);
        if let Err(error) = conn.pragma_update(None, "journal_size_limit", limit as i64) {
            tracing::warn!(%error, "the WAL's size could not be limited");
        }
    }

    /// The last commit has started the WAL over.
    fn note_restart(&mut self, conn: &Connection) {
        self.shared.metrics.wal_restarts.count();
        self.limit_shrinking(conn);
        self.ordered_at = 0;
        self.unfinished = false;
        self.not_before = None;
        self.ceiling_reported = false;
        self.let_scans_in();
    }

    /// Lets scans begin again.
    pub(super) fn let_scans_in(&mut self) {
        self.holds_scans = false;
        self.shared.gates.let_scans_in();
    }

    /// Copies the rest of the WAL, so that the next commit starts it over. If it cannot, because a long query or
    /// another program still needs the WAL, the WAL is left alone for a while.
    fn start_over(&mut self, conn: &Connection, bytes: u64) {
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then) && !self.scans_are_over() {
            return;
        }
        self.not_before = Some(now + PAUSE);
        if self.copy_the_rest(conn, now) {
            self.limit_shrinking(conn);
            // Scans that begin now also read the file alone.
            self.let_scans_in();
        } else if bytes >= self.ceiling_bytes {
            self.report_ceiling(bytes);
            self.hold_scans();
        }
    }

    /// Copies the rest of the WAL; returns whether all of it is in the file afterwards.
    fn copy_the_rest(&self, conn: &Connection, now: Instant) -> bool {
        // If the checkpointer is at work, it will leave less.
        let _running = self.shared.checkpoints.running.lock();
        if !self.shared.disk.allows_checkpoints() {
            return false;
        }
        // Point reads of an older state would keep the rest of the WAL from being copied. Those that begin now see
        // the newest state, since nothing is committed meanwhile; keeping them out would make them wait for the
        // file's sync.
        self.shared.gates.drain_points();
        match sqlite::checkpoint(conn, "PASSIVE") {
            // Another program runs a checkpoint.
            Ok((true, ..)) => false,
            Ok((false, frames, copied)) => {
                checkpointer::note(&self.shared, frames, copied, now);
                let all = frames == copied;
                if all {
                    // Point reads that begin from now on read the file alone, and hold nothing up.
                    self.shared.gates.drain_points();
                }
                all
            }
            Err(error) => {
                self.shared.disk.note_failed_checkpoint(error.clone());
                tracing::warn!(%error, "the WAL could not be copied");
                false
            }
        }
    }
}
