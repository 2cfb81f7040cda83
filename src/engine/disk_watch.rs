//! The supervisor's watch on the disk: its free space, and whether it works.

use super::due::Due;
use super::shared::Shared;
use crate::events::StoreEvent;
use crate::files;
use std::time::Duration;

/// How often to check the free space.
const SPACE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct DiskWatch {
    space: Due,
    space_is_low: bool,
    failing_reported: bool,
    damage_reported: bool,
}

impl DiskWatch {
    pub(super) fn new() -> Self {
        Self {
            space: Due::every(SPACE_EVERY),
            space_is_low: false,
            failing_reported: false,
            damage_reported: false,
        }
    }

    /// Reports once that little space is left, and again only after there was more.
    pub(super) fn look_for_space(&mut self, shared: &Shared) {
        let low_bytes = shared.config.disk_low_bytes;
        let now = shared.now();
        if low_bytes == 0 || !self.space.is_due(now) {
            return;
        }
        self.space.ran(now);
        let Ok(free_bytes) = files::free_bytes(files::folder_of(&shared.path)) else {
            return;
        };
        let was_low = std::mem::replace(&mut self.space_is_low, free_bytes < low_bytes);
        if self.space_is_low && !was_low {
            let event = StoreEvent::DiskNearlyFull { free_bytes };
            shared.subscribers.send(event);
            tracing::warn!(free_bytes, "the disk is nearly full");
        }
    }

    /// Reports what the disk did wrong. Reporting each failure when it happens was turned down: if small changes
    /// fit on a disk and large ones do not, there would be an event for each.
    pub(super) fn look_at_state(&mut self, shared: &Shared) {
        let damage = shared.disk.damage();
        if let Some(damage) = damage.filter(|_| !self.damage_reported) {
            self.damage_reported = true;
            shared.subscribers.send(StoreEvent::Damaged(damage.clone()));
            tracing::error!(error = %damage, "the file is damaged");
        }
        match shared.disk.take_news() {
            Some(error) if !self.failing_reported => {
                self.failing_reported = true;
                shared.subscribers.send(StoreEvent::Failing(error.clone()));
                tracing::warn!(%error, "the disk fails");
            }
            None if self.failing_reported && !shared.disk.is_failing() => {
                self.failing_reported = false;
                shared.subscribers.send(StoreEvent::Recovered);
                tracing::info!("the disk works again");
            }
            _ => {}
        }
    }
}
