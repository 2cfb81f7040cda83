//! P10: closing answers everything that was taken in, and leaves a file without a WAL beside it.

mod common;

use botstore::rusqlite::{Connection, OpenFlags};
use botstore::{Config, ErrorKind, Store, Write};
use common::{
    Begun, EndlessScan, Numbers, Probe, Put, hold_writer, kind, probe_store, until, until_in_flight,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn numbers_in(path: &Path) -> Vec<i64> {
    assert!(!beside(path, "-wal").exists(), "the log is gone");
    assert!(!beside(path, "-shm").exists());
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = conn
        .prepare("SELECT number FROM probe ORDER BY number")
        .unwrap();
    let numbers = rows.query_map([], |row| row.get(0)).unwrap();
    numbers.map(Result::unwrap).collect()
}

#[tokio::test]
async fn what_waits_is_committed_and_what_comes_later_is_refused() {
    let store = probe_store(|config| config).await;
    let (holding, held) = hold_writer(&store).await;
    let mut waiting = JoinSet::new();
    for number in 0..100 {
        let store = Store::clone(&store);
        waiting.spawn(async move { store.write(Put::new(number)).await });
    }
    until_in_flight(&store, 101).await;
    let closing = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.close().await }
    });
    while store.read(Numbers).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(kind(store.write(Put::new(-1)).await), ErrorKind::Closed);
    holding.release();
    closing.await.unwrap().unwrap();
    held.await.unwrap().unwrap();
    let mut committed = Vec::new();
    while let Some(put) = waiting.join_next().await {
        committed.push(put.unwrap().unwrap());
    }
    committed.sort();
    assert_eq!(committed, Vec::from_iter(0..100));
    assert_eq!(numbers_in(store.path()), committed);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_answer_agrees_with_the_file() {
    let store = probe_store(|config| config).await;
    let mut callers = JoinSet::new();
    for caller in 0..32_i64 {
        let store = Store::clone(&store);
        callers.spawn(async move {
            let mut committed = Vec::new();
            for step in 0.. {
                match store.write(Put::new(step * 32 + caller)).await {
                    Ok(number) => committed.push(number),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Closed);
                        break;
                    }
                }
            }
            committed
        });
    }
    while store.health().await.unwrap().writer.committed < 500 {
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
    let mut committed = Vec::new();
    while let Some(caller) = callers.join_next().await {
        committed.extend(caller.unwrap());
    }
    committed.sort();
    assert_eq!(numbers_in(store.path()), committed);
}

#[actix::test]
async fn closing_again_gives_the_same_answer_and_the_file_opens_again() {
    let store = probe_store(|config| config).await;
    store.write(Put::new(1)).await.unwrap();
    let (a, b) = tokio::join!(store.close(), store.close());
    a.unwrap();
    b.unwrap();
    store.close().await.unwrap();
    let again = Store::open(Config::new(store.path()).schema::<Probe>())
        .await
        .unwrap();
    assert_eq!(again.read(Numbers).await.unwrap(), [1]);
}

#[tokio::test]
async fn dropping_the_last_handle_closes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropped.db");
    let store = Store::open(Config::new(&path).schema::<Probe>())
        .await
        .unwrap();
    let clone = store.clone();
    store.write(Put::new(1)).await.unwrap();
    drop(store);
    clone.write(Put::new(2)).await.unwrap();
    drop(clone);
    assert_eq!(numbers_in(&path), [1, 2]);
}

/// Keeps a handle in an operation, so that the last one may be dropped by the writer itself.
struct HoldsTheStore(#[allow(dead_code)] Store, common::Hold);

impl botstore::Mutation for HoldsTheStore {
    type Output = ();

    fn apply(&self, _tx: &botstore::WriteTx<'_>) -> botstore::Result<()> {
        self.1.wait();
        Ok(())
    }
}

#[tokio::test]
async fn the_last_handle_may_be_dropped_by_an_operation_on_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropped.db");
    let store = Store::open(Config::new(&path).schema::<Probe>())
        .await
        .unwrap();
    let (hold, holding) = common::hold();
    let holding = std::sync::Arc::new(holding);
    let port = store.mutations();
    let sent = tokio::spawn(port.send(Write(HoldsTheStore(store, hold))));
    holding.started().await;
    holding.release();
    let _ = sent.await.unwrap();
    until("the store closes", async || !beside(&path, "-wal").exists()).await;
    assert!(numbers_in(&path).is_empty());
}

#[tokio::test]
async fn an_endless_query_does_not_keep_a_store_open() {
    let store = probe_store(|config| config.close_deadline(Duration::from_millis(100))).await;
    let begun = Begun::default();
    let endless = tokio::spawn({
        let (store, begun) = (Store::clone(&store), begun.clone());
        async move { store.read(EndlessScan(begun)).await }
    });
    begun.wait().await;
    store.close().await.unwrap();
    assert_eq!(kind(endless.await.unwrap()), ErrorKind::Closed);
}

#[test]
fn the_end_of_the_hosts_system_does_not_end_the_writer_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stopped.db");
    let system = actix::System::new();
    let config = Config::new(&path).schema::<Probe>();
    let acknowledged = system.block_on(async move {
        let store = Store::open(config).await.unwrap();
        for number in 0..10 {
            store.write(Put::new(number)).await.unwrap();
        }
        actix::System::current().stop();
        // Still here, still written.
        store.write(Put::new(10)).await.unwrap();
        11
    });
    drop(system);
    assert_eq!(numbers_in(&path).len(), acknowledged);
}
