//! When the log starts over, and what that sets right.

use crate::common::{PutMany, probe_store};
use crate::log::{CEILING, PATIENCE, Writes, holders, low_ceiling};
use crate::outsider::Outsider;
use botstore::Store;
use botstore::backup::{Stage, TakeBackup};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

async fn restarts(store: &Store) -> u64 {
    store.health().await.unwrap().writer.log_restarts
}

/// Longer than the checkpointer takes for what is written here.
const A_MOMENT: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn one_that_starts_over_by_itself_is_told_of_when_it_is_over_its_ceiling_again() {
    let store = low_ceiling().await;
    let mut events = store.events();
    let writes = Writes::from(&store, 0);
    for _ in 0..2 {
        let outsider = Outsider::start(store.path());
        // So long that it is left to the checkpointer, and nobody writes while that copies it.
        writes
            .until(async || writes.log().await > 4 * CEILING)
            .await;
        drop(outsider);
        let before = restarts(&store).await;
        let began = Instant::now();
        while restarts(&store).await == before {
            assert!(began.elapsed() < PATIENCE, "it never starts over");
            writes.one().await;
            tokio::time::sleep(A_MOMENT).await;
        }
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
            let _ = released.recv_timeout(PATIENCE);
        }
        ControlFlow::Continue(())
    });
    let backup = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.back_up(held_up).await }
    });
    let checks =
        tokio::task::spawn_blocking(move || checks.recv_timeout(PATIENCE).map(|()| checks));
    let checks = checks.await.unwrap().expect("it comes to its check");
    let before = restarts(&store).await;
    writes
        .until(async || restarts(&store).await >= before + 3)
        .await;
    assert!(!backup.is_finished());
    drop((checks, release));
    backup.await.unwrap().unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_far_below_its_bound_is_copied_when_there_is_time() {
    const BOUND: u64 = 1024 * 1024;
    let store = probe_store(|config| config.checkpoint_at_bytes(BOUND)).await;
    let before = store.health().await.unwrap().last_checkpoint;
    let (began, mut first) = (Instant::now(), 0);
    loop {
        let health = store.health().await.unwrap();
        assert!(health.wal_bytes < BOUND, "it was left to its bound");
        if health.last_checkpoint != before {
            break;
        }
        assert!(began.elapsed() < PATIENCE);
        store.write(PutMany { first, count: 100 }).await.unwrap();
        first += 100;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    store.close().await.unwrap();
}
