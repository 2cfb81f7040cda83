//! Reads on their callers' threads: no snapshot is left between them.

use crate::common::{Hold, hold};
use crate::log::{CEILING, ROWS, Writes, holders, low_ceiling_with};
use botstore::testing::TestStore;
use botstore::{PointReads, Query, ReadTx, Result, Store, WalHolder};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::task::JoinSet;

async fn low_ceiling() -> TestStore {
    low_ceiling_with(|config| config.point_reads(PointReads::OnCallersThread)).await
}

async fn on_callers_thread(store: &Store) -> u64 {
    let health = store.health().await.unwrap();
    health.interactive.on_callers_thread
}

/// Reads, and waits if it is told to.
struct Count(Option<Hold>);

impl Query for Count {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        let sql = "SELECT count(*) FROM probe WHERE number < -19000";
        let count = tx.one(sql, [], |row| Ok(row.get(0)?))?;
        if let Some(hold) = &self.0 {
            hold.wait();
        }
        Ok(count)
    }
}

/// They hold the log up neither while one follows another without a pause, nor when nobody reads any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beside_reads_that_follow_one_another_the_log_starts_over() {
    let store = low_ceiling().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let (store, over) = (Store::clone(&store), Arc::clone(&over));
        readers.spawn(async move {
            while !over.load(Relaxed) {
                store.read(Count(None)).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    let writes = Writes::from(&store, 0);
    let (read, restarts) = (on_callers_thread(&store).await, writes.restarts().await);
    writes
        .until(async || writes.restarts().await >= restarts + 10)
        .await;
    assert!(on_callers_thread(&store).await > read);
    writes.until_the_log_is_short().await;
    over.store(true, Relaxed);
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    writes.until_the_log_is_short().await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_end_is_named() {
    let store = low_ceiling().await;
    let mut events = store.events();
    let (wait, holding) = hold();
    let holding = Arc::new(holding);
    let query = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(Count(Some(wait))).await }
    });
    holding.started().await;
    let writes = Writes::from(&store, 0);
    writes
        .until(async || !events.is_empty() && writes.log().await > 2 * CEILING)
        .await;
    assert!(!query.is_finished());
    assert!(writes.next.get() > 10 * ROWS, "writes hardly went on");
    holding.release();
    query.await.unwrap().unwrap();
    writes.until_the_log_is_short().await;
    let held_by = holders(&mut events);
    assert!(
        matches!(held_by[..], [WalHolder::Query { operation, .. }] if operation == Count::name()),
        "{held_by:?}"
    );
    // It began there. Whether SQLite then took longer than it may is the machine's.
    let readers = store.health().await.unwrap().interactive;
    assert!(readers.on_callers_thread + readers.cut_on_callers_thread > 0);
    store.close().await.unwrap();
}
