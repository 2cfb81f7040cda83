//! P3, the harder part: operations that pass over errors, and values that panic when they are
//! dropped, harm neither their neighbours nor the actors.

mod common;

use botstore::{Error, ErrorKind, Mutation, Query, ReadTx, Result, Store, WriteTx};
use common::{
    Numbers, Put, Then, hold_reader, hold_writer, is_sent, kind, probe_store, until_in_flight,
};
use std::pin::pin;

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("this panic is part of a test");
        }
    }
}

struct BombMutation(#[allow(dead_code)] Bomb);

impl Mutation for BombMutation {
    type Output = ();

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }
}

struct BombQuery(#[allow(dead_code)] Bomb);

impl Query for BombQuery {
    type Output = ();

    fn fetch(&self, _tx: &ReadTx<'_>) -> Result<()> {
        Ok(())
    }
}

/// Gives an answer that panics when it is dropped.
struct BombAnswer;

impl Mutation for BombAnswer {
    type Output = Bomb;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Bomb> {
        tx.execute("INSERT INTO probe (number) VALUES (77)", [])?;
        Ok(Bomb)
    }
}

/// Puts a request into its queue, and gives it up.
fn abandon(request: impl Future) {
    is_sent(pin!(request));
}

#[tokio::test]
async fn an_abandoned_mutation_that_panics_when_dropped_harms_nobody() {
    let store = probe_store(|config| config).await;
    let (holding, held) = hold_writer(&store).await;
    abandon(store.write(BombMutation(Bomb)));
    assert_eq!(store.health().await.unwrap().writer.in_flight, 2);
    let neighbour = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(Put::new(5)).await }
    });
    until_in_flight(&store, 3).await;
    holding.release();
    held.await.unwrap().unwrap();
    neighbour.await.unwrap().unwrap();
    store.write(Put::new(6)).await.unwrap();
    assert!(store.health().await.unwrap().ok);
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_abandoned_query_that_panics_when_dropped_harms_nobody() {
    let store = probe_store(|config| config.readers(1)).await;
    let (holding, held) = hold_reader(&store).await;
    abandon(store.read(BombQuery(Bomb)));
    assert_eq!(store.health().await.unwrap().interactive.in_flight, 2);
    holding.release();
    held.await.unwrap().unwrap();
    assert!(store.read(Numbers).await.unwrap().is_empty());
    assert!(store.health().await.unwrap().ok);
}

#[tokio::test]
async fn an_answer_that_panics_when_it_is_rolled_back_harms_nobody() {
    let store = probe_store(|config| config).await;
    let (holding, held) = hold_writer(&store).await;
    let bomb = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(BombAnswer).await.map(std::mem::forget) }
    });
    until_in_flight(&store, 2).await;
    let failing = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(Put::then(5, Then::Fail)).await }
    });
    until_in_flight(&store, 3).await;
    holding.release();
    held.await.unwrap().unwrap();
    bomb.await.unwrap().unwrap();
    assert_eq!(kind(failing.await.unwrap()), ErrorKind::Invalid);
    assert_eq!(store.read(Numbers).await.unwrap(), [77]);
}

/// Passes over an error with which SQLite ended the transaction, and goes on writing.
struct PassOver;

impl Mutation for PassOver {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute("INSERT INTO probe (number) VALUES (1)", [])?;
        let again = "INSERT OR ROLLBACK INTO probe (number) VALUES (1)";
        assert!(tx.execute(again, []).is_err());
        let _ = tx.execute("INSERT INTO probe (number) VALUES (100)", []);
        let _ = tx.insert("INSERT INTO probe (number) VALUES (101)", []);
        Ok(())
    }
}

#[tokio::test]
async fn an_operation_that_passes_over_the_end_of_its_transaction_changes_nothing() {
    let store = probe_store(|config| config).await;
    store.write(Put::new(50)).await.unwrap();
    assert_eq!(kind(store.write(PassOver).await), ErrorKind::Sql);
    assert_eq!(store.read(Numbers).await.unwrap(), [50]);

    // Nor does it take its neighbours with it.
    let (holding, held) = hold_writer(&store).await;
    let mut neighbours = Vec::new();
    for number in [2, 3] {
        let before = store.health().await.unwrap().writer.in_flight;
        let good = Store::clone(&store);
        neighbours.push(tokio::spawn(
            async move { good.write(Put::new(number)).await },
        ));
        until_in_flight(&store, before + 1).await;
        let bad = Store::clone(&store);
        let bad = tokio::spawn(async move { bad.write(PassOver).await.map(|()| 0) });
        neighbours.push(bad);
        until_in_flight(&store, before + 2).await;
    }
    holding.release();
    held.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for neighbour in neighbours {
        answers.push(neighbour.await.unwrap().map_err(|e: Error| e.kind()));
    }
    let refused = Err(ErrorKind::Sql);
    assert_eq!(answers, [Ok(2), refused, Ok(3), refused]);
    assert_eq!(store.read(Numbers).await.unwrap(), [2, 3, 50]);
    assert!(store.health().await.unwrap().ok);
}

/// Reads a NULL as a number.
struct WrongType;

impl Query for WrongType {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.one("SELECT NULL", [], |row| Ok(row.get(0)?))
    }
}

#[tokio::test]
async fn a_mistake_in_an_operation_is_not_blamed_on_the_disk() {
    let store = probe_store(|config| config).await;
    assert_eq!(kind(store.read(WrongType).await), ErrorKind::Sql);
    let health = store.health().await.unwrap();
    assert!(health.ok);
    assert_eq!(health.reconnects, 0);
    assert_eq!(health.writer.last_error, None);
}
