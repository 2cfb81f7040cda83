//! What the supervisor keeps an eye on, and tells the subscribers of.

use super::Dispatch;
use super::supervisor::one_at_a_time;
use super::writer::{Probe, Writer};
use crate::events::StoreEvent;
use crate::files;
use actix::Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Looks between two at the space on the disk.
const SPACE_PAUSE: u32 = 9;

/// Looks how much space is left on the disk.
pub(super) struct DiskSpaceWatch {
    folder: PathBuf,
    low_bytes: u64,
    /// Looks to leave out.
    pause: u32,
    is_low: bool,
}

impl DiskSpaceWatch {
    pub(super) fn new(path: &Path, low_bytes: u64) -> Self {
        Self {
            folder: files::folder_of(path).to_owned(),
            low_bytes,
            pause: 0,
            is_low: false,
        }
    }

    /// Tells once when there is little, and again only after there was more.
    pub(super) fn look(&mut self, dispatch: &Dispatch) {
        if self.low_bytes == 0 || self.pause > 0 {
            self.pause = self.pause.saturating_sub(1);
            return;
        }
        self.pause = SPACE_PAUSE;
        let Ok(free_bytes) = files::free_bytes(&self.folder) else {
            return;
        };
        let was_low = std::mem::replace(&mut self.is_low, free_bytes < self.low_bytes);
        if self.is_low && !was_low {
            tracing::warn!(free_bytes, "the disk is nearly full");
            dispatch
                .subscribers
                .tell(StoreEvent::DiskNearlyFull { free_bytes });
        }
    }
}

/// Looks whether the disk does what it is asked. Telling at the failure itself was turned down: where
/// small changes fit on a disk and large ones do not, there would be an event for each.
#[derive(Default)]
pub(super) struct TroubleWatch {
    told: bool,
    told_damage: bool,
    probing: Arc<AtomicBool>,
}

impl TroubleWatch {
    pub(super) fn look(&mut self, dispatch: &Dispatch, writer: &Addr<Writer>) {
        let metrics = &dispatch.metrics;
        if let Some(damage) = metrics.damage().filter(|_| !self.told_damage) {
            self.told_damage = true;
            tracing::error!(error = %damage, "the file is damaged");
            dispatch.subscribers.tell(StoreEvent::Damaged(damage));
        }
        match metrics.take_trouble() {
            Some(error) if !self.told => {
                self.told = true;
                tracing::warn!(%error, "the disk fails");
                dispatch.subscribers.tell(StoreEvent::Failing(error));
            }
            None if self.told && !metrics.is_ailing() => {
                self.told = false;
                tracing::info!("the disk works again");
                dispatch.subscribers.tell(StoreEvent::Recovered);
            }
            _ => {}
        }
        // Whoever else has nothing to write would not find out.
        if metrics.is_ailing() && !dispatch.is_closing() {
            let writer = writer.clone();
            // A disk may take half a minute to fail.
            one_at_a_time(&self.probing, async move {
                usize::from(writer.send(Probe).await.is_ok())
            });
        }
    }
}
