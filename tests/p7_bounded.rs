//! P7: requests in flight, groups and the WAL are bounded. At the bound a caller waits, or is told
//! `Overloaded` where it asked not to wait.

mod common;

use botstore::interactions::SaveInteraction;
use botstore::sessions::GetSession;
use botstore::{Config, ErrorKind, Store, Texts};
use common::{
    HANG, Numbers, Put, PutMany, hold_reader, hold_writer, is_sent, kind, probe_store,
    until_in_flight,
};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[tokio::test]
async fn past_the_bound_on_requests_try_is_overloaded_and_write_waits() {
    let store = probe_store(|config| config.max_in_flight(4)).await;
    let (holding, held) = hold_writer(&store).await;
    let mut taken = JoinSet::new();
    for number in 0..3 {
        let store = Store::clone(&store);
        taken.spawn(async move { store.try_write(Put::new(number)).await });
    }
    until_in_flight(&store, 4).await;
    let error = store.try_write(Put::new(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.is_transient());
    let mut waiting = pin!(store.write(Put::new(10)));
    is_sent(waiting.as_mut());
    assert_eq!(store.health().await.unwrap().writer.in_flight, 4);
    holding.release();
    held.await.unwrap().unwrap();
    waiting.await.unwrap();
    while let Some(put) = taken.join_next().await {
        put.unwrap().unwrap();
    }
    assert_eq!(store.read(Numbers).await.unwrap(), [0, 1, 2, 10]);
    assert_eq!(store.health().await.unwrap().writer.in_flight, 0);
}

#[tokio::test]
async fn past_the_bound_on_bytes_try_is_overloaded_and_one_larger_than_all_goes_alone() {
    const MIB: usize = 1024 * 1024;
    let store = probe_store(|config| config.max_in_flight_bytes(MIB)).await;
    let saved = |bytes: usize| SaveInteraction::new(1, "nobody's", "x".repeat(bytes));
    let (holding, held) = hold_writer(&store).await;
    let waiting = tokio::spawn({
        let store = Store::clone(&store);
        let large = saved(MIB * 3 / 4);
        async move { store.write(large).await }
    });
    until_in_flight(&store, 2).await;
    let health = store.health().await.unwrap();
    assert!(health.writer.in_flight_bytes > MIB * 3 / 4);
    assert_eq!(
        kind(store.try_write(saved(MIB / 2)).await),
        ErrorKind::Overloaded
    );
    // Small ones still have room.
    let small = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.try_write(Put::new(1)).await }
    });
    until_in_flight(&store, 3).await;
    holding.release();
    held.await.unwrap().unwrap();
    small.await.unwrap().unwrap();
    // No such user: an answer all the same.
    assert_eq!(kind(waiting.await.unwrap()), ErrorKind::NotFound);
    assert_eq!(kind(store.write(saved(5 * MIB)).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn queries_are_bounded_too() {
    let store = probe_store(|config| config.readers(2).max_in_flight(1)).await;
    let (holding, held) = hold_reader(&store).await;
    let refused = store.try_read(Numbers).await;
    assert_eq!(kind(refused), ErrorKind::Overloaded);
    let mut waiting = pin!(store.read(Numbers));
    is_sent(waiting.as_mut());
    assert_eq!(store.health().await.unwrap().interactive.in_flight, 1);
    holding.release();
    held.await.unwrap().unwrap();
    waiting.await.unwrap();
    store.try_read(Numbers).await.unwrap();
}

/// A host's question with a text in it.
struct Length(String);

impl botstore::Query for Length {
    type Output = usize;

    fn fetch(&self, _tx: &botstore::ReadTx<'_>) -> botstore::Result<usize> {
        Ok(self.0.len())
    }

    fn texts(&self, texts: &mut Texts) {
        texts.text("text", self.0.as_str());
    }
}

const KIB: usize = 1024;

/// How many of these are let in while nobody answers; the others are told `Overloaded`.
async fn let_in<Q: botstore::Query>(ask: impl Fn() -> Q) -> usize {
    let config = |config: Config| config.readers(1).max_in_flight_bytes(64 * KIB);
    let store = probe_store(config).await;
    let (holding, held) = hold_reader(&store).await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut asked = Box::pin(store.try_read(ask()));
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => waiting.push(asked),
            Poll::Ready(answer) => assert_eq!(kind_or_ok(answer), Some(ErrorKind::Overloaded)),
        }
    }
    let let_in = waiting.len();
    holding.release();
    held.await.unwrap().unwrap();
    for asked in waiting {
        asked.await.unwrap();
    }
    let_in
}

