//! P6: a query sent after a mutation's `Ok` sees it, and a query of several statements sees one
//! snapshot: also one that it shares with others, and one on the caller's own thread.

mod callers_thread;
#[path = "../common/mod.rs"]
mod common;
mod shared_snapshots;

use botstore::{Config, PointReads, Query, ReadTx, Result, Store};
use common::{Hold, Numbers, Put, hold, probe_store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_reads_its_own_writes_and_those_it_was_told_of() {
    own_writes(|config| config.readers(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_does_on_its_own_thread() {
    own_writes(|config| config.point_reads(PointReads::OnCallersThread)).await;
}

async fn own_writes(configure: impl FnOnce(Config) -> Config) {
    let store = probe_store(configure).await;
    let (tell, told) = tokio::sync::watch::channel(-1_i64);
    let mut callers = JoinSet::new();
    for caller in 0..8_i64 {
        let (store, tell, told) = (Store::clone(&store), tell.clone(), told.clone());
        callers.spawn(async move {
            for step in 0..50 {
                let number = step * 8 + caller;
                store.write(Put::new(number)).await.unwrap();
                tell.send_replace(number);
                // Whatever anybody was told before asking must be in the answer.
                let heard = *told.borrow();
                let numbers = store.read(Numbers).await.unwrap();
                assert!(numbers.contains(&number), "own write {number}");
                assert!(numbers.contains(&heard), "another's write {heard}");
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
}

/// Counts twice, and lets the test write in between.
struct CountTwice(Hold);

impl Query for CountTwice {
    type Output = (i64, i64);

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<(i64, i64)> {
        let count = || {
            let sql = "SELECT count(*) FROM probe";
            tx.one(sql, [], |row| Ok(row.get::<_, i64>(0)?))
        };
        let first = count()?;
        self.0.wait();
        Ok((first, count()?))
    }
}

#[tokio::test]
async fn a_query_of_two_statements_sees_one_state() {
    let store = probe_store(|config| config.readers(2)).await;
    store.write(Put::new(1)).await.unwrap();
    let (wait, holding) = hold();
    let holding = Arc::new(holding);
    let counting = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(CountTwice(wait)).await }
    });
    holding.started().await;
    for number in 2..50 {
        store.write(Put::new(number)).await.unwrap();
    }
    assert_eq!(store.read(Numbers).await.unwrap().len(), 49);
    holding.release();
    assert_eq!(counting.await.unwrap().unwrap(), (1, 1));
}

/// The newest number.
struct Newest;

impl Query for Newest {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.one("SELECT coalesce(max(number), -1) FROM probe", [], |row| {
            Ok(row.get(0)?)
        })
    }
}

/// So many wait that a snapshot is hardly ever used by one alone, and commits come as fast as they can.
async fn never_an_older_one(configure: impl FnOnce(Config) -> Config) {
    const WRITES: i64 = 2_000;
    let store = probe_store(configure).await;
    let acknowledged = Arc::new(AtomicI64::new(-1));
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..64 {
        let (store, over) = (Store::clone(&store), Arc::clone(&over));
        let acknowledged = Arc::clone(&acknowledged);
        readers.spawn(async move {
            while !over.load(SeqCst) {
                let least = acknowledged.load(SeqCst);
                let found = store.read(Newest).await.unwrap();
                assert!(found >= least, "{found} after {least} was acknowledged");
                tokio::task::yield_now().await;
            }
        });
    }
    for number in 0..WRITES {
        store.write(Put::new(number)).await.unwrap();
        acknowledged.store(number, SeqCst);
    }
    over.store(true, SeqCst);
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_ask_at_once_nobody_reads_an_older_state() {
    never_an_older_one(|config| config.readers(1)).await;
    never_an_older_one(|config| config.readers(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_ask_on_their_own_threads_nobody_reads_an_older_state() {
    never_an_older_one(|config| config.point_reads(PointReads::OnCallersThread)).await;
}
