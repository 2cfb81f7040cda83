//! P4: the caller always gets an answer, a value or a typed error, promptly.

mod common;

use botstore::rusqlite::Connection;
use botstore::users::{GetUser, User};
use botstore::{Config, ErrorKind, Lane, Query, Read, ReadTx, Result, Store};
use common::{
    Endless, EndlessScan, Hold, HoldAnalytics, HoldReader, Numbers, Probe, Put, answered, hold,
    hold_writer, kind, probe_store, until, until_in_flight,
};
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_closed_store_says_so() {
    let store = probe_store(|config| config).await;
    store.close().await.unwrap();
    let error = store.write(Put::new(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.operation(), Some("Put"));
    assert_eq!(kind(store.try_write(Put::new(1)).await), ErrorKind::Closed);
    assert_eq!(kind(store.read(Numbers).await), ErrorKind::Closed);
    assert_eq!(kind(store.try_read(Numbers).await), ErrorKind::Closed);
    assert!(!store.health().await.unwrap().ok);
    assert_eq!(
        kind(
            store
                .mutations()
                .send(botstore::Write(Put::new(1)))
                .await
                .unwrap_or_else(|_| Err(closed()))
        ),
        ErrorKind::Closed
    );
    assert_eq!(kind(store.run_due().await), ErrorKind::Closed);
}

fn closed() -> botstore::Error {
    botstore::Error::new(ErrorKind::Closed, "the port is gone")
}

/// Waits until a reader has an answer again. Where every deadline is short, a busy machine misses some.
async fn reads_go_on(store: &Store) {
    until("an answer", async || match store.read(Numbers).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
            false
        }
    })
    .await;
}

#[tokio::test]
async fn a_query_past_its_deadline_is_interrupted_and_the_reader_goes_on() {
    let short = Duration::from_millis(50);
    let store = probe_store(|config| {
        config
            .readers(1)
            .interactive_deadline(short)
            .analytics_deadline(short)
    })
    .await;
    for _ in 0..3 {
        assert_eq!(kind(store.read(Endless).await), ErrorKind::Deadline);
        let scan = EndlessScan::default();
        assert_eq!(kind(store.read(scan).await), ErrorKind::Deadline);
        reads_go_on(&store).await;
    }
}

#[tokio::test]
async fn who_waits_behind_an_endless_query_is_answered_at_the_deadline() {
    let short = Duration::from_millis(100);
    let store = probe_store(|config| config.readers(1).interactive_deadline(short)).await;
    let (a, b, c) = tokio::join!(
        store.read(Endless),
        store.read(Endless),
        store.read(Numbers)
    );
    assert_eq!(kind(a), ErrorKind::Deadline);
    assert_eq!(kind(b), ErrorKind::Deadline);
    // Its own deadline is a moment after the first one's, so it may just be in time.
    assert!(c.is_ok() || kind(c) == ErrorKind::Deadline);
    reads_go_on(&store).await;
}

#[tokio::test]
async fn an_abandoned_request_that_has_not_begun_does_not_run() {
    let store = probe_store(|config| config).await;
    let (holding, held) = hold_writer(&store).await;
    let abandoned = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(Put::new(1)).await }
    });
    until_in_flight(&store, 2).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    holding.release();
    held.await.unwrap().unwrap();
    store.write(Put::new(2)).await.unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [2]);
}

/// Overwrites every page but the first, which says what the file is.
fn ruin(path: &std::path::Path) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4096)).unwrap();
    let garbage = vec![0xA5; (length - 4096) as usize];
    file.write_all(&garbage).unwrap();
    // It stays open, for the sake of the locks of a store that has it open too.
    std::mem::forget(file);
}

