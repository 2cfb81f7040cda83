//! Finds out that nothing has been written for a while: then the WAL is copied into the file, however short it is.
//! So the file is whole by itself while a bot is at rest, for a program that copies it and forgets its WAL.
//!
//! Only the supervisor's looks, one a second, do that. A timer that each commit sets anew was turned down: the writer
//! would pay for it. So was the store's clock: it may stand still or jump.

use super::shared::Shared;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long nothing must have been written.
const QUIET: Duration = Duration::from_secs(3);

/// The longest pause before another try, if something could not be copied.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct IdleWatch {
    /// The last look that found something written.
    quiet_since: Instant,
    /// Whether the WAL may have what the file does not.
    uncopied: bool,
    not_before: Option<Instant>,
    /// How long the pause is if the next try leaves something: twice as long each time.
    pause: Duration,
}

impl IdleWatch {
    pub(super) fn new() -> Self {
        Self {
            quiet_since: Instant::now(),
            // Opening has written.
            uncopied: true,
            not_before: None,
            pause: QUIET,
        }
    }

    /// Looks once. Returns true if it has ordered a checkpoint, which the caller has to send for.
    pub(super) fn look(&mut self, shared: &Shared) -> bool {
        let now = Instant::now();
        if shared.checkpoints.written.swap(false, Ordering::Relaxed) {
            self.quiet_since = now;
            self.uncopied = true;
        }
        let is_due = self.uncopied
            && now - self.quiet_since >= QUIET
            && self.not_before.is_none_or(|then| now >= then);
        let ordered = is_due && may_copy(shared) && shared.checkpoints.order();
        if ordered {
            self.uncopied = false;
        }
        ordered
    }

    /// Records how the checkpoint ended. If a query, a backup or the disk kept it from copying everything, it is
    /// tried again, but less and less often: the reason may last for hours.
    pub(super) fn note(&mut self, copied_all: bool) {
        if copied_all {
            self.not_before = None;
            self.pause = QUIET;
            return;
        }
        self.uncopied = true;
        self.not_before = Some(Instant::now() + self.pause);
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
    }
}

/// Whether the file can take it, and may: what is in the place of a file that was replaced or emptied is not the
/// store's.
fn may_copy(shared: &Shared) -> bool {
    let disk = &shared.disk;
    shared.config.copies_at_rest()
        && disk.allows_checkpoints()
        && !disk.is_failing()
        && shared.files.check().is_ok()
}
