//! Whether this is the process that opened the store. In one that was forked from it there is no actor that
//! would answer, SQLite's locks are not held, and whatever lock of ours another thread held at that moment is
//! never released.

use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long an answer of the system's is good for where it costs as much as what it guards. No process is
/// forked and running in as short a time.
const FRESH: Duration = Duration::from_micros(10);

/// The process that opened the store.
pub(super) struct OwnProcess {
    number: u32,
    since: Instant,
    /// When it was last found to be this one, in nanoseconds.
    found: AtomicU64,
}

impl OwnProcess {
    pub(super) fn this() -> Self {
        Self {
            number: std::process::id(),
            since: Instant::now(),
            found: AtomicU64::new(0),
        }
    }

    /// Asks the system for its number, which takes it 0.1 to 0.3 µs: nothing beside a query or a commit. A
    /// flag that `pthread_atfork` sets was turned down, since it takes unsafe code and is global.
    pub(super) fn is_forked(&self) -> bool {
        self.number != std::process::id()
    }

    /// The same for answers from the row cache, of which there are millions a second.
    pub(super) fn is_forked_at(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.since).as_nanos() as u64;
        let found = self.found.load(Ordering::Relaxed);
        if now.saturating_sub(found) < FRESH.as_nanos() as u64 && found > 0 {
            return false;
        }
        if self.is_forked() {
            return true;
        }
        self.found.store(now, Ordering::Relaxed);
        false
    }

    /// # Errors
    /// [`Closed`](ErrorKind::Closed) in a forked child.
    pub(super) fn check(&self) -> Result<()> {
        if !self.is_forked() {
            return Ok(());
        }
        let why = format!(
            "the store is open in process {}, and not in this one, which was forked from it; nothing was \
             carried out. Fork first, and open the store then",
            self.number
        );
        Err(Error::new(ErrorKind::Closed, why))
    }
}