#[tokio::test]
async fn the_texts_of_queries_count_for_the_bound_on_bytes() {
    let text = "x".repeat(4 * KIB);
    let session = || GetSession::new(1, text.clone());
    assert_eq!(let_in(session).await, 15);
    assert_eq!(let_in(|| Length(text.clone())).await, 15);
    assert_eq!(let_in(|| Length("x".repeat(30 * KIB))).await, 2);
    assert_eq!(let_in(|| Length(String::new())).await, 100);
    // One that is larger than all of the room goes alone.
    let store = probe_store(|config| config.max_in_flight_bytes(64 * KIB)).await;
    let length = store.read(Length("x".repeat(100 * KIB))).await;
    assert_eq!(length.unwrap(), 100 * KIB);
}

fn kind_or_ok<T>(result: botstore::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_group_is_larger_than_configured() {
    let store = probe_store(|config| config.max_batch(3)).await;
    let (holding, held) = hold_writer(&store).await;
    let mut puts = JoinSet::new();
    for number in 0..50 {
        let store = Store::clone(&store);
        puts.spawn(async move { store.write(Put::new(number)).await });
    }
    until_in_flight(&store, 51).await;
    holding.release();
    held.await.unwrap().unwrap();
    while let Some(put) = puts.join_next().await {
        put.unwrap().unwrap();
    }
    assert_eq!(store.health().await.unwrap().writer.largest_batch, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_starts_over_again_and_again_while_readers_never_rest() {
    const CEILING: u64 = 512 * 1024;
    const TIMES: u64 = 16;
    let store = probe_store(|config: Config| {
        config
            .checkpoint_at_bytes(128 * 1024)
            .wal_ceiling_bytes(CEILING)
            .readers(2)
    })
    .await;
    let relay = Arc::new(Relay::default());
    let mut reading = JoinSet::new();
    for _ in 0..4 {
        let (store, stay) = (Store::clone(&store), Stay(Arc::clone(&relay)));
        reading.spawn(async move { while store.read(stay.clone()).await.is_ok() {} });
    }
    let before = store.health().await.unwrap().writer.wal_restarts;
    let (began, mut steps) = (Instant::now(), 0..);
    loop {
        let health = store.health().await.unwrap();
        if health.writer.wal_restarts >= before + TIMES {
            break;
        }
        // How far over its ceiling it grows meanwhile is for the system to say, which may let a reader
        // lie while it is inside. That it starts over is the store's.
        assert!(began.elapsed() < HANG, "{} bytes", health.wal_bytes);
        let first = steps.next().unwrap_or_default() * 50;
        let put = PutMany { first, count: 50 };
        store.write(Tell(Arc::clone(&relay), put)).await.unwrap();
    }
    assert!(store.health().await.unwrap().last_checkpoint.is_some());
    assert!(reading.try_join_next().is_none(), "they never rest");
    store.close().await.unwrap();
    while reading.join_next().await.is_some() {}
}

/// Which of the point reads stays, and what it stays for.
#[derive(Default)]
struct Relay {
    writes_begun: AtomicU64,
    reads_begun: AtomicU64,
    /// Its number, and how many writes had begun by then.
    stays: Mutex<Option<(u64, u64)>>,
}

/// A point read. There is always one that needs an old state of the WAL: it stays until another has
/// begun after the next write did, and stays instead. When none begins any more, because the store
/// keeps them out, it does not stay either.
#[derive(Clone)]
struct Stay(Arc<Relay>);

impl botstore::Query for Stay {
    type Output = ();

    fn fetch(&self, tx: &botstore::ReadTx<'_>) -> botstore::Result<()> {
        // Shorter than the store waits for those who are inside.
        const NOBODY: Duration = Duration::from_millis(12);
        tx.one(
            "SELECT count(*) FROM probe WHERE number = 1",
            [],
            |_| Ok(()),
        )?;
        let Relay {
            writes_begun,
            reads_begun,
            stays,
        } = &*self.0;
        let mine = (
            reads_begun.fetch_add(1, SeqCst) + 1,
            writes_begun.load(SeqCst),
        );
        let mut before = stays.lock().unwrap();
        if before.is_some_and(|(_, writes)| writes >= mine.1) {
            return Ok(());
        }
        *before = Some(mine);
        drop(before);
        let (mut reads, mut since) = (mine.0, Instant::now());
        while *stays.lock().unwrap() == Some(mine) {
            let now = reads_begun.load(SeqCst);
            if now != reads {
                (reads, since) = (now, Instant::now());
            } else if since.elapsed() > NOBODY {
                stays.lock().unwrap().take_if(|stays| *stays == mine);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }
}

/// Tells that it has begun.
struct Tell(Arc<Relay>, PutMany);

impl botstore::Mutation for Tell {
    type Output = ();

    fn apply(&self, tx: &botstore::WriteTx<'_>) -> botstore::Result<()> {
        self.0.writes_begun.fetch_add(1, SeqCst);
        tx.apply(&self.1)
    }
}
