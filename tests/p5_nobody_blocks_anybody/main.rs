//! P5: readers do not block the writer, nor the writer readers, nor a scan a point read.
//! No times are measured: while one is held, the others come to their end.

#[path = "../common/mod.rs"]
mod common;
mod pieces;

use botstore::Store;
use common::{HoldAnalytics, Numbers, Put, hold, hold_writer, probe_store};
use std::sync::Arc;

#[tokio::test]
async fn while_a_scan_runs_point_reads_and_writes_go_on() {
    let store = probe_store(|config| config.readers(1).analytics_readers(1)).await;
    let (scan, holding) = hold();
    let holding = Arc::new(holding);
    // One that runs, and three that wait for the same reader.
    let scans: Vec<_> = (0..4)
        .map(|_| {
            let (store, scan) = (Store::clone(&store), scan.clone());
            tokio::spawn(async move { store.read(HoldAnalytics(scan)).await })
        })
        .collect();
    holding.started().await;
    for number in 0..100 {
        store.write(Put::new(number)).await.unwrap();
        assert_eq!(store.read(Numbers).await.unwrap().len() as i64, number + 1);
    }
    assert!(scans.iter().all(|scan| !scan.is_finished()));
    holding.release();
    for scan in scans {
        scan.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn while_a_mutation_runs_readers_answer_with_what_was_committed() {
    let store = probe_store(|config| config).await;
    store.write(Put::new(1)).await.unwrap();
    let (holding, held) = hold_writer(&store).await;
    for _ in 0..100 {
        assert_eq!(store.read(Numbers).await.unwrap(), [1]);
    }
    assert!(!held.is_finished());
    holding.release();
    held.await.unwrap().unwrap();
}
