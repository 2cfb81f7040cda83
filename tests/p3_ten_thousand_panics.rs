//! P3 in numbers: ten thousand operations that panic among ten thousand good ones. In a program of
//! its own, because it counts the threads and files of the process.

mod common;
#[path = "common/hostile.rs"]
mod hostile;

use botstore::{Config, Durability, ErrorKind, Store};
use common::{Numbers, Probe, Put, answered, patient, until};
use hostile::{Place, Read, Scan, Write, keep_quiet};
use tokio::task::JoinSet;

const CALLERS: i64 = 64;
const EACH: i64 = 10_000;

/// What this process holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Resources {
    threads: usize,
    files: usize,
}

impl Resources {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let threads = status
            .lines()
            .find_map(|line| line.strip_prefix("Threads:"))
            .unwrap();
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        Self {
            threads: threads.trim().parse().unwrap(),
            files: files.count(),
        }
    }
}

/// One caller's share: every number of its own, each with a panic beside it.
async fn call(store: Store, caller: i64) {
    for number in (caller..EACH).step_by(CALLERS as usize) {
        let place = Place::IN_THE_RUN[(number / CALLERS % 4) as usize];
        let (good, bad) = tokio::join!(
            store.write(Put::new(number)),
            store.write(Write::new(-1 - number, place)),
        );
        assert_eq!(good.expect("a good one"), number);
        let error = bad.expect_err("a panic");
        assert_eq!(error.kind(), ErrorKind::Panicked, "{place:?}");
        assert_eq!(error.operation(), Some("Write"));
        if number % 4 == 0 {
            let (read, scan) = tokio::join!(
                store.read(Read::new(place)),
                store.read(Scan(Read::new(place))),
            );
            assert_eq!(read.expect_err("a panic").kind(), ErrorKind::Panicked);
            assert_eq!(scan.expect_err("a panic").kind(), ErrorKind::Panicked);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_panics_cost_ten_thousand_good_ones_nothing_and_leak_nothing() {
    keep_quiet();
    // Only Linux tells what a process holds. Every thread of the runtime is there from here on.
    let before = cfg!(target_os = "linux").then(Resources::now);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("panics.db");
    let config = patient(Config::new(&path))
        .durability(Durability::Normal)
        .schema::<Probe>();
    let store = Store::open(config).await.unwrap();
    store.run_due().await.unwrap();
    let opened = before.map(|_| Resources::now());
    let health = store.health().await.unwrap();

    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(store.clone(), caller));
    }
    while let Some(caller) = answered(callers.join_next()).await {
        caller.unwrap();
    }

    assert_eq!(
        store.read(Numbers).await.unwrap(),
        Vec::from_iter(0..EACH),
        "the good ones, and nothing of the others"
    );
    let now = store.health().await.unwrap();
    assert!(now.ok);
    assert_eq!(now.writer.committed - health.writer.committed, EACH as u64);
    assert_eq!(now.writer.panicked, EACH as u64);
    assert_eq!(now.writer.failed, EACH as u64);
    assert_eq!(now.reconnects, 0, "a panic throws no connection away");
    for in_flight in [
        now.writer.in_flight,
        now.interactive.in_flight,
        now.analytics.in_flight,
    ] {
        assert_eq!(in_flight, 0);
    }
    if let Some(opened) = opened {
        let now = Resources::now();
        assert_eq!(now.threads, opened.threads);
        // The checkpointer opens its connection when the WAL is first long enough.
        assert!(now.files <= opened.files + 3, "{opened:?} became {now:?}");
    }
    store.close().await.unwrap();
    drop(store);
    if let Some(before) = before {
        // Joining a thread does not wait for the system's count.
        let all_back = format!("{before:?}, as before");
        until(&all_back, async || Resources::now() == before).await;
    }
    for suffix in ["-wal", "-shm"] {
        assert!(!folder.path().join(format!("panics.db{suffix}")).exists());
    }
}
