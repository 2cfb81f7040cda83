//! P3: one caller's failure is its own. Its neighbours in the same transaction commit, and the
//! actors live on.

mod common;

use botstore::{ErrorKind, Mutation, Query, ReadTx, Result, Store, WriteTx};
use common::{Numbers, Put, Then, hold_writer, kind, probe_store, until_in_flight};
use proptest::prelude::*;
use std::time::Duration;

/// Sends all of them while the writer is held, so that they make one group; gives their answers.
async fn as_one_group(store: &Store, puts: Vec<Put>) -> Vec<Result<i64>> {
    let (holding, held) = hold_writer(store).await;
    let mut answers = Vec::new();
    for put in puts {
        // Each is in the queue before the next is sent, so that their order is known.
        let before = store.health().await.unwrap().writer.in_flight;
        let store_ = store.clone();
        answers.push(tokio::spawn(async move { store_.write(put).await }));
        until_in_flight(store, before + 1).await;
    }
    holding.release();
    held.await.unwrap().unwrap();
    let mut results = Vec::new();
    for answer in answers {
        results.push(answer.await.unwrap());
    }
    results
}

#[tokio::test]
async fn neighbours_of_failing_and_panicking_operations_commit() {
    // Printing a panic takes longer than a group usually may.
    let store = probe_store(|config| config.max_batch_time(Duration::from_secs(1))).await;
    let puts = (0..30).map(|number| {
        Put::then(
            number,
            match number % 5 {
                3 => Then::Fail,
                4 => Then::Panic,
                _ => Then::Succeed,
            },
        )
    });
    let results = as_one_group(&store, puts.collect()).await;
    for (number, result) in (0..30).zip(&results) {
        match number % 5 {
            3 => assert_eq!(result.as_ref().unwrap_err().kind(), ErrorKind::Invalid),
            4 => assert_eq!(result.as_ref().unwrap_err().kind(), ErrorKind::Panicked),
            _ => assert_eq!(*result.as_ref().unwrap(), number),
        }
    }
    let kept: Vec<i64> = (0..30).filter(|number| number % 5 < 3).collect();
    assert_eq!(store.read(Numbers).await.unwrap(), kept);
    let writer = store.health().await.unwrap().writer;
    // Those up to the first that had to be undone, and then all the others.
    assert!(writer.largest_batch >= 20, "they were in one group");
    assert_eq!(writer.panicked, 6);
}

#[tokio::test]
async fn the_second_of_two_rivals_in_one_group_loses_and_only_it() {
    let store = probe_store(|config| config).await;
    let results = as_one_group(&store, vec![Put::new(1), Put::new(2), Put::new(1)]).await;
    assert_eq!(*results[0].as_ref().unwrap(), 1);
    assert_eq!(*results[1].as_ref().unwrap(), 2);
    assert_eq!(kind(results[2].clone()), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_rival_of_one_that_fails_wins() {
    let store = probe_store(|config| config).await;
    let puts = vec![Put::then(1, Then::Fail), Put::new(1)];
    let results = as_one_group(&store, puts).await;
    assert_eq!(kind(results[0].clone()), ErrorKind::Invalid);
    assert_eq!(*results[1].as_ref().unwrap(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Against a plain model: in order, each operation meets what those before it left.
    #[test]
    fn any_mix_in_one_group_has_the_outcomes_of_running_them_one_by_one(
        script in proptest::collection::vec((0_i64..8, 0..3_u8), 1..20)
    ) {
        let puts: Vec<Put> = script
            .iter()
            .map(|&(number, then)| {
                Put::then(number, [Then::Succeed, Then::Fail, Then::Panic][then as usize])
            })
            .collect();
        let mut model = std::collections::BTreeSet::new();
        let expected: Vec<Result<i64, ErrorKind>> = puts
            .iter()
            .map(|put| match put.then {
                _ if model.contains(&put.number) => Err(ErrorKind::Conflict),
                Then::Fail => Err(ErrorKind::Invalid),
                Then::Panic => Err(ErrorKind::Panicked),
                Then::Succeed => {
                    model.insert(put.number);
                    Ok(put.number)
                }
            })
            .collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = probe_store(|config| config).await;
            let results = as_one_group(&store, puts).await;
            let results: Vec<_> = results.into_iter().map(|r| r.map_err(|e| e.kind())).collect();
            assert_eq!(results, expected);
            assert_eq!(store.read(Numbers).await.unwrap(), model.into_iter().collect::<Vec<_>>());
        });
    }
}

/// Panics when it is dropped, as its answer does.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("this panic is part of a test");
        }
    }
}

