//! Closures on a schedule.

use crate::common::{Numbers, Probe, probe_store, until};
use botstore::prelude::*;
use botstore::rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn put_time(tx: &WriteTx) -> Result<i64> {
    let sql = "INSERT INTO probe (number) VALUES (?1)";
    tx.insert(sql, [tx.now().timestamp()])
}

#[tokio::test]
async fn a_closure_runs_once_an_interval_in_one_transaction_with_the_note_that_it_ran() {
    let (fails, failed) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
    let (told, count) = (Arc::clone(&fails), Arc::clone(&failed));
    let store = probe_store(|config| {
        config.transact_every("put the time", HOUR, move |tx| {
            put_time(tx)?;
            if told.load(SeqCst) {
                count.fetch_add(1, SeqCst);
                return Err(Error::forbidden("not now"));
            }
            Ok(())
        })
    })
    .await;
    let rows = async || store.read(Numbers).await.unwrap().len();
    let conn = Connection::open(store.path()).unwrap();
    let sql = "SELECT last_run_at FROM botstore_schedules WHERE name = 'put the time'";
    let last = || conn.query_row(sql, [], |row| row.get::<_, String>(0)).ok();
    // The first look is what the interval counts from.
    until("it is known", async || {
        store.run_due().await.unwrap();
        last().is_some()
    })
    .await;
    for hours in 1..=3 {
        store.clock().advance(HOUR);
        until("it runs", async || {
            store.run_due().await.unwrap();
            rows().await == hours
        })
        .await;
        store.run_due().await.unwrap();
        assert_eq!(rows().await, hours, "it ran twice");
    }
    // One that fails leaves neither its row nor the note.
    let before = last();
    fails.store(true, SeqCst);
    store.clock().advance(HOUR);
    until("it fails", async || {
        store.run_due().await.unwrap();
        failed.load(SeqCst) > 0
    })
    .await;
    assert_eq!((rows().await, last()), (3, before.clone()));
    fails.store(false, SeqCst);
    store.clock().advance(HOUR);
    until("it runs again", async || {
        store.run_due().await.unwrap();
        rows().await == 4
    })
    .await;
    assert!(last() > before);
}

/// Its name is that of the schedule, so two of one name are refused, whatever they are made of.
#[tokio::test]
async fn two_schedules_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path().join("bot.db"))
        .schema::<Probe>()
        .transact_every("expire", HOUR, put_time)
        .every_named("expire", HOUR, || ExpireIdle::new(HOUR));
    let refused = Store::open(config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
