//! When nothing is written, what is in the WAL gets into the file, which is then whole by itself.

use crate::common::{HANG, Numbers, Probe, Put, answered, patient, pause, probe_store, until};
use crate::copy::{copy, keeps_its_log};
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::{Config, ErrorKind, Store};
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};

/// Nothing copies the WAL of this store but a rest: it never grows so long.
fn copied_at_rest_alone(config: Config) -> Config {
    keeps_its_log(config).checkpoint_at_bytes((64 << 30) - 1)
}

async fn put(store: &Store, number: i64) {
    answered(store.write(Put::new(number))).await.unwrap();
}

/// Frames in the WAL and frames copied, at the last checkpoint.
async fn last_copy(store: &Store) -> Option<(i64, i64)> {
    let last = store.health().await.unwrap().last_checkpoint?;
    Some((last.frames, last.copied))
}

/// What somebody gets who copies the database and forgets its WAL.
async fn numbers_in_the_file_alone(store: &Store) -> Option<Vec<i64>> {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("alone.db");
    copy(store.path(), &alone);
    let conn = Connection::open(&alone).unwrap();
    // While only a part is copied, it may be no whole database.
    let mut rows = conn
        .prepare("SELECT number FROM probe ORDER BY number")
        .ok()?;
    let numbers = rows.query_map([], |row| row.get(0)).ok()?;
    numbers.collect::<Result<_, _>>().ok()
}

/// Waits until the file has these numbers by itself.
async fn until_the_file_alone_has(store: &Store, numbers: &[i64]) {
    /// So that no copy is made each millisecond.
    const PAUSE: Duration = Duration::from_millis(100);
    until("the file is whole by itself", async || {
        tokio::time::sleep(PAUSE).await;
        numbers_in_the_file_alone(store).await.as_deref() == Some(numbers)
    })
    .await;
}

/// A store that only tells how long rests are on this machine now.
struct OtherBot {
    store: TestStore,
    rests: i64,
}

impl OtherBot {
    async fn start() -> Self {
        let store = probe_store(copied_at_rest_alone).await;
        Self { store, rests: 0 }
    }

    /// Writes, and waits until it has rested.
    async fn rests(&mut self) {
        put(&self.store, self.rests).await;
        self.rests += 1;
        let numbers = Vec::from_iter(0..self.rests);
        until_the_file_alone_has(&self.store, &numbers).await;
    }
}

