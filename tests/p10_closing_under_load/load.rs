//! Callers who never rest, what became of their requests, and how that agrees with the file.

use crate::common::{HANG, Probe, Put, answered, patient, pause};
use actix::Addr;
use botstore::backup::{self, TakeBackup};
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::{
    BackupActor, Config, ErrorKind, Lane, Mutation, Mutations, Queries, Query, Read, ReadTx,
    Result, Store, Write, WriteTx,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// With an endless query and an endless mutation running, every store here needs all of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

const WRITERS: usize = 40;
const READERS: usize = 20;
const SCANNERS: usize = 3;

/// Mutations that wait behind the endless one.
const QUEUE: usize = 2_000;

/// A file in a folder of its own, and a store on it.
pub(crate) async fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(config(&folder.path().join("bot.db"))).await;
    (folder, store.unwrap())
}

pub(crate) fn config(path: &Path) -> Config {
    patient(Config::new(path))
        .schema::<Probe>()
        .analytics_readers(2)
        // Small groups, so that most of the queue still waits when time is up.
        .max_batch(32)
        .close_deadline(DEADLINE)
}

/// How callers reach the store. Those at the ports hold no handle that keeps it open.
#[derive(Clone)]
pub(crate) enum Door {
    Handle(Store),
    Ports(Addr<Mutations>, Addr<Queries>, Addr<BackupActor>),
}

impl Door {
    pub(crate) fn ports(store: &Store) -> Self {
        Self::Ports(store.mutations(), store.queries(), store.backup_actor())
    }

    async fn write<M: Mutation>(&self, mutation: M) -> Result<M::Output> {
        match self {
            Self::Handle(store) => store.write(mutation).await,
            Self::Ports(mutations, ..) => mutations.send(Write(mutation)).await?,
        }
    }

    async fn read<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        match self {
            Self::Handle(store) => store.read(query).await,
            Self::Ports(_, queries, _) => queries.send(Read(query)).await?,
        }
    }

    async fn back_up(&self) -> Result<()> {
        let request = TakeBackup::default();
        let backup = match self {
            Self::Handle(store) => store.back_up(request).await,
            Self::Ports(_, _, archivist) => archivist.send(request).await?,
        };
        backup.map(|_| ())
    }
}

/// What was asked and what was answered.
#[derive(Default)]
struct Book {
    /// Numbers whose mutation has not been answered.
    open: BTreeSet<i64>,
    acknowledged: BTreeSet<i64>,
    refused: BTreeSet<i64>,
    refusals: BTreeMap<String, u32>,
    /// The operations that have begun and do not end by themselves.
    endless: BTreeSet<&'static str>,
}

#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// A number that nobody has had.
    fn begin(&self) -> i64 {
        let mut book = self.book();
        let begun = book.open.len() + book.acknowledged.len() + book.refused.len();
        book.open.insert(begun as i64);
        begun as i64
    }

    fn end(&self, number: i64, answer: &Result<i64>) {
        let mut book = self.book();
        book.open.remove(&number);
        match answer {
            Ok(_) => book.acknowledged.insert(number),
            Err(_) => book.refused.insert(number),
        };
    }

    /// Keeps count of a refusal; whether the caller is to go on.
    fn goes_on<T>(&self, answer: &Result<T>) -> bool {
        let Err(error) = answer else { return true };
        let mut book = self.book();
        *book.refusals.entry(error.kind().to_string()).or_default() += 1;
        match error.kind() {
            ErrorKind::Overloaded => true,
            // A statement or a backup that was running when time was up.
            ErrorKind::Closed | ErrorKind::Deadline | ErrorKind::Cancelled => false,
            other => panic!("{other}: {error}"),
        }
    }

    /// Everybody was answered.
    pub(crate) fn is_settled(&self) {
        let book = self.book();
        assert_eq!(book.open.len(), 0, "{:?} were never answered", book.open);
        let closed = book.refusals.get("closed").copied().unwrap_or(0);
        assert!(closed > 0, "{:?}", book.refusals);
    }

    /// Every `Ok` is in the file, and no refusal; of those who gave up waiting, who knows. No log is
    /// left, no half of a backup counts, and the file opens at once.
    pub(crate) async fn agrees_with(&self, path: &Path) {
        for suffix in ["-wal", "-shm"] {
            assert!(!beside(path, suffix).exists(), "a {suffix} is left");
        }
        let found = numbers_in(path);
        let lost: Vec<_> = {
            let book = self.book();
            assert!(book.acknowledged.len() > 500);
            let refused = book.refused.intersection(&found).collect::<Vec<_>>();
            assert!(refused.is_empty(), "refused and carried out: {refused:?}");
            book.acknowledged.difference(&found).copied().collect()
        };
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let backups = backup::list(beside(path, ".backups")).unwrap();
        assert!(backups.unusable.is_empty(), "{:?}", backups.unusable);
        let again = Store::open(config(path)).await.expect("nobody has it open");
        again.write(Put::new(-1)).await.unwrap();
        again.close().await.unwrap();
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn numbers_in(path: &Path) -> BTreeSet<i64> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = conn.prepare("SELECT number FROM probe").unwrap();
    let numbers = rows.query_map([], |row| row.get(0)).unwrap();
    numbers.map(Result::unwrap).collect()
}

