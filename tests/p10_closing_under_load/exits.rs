//! A process that ends with the store open: `exit` from any of its threads, in the middle of writes
//! and of closing.

use crate::common::Put;
use crate::load::{config, numbers_in};
use botstore::Store;
use botstore::backup::TakeBackup;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PLACE: &str = "BOTSTORE_TEST_PLACE";
const FIRST: &str = "BOTSTORE_TEST_FIRST";
const CODE: i32 = 7;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child process of the next test"]
async fn child_that_exits_with_the_store_open() {
    let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Store::open(config(&path)).await.unwrap();
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
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("exits::child_that_exits_with_the_store_open")
        .env(PLACE, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: String| line.strip_prefix("ack ")?.parse().ok();
    let acknowledged = lines.map_while(Result::ok).filter_map(number).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(CODE), "{status}");
    acknowledged
}

#[tokio::test]
async fn a_process_that_exits_with_the_store_open_loses_nothing_acknowledged() {
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
