//! Point reads on the caller's thread, if [`Config::point_reads`](crate::Config::point_reads) says so.
//!
//! A query is handed to a reader, and its answer back, in some 10 µs, which is several times what a short query
//! takes. So a caller may run its query itself, on a connection that nobody uses at the moment, under the rules of
//! a reader: the gates, the deadline, the guard, the boundary of panics, the row cache. It never waits, neither
//! for a connection nor at a gate, and SQLite stops it after [`BUDGET`]; then the query goes to the readers as if
//! nothing had happened, since it has changed nothing.
//!
//! A connection for each thread of the host was turned down: the store does not know how many there are.

use super::job::ReadJob;
use super::read_connection::ReadConnection;
use super::shared::Shared;
use super::snapshots::SnapshotSlot;
use crate::config::{Config, PointReads};
use crate::error::Result;
use crate::panics::caught;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long SQLite works on a query on its caller's thread: ten times what a usual point read takes, and too short
/// for the tasks beside it to notice.
const BUDGET: Duration = Duration::from_micros(200);

/// The connections for reads on callers' threads.
pub(super) struct CallersReads {
    seats: Box<[Seat]>,
    /// Whether a seat has lost its connection. A reader opens the next one: a caller must not wait for the disk.
    vacant: AtomicBool,
    closed: AtomicBool,
}

struct Seat {
    connection: Mutex<Option<ReadConnection>>,
    slot: SnapshotSlot,
    answered: AtomicU64,
    cut: AtomicU64,
}

/// What the run of a query came to.
enum Ran {
    /// It has its outcome.
    ToTheEnd,
    /// It was interrupted, and has to be run again.
    Cut,
    /// It did not begin.
    Not,
}

impl CallersReads {
    /// As many connections as there are readers, or none.
    pub(super) fn open(shared: &Shared, config: &Config) -> Result<Self> {
        let seats = match config.point_reads {
            PointReads::OnReaders => 0,
            PointReads::OnCallersThread => config.readers,
        };
        let seat = |_| {
            Ok(Seat {
                connection: Mutex::new(Some(ReadConnection::open(shared)?)),
                slot: shared.snapshots.add(),
                answered: AtomicU64::new(0),
                cut: AtomicU64::new(0),
            })
        };
        Ok(Self {
            seats: (0..seats).map(seat).collect::<Result<_>>()?,
            vacant: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Runs the query; returns whether it has its outcome. If not, it has to be sent to a reader.
    pub(super) fn run(&self, shared: &Shared, job: &mut dyn ReadJob, deadline: Instant) -> bool {
        for seat in &self.seats {
            let Some(mut connection) = seat.connection.try_lock() else {
                continue;
            };
            let Some(open) = &*connection else { continue };
            let ran = caught(|| seat.run(open, shared, job, deadline));
            let error = job.error();
            let in_doubt = ran.is_none() || open.is_in_doubt(error);
            if let Some(error) = error {
                shared.disk.note(error);
            }
            if in_doubt {
                shared.metrics.reconnects.count();
                self.vacant.store(true, Relaxed);
                *connection = None;
            }
            // Closing has passed by while the query ran.
            if self.closed.load(Relaxed) {
                *connection = None;
            }
            return matches!(ran, Some(Ran::ToTheEnd));
        }
        false
    }

    /// Opens a connection for each seat that has lost its own. A reader does this between two queries.
    pub(super) fn fill_seats(&self, shared: &Shared) {
        if !self.vacant.load(Relaxed) || !self.vacant.swap(false, Relaxed) {
            return;
        }
        for seat in &self.seats {
            let Some(mut connection) = seat.connection.try_lock() else {
                continue;
            };
            if connection.is_some() || self.closed.load(Relaxed) {
                continue;
            }
            match ReadConnection::open(shared) {
                Ok(open) => *connection = Some(open),
                Err(error) => {
                    shared.disk.note(&error);
                    self.vacant.store(true, Relaxed);
                }
            }
        }
    }

    /// Closes the connections that nobody uses; returns whether all are closed. Those in use close when their
    /// query ends.
    pub(super) fn close(&self) -> bool {
        self.closed.store(true, Relaxed);
        let close = |seat: &Seat| match seat.connection.try_lock() {
            Some(mut connection) => {
                *connection = None;
                true
            }
            None => false,
        };
        // All of them, and not only up to the first that is in use.
        self.seats.iter().filter(|seat| !close(seat)).count() == 0
    }

    /// How many queries were answered on their callers' threads, and how many were interrupted there.
    pub(super) fn counts(&self) -> (u64, u64) {
        let sum =
            |of: fn(&Seat) -> &AtomicU64| self.seats.iter().map(|s| of(s).load(Relaxed)).sum();
        (sum(|seat| &seat.answered), sum(|seat| &seat.cut))
    }
}

impl Seat {
    fn run(
        &self,
        open: &ReadConnection,
        shared: &Shared,
        job: &mut dyn ReadJob,
        deadline: Instant,
    ) -> Ran {
        let Some(inside) = shared.gates.try_enter_point() else {
            return Ran::Not;
        };
        let Ok(snapshot) = open.begin(shared, &self.slot, inside, job.name()) else {
            return Ran::Not;
        };
        let until = deadline.min(snapshot.since() + BUDGET);
        let interrupted = snapshot.run(job, until);
        // After some errors no statement works, neither this one.
        if snapshot.end().is_err() && job.error().is_none() {
            return Ran::Not;
        }
        // Nobody else counts here: the seat is locked.
        let count = |counter: &AtomicU64| counter.store(counter.load(Relaxed) + 1, Relaxed);
        match interrupted {
            true => {
                count(&self.cut);
                Ran::Cut
            }
            false => {
                count(&self.answered);
                Ran::ToTheEnd
            }
        }
    }
}
