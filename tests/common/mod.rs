//! A host's table and operations with which the tests of the promises look at the store: they are
//! declared outside the crate, as a bot's are.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

#[path = "../shared/wait.rs"]
mod wait;

pub use wait::{HANG, answered, is_sent, patient, pause, until, wait_until};

use botstore::schema::{Migration, Schema};
use botstore::testing::TestStore;
use botstore::{
    Config, Durability, Error, ErrorKind, Lane, Mutation, Query, ReadTx, Result, Store, WriteTx,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

/// One table of numbers.
pub struct Probe;

impl Schema for Probe {
    const NAME: &'static str = "probe";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "probe",
        "CREATE TABLE probe (number INTEGER PRIMARY KEY, text TEXT NOT NULL DEFAULT '')",
        "DROP TABLE probe",
    )];
}

/// A store with the table, otherwise as configured. A deadline is a test's own, or none that it meets. It does not wait
/// for the disk, unless it is configured to.
pub async fn probe_store(configure: impl FnOnce(Config) -> Config) -> TestStore {
    let config = |config| patient(config).durability(Durability::Normal);
    TestStore::open_with(|given| configure(config(given).schema::<Probe>()))
        .await
        .expect("a new store opens")
}

/// What happens to a [`Put`] after it has written its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    Succeed,
    Fail,
    Panic,
}

/// Writes a number, then does what it is told.
#[derive(Clone, Debug)]
pub struct Put {
    pub number: i64,
    pub then: Then,
}

impl Put {
    pub fn new(number: i64) -> Self {
        Self {
            number,
            then: Then::Succeed,
        }
    }

    pub fn then(number: i64, then: Then) -> Self {
        Self { number, then }
    }
}

impl Mutation for Put {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        let sql = "INSERT INTO probe (number) VALUES (?1)";
        tx.insert(sql, [self.number])?;
        match self.then {
            Then::Succeed => Ok(self.number),
            Then::Fail => Err(Error::invalid("number", "was told to fail")),
            Then::Panic => panic!("this panic is part of a test"),
        }
    }
}

/// Writes so many numbers at once, each with a long text.
#[derive(Clone, Debug)]
pub struct PutMany {
    pub first: i64,
    pub count: i64,
}

impl Mutation for PutMany {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let text = "x".repeat(200);
        for number in self.first..self.first + self.count {
            let sql = "INSERT INTO probe (number, text) VALUES (?1, ?2)";
            tx.execute(sql, (number, &text))?;
        }
        Ok(())
    }
}

/// All numbers, in order.
#[derive(Clone, Debug)]
pub struct Numbers;

impl Query for Numbers {
    type Output = Vec<i64>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<i64>> {
        tx.all("SELECT number FROM probe ORDER BY number", [], |row| {
            Ok(row.get(0)?)
        })
    }
}

/// Holds whoever runs it until [`Hold::release`], so that a test decides what waits behind it.
#[derive(Clone)]
pub struct Hold {
    started: Arc<Mutex<Option<mpsc::Sender<()>>>>,
    go_on: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

/// The test's end of a [`Hold`].
pub struct Holding {
    started: Mutex<mpsc::Receiver<()>>,
    go_on: mpsc::Sender<()>,
}

pub fn hold() -> (Hold, Holding) {
    let (tell_started, started) = mpsc::channel();
    let (tell_go_on, go_on) = mpsc::channel();
    let hold = Hold {
        started: Arc::new(Mutex::new(Some(tell_started))),
        go_on: Arc::new(Mutex::new(Some(go_on))),
    };
    let holding = Holding {
        started: Mutex::new(started),
        go_on: tell_go_on,
    };
    (hold, holding)
}

impl Hold {
    pub fn wait(&self) {
        if let Some(started) = self.started.lock().unwrap().take() {
            started.send(()).unwrap();
        }
        // A group that is run again comes by here again, and must not wait for another release.
        let mut go_on = self.go_on.lock().unwrap();
        if let Some(release) = go_on.take() {
            // Released also when the test ends early, and drops its end.
            let _ = release.recv();
        }
    }
}

impl Holding {
    /// Waits until somebody is held.
    pub async fn started(self: &Arc<Self>) {
        assert!(self.has_started().await, "it was dropped before");
    }

