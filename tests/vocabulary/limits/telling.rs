//! Events at a limit and at its warning.

use super::support::{denied, dollars, told};
use crate::support::{ADA, DAY, populated};
use botstore::interactions::SaveInteraction;
use botstore::limits::{Per, Scope, SetLimit};
use botstore::testing::usd;

/// How many events the audit log has.
async fn recorded(store: &botstore::Store) -> i64 {
    let count = |tx: &botstore::ReadTx<'_>| {
        tx.one("SELECT count(*) FROM audit_log", [], |row| Ok(row.get(0)?))
    };
    store.ask("events", count).await.unwrap()
}

#[tokio::test]
async fn a_limit_and_its_warning_are_told_once_a_period_also_without_reservations() {
    let store = populated().await;
    let mut events = store.events();
    let limit = SetLimit::new(Scope::EachUser, Per::Day, dollars(2.0)).soft(dollars(1.0));
    store.write(limit).await.unwrap();
    let said = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.75));
    store.write(said.clone()).await.unwrap();
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    store.write(said.clone()).await.unwrap();
    assert_eq!(
        told(&store, &mut events).await,
        ["near: each user, $2.00 a day: 1: $1.50"]
    );
    for _ in 0..2 {
        store.write(said.clone()).await.unwrap();
    }
    assert_eq!(
        told(&store, &mut events).await,
        ["reached: each user, $2.00 a day: 1: $3.00"]
    );
    store.write(said.clone()).await.unwrap();
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    store.clock().advance(DAY);
    for _ in 0..3 {
        store.write(said.clone()).await.unwrap();
    }
    let both = told(&store, &mut events).await;
    assert_eq!(
        both,
        [
            "near: each user, $2.00 a day: 1: $2.25",
            "reached: each user, $2.00 a day: 1: $2.25"
        ]
    );
}

#[tokio::test]
async fn a_denied_request_is_told_once_a_period_and_after_a_restart_nothing_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = botstore::testing::FixedClock::default();
    let open = async || {
        let config = botstore::Config::new(&path).clock(clock.clone());
        botstore::Store::open(config).await.unwrap()
    };
    let store = open().await;
    let mut events = store.events();
    store
        .write(SetLimit::new(Scope::EachUser, Per::Day, dollars(1.0)))
        .await
        .unwrap();
    for _ in 0..3 {
        denied(&store, ADA, 1.5).await;
    }
    assert_eq!(
        told(&store, &mut events).await,
        ["reached: each user, $1.00 a day: 1: $0.00"]
    );
    store.close().await.unwrap();
    let store = open().await;
    let mut events = store.events();
    denied(&store, ADA, 1.5).await;
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    // What was not told before a restart is told after it. Another program's row, since the store itself might look
    // once more before it closes.
    store.close().await.unwrap();
    let conn = botstore::rusqlite::Connection::open(&path).unwrap();
    conn.execute(
        "INSERT INTO botstore_limit_told (scope, who, measure, per, whose, starts, ends, spent, near, reached)
         SELECT scope, who, measure, per, 2, starts, ends, spent, 0, 1 FROM botstore_limit_told WHERE whose = 1",
        [],
    )
    .unwrap();
    drop(conn);
    let store = open().await;
    let mut events = store.events();
    let late = told(&store, &mut events).await;
    assert_eq!(late, ["reached: each user, $1.00 a day: 2: $0.00"]);
    // Bots set their limits whenever they start.
    let again = SetLimit::new(Scope::EachUser, Per::Day, dollars(1.0));
    let rows = recorded(&store).await;
    assert_eq!(
        store.write(again.clone().by(ADA)).await.unwrap(),
        Some(again.limit)
    );
    denied(&store, ADA, 1.5).await;
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    assert_eq!(recorded(&store).await, rows);
    // A limit that is set anew is told anew.
    store
        .write(SetLimit::new(Scope::EachUser, Per::Day, dollars(1.2)))
        .await
        .unwrap();
    denied(&store, ADA, 1.5).await;
    assert_eq!(
        told(&store, &mut events).await,
        ["reached: each user, $1.20 a day: 1: $0.00"]
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_tells_nothing() {
    let store = populated().await;
    let mut events = store.events();
    store
        .write(SetLimit::new(Scope::Everyone, Per::Day, dollars(1.0)))
        .await
        .unwrap();
    told(&store, &mut events).await;
    let failed = store.transact("fails", |tx| {
        tx.apply(&SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(9.0)))?;
        Err::<(), _>(botstore::Error::invalid(
            "nothing",
            "is wrong, but this fails",
        ))
    });
    failed.await.unwrap_err();
    assert_eq!(told(&store, &mut events).await, [""; 0]);
}

#[tokio::test]
async fn another_programs_rows_and_a_limit_lowered_below_them_are_told() {
    let store = populated().await;
    let mut events = store.events();
    let limit = |max| SetLimit::new(Scope::User(ADA.into()), Per::Month, dollars(max));
    store.write(limit(5.0)).await.unwrap();
    let conn = botstore::rusqlite::Connection::open(store.path()).unwrap();
    conn.execute(
        "INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
         VALUES ('ada-1', 1, '2026-03-01T12:00:00.000000+00:00', 'p', 3.0)",
        [],
    )
    .unwrap();
    // Anything that the store commits has it look.
    store.write(botstore::users::Touch::new(ADA)).await.unwrap();
    assert_eq!(told(&store, &mut events).await, [""; 0]);
    store.write(limit(2.0)).await.unwrap();
    assert_eq!(
        told(&store, &mut events).await,
        ["reached: user 1, $2.00 a month: 1: $3.00"]
    );
}

#[tokio::test]
async fn of_many_who_spend_each_is_told_and_what_they_reserve_is_not_counted_for_that() {
    let store = populated().await;
    let mut events = store.events();
    let limit = SetLimit::new(Scope::EachUser, Per::Day, dollars(1.0));
    store.write(limit).await.unwrap();
    told(&store, &mut events).await;
    for user in 100..150 {
        let said = SaveInteraction::new(user, format!("s-{user}"), "Hello").creating("/");
        store.write(said.cost(usd(1.5))).await.unwrap();
    }
    let mut told = told(&store, &mut events).await;
    told.sort();
    let expected = (100..150).map(|user| format!("reached: each user, $1.00 a day: {user}: $1.50"));
    assert_eq!(told, expected.collect::<Vec<_>>());
    let counters = |tx: &botstore::ReadTx<'_>| {
        tx.one(
            "SELECT count(*) FROM botstore_spent WHERE per = 'open'",
            [],
            |row| Ok(row.get::<_, i64>(0)?),
        )
    };
    assert_eq!(store.ask("counters", counters).await.unwrap(), 0);
}
