//! `transact` and `ask`: batches, savepoints, snapshots, lanes, deadlines, limits, and the name.

use crate::common::{
    HANG, Holding, Numbers, Put, Then, answered, hold, hold_reader, hold_writer, kind, probe_store,
    until_in_flight,
};
use botstore::prelude::*;
use botstore::testing::TestStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinSet;

const MIB: usize = 1024 * 1024;

/// A change is a function of a transaction: closures, tests and other changes call it.
fn put(tx: &WriteTx, number: i64) -> Result<i64> {
    tx.insert("INSERT INTO probe (number) VALUES (?1)", [number])
}

fn count(tx: &ReadTx) -> Result<i64> {
    tx.one("SELECT count(*) FROM probe", [], |row| Ok(row.get(0)?))
}

async fn numbers(store: &Store) -> Vec<i64> {
    store.read(Numbers).await.unwrap()
}

#[tokio::test]
async fn a_change_is_acknowledged_after_its_commit_and_a_question_sees_it() {
    let store = probe_store(|config| config).await;
    for number in 0..50 {
        let id = store.transact("put", move |tx| put(tx, number)).await;
        assert_eq!(id.unwrap(), number);
        assert_eq!(store.ask("count", count).await.unwrap(), number + 1);
    }
    let conn = botstore::rusqlite::Connection::open(store.path()).unwrap();
    let sql = "SELECT count(*) FROM probe";
    let found: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 50);
}

/// In one batch: closures and named changes, some of which fail after they have changed something.
#[tokio::test]
async fn closures_share_a_commit_and_a_failure_or_a_panic_undoes_one_of_them_alone() {
    let store = probe_store(|config| config).await;
    let (writer, held) = hold_writer(&store).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let mut sent = JoinSet::new();
    for number in 0..30 {
        let (store, runs) = (Store::clone(&store), Arc::clone(&runs));
        sent.spawn(async move {
            let change = store.transact("put", move |tx| {
                runs.fetch_add(1, SeqCst);
                put(tx, number)?;
                match number % 3 {
                    0 => Ok(number),
                    1 => Err(Error::forbidden("an odd one")),
                    _ => panic!("this panic is part of a test"),
                }
            });
            (number, change.await)
        });
    }
    let named = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(Put::then(100, Then::Succeed)).await }
    });
    until_in_flight(&store, 32).await;
    let before = store.health().await.unwrap().writer;
    writer.release();
    held.await.unwrap().unwrap();
    named.await.unwrap().unwrap();
    while let Some(answer) = sent.join_next().await {
        let (number, answer) = answer.unwrap();
        match number % 3 {
            0 => assert_eq!(answer.unwrap(), number),
            1 => assert_eq!(kind(answer), ErrorKind::Forbidden),
            _ => assert_eq!(kind(answer), ErrorKind::Panicked),
        }
    }
    let expected: Vec<i64> = (0..30).step_by(3).chain([100]).collect();
    assert_eq!(numbers(&store).await, expected);
    let after = store.health().await.unwrap().writer;
    assert!(after.batches - before.batches <= 2, "{after:?}");
    assert_eq!(after.failed - before.failed, 20);
    assert_eq!(after.panicked - before.panicked, 10);
    // As the documents say of it.
    assert!(runs.load(SeqCst) > 30, "none ran twice");
}