struct DropBomb(#[allow(dead_code)] PanicsOnDrop);

impl Mutation for DropBomb {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute("INSERT INTO probe (number) VALUES (-1)", [])?;
        Ok(())
    }
}

struct PanickingQuery;

impl Query for PanickingQuery {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.one("SELECT count(*) FROM probe", [], |_| Ok(()))?;
        panic!("this panic is part of a test")
    }
}

#[tokio::test]
async fn a_panic_in_drop_or_in_a_query_ends_no_actor() {
    let store = probe_store(|config| config.readers(1)).await;
    // It is committed, and answered so, whatever its remains do.
    store.write(DropBomb(PanicsOnDrop)).await.unwrap();
    for number in 0..20 {
        assert_eq!(kind(store.read(PanickingQuery).await), ErrorKind::Panicked);
        store.write(Put::new(number)).await.unwrap();
    }
    let mut expected = vec![-1];
    expected.extend(0..20);
    assert_eq!(store.read(Numbers).await.unwrap(), expected);
    store.close().await.unwrap();
}

/// What an operation may not do.
struct Forbidden(&'static str);

impl Mutation for Forbidden {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute("INSERT INTO probe (number) VALUES (100)", [])?;
        tx.execute(self.0, [])?;
        Ok(())
    }
}

struct ForbiddenQuery(&'static str);

impl Query for ForbiddenQuery {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.maybe(self.0, [], |_| Ok(()))?;
        Ok(())
    }
}

#[tokio::test]
async fn no_operation_ends_the_transaction_that_it_shares() {
    let store = probe_store(|config| config).await;
    for sql in [
        "COMMIT",
        "/* a comment first */ ROLLBACK",
        "BEGIN",
        "SAVEPOINT mine",
        "RELEASE operation",
        "ROLLBACK TO operation",
        "PRAGMA synchronous=OFF",
        "PRAGMA foreign_keys=OFF",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE mine (a)",
        "DROP TABLE probe",
        "ALTER TABLE probe ADD COLUMN more",
        "ATTACH ':memory:' AS other",
        "VACUUM",
    ] {
        let wrote = store.write(Forbidden(sql)).await;
        assert_eq!(kind(wrote), ErrorKind::Sql, "{sql}");
        assert_eq!(
            kind(store.read(ForbiddenQuery(sql)).await),
            ErrorKind::Sql,
            "{sql}"
        );
    }
    let insert = "INSERT INTO probe (number) VALUES (200)";
    assert_eq!(
        kind(store.read(ForbiddenQuery(insert)).await),
        ErrorKind::Sql
    );
    assert_eq!(store.read(Numbers).await.unwrap(), Vec::<i64>::new());
    store.write(Put::new(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_failures_and_panics_costs_the_good_ones_nothing_but_time() {
    let store = probe_store(|config| config).await;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..16_i64 {
        let store = Store::clone(&store);
        tasks.spawn(async move {
            for step in 0..25 {
                let number = caller * 1_000 + step;
                store.write(Put::new(number)).await.unwrap();
                let then = if step % 2 == 0 {
                    Then::Fail
                } else {
                    Then::Panic
                };
                store.write(Put::then(-number - 1, then)).await.unwrap_err();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let numbers = store.read(Numbers).await.unwrap();
    assert_eq!(numbers.len(), 16 * 25);
    assert!(numbers.iter().all(|&number| number >= 0));
}
