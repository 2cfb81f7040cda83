//! P4 when somebody holds the store up: an endless mutation, another program's lock, a close or an
//! open in the middle of it, a host's own code that panics beside its operations.

mod common;

use botstore::rusqlite::Connection;
use botstore::time::Clock;
use botstore::{Config, Durability, ErrorKind, Mutation, Result, Store, Write, WriteTx};
use chrono::{DateTime, Utc};
use common::{
    Begun, Numbers, Probe, Put, answered, hold_writer, is_sent, kind, probe_store, until,
    wait_until,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

#[derive(Default)]
struct EndlessMutation(Begun);

impl Mutation for EndlessMutation {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Put::new(1))?;
        self.0.note();
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                       SELECT count(*) FROM n";
        tx.one(endless, [], |_| Ok(()))
    }
}

#[tokio::test]
async fn an_endless_mutation_is_interrupted_and_undone_and_its_neighbours_commit() {
    let deadline = Duration::from_millis(200);
    let store = probe_store(|config| config.mutation_deadline(deadline)).await;
    let endless = EndlessMutation::default();
    let (endless, neighbour) = tokio::join!(store.write(endless), store.write(Put::new(2)));
    assert_eq!(kind(endless), ErrorKind::Deadline);
    neighbour.unwrap();
    assert_eq!(store.read(Numbers).await.unwrap(), [2]);
}

#[tokio::test]
async fn an_endless_mutation_does_not_keep_a_store_open() {
    let store = probe_store(|config| config.close_deadline(Duration::from_millis(200))).await;
    let begun = Begun::default();
    let endless = tokio::spawn({
        let (store, begun) = (Store::clone(&store), begun.clone());
        async move { store.write(EndlessMutation(begun)).await }
    });
    begun.wait().await;
    store.close().await.unwrap();
    assert_eq!(kind(endless.await.unwrap()), ErrorKind::Deadline);
}

#[tokio::test]
async fn behind_another_programs_lock_nobody_waits_for_everybody_elses_timeout() {
    const GROUPS: usize = 20;
    const GROUP: usize = 2;
    let timeout = Duration::from_millis(500);
    let store = probe_store(|config| config.busy_timeout(timeout).max_batch(GROUP)).await;
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writes = JoinSet::new();
    for number in 0..GROUPS * GROUP {
        let store = Store::clone(&store);
        writes.spawn(async move { store.write(Put::new(number as i64)).await });
    }
    // No time is measured: beside them somebody waits for the timeout as often as they would, if each
    // group did, on a machine that is as busy; and he is still at it when they have all been answered.
    let waited = Arc::new(AtomicUsize::new(0));
    let path = store.path().to_owned();
    let waiter = std::thread::spawn({
        let waited = Arc::clone(&waited);
        move || {
            let waiter = Connection::open(path).unwrap();
            waiter.busy_timeout(timeout).unwrap();
            while waited.load(Ordering::SeqCst) < GROUPS
                && waiter.execute_batch("BEGIN IMMEDIATE").is_err()
            {
                waited.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    while let Some(write) = answered(writes.join_next()).await {
        assert_eq!(kind(write.unwrap()), ErrorKind::Busy);
    }
    let waited = waited.swap(GROUPS, Ordering::SeqCst);
    assert!(waited < GROUPS, "each group waited for the timeout");
    tokio::task::spawn_blocking(|| waiter.join().unwrap())
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
    // After a while, in milliseconds; and when it is open, and nobody has taken it.
    for given_up in [Some(0), Some(1), Some(5), None] {
        let mut opening = Box::pin(Store::open(&path));
        is_sent(opening.as_mut());
        match given_up {
            Some(pause) => std::thread::sleep(Duration::from_millis(pause)),
            None => wait_until("it is open", || has_schedules(&path)),
        }
        drop(opening);
        until("the file is free", async || {
            match Store::open(&path).await {
                Ok(store) => {
                    store.close().await.unwrap();
                    true
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::AlreadyOpen, "{error}");
                    false
                }
            }
        })
        .await;
        forget_schedules(&path);
    }
}

/// What a store writes first of all once its actors are there.
fn has_schedules(path: &Path) -> bool {
    let conn = Connection::open(path).unwrap();
    let count = "SELECT count(*) FROM botstore_schedules";
    conn.query_row(count, [], |row| row.get(0))
        .is_ok_and(|count: i64| count > 0)
}

fn forget_schedules(path: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute("DELETE FROM botstore_schedules", []).unwrap();
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
    let store = probe_store(|config| {
        let config = config.every_named("panics", hour, panics);
        config.every(hour, || Put::new(9))
    })
    .await;
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
        sent.spawn(port.send(Write(Put::new(number))));
    }
    // Twice as many as may be in flight stay at the port; the others are told so at once.
    while sent.len() > 8 {
        let refused = answered(sent.join_next()).await.unwrap();
        assert_eq!(kind(refused.unwrap().unwrap()), ErrorKind::Overloaded);
    }
    holding.release();
    held.await.unwrap().unwrap();
    while let Some(answer) = sent.join_next().await {
        answer.unwrap().unwrap().unwrap();
    }
    assert_eq!(store.read(Numbers).await.unwrap().len(), 8);
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
