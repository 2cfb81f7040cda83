//! Watches the clock, and reports a jump ahead.

use super::shared::Shared;
use crate::events::StoreEvent;

#[derive(Default)]
pub(super) struct ClockReport {
    is_reported: bool,
}

impl ClockReport {
    /// Reports each jump once. Ignores a clock that panics.
    pub(super) fn look(&mut self, shared: &Shared) {
        if shared.clock_watch.look(&*shared.config.clock).is_err() {
            return;
        }
        let ahead = shared.clock_watch.ahead();
        let was_reported = std::mem::replace(&mut self.is_reported, ahead.is_some());
        if let Some(by) = ahead.filter(|_| !was_reported) {
            let event = StoreEvent::ClockAhead { by };
            shared.subscribers.send_or_keep(event);
            tracing::warn!(?by, "the clock is ahead of the time that has passed");
        }
    }
}
