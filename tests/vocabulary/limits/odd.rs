//! Reservations as no store makes them: another program has written them, or changed them.

use super::support::{denied, dollars, exact, granted, limit};
use crate::support::{ADA, BOB, HOUR, populated};
use botstore::interactions::SaveInteraction;
use botstore::limits::{Per, Release, Scope, Settled, UserBudget};
use botstore::testing::{TestStore, usd};
use botstore::time::Clock;

/// No cost, no number of tokens and no time that a store writes.
const ODD: &[&str] = &[
    "NULL",
    "'no number'",
    "''",
    "x'00ff'",
    "-5",
    "-9223372036854775808",
    "9223372036854775807",
    "9e18",
    "1e300",
    "9e999",
    "-9e999",
    "1.5",
    "'1e400'",
];

async fn run(store: &TestStore, sql: String) {
    let run = move |tx: &botstore::WriteTx<'_>| tx.execute(&sql, []);
    store.transact("another program's", run).await.unwrap();
}

async fn limited() -> TestStore {
    let store = populated().await;
    limit(&store, Scope::EachUser, Per::Day, dollars(2.0)).await;
    limit(&store, Scope::Everyone, Per::Month, dollars(3.0)).await;
    granted(&store, ADA, 0.25).await;
    store
}

#[tokio::test]
async fn whatever_a_reservation_holds_counters_are_exact_and_nothing_of_it_is_left_when_it_is_over()
{
    for column in ["cost", "tokens"] {
        for odd in ODD {
            let store = limited().await;
            let copied = ["cost", "tokens"].map(|name| if name == column { odd } else { name });
            let copy = format!(
                "INSERT INTO botstore_reservation (user_id, cost, tokens, made_at, until, state)
                 SELECT user_id, {}, made_at, until, state FROM botstore_reservation WHERE reservation_id = 1",
                copied.join(", ")
            );
            run(&store, copy).await;
            exact(&store).await;
            // Whatever it is, it is no gift.
            denied(&store, ADA, 1.8).await;
            let set = |value: &str| {
                format!(
                    "UPDATE botstore_reservation SET {column} = {value} WHERE reservation_id = 2"
                )
            };
            run(&store, set("7")).await;
            exact(&store).await;
            run(&store, set(odd)).await;
            exact(&store).await;
            run(
                &store,
                "UPDATE botstore_reservation SET state = 'gone'".to_owned(),
            )
            .await;
            exact(&store).await;
            run(
                &store,
                "UPDATE botstore_reservation SET state = 'open'".to_owned(),
            )
            .await;
            exact(&store).await;
            run(&store, "DELETE FROM botstore_reservation".to_owned()).await;
            exact(&store).await;
            granted(&store, ADA, 2.0).await;
        }
    }
}

#[tokio::test]
async fn a_time_that_is_no_number_is_over_and_keeps_no_other_reservation_from_its_end() {
    for odd in ["NULL", "'no time'", "''", "x'00ff'", "1.5", "-9e999", "-1"] {
        let store = limited().await;
        let expired = granted(&store, ADA, 1.75).await;
        denied(&store, ADA, 0.1).await;
        let sql = format!(
            "UPDATE botstore_reservation SET until = {odd} WHERE reservation_id = {expired}"
        );
        run(&store, sql).await;
        let left = store.read(UserBudget::new(ADA)).await.unwrap();
        assert!(
            left.iter().all(|left| left.reserved == dollars(0.25)),
            "{odd}: {left:?}"
        );
        assert!(
            !store.write(Release::new(ADA, expired)).await.unwrap(),
            "{odd}"
        );
        let said = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.0));
        let receipt = store.write(said.reservation(expired)).await.unwrap();
        assert_eq!(receipt.reservation, Some(Settled::Expired), "{odd}");
        // And while it is open still, those that the store made expire as ever.
        run(
            &store,
            "UPDATE botstore_reservation SET state = 'open'".to_owned(),
        )
        .await;
        store.clock().advance(HOUR);
        granted(&store, ADA, 2.0).await;
        exact(&store).await;
    }
}

#[tokio::test]
async fn what_was_made_at_no_time_holds_no_longer_than_it_says_when_the_clock_is_set_back() {
    for odd in [
        "NULL",
        "'no time'",
        "x'00ff'",
        "9223372036854775807",
        "9e999",
    ] {
        let store = limited().await;
        let sql =
            format!("UPDATE botstore_reservation SET made_at = {odd} WHERE reservation_id = 1");
        run(&store, sql).await;
        granted(&store, ADA, 0.25).await;
        let before = store.clock().now();
        store.clock().set(before - HOUR);
        granted(&store, ADA, 0.1).await;
        // As late as it says itself.
        store.clock().advance(2 * HOUR);
        granted(&store, ADA, 2.0).await;
        exact(&store).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_is_noticed_once_also_if_every_request_is_denied() {
    let store = limited().await;
    let released = granted(&store, BOB, 0.5).await;
    store.write(Release::new(BOB, released)).await.unwrap();
    let before = store.clock().now();
    store.clock().set(before - HOUR);
    denied(&store, ADA, 9.0).await;
    let ahead = store
        .ask("ahead", move |tx| {
            let sql = "SELECT count(*) FROM botstore_reservation WHERE made_at > ?1";
            tx.one(sql, [(before - HOUR).timestamp_micros()], |row| {
                Ok(row.get::<_, i64>(0)?)
            })
        })
        .await
        .unwrap();
    assert_eq!(ahead, 0);
    // What was over stays over.
    assert!(!store.write(Release::new(BOB, released)).await.unwrap());
}
