//! Queries that never end, a backup that takes its time.

use crate::common::kind;
use crate::log::{CEILING, DEADLINE, ROWS, Writes, holders, low_ceiling, told};
use crate::outsider::Outsider;
use actix::Message;
use botstore::backup::TakeBackup;
use botstore::{ErrorKind, Lane, LogHolder, Query, ReadTx, Result, Store};
use std::ops::ControlFlow;

pub(crate) const ENDLESS: &str = "WITH RECURSIVE n(i) AS (
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
            assert_eq!(held_by, [LogHolder::Process(outsider.id())]);
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
