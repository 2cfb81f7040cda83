//! Queries that never end, a backup that takes its time.

use crate::child;
use crate::common::Begun;
use crate::log::{CEILING, ROWS, Writes, holders, low_ceiling, told};
use crate::outsider::{self, Outsider};
use botstore::backup::TakeBackup;
use botstore::{Error, ErrorKind, Lane, Query, ReadTx, Result, Store, WalHolder};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Needs the state of the file at which it began until it is let go. In SQL, as a query that never ends
/// is: what the test says is heard between two of its rows.
#[derive(Clone, Default)]
struct Stuck {
    begun: Begun,
    let_go: Arc<AtomicBool>,
}

impl Stuck {
    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        let endless = "WITH RECURSIVE n(i) AS (
                           SELECT count(*) FROM probe UNION ALL SELECT i + 1 FROM n
                       ) SELECT i FROM n";
        let rows = tx.all(endless, [], |_| {
            self.begun.note();
            match self.let_go.load(Ordering::Relaxed) {
                true => Err(Error::new(ErrorKind::Cancelled, "it is let go")),
                false => Ok(()),
            }
        });
        rows.map(drop)
    }
}

struct StuckRead(Stuck);

impl Query for StuckRead {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        self.0.fetch(tx)
    }
}

/// The same in the analytics lane.
struct StuckScan(Stuck);

impl Query for StuckScan {
    const LANE: Lane = Lane::Analytics;
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        self.0.fetch(tx)
    }
}

/// Has a query be stuck beside writes.
async fn beside_writes<Q: Query<Output = ()>>(query: fn(Stuck) -> Q) {
    let store = low_ceiling().await;
    let mut events = store.events();
    let stuck = Stuck::default();
    let query = tokio::spawn({
        let (store, query) = (Store::clone(&store), query(stuck.clone()));
        async move { store.read(query).await }
    });
    stuck.begun.wait().await;
    let writes = Writes::from(&store, 0);
    writes
        .until(async || !events.is_empty() && writes.log().await > 2 * CEILING)
        .await;
    assert!(!query.is_finished());
    assert!(writes.next.get() > 10 * ROWS, "writes hardly went on");
    stuck.let_go.store(true, Ordering::Relaxed);
    let error = query.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    writes.until_the_log_is_short().await;
    let name = Q::name();
    let held_by = holders(&mut events);
    assert!(
        matches!(held_by[..], [WalHolder::Query { operation, .. }] if operation == name),
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

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn beside_another_program_that_never_ends_its_query_writes_go_on_until_it_is_killed()
 {
    if let Some([path]) = child::given() {
        return outsider::never_ends_its_query(&path);
    }
    let store = low_ceiling().await;
    let mut events = store.events();
    let writes = Writes::from(&store, 0);
    // A second time, because it is told once until the WAL has started over, and then again.
    for _ in 0..2 {
        let outsider = Outsider::start(store.path());
        writes.until(async || !events.is_empty()).await;
        writes
            .until(async || writes.log().await > 8 * CEILING)
            .await;
        let held_by = holders(&mut events);
        if cfg!(target_os = "linux") {
            assert_eq!(held_by, [WalHolder::Process(outsider.id())]);
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
    let (go_on, told_to) = std::sync::mpsc::channel::<()>();
    let slowly = TakeBackup::default().on_progress(move |_| {
        // Until the other end is dropped.
        let _ = told_to.recv();
        ControlFlow::Continue(())
    });
    let backup = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.back_up(slowly).await }
    });
    writes
        .until(async || !events.is_empty() && writes.log().await > 2 * CEILING)
        .await;
    assert!(!backup.is_finished());
    drop(go_on);
    backup.await.unwrap().unwrap();
    writes.until_the_log_is_short().await;
    let held_by = holders(&mut events);
    assert!(
        matches!(held_by[..], [WalHolder::Backup { .. }]),
        "{held_by:?}"
    );
    store.close().await.unwrap();
}
