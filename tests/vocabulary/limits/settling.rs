//! The end of a reservation.

use super::support::{budget, denied, dollars, exact, granted, limit, reserve};
use crate::support::{ADA, BOB, HOUR, populated, user};
use botstore::ErrorKind;
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::limits::{Decision, Per, Release, Reserve, Scope, Settled};
use botstore::testing::{TestStore, usd};
use std::time::Duration;

async fn limited() -> TestStore {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    store
}

fn said(cost: f64) -> SaveInteraction {
    SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(cost))
}

#[tokio::test]
async fn the_same_exchange_again_counts_once_with_a_key_and_without() {
    for key in [None, Some("update-1")] {
        let store = limited().await;
        let reservation = granted(&store, ADA, 1.0).await;
        let mut said = said(0.5).reservation(reservation);
        said.idempotency_key = key.map(str::to_owned);
        let first = store.write(said.clone()).await.unwrap();
        assert_eq!(
            (first.repeated, first.reservation),
            (false, Some(Settled::InTime))
        );
        let again = store.write(said.clone()).await.unwrap();
        assert_eq!((again.message_id, again.repeated), (first.message_id, true));
        assert_eq!(again.recorded_at, first.recorded_at);
        assert_eq!(budget(&store, ADA).await.spent, dollars(0.5));
        // Another one is saved, and counted.
        said.prompt = "And now?".to_owned();
        said.idempotency_key = None;
        let other = store.write(said).await.unwrap();
        assert_eq!(
            (other.repeated, other.reservation),
            (false, Some(Settled::Before))
        );
        assert_eq!(budget(&store, ADA).await.spent, dollars(1.0));
        exact(&store).await;
    }
}

#[tokio::test]
async fn a_new_reservation_of_an_exchange_that_was_saved_before_is_given_back() {
    let store = limited().await;
    let said = said(0.5).idempotency_key("update-1");
    store.write(said.clone()).await.unwrap();
    let reservation = granted(&store, ADA, 1.5).await;
    denied(&store, ADA, 0.5).await;
    let again = store.write(said.reservation(reservation)).await.unwrap();
    assert!(again.repeated);
    granted(&store, ADA, 1.5).await;
}

