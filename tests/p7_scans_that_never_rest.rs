//! P7 beside scans that follow one another without a pause, as a dashboard's do that many people look
//! at: none of them is long, but there is always one.

mod common;

use actix::Message;
use botstore::{Durability, Lane, Query, ReadTx, Result, Store};
use common::{PutMany, probe_store};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CEILING: u64 = 1024 * 1024;

/// Many times as long as any scan: when it has passed, the log never starts over.
const PATIENCE: Duration = Duration::from_secs(30);

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
