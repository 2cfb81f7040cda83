//! Point reads that wait for a reader share a snapshot. What becomes of one of them is its own affair.

use crate::Newest;
use crate::common::{
    Endless, HANG, HoldReader, Holding, Probe, Put, answered, hold, hold_reader, is_sent, kind,
    patient, probe_store, until,
};
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::time::Clock;
use botstore::{Config, Error, ErrorKind, Query, ReadTx, Result, Store};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A clock that never says the same twice: so it numbers snapshots.
#[derive(Default)]
struct Numbering(AtomicI64);

impl Clock for Numbering {
    fn now(&self) -> DateTime<Utc> {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        start + TimeDelta::milliseconds(self.0.fetch_add(1, SeqCst))
    }
}

/// The snapshot that it ran in, by its time.
#[derive(Clone, Copy)]
enum Ask {
    Quick,
    Sleeps,
    Fails,
    Panics,
}

impl Query for Ask {
    type Output = DateTime<Utc>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<DateTime<Utc>> {
        tx.one("SELECT count(*) FROM probe", [], |_| Ok(()))?;
        match self {
            Self::Quick => {}
            Self::Sleeps => std::thread::sleep(Duration::from_millis(5)),
            Self::Fails => return Err(Error::invalid("ask", "was told to fail")),
            Self::Panics => panic!("this panic is part of a test"),
        }
        Ok(tx.now())
    }
}

/// Sends a query, which waits behind the `before` others.
async fn send<Q: Query>(store: &Store, query: Q, before: usize) -> JoinHandle<Result<Q::Output>> {
    let sender = store.clone();
    let sent = tokio::spawn(async move { sender.read(query).await });
    until("it waits", async || {
        store.health().await.unwrap().interactive.waiting > before
    })
    .await;
    sent
}

/// Asks all of these while nobody answers; then lets the only reader go on.
async fn ask_at_once(store: &Store, queries: &[Ask]) -> Vec<Result<DateTime<Utc>>> {
    let (holding, held) = hold_reader(store).await;
    let mut sent = Vec::new();
    for query in queries {
        sent.push(send(store, *query, sent.len()).await);
    }
    holding.release();
    held.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for answer in sent {
        answers.push(answered(answer).await.unwrap());
    }
    answers
}

async fn one_reader() -> TestStore {
    probe_store(|config| config.readers(1).clock(Numbering::default())).await
}

#[tokio::test]
async fn those_that_wait_share_a_snapshot() {
    const QUERIES: usize = 32;
    let store = one_reader().await;
    let began = Instant::now();
    loop {
        let answers = ask_at_once(&store, &[Ask::Quick; QUERIES]).await;
        let snapshots: BTreeSet<_> = answers.into_iter().map(Result::unwrap).collect();
        // On a machine that lets the reader lie, each may get one of its own.
        if snapshots.len() <= QUERIES / 2 {
            break;
        }
        assert!(began.elapsed() < HANG, "{} snapshots", snapshots.len());
    }
}

/// Stays in its snapshot until the test has asked something else.
struct Waits {
    begun: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Query for Waits {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.one("SELECT count(*) FROM probe", [], |_| Ok(()))?;
        self.begun.store(true, SeqCst);
        spin_until(&self.asked);
        Ok(())
    }
}

fn spin_until(flag: &AtomicBool) {
    let began = Instant::now();
    while !flag.load(SeqCst) {
        assert!(began.elapsed() < HANG, "this never came");
        std::hint::spin_loop();
    }
}

/// Whoever has changed the file: here another program, whose commit is quick enough for the snapshot to be young.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_asked_after_a_change_gets_a_snapshot_that_has_it() {
    let store = probe_store(|config| config.readers(1)).await;
    let other = Connection::open(store.path()).unwrap();
    other
        .execute_batch("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0")
        .unwrap();
    let mut put = other
        .prepare("INSERT INTO probe (number) VALUES (?1)")
        .unwrap();
    for number in 0..200 {
        let (begun, asked) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let waits = Waits {
            begun: Arc::clone(&begun),
            asked: Arc::clone(&asked),
        };
        let sender = Store::clone(&store);
        let waiting = tokio::spawn(async move { sender.read(waits).await });
        spin_until(&begun);
        put.execute([number]).unwrap();
        let mut newest = pin!(store.read(Newest));
        is_sent(newest.as_mut());
        asked.store(true, SeqCst);
        assert_eq!(answered(newest).await.unwrap(), number);
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn behind_a_slow_one_the_next_gets_another_snapshot() {
    let store = one_reader().await;
    let answers = ask_at_once(&store, &[Ask::Quick, Ask::Sleeps, Ask::Quick]).await;
    let times: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(times[1] < times[2], "{times:?}");
}

#[tokio::test]
async fn one_that_fails_or_panics_leaves_the_others_their_answers() {
    let store = one_reader().await;
    for culprit in [Ask::Fails, Ask::Panics] {
        let expected = match culprit {
            Ask::Fails => ErrorKind::Invalid,
            _ => ErrorKind::Panicked,
        };
        for at in 0..5 {
            let mut queries = [Ask::Quick; 5];
            queries[at] = culprit;
            let answers = ask_at_once(&store, &queries).await;
            for (number, answer) in answers.into_iter().enumerate() {
                match number == at {
                    true => assert_eq!(kind(answer), expected),
                    false => drop(answer.unwrap()),
                }
            }
        }
    }
    let health = store.health().await.unwrap();
    assert!(health.actors.iter().all(|actor| actor.restarts == 0));
}

/// Two readers that are held.
async fn hold_both(store: &Store) -> Vec<(Arc<Holding>, JoinHandle<Result<()>>)> {
    vec![hold_reader(store).await, hold_reader(store).await]
}

/// What a reader runs keeps no query that waits from another reader.
#[tokio::test(flavor = "multi_thread")]
async fn behind_one_that_does_not_end_the_others_are_answered_by_another_reader() {
    let store = probe_store(|config| config.readers(2)).await;
    let held = hold_both(&store).await;
    let first = send(&store, Ask::Quick, 0).await;
    let (wait, stuck) = hold();
    let stuck = Arc::new(stuck);
    let sticks = send(&store, HoldReader(wait), 1).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(send(&store, Ask::Quick, 2 + others.len()).await);
    }
    for (holding, held) in held {
        holding.release();
        held.await.unwrap().unwrap();
    }
    answered(first).await.unwrap().unwrap();
    stuck.started().await;
    for other in others {
        answered(other).await.unwrap().unwrap();
    }
    assert!(!sticks.is_finished());
    stuck.release();
    sticks.await.unwrap().unwrap();
}

