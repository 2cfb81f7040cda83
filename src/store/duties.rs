//! The duties that the store gives its engine, which knows no table and no operation.

use crate::config::Config;
use crate::domain::interactions::SweepKeys;
use crate::domain::limits::{AreSpenders, Level, LookAtSpenders};
use crate::domain::rollups::ReconcileRollups;
use crate::domain::sessions::ExpireIdle;
use crate::domain::tokens::RecordUses;
use crate::engine::{Duty, Entry, Handle};
use crate::events::StoreEvent;
use crate::schedule::{Done, Ran, RecordClock};
use crate::time::Zone;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `zone` is the one in which the store's days are.
pub(super) fn of(config: &Config, zone: Zone) -> Vec<Duty> {
    let schedules = config.schedules.iter().cloned();
    let mut duties: Vec<_> = schedules
        .map(|schedule| Duty::scheduled(schedule.in_days_of(zone), announce))
        .collect();
    let older_than = config.idempotency_retention;
    duties.push(Duty::upkeep(
        "sweep idempotency keys",
        between_sweeps(older_than),
        move |handle| sweep_keys(handle, older_than),
    ));
    // So that a clock in doubt is still in doubt after a restart.
    duties.push(Duty::upkeep("remember the clock", MINUTE, remember_clock));
    duties.push(Duty::unrecorded("record uses", MINUTE, record_uses));
    let optimize = async |handle: Arc<Handle>| handle.optimize().await;
    duties.push(Duty::upkeep("PRAGMA optimize", DAY, optimize));
    duties.push(Duty::look("limits", look_at_limits));
    if let Some(every) = config.reconcile_every {
        duties.push(Duty::upkeep("compare rollups", every, compare_rollups));
    }
    duties
}

/// A sweep reads the whole table of keys. At an eighth of the retention, each key is read eight times before it is
/// deleted, however many there are.
fn between_sweeps(retention: Duration) -> Duration {
    (retention / 8).clamp(MINUTE, DAY)
}

async fn sweep_keys(handle: Arc<Handle>, older_than: Duration) -> crate::Result<()> {
    let sweep = SweepKeys::new(older_than);
    handle.write(sweep, Entry::Waits).await.map(|_| ())
}

async fn remember_clock(handle: Arc<Handle>) -> crate::Result<()> {
    let record = handle.shared.clock_watch.record();
    handle.write(RecordClock(record), Entry::Waits).await
}

/// What is noted stays so until it is written.
async fn record_uses(handle: Arc<Handle>) -> crate::Result<()> {
    let noted = &handle.shared.uses;
    let uses: Arc<[_]> = noted.noted().into();
    if !uses.is_empty() {
        let record = RecordUses(Arc::clone(&uses));
        handle.write(record, Entry::Waits).await?;
        noted.written(&uses);
    }
    Ok(())
}

/// Tells of limits that are reached.
async fn look_at_limits(handle: Arc<Handle>) -> crate::Result<()> {
    while handle.read(AreSpenders, Entry::Waits).await? {
        let looked = handle.write(LookAtSpenders, Entry::Waits).await?;
        for (level, notice) in looked.notices {
            let event = match level {
                Level::Near => StoreEvent::LimitNear(notice),
                Level::Reached => StoreEvent::LimitReached(notice),
            };
            handle.shared.subscribers.send_or_keep(event);
        }
        if !looked.goes_on {
            break;
        }
    }
    Ok(())
}

async fn compare_rollups(handle: Arc<Handle>) -> crate::Result<()> {
    let rows = handle
        .read(ReconcileRollups, Entry::Waits)
        .await?
        .differences;
    if rows > 0 {
        let event = StoreEvent::RollupsDiffer { rows };
        // The first comparison may end before a host has subscribed.
        handle.shared.subscribers.send_or_keep(event);
        tracing::warn!(rows, "the rollups differ from a full count");
    }
    Ok(())
}

/// The event that reports a scheduled mutation, if any.
fn announce(done: &Done) -> Option<StoreEvent> {
    let &Ran(sessions) = done.downcast_ref::<Ran<ExpireIdle>>()?;
    (sessions > 0).then_some(StoreEvent::SessionsExpired { sessions })
}
