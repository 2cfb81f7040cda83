//! P7 when somebody needs an old state of the file and does not let go of it: writes go on, somebody
//! is told of the log that grows meanwhile, and it comes back under its ceiling afterwards.

mod common;

use actix::Message;
use botstore::backup::TakeBackup;
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::testing::TestStore;
use botstore::{Durability, ErrorKind, Lane, LogHolder, Query, ReadTx, Result, Store, StoreEvent};
use common::{PutMany, kind, probe_store};
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinSet;

const CEILING: u64 = 1024 * 1024;

/// One group of [`Writes`], and what SQLite adds: the log may go over its ceiling by so much.
const GROUP: u64 = 256 * 1024;
const ROWS: i64 = 200;

/// How long an endless query runs here.
const DEADLINE: Duration = Duration::from_secs(1);

/// Longer than any of this takes; when it has passed, the store hangs.
const PATIENCE: Duration = Duration::from_secs(30);

const PLACE: &str = "BOTSTORE_TEST_PLACE";

async fn low_ceiling() -> TestStore {
    let store = probe_store(|config| {
        let config = config.interactive_deadline(DEADLINE);
        let config = config.analytics_deadline(DEADLINE);
        let config = config.wal_ceiling_bytes(CEILING);
        let config = config.checkpoint_at_bytes(CEILING / 4);
        config.durability(Durability::Normal).readers(2)
    })
    .await;
    let writes = Writes::from(&store, -20_000);
    for _ in 0..50 {
        writes.one().await;
    }
    store
}

/// Groups of rows, one after the other.
struct Writes<'a> {
    store: &'a Store,
    next: Cell<i64>,
}

impl<'a> Writes<'a> {
    /// From this number on.
    fn from(store: &'a Store, first: i64) -> Self {
        let next = Cell::new(first);
        Self { store, next }
    }

    async fn one(&self) {
        let first = self.next.get();
        self.next.set(first + ROWS);
        let written = self.store.write(PutMany { first, count: ROWS });
        let written = tokio::time::timeout(PATIENCE, written).await;
        written.expect("writes go on").unwrap();
    }

    /// Writes until this is so.
    async fn until(&self, so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !so().await {
            assert!(began.elapsed() < PATIENCE, "{} bytes", self.log().await);
            self.one().await;
        }
    }

    async fn log(&self) -> u64 {
        self.store.health().await.unwrap().wal_bytes
    }

    /// Writes until the log is back under its ceiling, and sees it stay there.
    async fn until_the_log_is_short(&self) {
        self.until(async || self.log().await <= CEILING + GROUP)
            .await;
        for _ in 0..50 {
            self.one().await;
            let bytes = self.log().await;
            assert!(bytes <= CEILING + GROUP, "it grew to {bytes} bytes again");
        }
    }
}

/// What was told of the log since the last time that this was asked.
fn told(events: &mut Receiver<StoreEvent>) -> Vec<StoreEvent> {
    let all = std::iter::from_fn(|| events.try_recv().ok());
    let of_the_log = all.filter(|event| matches!(event, StoreEvent::LogOverCeiling { .. }));
    of_the_log.collect()
}

/// Who is said to hold the log up, which is told once.
fn holders(events: &mut Receiver<StoreEvent>) -> Vec<LogHolder> {
    let mut told = told(events);
    assert_eq!(told.len(), 1, "{told:?}");
    let Some(StoreEvent::LogOverCeiling {
        bytes,
        ceiling_bytes,
        held_by,
    }) = told.pop()
    else {
        panic!("{told:?}");
    };
    assert_eq!(ceiling_bytes, CEILING);
    assert!(bytes >= CEILING, "{bytes}");
    held_by
}

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (
                           SELECT count(*) FROM probe UNION ALL SELECT i + 1 FROM n
                       ) SELECT count(*) FROM n";

/// Never ends, and needs the state of the file at which it began.
#[derive(Message)]
#[rtype(result = "Result<()>")]
struct StuckRead;

impl Query for StuckRead {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.one(ENDLESS, [], |_| Ok(()))
    }
}

/// The same in the analytics lane.
#[derive(Message)]
#[rtype(result = "Result<()>")]
struct StuckScan;

impl Query for StuckScan {
    const LANE: Lane = Lane::Analytics;
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.one(ENDLESS, [], |_| Ok(()))
    }
}

