//! P6: a query sent after a mutation's `Ok` sees it, and a query of several statements sees one
//! snapshot.

mod common;

use botstore::{Query, ReadTx, Result, Store};
use common::{Hold, Numbers, Put, hold, probe_store};
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_reads_its_own_writes_and_those_it_was_told_of() {
    let store = probe_store(|config| config.readers(4)).await;
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
