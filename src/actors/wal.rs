//! Keeps the write-ahead log short without making commits wait for it.
//!
//! A log starts over when it is copied completely and no reader is in the middle of it. The
//! checkpointer copies nearly all of it, on its own thread; but while it works, commits go on. So
//! when it is done and little has come since, the writer copies that little itself once the point
//! reads that have begun are through, and the next commit starts the log over. At the ceiling it does
//! so however much there is.

use super::Dispatch;
use super::checkpointer::{self, Checkpoint};
use super::gate::Gates;
use crate::config::Config;
use crate::error::Result;
use crate::events::StoreEvent;
use crate::holders::Holders;
use crate::sqlite::{self, WalWatch};
use actix::Recipient;
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the writer lets point reads end when the log is to start over.
const GATE_PATIENCE: Duration = Duration::from_millis(20);

/// How long it leaves a log alone that would not start over.
const PAUSE: Duration = Duration::from_millis(250);

/// The same while the checkpointer copies a log that was held up.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(20);

/// How much of a log the writer copies in one go, in bytes: commits wait for a tenth of a second or two.
/// Leaves the ceiling out, where that is lower: what comes while the checkpointer copies would be more
/// than that each time, and the log would never start over under steady writes.
const ONE_GO: u64 = 64 << 20;

/// How much of a log that has grown is given back at a time, in bytes: under a tenth of a second.
const CUT: u64 = 256 << 20;

/// When the log has not been copied for so long, a part of what it may grow by is enough: a checkpoint
/// is felt by the commits beside it for as long as its sync takes, and where there is time for many,
/// short ones are felt less.
const AT_LEISURE: Duration = Duration::from_millis(300);
const PART: u64 = 6;

/// What the writer copies itself without being at the ceiling, in frames: about a millisecond.
const LITTLE: i64 = 256;

/// What the checkpointer and the writer say to each other.
#[derive(Default)]
pub(super) struct Signals {
    /// True from an order to the end of the work, so that there is one order at a time.
    pub(super) ordered: AtomicBool,
    /// Held by whoever runs a checkpoint: SQLite lets one at a time, and turns the other away.
    pub(super) turn: Mutex<()>,
}

pub(super) struct WalKeeper {
    holders: Holders,
    checkpointer: Recipient<Checkpoint>,
    signals: Arc<Signals>,
    gates: Arc<Gates>,
    dispatch: Arc<Dispatch>,
    checkpoint_at_bytes: u64,
    ceiling_bytes: u64,
    watch: WalWatch,
    /// The length at the last order.
    ordered_at: u64,
    ordered_when: Instant,
    /// Whether what the checkpointer left is still to be looked at.
    unfinished: bool,
    not_before: Option<Instant>,
    /// Whether somebody has been told that the log is over its ceiling.
    told_over: bool,
    /// Whether scans are kept from beginning, and the writer has not tried since the last one ended.
    holds_scans: bool,
}

impl WalKeeper {
    pub(super) fn new(
        holders: Holders,
        checkpointer: Recipient<Checkpoint>,
        signals: Arc<Signals>,
        gates: Arc<Gates>,
        dispatch: Arc<Dispatch>,
        config: &Config,
    ) -> Result<Self> {
        let watch = WalWatch::new(&holders.path)?;
        Ok(Self {
            holders,
            checkpointer,
            signals,
            gates,
            dispatch,
            checkpoint_at_bytes: config.checkpoint_at_bytes.min(config.wal_ceiling_bytes),
            ceiling_bytes: config.wal_ceiling_bytes,
            watch,
            ordered_at: 0,
            ordered_when: Instant::now(),
            unfinished: false,
            not_before: None,
            told_over: false,
            holds_scans: false,
        })
    }

    /// The writer's connection is a new one.
    pub(super) fn connection_is_new(&mut self) {
        self.watch.reopen();
    }

