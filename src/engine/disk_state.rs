//! What the disk under the file allows the store to do. This decides; mere counters are in `metrics`.

use crate::error::{Error, ErrorKind};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The state of the disk when it was last used.
#[derive(Default)]
pub(crate) struct DiskState {
    /// Whether the disk made the last transaction fail.
    failing: AtomicBool,
    /// Whether a checkpoint could not sync the file.
    no_checkpoint: AtomicBool,
    reported: Mutex<Reported>,
}

/// The errors that the disk, or SQLite about the file, has reported.
#[derive(Default)]
struct Reported {
    last_error: Option<Error>,
    /// Whether the last error came since the last call of `take_news`.
    is_news: bool,
    damage: Option<Error>,
}

impl DiskState {
    /// Records an error, if it is one of the disk.
    pub(super) fn note(&self, error: &Error) {
        if !error.is_of_the_disk() {
            return;
        }
        let mut reported = self.reported.lock();
        reported.last_error = Some(error.clone());
        // The other pages can still be written.
        if error.kind() == ErrorKind::Corrupt {
            reported.damage = Some(error.clone());
        } else {
            reported.is_news = true;
            self.failing.store(true, Relaxed);
        }
    }

    /// Records a failed checkpoint.
    ///
    /// After a failed fsync the kernel may have dropped the dirty pages, and SQLite will not copy them
    /// again until the WAL index is rebuilt. So no checkpoint runs from then on, and the WAL, which has
    /// all pages, is kept until the next opening.
    pub(super) fn note_failed_checkpoint(&self, error: Error) {
        if !error.is_failed_sync() {
            return self.note(&error);
        }
        self.no_checkpoint.store(true, Relaxed);
        let kept = "a checkpoint could not sync the file, so its WAL is kept, and grows, until the \
                    store is opened again";
        self.note(&error.because(ErrorKind::Io, kept));
    }

    /// Forbids checkpoints, because the WAL does not contain what was written into it.
    pub(super) fn forbid_checkpoints(&self) {
        self.no_checkpoint.store(true, Relaxed);
    }

    /// Records that something was written and synced.
    pub(super) fn note_written(&self) {
        self.failing.store(false, Relaxed);
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    /// Whether checkpoints may run.
    pub(super) fn allows_checkpoints(&self) -> bool {
        !self.no_checkpoint.load(Relaxed)
    }

    /// The damage that was found.
    pub(crate) fn damage(&self) -> Option<Error> {
        self.reported.lock().damage.clone()
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.reported.lock().last_error.clone()
    }

    /// The last failure, if it came since the last call.
    pub(super) fn take_news(&self) -> Option<Error> {
        let mut reported = self.reported.lock();
        let is_news = std::mem::take(&mut reported.is_news);
        reported.last_error.clone().filter(|_| is_news)
    }

    /// Whether the disk works, checkpoints may run, and no damage was found.
    pub(super) fn is_healthy(&self) -> bool {
        !self.is_failing() && self.allows_checkpoints() && self.damage().is_none()
    }
}