#[tokio::test]
async fn a_ruined_file_is_called_corrupt_and_the_advice_is_to_restore() {
    let store = probe_store(|config| config).await;
    for number in 0..500 {
        store.write(Put::new(number)).await.unwrap();
    }
    let (_folder, path) = store.into_file().await.unwrap();
    ruin(&path);
    let opened = Store::open(Config::new(&path).schema::<Probe>()).await;
    let error = opened.expect_err("nothing in it can be read");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[tokio::test]
async fn a_file_ruined_while_it_is_open_gives_typed_errors_and_no_wrong_answer() {
    let small = 64 * 1024;
    let store = probe_store(|config| config.cache_bytes(small)).await;
    store
        .write(botstore::users::EnsureUser::new(1, Some("ada")))
        .await
        .unwrap();
    for number in 0..20_000 / 100 {
        store
            .write(common::PutMany {
                first: number * 100,
                count: 100,
            })
            .await
            .unwrap();
    }
    // Everything is in the file and nothing in the WAL when it is ruined.
    let conn = Connection::open(store.path()).unwrap();
    let truncate = || conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    common::until("the WAL is empty", async || truncate() == Ok(0)).await;
    drop(conn);
    ruin(store.path());
    let read = store.read(Numbers).await;
    assert_eq!(kind(read), ErrorKind::Corrupt);
    // Still an answer to each, and none that is wrong, whatever is in a cache.
    for user_id in 0..5 {
        match answered(store.read(GetUser::new(user_id))).await {
            Ok(user) => {
                let name = user.map(|user: User| user.username);
                assert_eq!(name, (user_id == 1).then(|| Some("ada".to_owned())));
            }
            Err(error) => is_told(&error),
        }
        let number = -1 - user_id;
        match answered(store.write(Put::new(number))).await {
            Ok(put) => assert_eq!(put, number),
            Err(error) => is_told(&error),
        }
    }
    let health = answered(store.health()).await.unwrap();
    assert!(!health.ok && health.damage.is_some());
    if let Err(error) = answered(store.close()).await {
        is_told(&error);
    }
}

/// The damage, with the advice to restore a backup.
fn is_told(error: &botstore::Error) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

/// One reader for each lane, in code of a host's that nothing interrupts until the test lets it go. Those
/// behind it, in the queue or in front of it, hear that their deadline has passed while it is still held.
async fn is_answered_while_the_reader_is_held<Q, F>(most: usize, held: impl Fn(Hold) -> Q, other: F)
where
    Q: Query<Output = ()>,
    F: Query<Output = Vec<i64>> + Copy,
{
    let store = probe_store(|config| {
        let deadline = Duration::from_millis(100);
        let config = config.readers(1).analytics_readers(1).max_in_flight(most);
        config
            .interactive_deadline(deadline)
            .analytics_deadline(deadline)
    })
    .await;
    // On a busy machine its deadline may pass before it begins.
    let (first, holding) = loop {
        let (hold, holding) = hold();
        let holding = Arc::new(holding);
        let first = tokio::spawn({
            let (store, held) = (Store::clone(&store), held(hold));
            async move { store.read(held).await }
        });
        if holding.has_started().await {
            break (first, holding);
        }
    };
    let deadline = |answer: Result<Vec<i64>>| {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
        assert_eq!(error.operation(), Some(F::name()));
    };
    // Nobody has let go of it: an answer that waited for that would never come.
    deadline(answered(store.read(other)).await);
    deadline(answered(store.queries().send(Read(other))).await.unwrap());
    let tried = answered(store.try_read(other)).await;
    match most {
        1 => assert_eq!(kind(tried), ErrorKind::Overloaded),
        _ => deadline(tried),
    }
    // So does the one who is at it.
    assert_eq!(kind(answered(first).await.unwrap()), ErrorKind::Deadline);
    holding.release();
    until("the reader is free", async || {
        store.read(other).await.is_ok()
    })
    .await;
    store.close().await.unwrap();
}

/// All numbers, in the analytics lane.
#[derive(Clone, Copy)]
struct Scanned;

impl Query for Scanned {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<i64>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<i64>> {
        tx.query(&Numbers)
    }
}

/// The same in the interactive one.
#[derive(Clone, Copy)]
struct Pointed;

impl Query for Pointed {
    type Output = Vec<i64>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<i64>> {
        tx.query(&Numbers)
    }
}

#[tokio::test]
async fn a_query_behind_one_that_nothing_interrupts_hears_of_its_deadline_while_that_goes_on() {
    is_answered_while_the_reader_is_held(100, HoldReader, Pointed).await;
}

#[tokio::test]
async fn a_query_that_waits_for_room_hears_of_its_deadline_while_the_room_is_taken() {
    is_answered_while_the_reader_is_held(1, HoldReader, Pointed).await;
}

#[tokio::test]
async fn a_scan_behind_one_that_nothing_interrupts_hears_of_its_deadline_while_that_goes_on() {
    is_answered_while_the_reader_is_held(100, HoldAnalytics, Scanned).await;
    is_answered_while_the_reader_is_held(1, HoldAnalytics, Scanned).await;
}