    /// Looks at the log after a commit.
    pub(super) fn tend(&mut self, conn: &Connection, frame_bytes: u64) -> Result<()> {
        let Some(wal) = self.watch.look(conn)? else {
            return Ok(());
        };
        let bytes = wal.frames as u64 * frame_bytes;
        let left = (wal.frames - wal.copied).max(0) as u64 * frame_bytes;
        if wal.restarted {
            self.note_restart(conn);
        }
        if self.dispatch.metrics.keeps_log() {
            if bytes >= self.ceiling_bytes {
                self.tell_of_ceiling(bytes);
            }
        } else if bytes >= self.ceiling_bytes {
            if left > self.ceiling_bytes.max(ONE_GO) {
                self.catch_up(conn, bytes);
            } else {
                self.start_over(conn, bytes);
            }
        } else if self.signals.ordered.load(Ordering::Acquire) {
            // The checkpointer is at it.
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

    /// Whether the log has grown by enough to be copied.
    fn is_due(&self, bytes: u64) -> bool {
        let grown = bytes.saturating_sub(self.ordered_at);
        let at_leisure = || self.ordered_when.elapsed() >= AT_LEISURE;
        grown >= self.checkpoint_at_bytes
            || (grown >= self.checkpoint_at_bytes / PART && at_leisure())
    }

    fn order(&self) {
        self.signals.ordered.store(true, Ordering::Release);
        self.checkpointer.do_send(Checkpoint);
    }

    /// A log that somebody held up for long, such as a backup, is more than the writer should copy
    /// in one go: commits would wait for a second. The checkpointer comes closer each time.
    fn catch_up(&mut self, conn: &Connection, bytes: u64) {
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then)
            || self.signals.ordered.load(Ordering::Acquire)
        {
            return;
        }
        let report = self.dispatch.checkpoint_report();
        if report.is_some_and(|report| report.copied < report.frames) {
            self.tell_of_ceiling(bytes);
            self.hold_scans();
        }
        self.not_before = Some(now + CATCH_UP_PAUSE);
        self.limit_shrinking(conn);
        self.order();
    }

    /// Lets no scan begin before the log has started over, if that is for scans alone to decide.
    fn hold_scans(&mut self) {
        if self.holders.only_queries() {
            self.gates.scans.hold();
            self.holds_scans = true;
        }
    }

    /// Whether the last of the scans has just ended while no other may begin.
    fn scans_are_over(&mut self) -> bool {
        self.holds_scans && self.gates.scans.is_empty() && std::mem::take(&mut self.holds_scans)
    }

    /// Tells the subscribers, once until the log has started over, that somebody holds it up.
    fn tell_of_ceiling(&mut self, bytes: u64) {
        if std::mem::replace(&mut self.told_over, true) {
            return;
        }
        let ceiling_bytes = self.ceiling_bytes;
        let held_by = self.holders.list();
        tracing::warn!(
            bytes,
            ceiling_bytes,
            ?held_by,
            "the log is over its ceiling"
        );
        let event = StoreEvent::LogOverCeiling {
            bytes,
            ceiling_bytes,
            held_by,
        };
        self.dispatch.subscribers.tell(event);
    }

    /// The commit that starts the log over cuts its file down to the ceiling, and after a backup under
    /// full load that may be gigabytes, which takes the file system a second. So it is cut in pieces.
    fn limit_shrinking(&self, conn: &Connection) {
        let log = sqlite::beside(&self.holders.path, "-wal");
        let size = std::fs::metadata(log).map_or(0, |data| data.len());
        let limit = size.saturating_sub(CUT).max(self.ceiling_bytes);
        if let Err(error) = conn.pragma_update(None, "journal_size_limit", limit as i64) {
            tracing::warn!(%error, "the log's size could not be limited");
        }
    }

    /// The last commit has started the log over.
    fn note_restart(&mut self, conn: &Connection) {
        self.dispatch.metrics.count_log_restart();
        self.limit_shrinking(conn);
        self.ordered_at = 0;
        self.unfinished = false;
        self.not_before = None;
        self.told_over = false;
        self.let_scans_in();
    }

    /// Lets scans begin again.
    pub(super) fn let_scans_in(&mut self) {
        self.holds_scans = false;
        self.gates.scans.open();
    }

    /// Copies the rest of the log, so that the next commit starts it over. If that does not, because a
    /// query that takes long, or another program, still needs the log, it is left alone for a while.
    fn start_over(&mut self, conn: &Connection, bytes: u64) {
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then) && !self.scans_are_over() {
            return;
        }
        self.not_before = Some(now + PAUSE);
        if self.copy_the_rest(conn, now) {
            self.limit_shrinking(conn);
            // Those who begin now read the file alone, too.
            self.let_scans_in();
        } else if bytes >= self.ceiling_bytes {
            self.tell_of_ceiling(bytes);
            self.hold_scans();
        }
    }

    /// Whether all of the log is in the file afterwards.
    fn copy_the_rest(&self, conn: &Connection, now: Instant) -> bool {
        // When the checkpointer is at work, what it leaves will be less.
        let turn = self.signals.turn.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        if self.dispatch.metrics.keeps_log() {
            return false;
        }
        // Those with an older state of the log would keep the rest of it from being copied. Those who
        // begin now have the newest, since nobody commits meanwhile; to keep them out would have them
        // wait for the file's sync.
        self.gates.points.drain(GATE_PATIENCE);
        match sqlite::checkpoint(conn, "PASSIVE") {
            // Another program is at it.
            Ok((true, ..)) => false,
            Ok((false, frames, copied)) => {
                checkpointer::note(&self.dispatch, frames, copied, now);
                let all = frames == copied;
                if all {
                    // Whoever begins from now on reads the file alone, and holds nothing up.
                    self.gates.points.drain(GATE_PATIENCE);
                }
                all
            }
            Err(error) => {
                tracing::warn!(%error, "the log could not be copied");
                self.dispatch.metrics.note_failed_checkpoint(error);
                false
            }
        }
    }
}
