//! Point reads on their callers' threads: the same promises as on a reader's, and never a wait there.

use crate::common::{Endless, HoldReader, Numbers, Put, answered, hold, kind, probe_store, until};
use crate::shared_snapshots::{DAMAGED, ROWS, ask_for, with_a_damaged_row};
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::{
    Cacheable, Config, ErrorKind, Lane, PointReads, Query, Read, ReadTx, Result, Store,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::ThreadId;
use std::time::Duration;

fn on_callers_thread(config: Config) -> Config {
    config.point_reads(PointReads::OnCallersThread)
}

async fn open() -> TestStore {
    probe_store(|config| on_callers_thread(config.readers(1))).await
}

/// How many queries were answered on their callers' threads, and how many were cut there.
async fn counts(store: &Store) -> (u64, u64) {
    let lane = store.health().await.unwrap().interactive;
    (lane.on_callers_thread, lane.cut_on_callers_thread)
}

/// The threads that it ran on.
#[derive(Clone, Default)]
struct Where(Arc<std::sync::Mutex<Vec<ThreadId>>>);

impl Where {
    fn note(&self) {
        self.0.lock().unwrap().push(std::thread::current().id());
    }

    fn noted(&self) -> Vec<ThreadId> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Point(Where);

impl Query for Point {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        self.0.note();
        tx.one("SELECT count(*) FROM probe", [], |_| Ok(()))
    }
}

struct Scan(Where);

impl Query for Scan {
    const LANE: Lane = Lane::Analytics;
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.query(&Point(self.0.clone()))
    }
}

#[tokio::test]
async fn a_point_read_runs_on_its_callers_thread_only_if_that_is_wanted() {
    let here = std::thread::current().id();
    let place = Where::default();
    let store = probe_store(|config| config).await;
    store.read(Point(place.clone())).await.unwrap();
    assert_ne!(place.noted(), [here]);
    assert_eq!(counts(&store).await, (0, 0));

    let store = open().await;
    store.read(Point(place.clone())).await.unwrap();
    store.try_read(Point(place.clone())).await.unwrap();
    let closure = place.clone();
    let asked = store.ask("where", move |tx| tx.query(&Point(closure.clone())));
    asked.await.unwrap();
    assert_eq!(place.noted(), [here; 3]);
    assert_eq!(counts(&store).await, (3, 0));

    // Neither a scan, nor one that comes as a message, which the store's own thread takes.
    store.read(Scan(place.clone())).await.unwrap();
    let closure = place.clone();
    let asked = store.ask("where", move |tx| tx.query(&Point(closure.clone())));
    asked.lane(Lane::Analytics).await.unwrap();
    let message = Read(Point(place.clone()));
    store.queries().send(message).await.unwrap().unwrap();
    assert!(!place.noted().contains(&here));
    assert_eq!(counts(&store).await, (3, 0));
}

/// Counts to a number for which SQLite needs milliseconds.
const MANY: i64 = 300_000;

const COUNT: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                     SELECT count(*) FROM n";

/// Passes over whatever goes wrong with its statement, and says 0 instead.
struct Careless {
    runs: Arc<AtomicUsize>,
    many: bool,
}

impl Query for Careless {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        self.runs.fetch_add(1, SeqCst);
        let many = if self.many { MANY } else { 1 };
        let count = tx.one(COUNT, [many], |row| Ok(row.get(0)?));
        Ok(count.unwrap_or(0))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, i64>> {
        Some(Cacheable::row("probe", 1))
    }
}

/// It is run again by a reader, and nothing of the first run is left: no error, no answer, nothing in the cache.
#[tokio::test]
async fn one_that_takes_long_goes_to_a_reader() {
    let store = open().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let careless = Careless {
        runs: Arc::clone(&runs),
        many: true,
    };
    assert_eq!(store.read(careless).await.unwrap(), MANY);
    assert_eq!(runs.load(SeqCst), 2);
    assert_eq!(counts(&store).await, (0, 1));
    // What is kept is the whole answer.
    let again = Careless { runs, many: false };
    assert_eq!(store.read(again).await.unwrap(), MANY);
}

/// The same on a reader, at the deadline: what such a query says then is for its caller alone.
#[tokio::test]
async fn an_interrupted_query_leaves_no_answer_in_the_cache() {
    /// Never ends while told so.
    struct Stubborn(Arc<AtomicBool>);

    impl Query for Stubborn {
        type Output = i64;

        fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
            match self.0.load(SeqCst) {
                true => Ok(tx.query(&Endless).unwrap_or(0)),
                false => Ok(1),
            }
        }

        fn cacheable(&self) -> Option<Cacheable<'_, i64>> {
            Some(Cacheable::row("probe", 1))
        }
    }

    for point_reads in [PointReads::OnReaders, PointReads::OnCallersThread] {
        let store = probe_store(|config| {
            let config = config.readers(1).point_reads(point_reads);
            config.interactive_deadline(Duration::from_secs(1))
        })
        .await;
        let endless = Arc::new(AtomicBool::new(true));
        let first = answered(store.read(Stubborn(Arc::clone(&endless)))).await;
        assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
        endless.store(false, SeqCst);
        // On a busy machine one may be too late to begin.
        until("an answer", async || {
            match answered(store.read(Stubborn(Arc::clone(&endless)))).await {
                Ok(number) => assert_eq!(number, 1),
                late => {
                    assert_eq!(kind(late), ErrorKind::Deadline);
                    return false;
                }
            }
            true
        })
        .await;
    }
}

