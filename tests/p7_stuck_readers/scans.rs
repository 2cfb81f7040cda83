//! Scans, which are the store's own to hold back.

use crate::common::{Begun, HANG, PutMany, answered, kind, probe_store, until, wait_until};
use crate::log::{CEILING, Writes, low_ceiling_with};
use botstore::{Durability, ErrorKind, Lane, Query, ReadTx, Result, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Takes a few hundredths of a second, on one snapshot.
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
    let restarts = async || store.health().await.unwrap().writer.wal_restarts;
    let (before, began) = (restarts().await, Instant::now());
    let mut steps = 1..;
    while restarts().await < before + 3 {
        assert!(
            began.elapsed() < HANG,
            "it grew to {} bytes",
            store.health().await.unwrap().wal_bytes
        );
        let first = steps.next().unwrap_or_default() * 200;
        store.write(put(first)).await.unwrap();
    }
    store.close().await.unwrap();
    while scans.join_next().await.is_some() {}
}

/// Stays in its snapshot until it is let go, in Rust code: unlike SQL that is not ended at a deadline.
#[derive(Clone, Default)]
struct Held {
    begun: Begun,
    let_go: Arc<AtomicBool>,
}

impl Query for Held {
    const LANE: Lane = Lane::Analytics;
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.one("SELECT 1 FROM probe LIMIT 1", [], |_| Ok(()))?;
        self.begun.note();
        wait_until("it is let go", || self.let_go.load(Ordering::Relaxed));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_held_back_is_refused_at_its_deadline() {
    let deadline = Duration::from_millis(300);
    let store = low_ceiling_with(|config| config.analytics_deadline(deadline)).await;
    let events = store.events();
    let writes = Writes::from(&store, 0);
    let held = Held::default();
    // On a busy machine one may not have begun by its deadline.
    let first = loop {
        let first = tokio::spawn({
            let (store, held) = (Store::clone(&store), held.clone());
            async move { store.read(held).await }
        });
        until("it begins, or is too late", async || {
            held.begun.is_set() || first.is_finished()
        })
        .await;
        if held.begun.is_set() {
            break first;
        }
    };
    writes.until(async || !events.is_empty()).await;
    // It was told of in the middle of this one: now nothing but a scan keeps it over its ceiling.
    writes.one().await;
    let second = answered(store.read(Scan)).await;
    assert_eq!(kind(second), ErrorKind::Deadline);
    // Nothing interrupts its code, and its caller has waited for no longer either.
    assert_eq!(kind(answered(first).await.unwrap()), ErrorKind::Deadline);
    held.let_go.store(true, Ordering::Relaxed);
    writes.until_the_log_is_short().await;
    // A busy machine may take longer for one than they all may here.
    let scans_go_on = async || store.read(Scan).await.is_ok();
    until("a scan that is not held back", scans_go_on).await;
    store.close().await.unwrap();
}
