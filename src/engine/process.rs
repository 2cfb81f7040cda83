//! Whether this is the process that opened the store. A process that was forked from it has no actors to answer,
//! does not hold SQLite's locks, and never sees a lock released that another thread held at the fork.

use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a result is reused where asking the system costs as much as what it guards. A fork takes longer than
/// this.
const FRESH: Duration = Duration::from_micros(10);

/// The process that opened the store.
pub(super) struct OwnProcess {
    number: u32,
    since: Instant,
    /// When this was last found to be the same process, in nanoseconds since `since`; 0 for never.
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

    /// Asks the system for the process id, which takes 0.1 to 0.3 µs: little compared with a query or a commit. A
    /// flag set by `pthread_atfork` was turned down, since it takes unsafe code and is global.
    pub(super) fn is_forked(&self) -> bool {
        self.number != std::process::id()
    }

    /// The same for answers from the row cache, which gives millions a second.
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
            "the store is open in process {}, and not in this one, which was forked from it; the \
             request was not carried out. Fork first, then open the store",
            self.number
        );
        Err(Error::new(ErrorKind::Closed, why))
    }
}