/// Has a query run to its deadline beside writes.
async fn beside_writes<Q: Query<Output = ()>>(stuck: Q) {
    let store = low_ceiling().await;
    let mut events = store.events();
    let query = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(stuck).await }
    });
    let writes = Writes::from(&store, 0);
    let mut largest = 0;
    while !query.is_finished() {
        writes.one().await;
        largest = largest.max(writes.log().await);
    }
    assert_eq!(kind(query.await.unwrap()), ErrorKind::Deadline);
    assert!(largest > CEILING, "it was not held up: {largest} bytes");
    assert!(writes.next.get() > 10 * ROWS, "writes hardly went on");
    writes.until_the_log_is_short().await;
    let name = Q::name();
    let held_by = holders(&mut events);
    assert!(
        matches!(held_by[..], [LogHolder::Query { operation, .. }] if operation == name),
        "{held_by:?}"
    );
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_an_endless_query_on_the_interactive_lane_writes_go_on() {
    beside_writes(StuckRead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_an_endless_query_on_the_analytics_lane_writes_go_on() {
    beside_writes(StuckScan).await;
}

#[test]
#[ignore = "the child process of the next test"]
fn child_that_never_ends_its_query() {
    let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let told = Cell::new(false);
    conn.create_scalar_function("tell", 0, Default::default(), move |_| {
        if !told.replace(true) {
            println!("\nholding");
        }
        Ok(0)
    })
    .unwrap();
    let endless = ENDLESS.replace("i + 1", "i + tell()");
    conn.query_row(&endless, [], |_| Ok(())).unwrap();
}

/// Another program that reads; killed when it is dropped.
struct Outsider(Child);

impl Outsider {
    /// One that is in the middle of its query.
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("child_that_never_ends_its_query")
            .env(PLACE, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.map_while(Result::ok).any(|line| line == "holding");
        assert!(held, "it ended");
        Self(child)
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_another_program_that_never_ends_its_query_writes_go_on_until_it_is_killed() {
    let store = low_ceiling().await;
    let mut events = store.events();
    let writes = Writes::from(&store, 0);
    // A second time, because it is told once until the log has started over, and then again.
    for _ in 0..2 {
        let outsider = Outsider::start(store.path());
        writes.until(async || !events.is_empty()).await;
        writes
            .until(async || writes.log().await > 8 * CEILING)
            .await;
        let held_by = holders(&mut events);
        if cfg!(target_os = "linux") {
            assert_eq!(held_by, [LogHolder::Process(outsider.0.id())]);
        }
        drop(outsider);
        writes.until_the_log_is_short().await;
        assert!(told(&mut events).is_empty());
    }
    assert!(store.health().await.unwrap().ok);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_backup_that_takes_its_time_writes_go_on() {
    let store = low_ceiling().await;
    let mut events = store.events();
    let writes = Writes::from(&store, 0);
    // The copy is one snapshot, however long it takes.
    let mut pause = DEADLINE;
    let slowly = TakeBackup::default().on_progress(move |_| {
        std::thread::sleep(std::mem::take(&mut pause));
        ControlFlow::Continue(())
    });
    let backup = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.back_up(slowly).await }
    });
    let mut largest = 0;
    while !backup.is_finished() {
        writes.one().await;
        largest = largest.max(writes.log().await);
    }
    backup.await.unwrap().unwrap();
    assert!(largest > CEILING, "it was not held up: {largest} bytes");
    writes.until_the_log_is_short().await;
    let held_by = holders(&mut events);
    assert!(
        matches!(held_by[..], [LogHolder::Backup { .. }]),
        "{held_by:?}"
    );
    store.close().await.unwrap();
}

/// Takes a few hundredths of a second, on one snapshot.
#[derive(Message)]
#[rtype(result = "Result<i64>")]
struct Scan;

impl Query for Scan {
    const LANE: Lane = Lane::Analytics;
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        let sql = "WITH RECURSIVE n(i) AS (
                       SELECT min(number, 0) FROM probe WHERE number = 1
                       UNION ALL SELECT i + 1 FROM n WHERE i < 100000
                   ) SELECT count(*) FROM n";
        tx.one(sql, [], |row| Ok(row.get(0)?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_scans_that_follow_one_another_the_log_starts_over() {
    let store = probe_store(|config| {
        let config = config.durability(Durability::Normal).analytics_readers(1);
        let config = config.checkpoint_at_bytes(CEILING / 4);
        config.wal_ceiling_bytes(CEILING)
    })
    .await;
    let put = |first| PutMany { first, count: 200 };
    store.write(put(0)).await.unwrap();
    let mut scans = JoinSet::new();
    for _ in 0..3 {
        let store = Store::clone(&store);
        scans.spawn(async move { while store.read(Scan).await.is_ok() {} });
    }
    while store.health().await.unwrap().analytics.in_flight < 3 {
        tokio::task::yield_now().await;
    }
    let restarts = async || store.health().await.unwrap().writer.log_restarts;
    let (before, began) = (restarts().await, Instant::now());
    let mut steps = 1..;
    while restarts().await < before + 3 {
        assert!(
            began.elapsed() < PATIENCE,
            "it grew to {} bytes",
            store.health().await.unwrap().wal_bytes
        );
        let first = steps.next().unwrap_or_default() * 200;
        store.write(put(first)).await.unwrap();
    }
    store.close().await.unwrap();
    while scans.join_next().await.is_some() {}
}