#[tokio::test]
async fn one_that_never_ends_meets_its_deadline() {
    let store = probe_store(|config| {
        on_callers_thread(config).interactive_deadline(Duration::from_secs(1))
    })
    .await;
    assert_eq!(
        kind(answered(store.read(Endless)).await),
        ErrorKind::Deadline
    );
    assert_eq!(counts(&store).await, (0, 1));
}

/// Reading the schema takes longer than a caller's thread has, so that is done elsewhere.
#[tokio::test]
async fn another_programs_new_tables_do_not_drive_reads_away_for_good() {
    let store = open().await;
    store.read(Numbers).await.unwrap();
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN").unwrap();
    for number in 0..1_000 {
        let sql = format!("CREATE TABLE foreign_{number} (a INTEGER PRIMARY KEY, b TEXT, c, d)");
        other.execute_batch(&sql).unwrap();
    }
    other.execute_batch("COMMIT").unwrap();
    until("they run on their callers' threads again", async || {
        let (before, _) = counts(&store).await;
        for _ in 0..10 {
            store.read(Numbers).await.unwrap();
        }
        counts(&store).await.0 == before + 10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_connection() {
    let store = open().await;
    let (wait, holding) = hold();
    let holding = Arc::new(holding);
    let held = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(HoldReader(wait)).await }
    });
    holding.started().await;
    let (here, place) = (std::thread::current().id(), Where::default());
    for _ in 0..10 {
        answered(store.read(Point(place.clone()))).await.unwrap();
    }
    assert!(!place.noted().contains(&here) && !held.is_finished());
    holding.release();
    held.await.unwrap().unwrap();
}

/// Panics, which is its own affair.
struct Panics;

impl Query for Panics {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.one("SELECT count(*) FROM probe", [], |_| -> Result<()> {
            panic!("this panic is part of a test")
        })
    }
}

#[tokio::test]
async fn a_panic_and_an_error_are_the_answer_of_their_query_alone() {
    let store = open().await;
    for number in 0..10 {
        assert_eq!(kind(store.read(Panics).await), ErrorKind::Panicked);
        let no_table = |tx: &ReadTx<'_>| tx.one("SELECT 1 FROM nothing", [], |_| Ok(()));
        assert_eq!(kind(store.ask("wrong", no_table).await), ErrorKind::Sql);
        let writes = |tx: &ReadTx<'_>| tx.one("DELETE FROM probe RETURNING 1", [], |_| Ok(()));
        assert_eq!(kind(store.ask("writes", writes).await), ErrorKind::Sql);
        store.write(Put::new(number)).await.unwrap();
        assert_eq!(store.read(Numbers).await.unwrap().len() as i64, number + 1);
    }
    assert_eq!(counts(&store).await, (40, 0));
    let health = store.health().await.unwrap();
    assert_eq!((health.reconnects, health.interactive.in_flight), (0, 0));
}

/// A connection that met damage is not used again, and another one takes its place.
#[tokio::test]
async fn a_damaged_page_fails_the_one_that_reads_it_and_no_other() {
    let (_folder, store) = with_a_damaged_row(|config| on_callers_thread(config.readers(1))).await;
    for number in 0..ROWS {
        ask_for(store.clone(), number).await;
    }
    let health = store.health().await.unwrap();
    assert!(health.damage.is_some() && !health.ok);
    assert_eq!(health.reconnects, 1);
    // A reader has opened it, after one query that it had to answer.
    let (answered, _) = counts(&store).await;
    assert!(answered > DAMAGED as u64 + 1, "{answered}");
    let _ = store.close().await;
}

fn is_there(path: &Path, suffix: &str) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    Path::new(&name).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_closes_waits_for_one_that_runs() {
    let store = open().await;
    store.write(Put::new(1)).await.unwrap();
    let (wait, holding) = hold();
    let holding = Arc::new(holding);
    let held = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(HoldReader(wait)).await }
    });
    holding.started().await;
    let closing = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.close().await }
    });
    until("it is closing", async || {
        let refused = store.try_write(Put::new(2)).await;
        refused.is_err_and(|error| error.kind() == ErrorKind::Closed)
    })
    .await;
    assert!(!closing.is_finished());
    holding.release();
    answered(held).await.unwrap().unwrap();
    answered(closing).await.unwrap().unwrap();
    assert_eq!(kind(store.read(Numbers).await), ErrorKind::Closed);
    // Nobody has the file open.
    assert!(!is_there(store.path(), "-wal") && !is_there(store.path(), "-shm"));
}

/// Also at the deadline, which is no time for a query that SQLite runs.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_end_does_not_keep_a_store_from_closing() {
    let store = probe_store(|config| {
        let config = on_callers_thread(config.readers(1));
        config.close_deadline(Duration::from_millis(10))
    })
    .await;
    let endless = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(Endless).await }
    });
    until("it is with a reader", async || counts(&store).await.1 == 1).await;
    answered(store.close()).await.unwrap();
    assert_eq!(kind(answered(endless).await.unwrap()), ErrorKind::Closed);
}
