//! A process that ends with the store open: `exit` from any of its threads, in the middle of writes
//! and of closing.

use crate::child::{self, Victim, again};
use crate::common::Put;
use crate::load::{config, numbers_in};
use botstore::Store;
use botstore::backup::TakeBackup;
use std::path::Path;

const CODE: i32 = 7;

/// The child: says what was acknowledged, from the number `first` on, until it exits.
async fn exits_with_the_store_open(path: &Path, first: i64) {
    let store = Store::open(config(path)).await.unwrap();
    let backups = store.clone();
    tokio::spawn(async move { while backups.back_up(TakeBackup::default()).await.is_ok() {} });
    for caller in 0..32 {
        let store = store.clone();
        tokio::spawn(async move {
            for step in 0.. {
                let number = first + step * 32 + caller;
                if store.write(Put::new(number)).await.is_ok() {
                    println!("\nack {number}");
                }
            }
        });
    }
    while store.health().await.unwrap().writer.committed < 200 {
        tokio::task::yield_now().await;
    }
    if first % 2_000_000 == 0 {
        let closing = store.clone();
        tokio::spawn(async move { closing.close().await });
        tokio::task::yield_now().await;
    }
    std::process::exit(CODE);
}

/// Runs the child to its end; gives what it acknowledged.
fn run(path: &Path, first: i64) -> Vec<i64> {
    let test = a_process_that_exits_with_the_store_open_loses_nothing_acknowledged;
    let first = first.to_string();
    let mut child = Victim::start(again(&[], test, &[path, first.as_ref()]));
    let lines = std::iter::from_fn(|| child.line());
    let number = |line: String| line.strip_prefix("ack ")?.parse().ok();
    let acknowledged = lines.filter_map(number).collect();
    assert_eq!(child.ends(), Some(CODE));
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_exits_with_the_store_open_loses_nothing_acknowledged() {
    if let Some([path, first]) = child::given() {
        return exits_with_the_store_open(path.as_ref(), first.parse().unwrap()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exits.db");
    let mut acknowledged = Vec::new();
    for round in 1..=8 {
        acknowledged.extend(run(&path, round * 1_000_000));
        let store = Store::open(config(&path)).await.unwrap();
        store.close().await.unwrap();
        let found = numbers_in(&path);
        let lost = acknowledged.iter().filter(|n| !found.contains(n));
        assert_eq!(lost.count(), 0, "in round {round}");
    }
    assert!(acknowledged.len() > 8 * 100);
}
