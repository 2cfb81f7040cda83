//! The outcomes of the last backup and the last drill.

use super::shared::Shared;
use crate::archive::DrillReport;
use crate::error::Error;
use crate::events::{BackupReport, LastRun, StoreEvent};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// The kind of work of the backup worker.
#[derive(Clone, Copy)]
pub(super) enum Doing {
    Backup,
    Drill,
}

/// The outcomes of the last backup and the last drill, and when the next backup is due.
#[derive(Default)]
pub(crate) struct LastRuns {
    pub(crate) backup: Mutex<Option<LastRun<BackupReport>>>,
    pub(crate) drill: Mutex<Option<LastRun<DrillReport>>>,
    backup_due: Mutex<Option<DateTime<Utc>>>,
}

impl Doing {
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Backup => "TakeBackup",
            Self::Drill => "RunDrill",
        }
    }

    /// Records the failure for `health`, and sends the event.
    pub(super) fn note_failed(self, shared: &Shared, error: &Error) {
        let (at, why) = (shared.now(), error.to_string());
        let event = match self {
            Self::Backup => {
                *shared.last_runs.backup.lock() = Some(LastRun::Failed { at, error: why });
                StoreEvent::BackupFailed(error.clone())
            }
            Self::Drill => {
                *shared.last_runs.drill.lock() = Some(LastRun::Failed { at, error: why });
                StoreEvent::DrillFailed(error.clone())
            }
        };
        shared.subscribers.send(event);
    }
}

impl LastRuns {
    /// Since when a scheduled backup has been due, if one is.
    pub(crate) fn backup_due_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.backup_due.lock().filter(|&due| due <= now)
    }

    /// Records that a backup is due from `due` on, or since earlier if one was due already.
    pub(super) fn backup_is_due_from(&self, due: DateTime<Utc>) {
        let mut since = self.backup_due.lock();
        *since = Some(since.map_or(due, |since| since.min(due)));
    }

    /// Records that a backup was made, and when the next is due.
    pub(super) fn backup_is_next_due(&self, due: DateTime<Utc>) {
        *self.backup_due.lock() = Some(due);
    }
}
