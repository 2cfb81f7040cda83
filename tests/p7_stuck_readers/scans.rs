//! Scans, which are the store's own to hold back.

use crate::common::{HoldAnalytics, PutMany, hold, kind, probe_store};
use crate::log::{CEILING, PATIENCE, Writes, low_ceiling};
use actix::Message;
use botstore::{Durability, ErrorKind, Lane, Query, ReadTx, Result, Store};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Takes a few hundredths of a second, on one snapshot.
#[derive(Message)]
#[rtype(result = "Result<i64>")]
struct Scan;

impl Query for Scan {
    const LANE: Lane = Lane::Analytics;
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        let sql = "WITH RECURSIVE n(i) AS (
                       SELECT min(number, 0) FROM probe WHERE number = 1
                       UNION ALL SELECT i + 1 FROM n WHERE i < 100000
                   ) SELECT count(*) FROM n";
        tx.one(sql, [], |row| Ok(row.get(0)?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_scans_that_follow_one_another_the_log_starts_over() {
    let store = probe_store(|config| {
        let config = config.durability(Durability::Normal).analytics_readers(1);
        let config = config.checkpoint_at_bytes(CEILING / 4);
        config.wal_ceiling_bytes(CEILING)
    })
    .await;
    let put = |first| PutMany { first, count: 200 };
    store.write(put(0)).await.unwrap();
    let mut scans = JoinSet::new();
    for _ in 0..3 {
        let store = Store::clone(&store);
        scans.spawn(async move { while store.read(Scan).await.is_ok() {} });
    }
    while store.health().await.unwrap().analytics.in_flight < 3 {
        tokio::task::yield_now().await;
    }
    let restarts = async || store.health().await.unwrap().writer.log_restarts;
    let (before, began) = (restarts().await, Instant::now());
    let mut steps = 1..;
    while restarts().await < before + 3 {
        assert!(
            began.elapsed() < PATIENCE,
            "it grew to {} bytes",
            store.health().await.unwrap().wal_bytes
        );
        let first = steps.next().unwrap_or_default() * 200;
        store.write(put(first)).await.unwrap();
    }
    store.close().await.unwrap();
    while scans.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_held_back_is_refused_at_its_deadline() {
    let store = low_ceiling().await;
    let events = store.events();
    let writes = Writes::from(&store, 0);
    let (hold, holding) = hold();
    let holding = Arc::new(holding);
    // Rust code: unlike SQL it is not ended at its deadline.
    let first = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(HoldAnalytics(hold)).await }
    });
    holding.started().await;
    writes.until(async || !events.is_empty()).await;
    // It was told of in the middle of this one: now nothing but a scan keeps it over its ceiling.
    writes.one().await;
    let second = tokio::time::timeout(PATIENCE, store.read(Scan)).await;
    assert_eq!(kind(second.expect("an answer")), ErrorKind::Deadline);
    assert!(!first.is_finished());
    holding.release();
    first.await.unwrap().unwrap();
    writes.until_the_log_is_short().await;
    store.read(Scan).await.unwrap();
    store.close().await.unwrap();
}
