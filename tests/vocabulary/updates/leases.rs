//! For how long an update is somebody's, whatever the clock does, and what one who was overtaken may still do.

use super::{LEASE, claim, claimed, finish, first, is_held, without_sweeps};
use crate::support::{ADA, DAY, HOUR, MICRO, changes_nothing, picture, refused};
use botstore::ErrorKind::Conflict;
use botstore::interactions::SweepKeys;
use botstore::updates::{Claim, FinishUpdate, MAX_LEASE, MIN_LEASE, ReleaseUpdate, Ticket};
use botstore::{Mutation, Result, WriteTx};

#[tokio::test]
async fn when_a_lease_has_run_out_one_other_gets_the_update() {
    for lease in [MIN_LEASE, LEASE, MAX_LEASE] {
        let store = without_sweeps().await;
        first(&store, claim(1).lease(lease)).await;
        store.clock().advance(lease - MICRO);
        let until = store.now() + MICRO;
        assert_eq!(claimed(&store, claim(1)).await, Claim::Held { until });
        store.clock().advance(MICRO);
        let ticket = first(&store, claim(1)).await;
        assert!(is_held(&claimed(&store, claim(1)).await));
        finish(&store, &ticket).await;
        assert_eq!(claimed(&store, claim(1)).await, Claim::Seen);
    }
}

#[tokio::test]
async fn who_was_overtaken_neither_finishes_nor_releases_the_others_claim() {
    let store = without_sweeps().await;
    let slow = first(&store, claim(1)).await;
    store.clock().advance(LEASE);
    let quick = first(&store, claim(1)).await;
    assert_ne!(slow.number, quick.number);
    let overtaken = async || {
        refused(&store, FinishUpdate::new(slow.clone()), Conflict, "ticket").await;
        refused(&store, ReleaseUpdate::new(slow.clone()), Conflict, "ticket").await;
    };
    overtaken().await;
    assert!(is_held(&claimed(&store, claim(1)).await));
    finish(&store, &quick).await;
    overtaken().await;
    // Nor what it does with it in one transaction.
    let done = Done(slow.clone());
    assert_eq!(store.write(done).await.map_err(|e| e.kind()), Err(Conflict));
    let sessions = picture(&store).await.remove("sessions").expect("sessions");
    assert_eq!(sessions.len(), 2);
}

/// An operation of a host's, which makes a session when an update is done.
struct Done(Ticket);

impl Mutation for Done {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let session = botstore::sessions::CreateSession::new(ADA, "made", "/");
        tx.apply(&session)?;
        tx.apply(&FinishUpdate::new(self.0.clone()))
    }
}

#[tokio::test]
async fn who_is_late_and_was_not_overtaken_finishes_all_the_same() {
    let store = without_sweeps().await;
    let late = first(&store, claim(1)).await;
    store.clock().advance(100 * LEASE);
    finish(&store, &late).await;
    assert_eq!(claimed(&store, claim(1)).await, Claim::Seen);
    // Also when the claim was forgotten.
    let late = first(&store, claim(2)).await;
    store.clock().advance(DAY);
    store.write(SweepKeys::new(HOUR)).await.expect("a sweep");
    finish(&store, &late).await;
    changes_nothing(&store, FinishUpdate::new(late)).await;
    assert_eq!(claimed(&store, claim(2)).await, Claim::Seen);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_ends_no_lease_and_lengthens_none() {
    let store = without_sweeps().await;
    let right = store.now();
    let ticket = first(&store, claim(1)).await;
    store.clock().set(right + 365 * DAY);
    let until = right + LEASE;
    assert_eq!(claimed(&store, claim(1)).await, Claim::Held { until });
    // What is claimed now is no longer held than else.
    let second = first(&store, claim(2)).await;
    store.clock().set(right);
    for update_id in [1, 2] {
        let held = claimed(&store, claim(update_id)).await;
        assert_eq!(held, Claim::Held { until });
    }
    store.clock().set(right + 365 * DAY);
    store.clock().advance(LEASE);
    first(&store, claim(1)).await;
    refused(&store, FinishUpdate::new(ticket), Conflict, "ticket").await;
    finish(&store, &second).await;
}

#[tokio::test]
async fn after_a_clock_was_set_back_nobody_waits_longer_than_a_lease() {
    let store = without_sweeps().await;
    let ticket = first(&store, claim(1)).await;
    store.clock().set(store.now() - 365 * DAY);
    let until = store.now() + LEASE;
    assert_eq!(claimed(&store, claim(1)).await, Claim::Held { until });
    store.clock().advance(LEASE - MICRO);
    assert_eq!(claimed(&store, claim(1)).await, Claim::Held { until });
    // Whose it is may still finish it.
    finish(&store, &ticket).await;
    let ticket = first(&store, claim(2)).await;
    store.clock().set(store.now() - 365 * DAY);
    assert!(is_held(&claimed(&store, claim(2)).await));
    store.clock().advance(LEASE);
    first(&store, claim(2)).await;
    refused(&store, FinishUpdate::new(ticket), Conflict, "ticket").await;
}