/// Each way to fail, by the kind that it has.
async fn failures(store: &TestStore) -> Vec<(ErrorKind, Error)> {
    let mut found = Vec::new();
    let mut keep = |expected, answer: Result<i64>| found.push((expected, answer.unwrap_err()));
    let refuse = || Err(Error::limit_reached("no more today").with_field("budget"));
    let not_there = "SELECT number FROM nowhere";
    let long = "x".repeat(MIB);
    let saved = SaveMessage::new(1, "s", long);
    use ErrorKind as K;
    keep(
        K::LimitReached,
        store.transact("named", move |_| refuse()).await,
    );
    keep(K::LimitReached, store.ask("named", move |_| refuse()).await);
    let sql = move |tx: &ReadTx| tx.one(not_there, [], |row| Ok(row.get(0)?));
    keep(K::Sql, store.transact("named", move |tx| sql(tx)).await);
    keep(K::Sql, store.ask("named", sql).await);
    let nothing = |tx: &ReadTx| tx.one("SELECT 1 LIMIT 0", [], |row| Ok(row.get(0)?));
    keep(
        K::NotFound,
        store.transact("named", move |tx| nothing(tx)).await,
    );
    keep(K::NotFound, store.ask("named", nothing).await);
    let panics = || panic!("this panic is part of a test");
    keep(
        K::Panicked,
        store.transact("named", move |_| panics()).await,
    );
    keep(K::Panicked, store.ask("named", move |_| panics()).await);
    let bounded = store.transact("named", move |tx| Ok(tx.apply(&saved)?.get()));
    keep(K::Invalid, bounded.await);
    let commit = store.transact("named", |tx| Ok(tx.execute("COMMIT", [])? as i64));
    keep(K::Sql, commit.await);
    for write in [
        "INSERT INTO probe (number) VALUES (77)",
        "DELETE FROM probe",
    ] {
        let write = move |tx: &ReadTx| tx.one(write, [], |_| Ok(1));
        keep(K::Sql, store.ask("named", write).await);
    }
    found
}

#[tokio::test]
async fn whatever_fails_has_the_name_its_kind_and_what_the_closure_says_and_nothing_is_changed() {
    let store = probe_store(|config| config.max_text_bytes(MIB / 2).max_in_flight(1)).await;
    for (expected, error) in failures(&store).await {
        assert_eq!(error.kind(), expected, "{error}");
        assert_eq!(error.operation(), Some("named"), "{error}");
        if error.kind() == ErrorKind::LimitReached {
            assert_eq!(error.field(), Some("budget"));
        }
    }
    let (writer, held) = hold_writer(&store).await;
    let refused = store.transact("named", |tx| put(tx, 1)).at_once().await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert_eq!(refused.operation(), Some("named"));
    writer.release();
    let _ = held.await.unwrap();
    store.close().await.unwrap();
    for error in [
        store.transact("named", |tx| put(tx, 1)).await.unwrap_err(),
        store.ask("named", count).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(error.operation(), Some("named"));
    }
    let conn = botstore::rusqlite::Connection::open(store.path()).unwrap();
    let sql = "SELECT count(*) FROM probe";
    let found: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 0);
}

/// A query that never ends by itself.
fn endless(tx: &ReadTx) -> Result<i64> {
    let sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    tx.one(sql, [], |row| Ok(row.get(0)?))
}

/// Each has the deadline of where it runs; the others' would never come.
#[tokio::test]
async fn a_closure_has_the_deadline_of_the_writer_or_of_its_lane() {
    let short = Duration::from_millis(50);
    let store = probe_store(|config| config.mutation_deadline(short)).await;
    let late = store.transact("named", |tx| endless(tx)).await.unwrap_err();
    let store = probe_store(|config| config.interactive_deadline(short)).await;
    let read = store.ask("named", endless).await.unwrap_err();
    let store = probe_store(|config| config.analytics_deadline(short)).await;
    let scan = store.ask("named", endless).lane(Lane::Analytics);
    for error in [late, read, answered(scan.into_future()).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
        assert_eq!(error.operation(), Some("named"));
    }
}

