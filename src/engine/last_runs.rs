//! What came of the last backup and the last drill.

use super::shared::Shared;
use crate::archive::DrillReport;
use crate::error::Error;
use crate::events::{BackupReport, LastRun, StoreEvent};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// What the backup worker does.
#[derive(Clone, Copy)]
pub(super) enum Doing {
    Backup,
    Drill,
}

/// What came of the last backup and the last drill, and when the next backup is due.
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

    /// Keeps for `health` that it failed, and tells the subscribers.
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
        shared.subscribers.tell(event);
    }
}

impl LastRuns {
    /// Since when a scheduled backup has been due, if one is.
    pub(crate) fn backup_due_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.backup_due.lock().filter(|&due| due <= now)
    }

    /// One is due from then on; and if one is due already, since then.
    pub(super) fn backup_is_due_from(&self, due: DateTime<Utc>) {
        let mut since = self.backup_due.lock();
        *since = Some(since.map_or(due, |since| since.min(due)));
    }

    /// One was made, so the next is due then.
    pub(super) fn backup_is_next_due(&self, due: DateTime<Utc>) {
        *self.backup_due.lock() = Some(due);
    }
}
