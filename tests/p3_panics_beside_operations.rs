//! P3 where a host's code runs outside its operations: a clock on every thread of the store, and
//! panics whose own remains panic.

mod common;
#[path = "common/hostile.rs"]
mod hostile;

use botstore::backup::{Backups, TakeBackup};
use botstore::time::Clock;
use botstore::{Config, Mutation, Result, Store, WriteTx};
use chrono::{DateTime, Utc};
use common::{
    Numbers, Probe, Put, PutMany, answered, hold_writer, probe_store, until, until_in_flight,
};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a panic leaves for whoever catches it: it panics when it is dropped.
struct Remains;

impl Drop for Remains {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any("this panic is part of a test");
        }
    }
}

/// Panics with them when it is dropped.
struct DoubleBomb;

impl Drop for DoubleBomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any(Remains);
        }
    }
}

struct Explode(#[allow(dead_code)] DoubleBomb);

impl Mutation for Explode {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Put::new(-1)).map(|_| ())
    }
}

#[tokio::test]
async fn a_panic_in_drop_whose_remains_panic_too_leaves_its_caller_an_answer() {
    hostile::keep_quiet();
    let store = probe_store(|config| config).await;
    answered(store.write(Explode(DoubleBomb))).await.unwrap();
    answered(store.write(Put::new(1))).await.unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [-1, 1]);
}

#[tokio::test]
async fn a_panic_in_drop_whose_remains_panic_too_leaves_its_neighbours_the_true_answer() {
    hostile::keep_quiet();
    let store = probe_store(|config| config).await;
    let (holding, held) = hold_writer(&store).await;
    let explodes = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(Explode(DoubleBomb)).await }
    });
    until_in_flight(&store, 2).await;
    let neighbour = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(Put::new(1)).await }
    });
    until_in_flight(&store, 3).await;
    holding.release();
    held.await.unwrap().unwrap();
    let answer = answered(neighbour).await.unwrap();
    let is_there = store.read(Numbers).await.unwrap().contains(&1);
    assert_eq!(answer.is_ok(), is_there, "{answer:?}");
    explodes.abort();
}

thread_local! {
    static HAS_PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Once it is armed, panics the first time that each thread asks it.
#[derive(Clone, Default)]
struct PanicsOnceAThread(Arc<AtomicBool>);

impl PanicsOnceAThread {
    fn arm(&self) {
        HAS_PANICKED.set(true); // not on the test's own thread
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Clock for PanicsOnceAThread {
    fn now(&self) -> DateTime<Utc> {
        if self.0.load(Ordering::SeqCst) && !HAS_PANICKED.replace(true) {
            panic!("{}", hostile::MESSAGE);
        }
        Utc::now()
    }
}

/// Uses the store until the clock has panicked on the threads of its writer and readers.
async fn get_over_it(store: &Store) {
    for _ in 0..20 {
        let _ = answered(store.write(Put::new(-1))).await;
        let _ = answered(store.read(Numbers)).await;
    }
    answered(store.write(Put::new(0))).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_panics_once_a_thread_ends_no_backups() {
    hostile::keep_quiet();
    let clock = PanicsOnceAThread::default();
    let daily = Backups::default().every(Duration::from_secs(24 * 3600));
    let store = probe_store(|config| config.clock(clock.clone()).backups(daily)).await;
    clock.arm();
    // The supervisor, and then the archivist whom it asks whether one is due.
    for _ in 0..2 {
        let _ = answered(store.run_due()).await;
    }
    let backup = answered(store.back_up(TakeBackup::default())).await;
    backup.unwrap();
    answered(store.close()).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_panics_once_a_thread_ends_no_schedule() {
    hostile::keep_quiet();
    let clock = PanicsOnceAThread::default();
    let folder = tempfile::tempdir().unwrap();
    let second = Duration::from_secs(1);
    let numbers = std::sync::atomic::AtomicI64::new(100);
    let config = Config::new(folder.path().join("clock.db"))
        .clock(clock.clone())
        .every(second, move || {
            Put::new(numbers.fetch_add(1, Ordering::SeqCst))
        })
        .schema::<Probe>();
    let store = Store::open(config).await.unwrap();
    clock.arm();
    get_over_it(&store).await;
    // Nobody asks for it: the supervisor has to look by itself.
    until("it runs", async || {
        store.read(Numbers).await.unwrap().iter().any(|&n| n >= 100)
    })
    .await;
    answered(store.close()).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_panics_once_a_thread_ends_no_checkpoints() {
    hostile::keep_quiet();
    const KIB: u64 = 1024;
    let clock = PanicsOnceAThread::default();
    let configured = clock.clone();
    // The ceiling, at which the writer copies the WAL itself, is out of reach.
    let store = probe_store(|config| {
        let config = config.clock(configured).checkpoint_at_bytes(64 * KIB);
        config.wal_ceiling_bytes(64 * KIB * KIB)
    })
    .await;
    clock.arm();
    get_over_it(&store).await;
    let mut steps = 0..;
    until("the log starts over", async || {
        let first = 1_000 + steps.next().unwrap_or_default() * 50;
        let put = PutMany { first, count: 50 };
        answered(store.write(put)).await.unwrap();
        store.health().await.unwrap().writer.wal_restarts > 0
    })
    .await;
    answered(store.close()).await.unwrap();
}
