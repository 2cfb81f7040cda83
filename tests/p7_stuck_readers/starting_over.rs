//! When the WAL starts over, and what that sets right.

use crate::common::{HANG, PutMany, probe_store, until};
use crate::log::{CEILING, Writes, holders, low_ceiling};
use crate::outsider::Outsider;
use botstore::Store;
use botstore::backup::{Stage, TakeBackup};
use botstore::rusqlite::Connection;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Copies the whole log into the file, which the checkpointer may be at, too.
async fn copy_the_log(store: &Store) {
    let other = Connection::open(store.path()).unwrap();
    until("all of it is copied", async || {
        let copied = other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        let (busy, frames, copied): (bool, i64, i64) = copied.unwrap();
        !busy && frames == copied
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_starts_over_by_itself_is_told_of_when_it_is_over_its_ceiling_again() {
    let store = low_ceiling().await;
    let mut events = store.events();
    let writes = Writes::from(&store, 0);
    for _ in 0..2 {
        let outsider = Outsider::start(store.path());
        // So long that it is left to the checkpointer.
        writes
            .until(async || !events.is_empty() && writes.log().await > 4 * CEILING)
            .await;
        drop(outsider);
        // Copied while nobody writes, it starts over with the next commit, whoever's that is.
        copy_the_log(&store).await;
        let before = writes.restarts().await;
        writes.one().await;
        // It is seen when that is answered, or a moment later.
        until("it starts over", async || {
            writes.restarts().await == before + 1
        })
        .await;
        // Once each time.
        holders(&mut events);
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_while_a_backup_is_checked() {
    let store = low_ceiling().await;
    let writes = Writes::from(&store, 0);
    let (tell, checks) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let held_up = TakeBackup::default().on_progress(move |progress| {
        if progress.stage == Stage::Check && tell.send(()).is_ok() {
            // Also when the test has ended early.
            let _ = released.recv();
        }
        ControlFlow::Continue(())
    });
    let backup = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.back_up(held_up).await }
    });
    let checks = tokio::task::spawn_blocking(move || checks.recv_timeout(HANG).map(|()| checks));
    let checks = checks.await.unwrap().expect("it comes to its check");
    let before = writes.restarts().await;
    writes
        .until(async || writes.restarts().await >= before + 3)
        .await;
    assert!(!backup.is_finished());
    drop((checks, release));
    backup.await.unwrap().unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_far_below_its_bound_is_copied_when_there_is_time() {
    const BOUND: u64 = 1024 * 1024;
    // What is enough of it, and how long after the last one, when there is time.
    const ENOUGH: u64 = BOUND / 6;
    const LEISURE: Duration = Duration::from_millis(300);
    let store = probe_store(|config| config.checkpoint_at_bytes(BOUND)).await;
    let began = Instant::now();
    let health = async || store.health().await.unwrap();
    let mut first = 0;
    let mut write = async |count| {
        store.write(PutMany { first, count }).await.unwrap();
        first += count;
    };
    while health().await.wal_bytes < ENOUGH {
        write(100).await;
    }
    tokio::time::sleep(LEISURE.saturating_sub(began.elapsed())).await;
    write(100).await;
    // A little is written all the time, so that it is not copied because the store is at rest.
    until("a checkpoint", async || {
        let now = health().await;
        if now.last_checkpoint.is_some() {
            return true;
        }
        assert!(
            now.wal_bytes < BOUND,
            "{} bytes are its bound",
            now.wal_bytes
        );
        tokio::time::sleep(LEISURE / 3).await;
        write(1).await;
        false
    })
    .await;
    store.close().await.unwrap();
}
