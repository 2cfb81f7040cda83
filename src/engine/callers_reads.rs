//! Point reads on the caller's thread, if [`Config::point_reads`](crate::Config::point_reads) says so.
//!
//! A query is handed to a reader, and its answer back, in some 10 µs, which is several times what a short query
//! takes. So a caller may run its query itself, on a connection that nobody uses at the moment, under the rules of
//! a reader: the gates, the deadline, the guard, the boundary of panics, the row cache. It never waits, neither
//! for a connection nor at a gate nor for a lock, and SQLite stops it after [`BUDGET`]; then the query goes to the
//! readers as if nothing had happened, since it has changed nothing.
//!
//! A connection for each thread of the host was turned down: the store does not know how many there are.

use super::job::ReadJob;
use super::read_connection::ReadConnection;
use super::shared::Shared;
use super::snapshots::SnapshotSlot;
use crate::config::{Config, PointReads};
use crate::error::{Error, ErrorKind, Result};
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
    /// Whether a seat needs a reader: because it has lost its connection, or because a query was cut.
    neglected: AtomicBool,
    closed: AtomicBool,
}

struct Seat {
    /// `None` after one that was in doubt. A reader opens the next one: a caller must not wait for the disk.
    connection: Mutex<Option<ReadConnection>>,
    /// Whether the last query was cut. It may be that SQLite had to read the schema first, as after a change by
    /// another program. A reader does that in time for the next query, which would be cut again.
    was_cut: AtomicBool,
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
                connection: Mutex::new(Some(connect(shared)?)),
                was_cut: AtomicBool::new(false),
                slot: shared.snapshots.add(),
                answered: AtomicU64::new(0),
                cut: AtomicU64::new(0),
            })
        };
        Ok(Self {
            seats: (0..seats).map(seat).collect::<Result<_>>()?,
            neglected: AtomicBool::new(false),
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
                *connection = None;
            }
            let was_cut = matches!(ran, Some(Ran::Cut));
            seat.was_cut.store(was_cut, Relaxed);
            if in_doubt || was_cut {
                self.neglected.store(true, Relaxed);
            }
            // Closing has passed by while the query ran.
            if self.closed.load(Relaxed) {
                *connection = None;
            }
            return matches!(ran, Some(Ran::ToTheEnd));
        }
        false
    }

    /// Does what callers leave to a reader, which calls this between two queries.
    pub(super) fn tend(&self, shared: &Shared) {
        if !self.neglected.load(Relaxed) || !self.neglected.swap(false, Relaxed) {
            return;
        }
        for seat in &self.seats {
            let Some(mut connection) = seat.connection.try_lock() else {
                // It is in use; the next time.
                self.neglected.store(true, Relaxed);
                continue;
            };
            if self.closed.load(Relaxed) {
                return;
            }
            let tended = match &*connection {
                None => connect(shared).map(|open| *connection = Some(open)),
                Some(open) if seat.was_cut.swap(false, Relaxed) => open.read_schema(),
                Some(_) => continue,
            };
            if let Err(error) = tended {
                shared.disk.note(&error);
                *connection = None;
                self.neglected.store(true, Relaxed);
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

fn connect(shared: &Shared) -> Result<ReadConnection> {
    let open = ReadConnection::open(shared)?.impatient()?;
    open.read_schema()?;
    Ok(open)
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
        let ended = snapshot.end();
        // After some errors no statement works, neither this one. And a reader may wait for a lock.
        let to_the_end = match job.error().map(Error::kind) {
            None => ended.is_ok(),
            Some(kind) => kind != ErrorKind::Busy,
        };
        if !to_the_end {
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
