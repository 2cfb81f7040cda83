//! A disk that is full: callers hear `DiskFull` at once, reads go on, the store says so, and writes
//! again by itself when there is room.

use crate::child::{self, succeed_on_a_small_disk};
use crate::common::until;
use crate::copy::{keeps_its_log, with};
use crate::disk::{self, Call, Lasting};
use crate::trial::{Told, answer, config, holds, interaction, opened, prepare};
use botstore::schema::{Migration, Schema};
use botstore::sessions::ExpireIdle;
use botstore::testing::FixedClock;
use botstore::users::{EnsureUser, GetUser};
use botstore::{BeforeUpgrade, ErrorKind, Store, StoreEvent};
use std::path::Path;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinSet;

async fn next(events: &mut Receiver<StoreEvent>) -> StoreEvent {
    answer(events.recv()).await.unwrap()
}

async fn prepared() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    (folder, path)
}

#[tokio::test]
async fn a_full_disk_is_told_and_got_over_without_anybody_writing() {
    disk::begin();
    let (_folder, path) = prepared().await;
    // Each look of the supervisor's at its schedules shows, because it fails too.
    const SECOND: Duration = Duration::from_secs(1);
    let clock = FixedClock::default();
    let config = config(&path).clock(clock.clone());
    let idle_for = Duration::MAX;
    let store = opened(config.every(SECOND, move || ExpireIdle::new(idle_for))).await;
    let mut events = store.events();
    disk::breaks_now(Call::Write, Lasting::UntilHealed, libc::ENOSPC);
    let mut callers = JoinSet::new();
    for number in 1..=300 {
        let store = store.clone();
        callers.spawn(async move { store.write(interaction(number)).await });
    }
    while let Some(refused) = answer(callers.join_next()).await {
        let error = refused.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(error.is_transient());
        assert!(error.to_string().contains("make room"), "{error}");
    }
    // Reads go on, and see nothing of it.
    let user = store.read(GetUser::new(7)).await.unwrap();
    assert_eq!(user.unwrap().message_count, 1);
    let health = store.health().await.unwrap();
    assert!(!health.ok && health.damage.is_none(), "{health:?}");
    assert!(health.writer.last_error.unwrap().contains("full"));
    let StoreEvent::Failing(error) = next(&mut events).await else {
        panic!("another event came first");
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    // Not told again while it lasts: the second of the next two looks begins with a failure.
    let failed = async || store.health().await.unwrap().writer.failed;
    for _ in 0..2 {
        let before = failed().await;
        until("a look", async || {
            clock.advance(SECOND);
            failed().await > before
        })
        .await;
    }
    disk::heal();
    assert!(matches!(next(&mut events).await, StoreEvent::Recovered));
    assert!(store.health().await.unwrap().ok);
    store.write(interaction(1)).await.unwrap();
    store.close().await.unwrap();
    let told = Told {
        saved: vec![0, 1],
        refused: Vec::new(),
    };
    holds(&path, &told);
}

/// A step that writes a few pages.
struct Grown;

impl Schema for Grown {
    const NAME: &'static str = "grown";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "grown",
        "CREATE TABLE grown (id INTEGER PRIMARY KEY, text TEXT);
         INSERT INTO grown (text) VALUES (hex(zeroblob(200000)));",
        "DROP TABLE grown",
    )];
}

#[tokio::test]
async fn an_upgrade_on_a_full_disk_leaves_the_file_as_it_was() {
    disk::begin();
    for nth in [0, 3, 20, 60] {
        for before in [BeforeUpgrade::Backup, BeforeUpgrade::Skip] {
            let (_folder, path) = prepared().await;
            let upgrade = || config(&path).schema::<Grown>().before_upgrade(before);
            disk::breaks(disk::Fault {
                call: Call::Write,
                nth,
                lasting: Lasting::UntilHealed,
                errno: libc::ENOSPC,
            });
            let error = answer(Store::open(upgrade())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
            disk::heal();
            let as_it_was = Store::open(config(&path)).await.unwrap();
            let schemas = as_it_was.health().await.unwrap().schemas;
            assert!(schemas.iter().all(|at| at.schema != Grown::NAME));
            as_it_was.close().await.unwrap();
            let upgraded = Store::open(upgrade()).await.unwrap();
            upgraded.write(interaction(1)).await.unwrap();
            upgraded.close().await.unwrap();
        }
    }
}

/// The child: all of it on a disk of a few MiB.
async fn fills_its_disk(place: &Path) {
    let path = place.join("x.db");
    prepare(&path).await;
    let store = Store::open(config(&path)).await.unwrap();
    let mut events = store.events();
    let mut told = Told::default();
    told.saved.push(0);
    // Somebody else's file takes most of the room; the store fills the rest.
    let filler = place.join("filler");
    std::fs::write(&filler, vec![1; 3 << 20]).unwrap();
    let mut next_number = 1;
    let refused = loop {
        match answer(store.write(interaction(next_number))).await {
            Ok(_) => told.saved.push(next_number),
            Err(error) => break error,
        }
        next_number += 1;
        assert!(next_number < 5_000, "the disk never fills");
    };
    assert_eq!(refused.kind(), ErrorKind::DiskFull, "{refused}");
    for _ in 0..200 {
        // Now and then a small one still fits.
        match answer(store.write(EnsureUser::new(9, None))).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}"),
        }
    }
    read_all(&store, &told).await;
    // It was told before that there is little room, and that the WAL cannot be copied.
    while !matches!(next(&mut events).await, StoreEvent::Failing(_)) {}
    std::fs::remove_file(filler).unwrap();
    while !matches!(next(&mut events).await, StoreEvent::Recovered) {}
    for number in next_number..next_number + 20 {
        store.write(interaction(number)).await.unwrap();
        told.saved.push(number);
    }
    read_all(&store, &told).await;
    store.close().await.unwrap();
    holds(&path, &told);
}

async fn read_all(store: &Store, told: &Told) {
    let user = store.read(GetUser::new(7)).await.unwrap();
    assert_eq!(user.unwrap().message_count, told.saved.len() as u64);
}

#[tokio::test]
async fn a_disk_that_really_is_full_loses_nothing_and_is_got_over() {
    if let Some([place]) = child::given() {
        return fills_its_disk(place.as_ref()).await;
    }
    succeed_on_a_small_disk(a_disk_that_really_is_full_loses_nothing_and_is_got_over, 6);
}

#[tokio::test]
async fn closing_on_a_full_disk_says_so_and_loses_nothing() {
    disk::begin();
    let (_folder, path) = prepared().await;
    // Closing finds something to copy.
    let store = opened(keeps_its_log(config(&path))).await;
    store.write(interaction(1)).await.unwrap();
    disk::breaks_now(Call::Write, Lasting::UntilHealed, libc::ENOSPC);
    let error = answer(store.close()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    drop(store);
    assert!(log_is_there(&path));
    disk::heal();
    let store = Store::open(config(&path)).await.unwrap();
    read_all(
        &store,
        &Told {
            saved: vec![0, 1],
            refused: Vec::new(),
        },
    )
    .await;
    store.close().await.unwrap();
    assert!(!log_is_there(&path));
}

fn log_is_there(path: &Path) -> bool {
    with(path, "-wal").exists()
}
