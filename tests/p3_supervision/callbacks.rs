//! Panics in the rest of what a host gives the store, under a load: a clock, the hook of a backup, answers
//! that are kept. Each has a boundary of its own, so no actor is started again for it.

use crate::common::{Put, answered};
use crate::hostile::{Bomb, MESSAGE, keep_quiet};
use crate::load::{Load, Told};
use crate::provoke::HOUR;
use crate::trial::trial;
use botstore::backup::{Backups, Pace, TakeBackup};
use botstore::time::Clock;
use botstore::{Cacheable, ErrorKind, Query, ReadTx, Result};
use chrono::{DateTime, Utc};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

thread_local! {
    /// On the test's own thread.
    static SPARED: Cell<bool> = const { Cell::new(false) };
}

/// Once it is armed, panics at every third call on the store's threads.
#[derive(Clone, Default)]
struct Every3rd {
    armed: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Clock for Every3rd {
    fn now(&self) -> DateTime<Utc> {
        if self.armed.load(SeqCst) && !SPARED.get() {
            let call = self.calls.fetch_add(1, SeqCst);
            assert!(call % 3 != 2, "{MESSAGE}");
        }
        Utc::now()
    }
}

#[tokio::test]
async fn of_a_clock_at_every_third_call_of_any_actor() {
    let _alone = crate::alone().await;
    keep_quiet();
    SPARED.set(true);
    let clock = Every3rd::default();
    let configured = clock.clone();
    let trial = trial(|config, folder| {
        let backups = Backups::default()
            .folder(folder.join("backups"))
            .pace(Pace::Fast);
        let config = config.checkpoint_at_bytes(64 << 10).clock(configured);
        config
            .backups(backups.every(HOUR))
            .every(HOUR, || Put::new(-5))
    })
    .await;
    clock.armed.store(true, SeqCst);
    let load = Load::begin(&trial.store);
    while clock.calls.load(SeqCst) < 600 {
        let _ = answered(trial.store.run_due()).await;
        let _ = answered(trial.store.back_up(TakeBackup::default())).await;
    }
    clock.armed.store(false, SeqCst);
    trial.works(1).await;
    assert_eq!(trial.all_restarts().await, 0);
    let told = load.end().await;
    trial.ends(&told).await.unwrap();
}

#[tokio::test]
async fn of_a_backups_hook_whenever_it_is_called_and_when_it_is_dropped() {
    let _alone = crate::alone().await;
    keep_quiet();
    let trial = trial(|config, folder| {
        let backups = Backups::default().folder(folder.join("backups"));
        config.backups(backups.pace(Pace::Fast))
    })
    .await;
    let load = Load::begin(&trial.store);
    let mut panicked = 0;
    for nth in 0.. {
        let calls = AtomicUsize::new(0);
        let bomb = Bomb;
        let request = TakeBackup::default().on_progress(move |_| {
            let _bomb = &bomb;
            assert!(calls.fetch_add(1, SeqCst) != nth, "{MESSAGE}");
            ControlFlow::Continue(())
        });
        let answer = answered(trial.store.back_up(request)).await;
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        // When it has been called often enough, only its end is left to panic.
        panicked += 1;
        if nth == 12 {
            break;
        }
    }
    assert_eq!(panicked, 13);
    answered(trial.store.back_up(TakeBackup::default()))
        .await
        .unwrap();
    trial.works(1).await;
    let told = load.end().await;
    trial.ends(&told).await.unwrap();
}

/// An answer that panics when it is dropped.
#[derive(Clone)]
struct Heavy(#[allow(dead_code)] Arc<()>, #[allow(dead_code)] CloneBomb);

/// A bomb that is copied.
struct CloneBomb(#[allow(dead_code)] Bomb);

impl Clone for CloneBomb {
    fn clone(&self) -> Self {
        Self(Bomb)
    }
}

struct GetHeavy(i64);

impl Query for GetHeavy {
    type Output = Heavy;

    fn fetch(&self, _tx: &ReadTx<'_>) -> Result<Heavy> {
        Ok(Heavy(Arc::default(), CloneBomb(Bomb)))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Heavy>> {
        Some(Cacheable::row("probe", self.0).bytes(|_| 0))
    }
}

#[tokio::test]
async fn of_kept_answers_that_are_dropped_for_others_and_at_the_end() {
    let _alone = crate::alone().await;
    keep_quiet();
    // One set of eight.
    let trial = trial(|config, _| config.row_cache_answers(8)).await;
    for number in 0..40 {
        let heavy = answered(trial.store.read(GetHeavy(number))).await;
        let heavy = heavy.unwrap_or_else(|error| panic!("{number} for another: {error}"));
        std::mem::forget(heavy);
    }
    assert_eq!(trial.all_restarts().await, 0);
    trial.works(1).await;
    trial.ends(&Told::default()).await.unwrap();
}
