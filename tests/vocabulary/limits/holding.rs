//! What is granted and what is denied.

use super::support::{budget, denied, dollars, exact, granted, limit, reserve};
use crate::support::{ADA, BOB, populated};
use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Decision, Per, Scope, SetLimit};
use botstore::rusqlite::Connection;
use botstore::testing::usd;
use botstore::users::DeleteUser;

#[tokio::test]
async fn an_estimate_counts_as_spent_and_what_it_cost_does_afterwards() {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    let reservation = granted(&store, ADA, 1.5).await;
    denied(&store, ADA, 0.6).await;
    granted(&store, BOB, 0.6).await;
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.25));
    store.write(said.reservation(reservation)).await.unwrap();
    let left = budget(&store, ADA).await;
    assert_eq!((left.spent, left.left), (dollars(0.25), dollars(1.75)));
    granted(&store, ADA, 1.75).await;
    let decision = reserve(&store, ADA, 0.0).await;
    let Decision::Denied {
        which,
        spent,
        reserved,
        resets_at,
        ..
    } = decision
    else {
        panic!("{decision:?}")
    };
    assert_eq!(which.to_string(), "each user, $2.00 a day");
    assert_eq!((spent, reserved), (dollars(0.25), dollars(1.75)));
    assert_eq!(resets_at, Some(crate::support::at("2026-03-11")));
    exact(&store).await;
}

#[tokio::test]
async fn without_limits_everything_is_granted() {
    let store = populated().await;
    let decision = reserve(&store, 404, 9_000_000.0).await;
    let Decision::Granted {
        remaining,
        near_limit,
        ..
    } = decision
    else {
        panic!("{decision:?}")
    };
    assert_eq!((remaining, near_limit), (None, false));
}

#[tokio::test]
async fn a_limit_of_0_denies_all() {
    for max in [dollars(0.0), Amount::Requests(0), Amount::Tokens(0)] {
        let store = populated().await;
        store
            .write(SetLimit::new(Scope::Everyone, Per::Ever, max))
            .await
            .unwrap();
        denied(&store, ADA, 0.0).await;
    }
}

#[tokio::test]
async fn of_a_deleted_user_neither_limits_nor_reservations_nor_counters_are_left() {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(1.0)).await;
    limit(&store, Scope::User(4_711.into()), Per::Ever, dollars(1.0)).await;
    let said = SaveInteraction::new(4_711, "s-1", "Hello").creating("/");
    store.write(said.cost(usd(0.25))).await.unwrap();
    granted(&store, 4_711, 0.5).await;
    denied(&store, 4_711, 0.5).await;
    store.run_due().await.unwrap();
    store.write(DeleteUser::new(4_711)).await.unwrap();
    exact(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let conn = Connection::open(path).unwrap();
    for (table, column) in [
        ("botstore_limit", "who"),
        ("botstore_limit_told", "whose"),
        ("botstore_spent", "who"),
        ("botstore_spender", "who"),
        ("botstore_reservation", "user_id"),
    ] {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = 4711");
        let rows: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}