#[tokio::test]
async fn a_bot_at_rest_has_everything_in_its_file_whatever_is_copied() {
    let store = probe_store(|config| config).await;
    put(&store, 1).await;
    until_the_file_alone_has(&store, &[1]).await;
    // After each burst, also a short one.
    put(&store, 2).await;
    put(&store, 3).await;
    until_the_file_alone_has(&store, &[1, 2, 3]).await;

    let folder = tempfile::tempdir().unwrap();
    let naive = folder.path().join("naive.db");
    copy(store.path(), &naive);
    let config = patient(Config::new(&naive)).schema::<Probe>();
    let copied = Store::open(config).await.unwrap();
    assert_eq!(copied.read(Numbers).await.unwrap(), [1, 2, 3]);
    copied.close().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_rest_is_used_once_and_the_stores_own_bookkeeping_ends_none() {
    const MINUTE: Duration = Duration::from_secs(60);
    let store = probe_store(copied_at_rest_alone).await;
    put(&store, 1).await;
    let last = async || Some(store.health().await.unwrap().last_checkpoint?.at);
    let written = async || store.health().await.unwrap().writer.committed;
    until("it rests", async || last().await.is_some()).await;
    let before = last().await;
    let mut other = OtherBot::start().await;
    for _ in 0..2 {
        // What it writes down each minute.
        let bookkeeping = written().await;
        store.clock().advance(MINUTE + MINUTE);
        until("it is written down", async || written().await > bookkeeping).await;
        other.rests().await;
    }
    assert_eq!(last().await, before, "it was copied again");
    store.close().await.unwrap();
}

#[tokio::test]
async fn while_a_bot_is_busy_nothing_is_copied_for_its_rest() {
    const NO_REST: Duration = Duration::from_secs(1);
    let mut other = OtherBot::start().await;
    let began = Instant::now();
    loop {
        let store = probe_store(copied_at_rest_alone).await;
        let mut longest = Duration::ZERO;
        let busy = async {
            let mut last = Instant::now();
            for number in 0.. {
                put(&store, number).await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
                pause().await;
            }
        };
        tokio::select! {
            () = busy => unreachable!("it has no end"),
            () = async { other.rests().await; other.rests().await } => {}
        }
        let copied = last_copy(&store).await;
        // Otherwise the machine let this test wait for so long that it was a rest.
        if longest < NO_REST {
            assert_eq!(copied, None);
            return;
        }
        assert!(
            began.elapsed() < HANG,
            "this machine never lets a bot be busy"
        );
    }
}

/// A store whose rest cannot copy everything, as somebody reads what was there before the second of two numbers.
struct ReadOn {
    store: TestStore,
    reader: Connection,
    tries: i32,
    /// When the last try was. Each has a time of its own.
    last: Option<DateTime<Utc>>,
}

impl ReadOn {
    async fn start() -> Self {
        let store = probe_store(copied_at_rest_alone).await;
        put(&store, 1).await;
        let reader = Connection::open(store.path()).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM probe")
            .unwrap();
        put(&store, 2).await;
        Self {
            store,
            reader,
            tries: 0,
            last: None,
        }
    }

    /// Waits until so many tries have left something.
    async fn until_tried(&mut self, times: i32) {
        until("it is tried", async || {
            self.store.clock().advance(Duration::from_millis(1));
            let report = self.store.health().await.unwrap().last_checkpoint;
            let Some(report) = report.filter(|report| report.copied < report.frames) else {
                return false;
            };
            self.tries += i32::from(self.last.replace(report.at) != Some(report.at));
            self.tries >= times
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_long_reader_keeps_in_the_wal_is_copied_later() {
    let mut read = ReadOn::start().await;
    read.until_tried(1).await;
    // It has gone on writing and reading meanwhile.
    put(&read.store, 3).await;
    assert_eq!(read.store.read(Numbers).await.unwrap(), [1, 2, 3]);
    drop(read.reader);
    until_the_file_alone_has(&read.store, &[1, 2, 3]).await;
    read.store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_long_reader_keeps_in_the_wal_is_tried_with_pauses() {
    const SHORTEST_PAUSE: Duration = Duration::from_secs(3);
    let began = Instant::now();
    let mut read = ReadOn::start().await;
    read.until_tried(2).await;
    let possible = began.elapsed().div_duration_f64(SHORTEST_PAUSE);
    assert!(f64::from(read.tries) <= possible, "{} tries", read.tries);
    drop(read.reader);
    read.store.close().await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_copies_nothing_in_the_background_does_not_at_rest_either() {
    let store = probe_store(keeps_its_log).await;
    put(&store, 1).await;
    let mut other = OtherBot::start().await;
    other.rests().await;
    other.rests().await;
    assert_eq!(last_copy(&store).await, None);
    store.close().await.unwrap();
    assert_eq!(numbers_in_the_file_alone(&store).await, Some(vec![1]));
}

#[tokio::test]
async fn a_database_that_was_emptied_is_not_written_to_at_rest() {
    let store = probe_store(copied_at_rest_alone).await;
    put(&store, 1).await;
    // The checkpointer has the file open from then on.
    until_the_file_alone_has(&store, &[1]).await;
    let mut other = OtherBot::start().await;
    put(&store, 2).await;
    let file = std::fs::OpenOptions::new().write(true).open(store.path());
    let file = file.unwrap();
    file.set_len(0).unwrap();
    other.rests().await;
    other.rests().await;
    assert_eq!(file.metadata().unwrap().len(), 0);
    // Nor is that taken for damage, which SQLite would have found by trying.
    assert_eq!(store.health().await.unwrap().damage, None);
    // What was copied at the first rest is in no file any more. Whether the writer still has it in its cache is
    // SQLite's affair; that closing calls no part the whole is tested with the damaged files.
    let error = answered(store.close()).await.unwrap_err();
    let said = [ErrorKind::Replaced, ErrorKind::Corrupt];
    assert!(said.contains(&error.kind()), "{error}");
    // The last, since closing it drops SQLite's locks.
    drop(file);
}