#[tokio::test]
async fn another_users_reservation_and_one_that_never_was_are_not_found_and_nothing_changes() {
    let store = limited().await;
    let reservation = granted(&store, BOB, 1.0).await;
    for reservation in [
        reservation,
        999.into(),
        0.into(),
        (-1).into(),
        i64::MAX.into(),
    ] {
        let refused = store
            .write(said(0.5).reservation(reservation))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.kind(), refused.field()),
            (ErrorKind::NotFound, Some("reservation"))
        );
        let add = AddCost::new(ADA, usd(0.5)).reservation(reservation);
        assert_eq!(
            store.write(add).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let release = store.write(Release::new(ADA, reservation)).await;
        assert_eq!(release.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(user(&store, ADA).await.message_count, 0);
    assert_eq!(budget(&store, ADA).await.left, dollars(2.0));
    assert_eq!(budget(&store, BOB).await.reserved, dollars(1.0));
}

#[tokio::test]
async fn what_is_settled_after_its_time_is_recorded_and_said() {
    let store = limited().await;
    let late = granted(&store, ADA, 2.0).await;
    let released = granted(&store, BOB, 2.0).await;
    store.clock().advance(Duration::from_secs(599));
    denied(&store, ADA, 0.1).await;
    store.clock().advance(Duration::from_secs(1));
    granted(&store, ADA, 2.0).await;
    let receipt = store.write(said(1.0).reservation(late)).await.unwrap();
    assert_eq!(receipt.reservation, Some(Settled::Expired));
    assert!(!store.write(Release::new(BOB, released)).await.unwrap());
    let said = SaveInteraction::new(BOB, "bob-1", "Hi").cost(usd(0.5));
    let receipt = store.write(said.reservation(released)).await.unwrap();
    assert_eq!(receipt.reservation, Some(Settled::Expired));
    assert_eq!(budget(&store, ADA).await.spent, dollars(1.0));
    let given_back = granted(&store, BOB, 1.0).await;
    assert!(store.write(Release::new(BOB, given_back)).await.unwrap());
    let said = SaveInteraction::new(BOB, "bob-1", "Ho").cost(usd(0.5));
    let receipt = store.write(said.reservation(given_back)).await.unwrap();
    assert_eq!(receipt.reservation, Some(Settled::Released));
    exact(&store).await;
}

#[tokio::test]
async fn a_settle_above_the_estimate_is_recorded_whole_and_the_next_request_sees_it() {
    let store = limited().await;
    let reservation = granted(&store, ADA, 0.1).await;
    store
        .write(said(5.0).reservation(reservation))
        .await
        .unwrap();
    denied(&store, ADA, 0.0).await;
    let budget = budget(&store, ADA).await;
    assert_eq!((budget.spent, budget.left), (dollars(5.0), dollars(0.0)));
}

#[tokio::test]
async fn a_request_that_is_no_message_settles_too_and_once() {
    let store = limited().await;
    let reservation = granted(&store, ADA, 1.5).await;
    let image = AddCost::new(ADA, usd(0.25)).reservation(reservation);
    for _ in 0..2 {
        store.write(image.clone()).await.unwrap();
    }
    let left = budget(&store, ADA).await;
    assert_eq!((left.spent, left.reserved), (dollars(0.25), dollars(0.0)));
    exact(&store).await;
}

#[tokio::test]
async fn a_limit_that_is_lowered_below_what_is_spent_denies_at_once() {
    let store = limited().await;
    store.write(said(1.0)).await.unwrap();
    granted(&store, ADA, 0.5).await;
    limit(&store, Scope::EachUser, Per::Day, dollars(0.9)).await;
    denied(&store, ADA, 0.0).await;
    // A user's own limit replaces that of each user.
    limit(&store, Scope::User(ADA.into()), Per::Day, dollars(9.0)).await;
    granted(&store, ADA, 7.5).await;
    // The strictest of several decides, and the one is told that holds for longest.
    limit(&store, Scope::Everyone, Per::Month, dollars(1.0)).await;
    let Decision::Denied { which, .. } = reserve(&store, ADA, 1.0).await else {
        panic!()
    };
    assert_eq!(which.scope, Scope::Everyone);
}

#[tokio::test]
async fn a_clock_that_jumps_frees_nothing_before_its_time_and_one_that_is_set_back_not_for_ever() {
    let store = limited().await;
    limit(&store, Scope::EachUser, Per::Ever, dollars(2.0)).await;
    let began = store.clock().clone();
    let now = crate::support::at("2026-03-10 15:30");
    granted(&store, ADA, 2.0).await;
    // Ahead for a moment: the store does not believe it.
    began.set(now + 3 * HOUR);
    denied(&store, ADA, 0.1).await;
    began.set(now);
    denied(&store, ADA, 0.1).await;
    // Set back for good: what was reserved holds for as long again, and no longer.
    began.set(now - 48 * HOUR);
    denied(&store, ADA, 0.1).await;
    began.advance(Duration::from_secs(599));
    denied(&store, ADA, 0.1).await;
    began.advance(Duration::from_secs(1));
    granted(&store, ADA, 2.0).await;
}

#[tokio::test]
async fn many_callers_at_the_limit_overspend_by_no_more_than_their_estimates_were_too_low() {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    limit(&store, Scope::Everyone, Per::Month, dollars(3.0)).await;
    let callers = (0..256_u64).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut too_low = 0.0;
            for n in 0..3_u64 {
                let user = [ADA, BOB][(caller % 2) as usize];
                let decision = store.write(Reserve::new(user, usd(0.05))).await.unwrap();
                let Some(reservation) = decision.reservation() else {
                    continue;
                };
                let actual = [0.05, 0.08, 0.01][((caller + n) % 3) as usize];
                let session = format!("s-{caller}");
                let said = SaveInteraction::new(user, session, format!("{n}")).cost(usd(actual));
                let receipt = store
                    .write(said.creating("/").reservation(reservation))
                    .await
                    .unwrap();
                assert_eq!(receipt.reservation, Some(Settled::InTime));
                too_low += f64::max(actual - 0.05, 0.0);
            }
            too_low
        })
    });
    let mut too_low = 0.0;
    for caller in callers.collect::<Vec<_>>() {
        too_low += caller.await.unwrap();
    }
    let spent = user(&store, ADA).await.total_cost + user(&store, BOB).await.total_cost;
    assert!(
        spent.dollars() <= 3.0 + too_low + 1e-9,
        "{spent}, of which {too_low} too low"
    );
    assert!(spent.dollars() > 2.9, "{spent}");
    exact(&store).await;
}
