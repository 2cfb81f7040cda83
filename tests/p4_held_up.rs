//! P4 when somebody holds the store up: an endless mutation, another program's lock, a close or an
//! open in the middle of it, a host's own code that panics beside its operations.

mod common;

use actix::Message;
use botstore::rusqlite::Connection;
use botstore::time::Clock;
use botstore::{Config, Durability, ErrorKind, Mutation, Result, Store, WriteTx};
use chrono::{DateTime, Utc};
use common::{Numbers, Probe, Put, hold_writer, kind, probe_store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

#[derive(Message)]
#[rtype(result = "Result<()>")]
struct EndlessMutation;

impl Mutation for EndlessMutation {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.make(&Put::new(1))?;
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                       SELECT count(*) FROM n";
        tx.one(endless, [], |_| Ok(()))
    }
}

#[tokio::test]
async fn an_endless_mutation_is_interrupted_and_undone_and_its_neighbours_commit() {
    let deadline = Duration::from_millis(200);
    let store = probe_store(|config| config.mutation_deadline(deadline)).await;
    let (endless, neighbour) = tokio::join!(store.write(EndlessMutation), store.write(Put::new(2)));
    assert_eq!(kind(endless), ErrorKind::Deadline);
    neighbour.unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [2]);
}

#[tokio::test]
async fn an_endless_mutation_does_not_keep_a_store_open() {
    let store = probe_store(|config| config.close_deadline(Duration::from_millis(200))).await;
    let endless = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.write(EndlessMutation).await }
    });
    while store.health().await.unwrap().writer.in_flight == 0 {
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
    assert_eq!(kind(endless.await.unwrap()), ErrorKind::Deadline);
}

#[tokio::test]
async fn behind_another_programs_lock_nobody_waits_for_everybody_elses_timeout() {
    let timeout = Duration::from_millis(500);
    let store = probe_store(|config| config.busy_timeout(timeout).max_group(2)).await;
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writes = JoinSet::new();
    for number in 0..40 {
        let store = Store::clone(&store);
        writes.spawn(async move { store.write(Put::new(number)).await });
    }
    // Twenty groups: ten seconds, if each waited for the timeout.
    let all = async {
        while let Some(write) = writes.join_next().await {
            assert_eq!(kind(write.unwrap()), ErrorKind::Busy);
        }
    };
    tokio::time::timeout(Duration::from_secs(8), all)
        .await
        .unwrap();
    assert!(!store.health().await.unwrap().ok);
    other.execute_batch("ROLLBACK").unwrap();
    store.write(Put::new(1)).await.unwrap();
    assert!(store.health().await.unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_while_the_store_closes_is_answered() {
    for round in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path().join("x.db"))
            .durability(Durability::Normal)
            .readers(1)
            .schema::<Probe>();
        let store = Store::open(config).await.unwrap();
        let mut callers = JoinSet::new();
        for caller in 0..12 {
            let store = store.clone();
            callers.spawn(async move {
                for step in 0.. {
                    let refused = if caller % 2 == 0 {
                        store.write(Put::new(caller * 1_000_000 + step)).await.err()
                    } else {
                        store.read(Numbers).await.err()
                    };
                    if let Some(error) = refused {
                        return error.kind();
                    }
                }
                unreachable!()
            });
        }
        tokio::time::sleep(Duration::from_micros(300 + round * 50)).await;
        store.close().await.unwrap();
        while let Some(caller) = callers.join_next().await {
            assert_eq!(caller.unwrap(), ErrorKind::Closed);
        }
    }
}

#[tokio::test]
async fn an_open_that_is_given_up_leaves_the_file_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    for pause in [0, 1, 5, 300] {
        let opening = Box::pin(Store::open(&path));
        let mut opening = opening;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(opening.as_mut().poll(&mut context).is_pending());
        std::thread::sleep(Duration::from_millis(pause));
        drop(opening);
        let mut last = None;
        for _ in 0..500 {
            match Store::open(&path).await {
                Ok(store) => {
                    store.close().await.unwrap();
                    last = None;
                    break;
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(last.is_none(), "given up after {pause} ms: {last:?}");
    }
}

struct PanickingClock(Arc<AtomicBool>);

impl Clock for PanickingClock {
    fn now(&self) -> DateTime<Utc> {
        assert!(
            !self.0.load(Ordering::SeqCst),
            "this panic is part of a test"
        );
        Utc::now()
    }
}

#[tokio::test]
async fn a_clock_that_panics_once_ends_no_actor() {
    let broken = Arc::new(AtomicBool::new(false));
    let clock = PanickingClock(Arc::clone(&broken));
    let store = probe_store(|config| config.readers(1).clock(clock)).await;
    broken.store(true, Ordering::SeqCst);
    store.write(Put::new(1)).await.unwrap_err();
    store.read(Numbers).await.unwrap_err();
    broken.store(false, Ordering::SeqCst);
    store.write(Put::new(2)).await.unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [2]);
}

#[tokio::test]
async fn a_schedule_whose_making_panics_does_not_starve_the_others() {
    let hour = Duration::from_secs(3600);
    let panics = || -> Put { panic!("this panic is part of a test") };
    let store = probe_store(|config| config.every(hour, panics).every(hour, || Put::new(9))).await;
    store.clock().advance(hour);
    store.run_due().await.unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [9]);
}

#[actix::test]
async fn a_flooded_port_says_overloaded_and_keeps_what_it_took() {
    let store = probe_store(|config| config.max_in_flight(4)).await;
    let (holding, held) = hold_writer(&store).await;
    let port = store.mutations();
    let mut sent = JoinSet::new();
    for number in 0..100 {
        sent.spawn(port.send(Put::new(number)));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    holding.release();
    held.await.unwrap().unwrap();
    let mut kept = 0;
    while let Some(answer) = sent.join_next().await {
        match answer.unwrap().unwrap() {
            Ok(_) => kept += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Overloaded),
        }
    }
    assert!((1..100).contains(&kept), "{kept} of 100");
    assert_eq!(store.read(Numbers).await.unwrap().len(), kept);
}

/// SQLite's locks belong to the process: opening and closing the file behind its back drops them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dry_run_while_the_store_is_open_costs_it_no_lock() {
    let store = probe_store(|config| config).await;
    store.write(Put::new(1)).await.unwrap();
    let inode = {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(store.path()).unwrap().ino()
    };
    let locks = || {
        let all = std::fs::read_to_string("/proc/locks").unwrap();
        let of_file = format!(":{inode} ");
        all.lines().filter(|line| line.contains(&of_file)).count()
    };
    let before = locks();
    assert!(before > 0);
    let config = Config::new(store.path()).schema::<Probe>();
    assert!(botstore::schema::plan(config).unwrap().steps.is_empty());
    assert_eq!(locks(), before);
}