/// Callers at work. Dropped, they give up waiting.
pub(crate) struct Load {
    pub(crate) ledger: Ledger,
    callers: JoinSet<()>,
}

impl Load {
    /// Sends 64 callers through the door, has scans, a backup and an endless query run, and then
    /// an endless mutation with a long queue behind it. When this is done, all of that is in flight.
    pub(crate) async fn start(store: &Store, door: Door) -> Self {
        let mut load = Self {
            ledger: Ledger::default(),
            callers: JoinSet::new(),
        };
        for _ in 0..WRITERS {
            load.add(&door, Task::Write);
        }
        for _ in 0..READERS {
            load.add(&door, Task::Read);
        }
        for _ in 0..SCANNERS {
            load.add(&door, Task::Scan);
        }
        load.add(&door, Task::BackUp);
        let health = async || store.health().await.unwrap();
        answered(async {
            while health().await.writer.committed < 1_000 {
                pause().await;
            }
        })
        .await;
        load.add(&door, Task::ScanEndlessly);
        load.add(&door, Task::WriteEndlessly);
        // What has not begun when its caller gives up does not run.
        answered(async {
            while load.ledger.book().endless.len() < 2 {
                pause().await;
            }
        })
        .await;
        for _ in 0..QUEUE {
            load.add(&door, Task::Write);
        }
        answered(async {
            while health().await.writer.in_flight < QUEUE {
                pause().await;
            }
        })
        .await;
        load
    }

    /// Adds a caller who does this until he is refused.
    fn add(&mut self, door: &Door, task: Task) {
        let (door, ledger) = (door.clone(), self.ledger.clone());
        self.callers.spawn(async move {
            while ledger.goes_on(&task.run(&door, &ledger).await) {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Waits for all of them: the store is closing.
    pub(crate) async fn ends(mut self) -> Ledger {
        while let Some(caller) = answered(self.callers.join_next()).await {
            caller.unwrap();
        }
        self.ledger
    }

    /// Leaves them to the end of whatever they run on.
    pub(crate) fn abandon(mut self) -> Ledger {
        self.callers.detach_all();
        self.ledger
    }
}

/// What a caller does again and again.
#[derive(Clone, Copy)]
enum Task {
    Write,
    Read,
    Scan,
    BackUp,
    ScanEndlessly,
    WriteEndlessly,
}

impl Task {
    async fn run(self, door: &Door, ledger: &Ledger) -> Result<()> {
        match self {
            Self::Write => {
                let number = ledger.begin();
                let answer = door.write(Put::new(number)).await;
                ledger.end(number, &answer);
                answer.map(drop)
            }
            Self::Read => door.read(Newest).await.map(drop),
            Self::Scan => door.read(Total).await.map(drop),
            Self::BackUp => door.back_up().await,
            Self::ScanEndlessly => door.read(EndlessScan(ledger.clone())).await,
            Self::WriteEndlessly => door.write(EndlessMutation(ledger.clone())).await,
        }
    }
}

/// The end of a store, for which the endless ones were interrupted at its deadline: their own is past
/// [`HANG`].
pub(crate) fn in_time(began: Instant) {
    let took = began.elapsed();
    assert!(took < HANG, "it took {took:?}");
    // Otherwise nothing endless was running, and the test has shown nothing.
    assert!(took >= DEADLINE, "it took {took:?} only");
}

struct Newest;

impl Query for Newest {
    type Output = Option<i64>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<i64>> {
        tx.one("SELECT max(number) FROM probe", [], |row| Ok(row.get(0)?))
    }
}

struct Total;

impl Query for Total {
    const LANE: Lane = Lane::Analytics;
    type Output = Option<i64>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<i64>> {
        let sql = "SELECT sum(number) FROM probe WHERE text = ''";
        tx.one(sql, [], |row| Ok(row.get(0)?))
    }
}

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (
                           SELECT count(*) FROM probe UNION ALL SELECT i + 1 FROM n
                       ) SELECT count(*) FROM n";

/// Never ends, and holds a snapshot of the file.
struct EndlessScan(Ledger);

impl Query for EndlessScan {
    const LANE: Lane = Lane::Analytics;
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        self.0.book().endless.insert(Self::name());
        tx.one(ENDLESS, [], |_| Ok(()))
    }
}

/// Never ends, after it has changed something.
struct EndlessMutation(Ledger);

impl Mutation for EndlessMutation {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Put::new(-2))?;
        self.0.book().endless.insert(Self::name());
        tx.one(ENDLESS, [], |_| Ok(()))
    }
}