/// Each has the deadline that it was sent with.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_meets_its_deadline_leaves_the_others_their_answers() {
    let store = probe_store(|config| {
        config
            .readers(2)
            .interactive_deadline(Duration::from_secs(5))
    })
    .await;
    let held = hold_both(&store).await;
    let first = send(&store, Ask::Quick, 0).await;
    let endless = send(&store, Endless, 1).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(send(&store, Ask::Quick, 2 + others.len()).await);
    }
    for (holding, held) in held {
        holding.release();
        held.await.unwrap().unwrap();
    }
    for answer in others.into_iter().chain([first]) {
        answered(answer).await.unwrap().unwrap();
    }
    assert_eq!(kind(answered(endless).await.unwrap()), ErrorKind::Deadline);
    store.read(Ask::Quick).await.unwrap();
}

/// The text of a row, which has a page of its own.
struct Text(i64);

impl Query for Text {
    type Output = String;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<String> {
        let sql = "SELECT text FROM probe WHERE number = ?1";
        tx.one(sql, [self.0], |row| Ok(row.get(0)?))
    }
}

fn text(number: i64) -> String {
    format!("row {number:05} ").repeat(300)
}

/// Writes one row of [`text`].
struct PutText(i64);

impl botstore::Mutation for PutText {
    type Output = ();

    fn apply(&self, tx: &botstore::WriteTx<'_>) -> Result<()> {
        let sql = "INSERT INTO probe (number, text) VALUES (?1, ?2)";
        tx.execute(sql, (self.0, text(self.0))).map(drop)
    }
}

pub(crate) const ROWS: i64 = 20;
pub(crate) const DAMAGED: i64 = 7;

/// A store on a file in which the page of one row is no page any more.
pub(crate) async fn with_a_damaged_row(
    configure: impl FnOnce(Config) -> Config,
) -> (tempfile::TempDir, Store) {
    let store = probe_store(|config| config).await;
    for number in 0..ROWS {
        store.write(PutText(number)).await.unwrap();
    }
    let (folder, path) = store.into_file().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = text(DAMAGED);
    let at = bytes
        .windows(needle.len())
        .position(|found| found == needle.as_bytes())
        .expect("it is in the file, in one piece");
    bytes[at / 4096 * 4096] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    let config = patient(Config::new(&path)).schema::<Probe>();
    let store = Store::open(configure(config)).await.unwrap();
    (folder, store)
}

/// Asks for a row and compares.
pub(crate) async fn ask_for(store: Store, number: i64) {
    let answer = answered(store.read(Text(number))).await;
    match number == DAMAGED {
        true => assert_eq!(kind(answer), ErrorKind::Corrupt),
        false => assert_eq!(answer.unwrap(), text(number)),
    }
}

#[tokio::test]
async fn a_damaged_page_fails_the_one_that_reads_it_and_no_other() {
    let (_folder, store) = with_a_damaged_row(|config| config.readers(1)).await;
    let (holding, held) = hold_reader(&store).await;
    let mut callers = Vec::new();
    for number in 0..ROWS {
        callers.push(tokio::spawn(ask_for(store.clone(), number)));
    }
    until("all wait", async || {
        store.health().await.unwrap().interactive.waiting == ROWS as usize
    })
    .await;
    holding.release();
    held.await.unwrap().unwrap();
    for caller in callers {
        answered(caller).await.unwrap();
    }
    let health = store.health().await.unwrap();
    assert!(health.damage.is_some() && !health.ok);
    assert_eq!(health.reconnects, 1);
    let _ = store.close().await;
}

#[tokio::test]
async fn a_store_that_closes_answers_all_that_wait() {
    const QUERIES: usize = 300;
    let store = probe_store(|config| config.readers(2)).await;
    store.write(Put::new(1)).await.unwrap();
    let held = hold_both(&store).await;
    let mut sent = Vec::new();
    for _ in 0..QUERIES {
        let store = Store::clone(&store);
        sent.push(tokio::spawn(async move { store.read(Ask::Quick).await }));
    }
    until("all wait", async || {
        store.health().await.unwrap().interactive.waiting == QUERIES
    })
    .await;
    let mut closing = Box::pin(store.close());
    is_sent(closing.as_mut());
    for (holding, held) in held {
        holding.release();
        held.await.unwrap().unwrap();
    }
    for answer in sent {
        answered(answer).await.unwrap().unwrap();
    }
    answered(closing).await.unwrap();
}
