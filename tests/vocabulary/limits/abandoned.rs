//! Reservations of which nobody takes care any more, and the counters of users who do not come back.

use super::support::{denied, dollars, exact, granted, limit};
use crate::support::{ADA, BOB, DAY, populated};
use botstore::ErrorKind;
use botstore::interactions::SaveInteraction;
use botstore::limits::{Per, Release, Reserve, Scope, Settled, UserBudget};
use botstore::testing::{TestStore, usd};
use std::time::Duration;

/// How many rows a condition holds for.
async fn rows(store: &TestStore, from: &'static str) -> i64 {
    let count = move |tx: &botstore::ReadTx<'_>| {
        tx.one(&format!("SELECT count(*) FROM {from}"), [], |row| {
            Ok(row.get(0)?)
        })
    };
    store.ask("rows", count).await.unwrap()
}

/// Leaves this many reservations of a cent each, of Ada, that nobody settles. They hold for so long.
async fn abandon(store: &TestStore, many: i64, hold: Duration) {
    let hold = i64::try_from(hold.as_micros()).unwrap();
    let now = store.now().timestamp_micros();
    let insert = move |tx: &botstore::WriteTx<'_>| {
        tx.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO botstore_reservation (user_id, cost, tokens, made_at, until, state)
             SELECT 1, 10000000, 0, ?2, ?3, 'open' FROM n",
            (many, now, now + hold),
        )
    };
    store.transact("abandon", insert).await.unwrap();
}

const OPEN: &str = "botstore_reservation WHERE state = 'open'";

#[tokio::test]
async fn however_many_have_expired_a_request_ends_some_and_is_decided_as_if_all_were() {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    limit(&store, Scope::Everyone, Per::Month, dollars(200.5)).await;
    abandon(&store, 20_000, Duration::from_secs(600)).await;
    denied(&store, BOB, 1.0).await;
    denied(&store, ADA, 1.0).await;
    store.clock().advance(Duration::from_secs(599));
    denied(&store, ADA, 1.0).await;
    exact(&store).await;
    store.clock().advance(Duration::from_secs(1));
    let reservation = granted(&store, ADA, 1.5).await;
    let left = rows(&store, OPEN).await;
    assert!((18_000..20_001).contains(&left), "{left} are open");
    exact(&store).await;
    denied(&store, ADA, 0.6).await;
    assert!(rows(&store, OPEN).await < left);
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(1.5));
    let receipt = store.write(said.reservation(reservation)).await.unwrap();
    assert_eq!(receipt.reservation, Some(Settled::InTime));
    let budgets = store.read(UserBudget::new(ADA)).await.unwrap();
    assert_eq!(budgets[0].left, dollars(0.5));
    exact(&store).await;
    // Requests end all of them in time.
    while rows(&store, OPEN).await > 0 {
        let before = rows(&store, OPEN).await;
        denied(&store, ADA, 0.6).await;
        assert!(rows(&store, OPEN).await < before);
    }
    exact(&store).await;
    granted(&store, ADA, 0.5).await;
}

#[tokio::test]
async fn those_that_are_too_many_are_forgotten_although_older_ones_are_open() {
    let store = populated().await;
    abandon(&store, 1_000, DAY).await;
    let released = |tx: &botstore::WriteTx<'_>| {
        tx.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100200)
             INSERT INTO botstore_reservation (user_id, cost, tokens, made_at, until, state)
             SELECT 1, 0, 0, made_at, until, 'released' FROM n, botstore_reservation WHERE reservation_id = 1",
            [],
        )
    };
    store.transact("release", released).await.unwrap();
    for _ in 0..128 {
        granted(&store, ADA, 0.01).await;
    }
    let left = rows(&store, "botstore_reservation WHERE state = 'released'").await;
    assert_eq!(left, 100_200 - 2 * 128);
    assert_eq!(rows(&store, OPEN).await, 1_000 + 128);
}

#[tokio::test]
async fn a_forgotten_reservation_counts_as_expired_for_everybody_and_one_that_never_was_is_not_found()
 {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(9.0)).await;
    let forgotten = granted(&store, ADA, 0.01).await;
    let said = SaveInteraction::new(ADA, "ada-1", "Hello")
        .cost(usd(0.5))
        .reservation(forgotten);
    let first = store.write(said.clone()).await.unwrap();
    let again = async || {
        for _ in 0..64 {
            granted(&store, BOB, 0.01).await;
        }
        store.write(said.clone()).await.unwrap()
    };
    // For two days the same exchange is known by its reservation.
    store.clock().advance(2 * DAY - Duration::from_secs(1));
    let repeated = again().await;
    assert_eq!(
        (repeated.message_id, repeated.repeated),
        (first.message_id, true)
    );
    store.clock().advance(Duration::from_secs(1));
    let late = again().await;
    assert_eq!(
        (late.repeated, late.reservation),
        (false, Some(Settled::Expired))
    );
    assert_eq!(
        rows(&store, "botstore_reservation WHERE state = 'settled'").await,
        0
    );
    for user in [ADA, BOB] {
        assert!(!store.write(Release::new(user, forgotten)).await.unwrap());
    }
    let never = granted(&store, ADA, 0.01).await.get() + 1;
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").reservation(never);
    let error = store.write(said).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::NotFound, Some("reservation"))
    );
    exact(&store).await;
}

#[tokio::test]
async fn of_users_who_do_not_come_back_no_counter_is_left() {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    for user in 100..120 {
        let reservation = granted(&store, user, 0.5).await;
        store.write(Release::new(user, reservation)).await.unwrap();
    }
    let open = store
        .write(Reserve::new(500, usd(0.5)).expires_in(DAY))
        .await
        .unwrap();
    assert_eq!(rows(&store, "botstore_spent").await, 42);
    store.clock().advance(DAY);
    // Each makes its counters of today, and takes some of yesterday's along.
    for user in 200..210 {
        granted(&store, user, 0.5).await;
    }
    assert_eq!(
        rows(&store, "botstore_spent WHERE who BETWEEN 100 AND 119").await,
        0
    );
    assert_eq!(
        rows(&store, "botstore_spent WHERE who BETWEEN 200 AND 209").await,
        20
    );
    exact(&store).await;
    assert!(open.reservation().is_some());
}
