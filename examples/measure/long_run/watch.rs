//! Looks at the process and the file several times a second, and hears what the store tells.

use crate::clock::FastClock;
use botstore::{Result, Store, StoreEvent};
use botstore_measure::process;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

const EVERY: Duration = Duration::from_millis(100);

/// What the process held at one moment, where the system tells it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) memory: Option<u64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) threads: Option<u64>,
}

/// What was seen in one row.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// At its end.
    pub(crate) sample: Sample,
    pub(crate) file_bytes: u64,
    /// Since the run began.
    pub(crate) wal_restarts: u64,
    /// At its largest.
    pub(crate) wal_bytes: u64,
    pub(crate) backups: u64,
    pub(crate) drills: u64,
    pub(crate) expired: u64,
}

pub(crate) struct Watch {
    store: Store,
    clock: FastClock,
    events: Receiver<StoreEvent>,
    next: Instant,
    seen: Seen,
    /// One of each second.
    pub(crate) samples: Vec<Sample>,
    sampled: Instant,
    /// How often the WAL had started over when the run began.
    restarts_before: u64,
    /// The longest that a backup took, from its snapshot to its end.
    pub(crate) longest_backup: Duration,
    /// What should not have happened.
    pub(crate) complaints: Vec<String>,
}

impl Watch {
    pub(crate) fn new(store: &Store, clock: FastClock) -> Self {
        let now = Instant::now();
        Self {
            store: store.clone(),
            clock,
            events: store.events(),
            next: now,
            seen: Seen::default(),
            samples: Vec::new(),
            sampled: now,
            restarts_before: 0,
            longest_backup: Duration::ZERO,
            complaints: Vec::new(),
        }
    }

    /// Looks, if it is time to.
    pub(crate) async fn look(&mut self) -> Result<()> {
        self.hear();
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + EVERY;
        let health = self.store.health().await?;
        self.seen.wal_bytes = self.seen.wal_bytes.max(health.wal_bytes);
        self.seen.file_bytes = health.file_bytes;
        self.seen.wal_restarts = health.writer.wal_restarts - self.restarts_before;
        if now >= self.sampled + Duration::from_secs(1) {
            self.sampled = now;
            self.seen.sample = Sample {
                memory: process::memory(),
                open_files: process::open_files(),
                threads: process::threads(),
            };
            self.samples.push(self.seen.sample);
        }
        Ok(())
    }

    /// What was seen since the last row ended.
    pub(crate) fn end_row(&mut self) -> Seen {
        let ended = self.seen.clone();
        self.seen = Seen {
            sample: ended.sample,
            ..Seen::default()
        };
        ended
    }

    /// Forgets what was before the run.
    pub(crate) fn begin(&mut self) {
        self.restarts_before = self.end_row().wal_restarts;
        self.samples.clear();
        // The clock was put forward while some of them were made.
        self.longest_backup = Duration::ZERO;
    }

    fn hear(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.take(event),
                Err(TryRecvError::Lagged(missed)) => {
                    let complaint = format!("{missed} events of the store were missed");
                    self.complaints.push(complaint);
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn take(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::BackupDone(report) => {
                self.seen.backups += 1;
                let took = self.clock.real_since(report.at);
                self.longest_backup = self.longest_backup.max(took);
            }
            StoreEvent::DrillDone(_) => self.seen.drills += 1,
            StoreEvent::SessionsExpired { sessions } => self.seen.expired += sessions as u64,
            // Judged by its size, at the end.
            StoreEvent::WalOverCeiling { .. } => {}
            StoreEvent::BackupFailed(error) => self.complain("a backup failed", &error),
            StoreEvent::DrillFailed(error) => self.complain("a drill failed", &error),
            StoreEvent::RollupsDiffer { rows } => {
                self.complain("the rollups differ", &format_args!("{rows} rows"));
            }
            other => eprintln!("{other:?}"),
        }
    }

    fn complain(&mut self, what: &str, why: &dyn std::fmt::Display) {
        self.complaints.push(format!("{what}: {why}"));
    }
}