#[tokio::test]
async fn what_a_change_has_captured_counts_for_the_bound_on_bytes() {
    let store = probe_store(|config| config.max_in_flight_bytes(MIB)).await;
    let (writer, held) = hold_writer(&store).await;
    let inline = [7_u8; 64 * 1024];
    let mut sent = JoinSet::new();
    for owned in [MIB / 2, 0] {
        let sender = Store::clone(&store);
        sent.spawn(async move {
            let change = sender.transact("put", move |tx| put(tx, inline[0].into()));
            change.bytes(owned).await
        });
        let least = MIB / 2 + inline.len();
        crate::common::until("its bytes are in flight", async || {
            store.health().await.unwrap().writer.in_flight_bytes >= least
        })
        .await;
    }
    crate::common::until("both are in flight", async || {
        store.health().await.unwrap().writer.in_flight_bytes >= MIB / 2 + 2 * inline.len()
    })
    .await;
    let over = store.transact("put", |tx| put(tx, 8));
    let over = over.bytes(MIB / 2).at_once().await;
    assert_eq!(kind(over), ErrorKind::Overloaded);
    writer.release();
    held.await.unwrap().unwrap();
    // The second finds the number taken.
    let mut ends = [0, 0];
    while let Some(end) = sent.join_next().await {
        ends[usize::from(end.unwrap().is_err())] += 1;
    }
    assert_eq!(ends, [1, 1]);
    assert_eq!(store.health().await.unwrap().writer.in_flight_bytes, 0);
}

#[tokio::test]
async fn what_a_question_has_captured_counts_for_the_bound_on_bytes() {
    let store = probe_store(|config| config.max_in_flight_bytes(MIB)).await;
    let (reader, held) = hold_reader(&store).await;
    let over = store.ask("count", count).bytes(MIB).at_once().await;
    assert_eq!(kind(over), ErrorKind::Overloaded);
    // On a lane of its own there is room.
    let scan = store.ask("count", count).lane(Lane::Analytics);
    assert_eq!(scan.bytes(MIB).at_once().await.unwrap(), 0);
    reader.release();
    held.await.unwrap().unwrap();
    let alone = store.ask("count", count).bytes(usize::MAX).at_once();
    assert_eq!(alone.await.unwrap(), 0);
}

/// Held between its two statements, while a change is committed.
async fn asked_around_a_change(store: &TestStore, lane: Lane, number: i64) -> (i64, i64) {
    let (hold, holding) = hold();
    let holding: Arc<Holding> = Arc::new(holding);
    let asked = tokio::spawn({
        let store = Store::clone(store);
        let twice = move |tx: &ReadTx| {
            let before = count(tx)?;
            hold.wait();
            Ok((before, count(tx)?))
        };
        async move { store.ask("twice", twice).lane(lane).await }
    });
    holding.started().await;
    let change = store.transact("put", move |tx| put(tx, number));
    answered(change.into_future()).await.unwrap();
    holding.release();
    asked.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_question_sees_one_state_on_either_lane_and_blocks_no_change() {
    let store = probe_store(|config| config).await;
    for (number, lane) in [Lane::Interactive, Lane::Analytics].into_iter().enumerate() {
        let number = number as i64;
        let seen = asked_around_a_change(&store, lane, number).await;
        assert_eq!(seen, (number, number));
        assert_eq!(store.ask("count", count).await.unwrap(), number + 1);
    }
}

#[tokio::test]
async fn nothing_happens_before_it_is_awaited() {
    let store = probe_store(|config| config).await;
    let before = store.health().await.unwrap().writer.failed;
    drop(store.transact("put", |tx| put(tx, 1)));
    drop(store.transact("put", |tx| put(tx, 2)).into_future());
    store.transact("put", |tx| put(tx, 3)).await.unwrap();
    assert_eq!(numbers(&store).await, [3]);
    assert_eq!(store.health().await.unwrap().writer.failed, before);
}

/// Both are asked for where futures are: in a list, with a time limit, in a task.
#[tokio::test]
async fn they_go_where_futures_go() {
    let store = probe_store(|config| config).await;
    let change = |number| store.transact("put", move |tx| put(tx, number));
    let (first, second) = tokio::join!(change(1).into_future(), change(2).into_future());
    assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
    let third = tokio::time::timeout(HANG, change(3)).await;
    assert_eq!(third.unwrap().unwrap(), 3);
    let clone = Store::clone(&store);
    let asked = tokio::spawn(async move { clone.ask("count", count).await });
    assert_eq!(asked.await.unwrap().unwrap(), 3);
}
