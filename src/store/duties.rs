//! What the store has its engine do: the engine knows no table and no operation.

use crate::config::Config;
use crate::domain::interactions::SweepKeys;
use crate::domain::rollups::ReconcileRollups;
use crate::domain::sessions::ExpireIdle;
use crate::engine::{Duties, Handle, Upkeep};
use crate::events::StoreEvent;
use crate::schedule::{Done, RecordClock};
use crate::time::ClockRecord;
use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn of(config: &Config, clock: ClockRecord) -> Duties {
    let older_than = config.idempotency_retention;
    let mut upkeep = vec![
        Upkeep::new("sweep idempotency keys", MINUTE, move |handle| {
            sweep_keys(handle, older_than)
        }),
        Upkeep::new("PRAGMA optimize", DAY, async |handle: Arc<Handle>| {
            handle.optimize().await
        }),
    ];
    if let Some(every) = config.reconcile_every {
        upkeep.push(Upkeep::new("compare rollups", every, compare_rollups));
    }
    Duties {
        upkeep,
        clock,
        announce,
    }
}

async fn sweep_keys(handle: Arc<Handle>, older_than: Duration) -> crate::Result<()> {
    handle.write(SweepKeys { older_than }).await?;
    // As often: what is doubted is remembered over a restart.
    let record = handle.shared.clock_watch.record();
    handle.write(RecordClock(record)).await
}

async fn compare_rollups(handle: Arc<Handle>) -> crate::Result<()> {
    let rows = handle.read(ReconcileRollups).await?.differences;
    if rows > 0 {
        let event = StoreEvent::RollupsDiffer { rows };
        handle.shared.subscribers.tell(event);
        tracing::warn!(rows, "the rollups are not what a full count says");
    }
    Ok(())
}

/// The event that a scheduled mutation is worth.
fn announce(done: &Done) -> Option<StoreEvent> {
    let &sessions = done.output.downcast_ref::<usize>()?;
    (done.mutation == TypeId::of::<ExpireIdle>() && sessions > 0)
        .then_some(StoreEvent::SessionsExpired { sessions })
}