    /// The same for what may be refused at its deadline before it begins: then returns false.
    pub async fn has_started(self: &Arc<Self>) -> bool {
        let this = Arc::clone(self);
        let waited = tokio::task::spawn_blocking(move || {
            let started = this.started.lock().unwrap();
            started.recv_timeout(HANG)
        });
        match waited.await.unwrap() {
            Ok(()) => true,
            Err(mpsc::RecvTimeoutError::Disconnected) => false,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nobody was ever held"),
        }
    }

    pub fn release(&self) {
        self.go_on.send(()).unwrap();
    }
}

/// Holds the writer.
pub struct HoldWriter(pub Hold);

impl Mutation for HoldWriter {
    type Output = ();

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<()> {
        self.0.wait();
        Ok(())
    }
}

/// Holds an interactive reader.
pub struct HoldReader(pub Hold);

impl Query for HoldReader {
    type Output = ();

    fn fetch(&self, _tx: &ReadTx<'_>) -> Result<()> {
        self.0.wait();
        Ok(())
    }
}

/// Holds an analytics reader.
pub struct HoldAnalytics(pub Hold);

impl Query for HoldAnalytics {
    const LANE: Lane = Lane::Analytics;
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        // Reads first, so that it holds a snapshot of the WAL too.
        tx.one("SELECT count(*) FROM probe", [], |_| Ok(()))?;
        self.0.wait();
        Ok(())
    }
}

/// Holds the writer until the returned guard is told to release it; what is sent meanwhile waits
/// in the queue and makes one group.
pub async fn hold_writer(store: &Store) -> (Arc<Holding>, tokio::task::JoinHandle<Result<()>>) {
    let (hold, holding) = hold();
    let holding = Arc::new(holding);
    let held = tokio::spawn({
        let store = store.clone();
        async move { store.write(HoldWriter(hold)).await }
    });
    holding.started().await;
    (holding, held)
}

/// The same for one of the interactive readers.
pub async fn hold_reader(store: &Store) -> (Arc<Holding>, tokio::task::JoinHandle<Result<()>>) {
    let (hold, holding) = hold();
    let holding = Arc::new(holding);
    let held = tokio::spawn({
        let store = store.clone();
        async move { store.read(HoldReader(hold)).await }
    });
    holding.started().await;
    (holding, held)
}

/// On which thread the store writes.
pub struct WhoWrites;

impl Mutation for WhoWrites {
    type Output = ThreadId;

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<ThreadId> {
        Ok(std::thread::current().id())
    }
}

/// Whether an operation has begun to run.
#[derive(Clone, Default)]
pub struct Begun(Arc<AtomicBool>);

impl Begun {
    pub fn note(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub async fn wait(&self) {
        until("the operation begins", async || self.is_set()).await;
    }
}

/// A query that never ends by itself.
pub struct Endless;

impl Query for Endless {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.one(ENDLESS, [], |row| Ok(row.get(0)?))
    }
}

/// The same in the analytics lane.
#[derive(Default)]
pub struct EndlessScan(pub Begun);

impl Query for EndlessScan {
    const LANE: Lane = Lane::Analytics;
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        self.0.note();
        tx.one(ENDLESS, [], |row| Ok(row.get(0)?))
    }
}

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                       SELECT count(*) FROM n";

pub fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("this must be refused").kind()
}

/// Waits until so many requests wait for the writer or are with it.
pub async fn until_in_flight(store: &Store, requests: usize) {
    until("as many requests", async || {
        store.health().await.unwrap().writer.in_flight >= requests
    })
    .await;
}
