//! Schedules: they run, they survive a restart, and one that fails is tried again.

mod common;

use botstore::sessions::{CreateSession, ExpireIdle, GetSession};
use botstore::testing::{FixedClock, TestStore};
use botstore::time::Clock;
use botstore::users::EnsureUser;
use botstore::{Config, Error, ErrorKind, Mutation, Result, Store, WriteTx};
use common::{Numbers, Probe, Put, probe_store, until};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Puts a number that grows with each run.
fn counting() -> impl Fn() -> Put + Send + Sync + 'static {
    let next = AtomicI64::new(0);
    move || Put::new(next.fetch_add(1, Ordering::SeqCst))
}

async fn runs(store: &Store) -> usize {
    store.read(Numbers).await.unwrap().len()
}

/// Waits until the supervisor has had its first look, which only writes down when it was.
async fn settled(store: &Store) {
    store.run_due().await.unwrap();
}

#[actix::test]
async fn a_schedule_runs_once_an_interval_by_the_stores_clock() {
    let store = probe_store(|config| config.every(HOUR, counting())).await;
    settled(&store).await;
    assert_eq!(runs(&store).await, 0);
    for hour in 1..=3 {
        store.clock().advance(HOUR - Duration::from_secs(1));
        settled(&store).await;
        assert_eq!(runs(&store).await, hour - 1);
        store.clock().advance(Duration::from_secs(1));
        settled(&store).await;
        settled(&store).await;
        assert_eq!(runs(&store).await, hour);
    }
}

#[tokio::test]
async fn a_daily_job_of_a_bot_that_restarts_hourly_runs_daily() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    for hour in 0..72_usize {
        let first = hour as i64 * 100;
        let config = Config::new(&path)
            .clock(clock.clone())
            .schema::<Probe>()
            .every(DAY, move || Put::new(first));
        let store = Store::open(config).await.unwrap();
        settled(&store).await;
        assert_eq!(runs(&store).await, hour / 24, "in hour {hour}");
        store.close().await.unwrap();
        clock.advance(HOUR);
    }
}

#[tokio::test]
async fn idle_sessions_are_ended_by_a_schedule() {
    let idle_for = 2 * HOUR;
    let store = TestStore::open_with(|c| c.every(HOUR, move || ExpireIdle { idle_for }))
        .await
        .unwrap();
    store.write(EnsureUser::new(1, None)).await.unwrap();
    let session = CreateSession {
        session_id: "s".into(),
        user_id: 1,
        project_path: "/".into(),
    };
    store.write(session).await.unwrap();
    let is_active = || async {
        let session = GetSession {
            session_id: "s".into(),
            user_id: 1,
        };
        store.read(session).await.unwrap().unwrap().is_active
    };
    settled(&store).await;
    for active in [true, false, false] {
        store.clock().advance(HOUR + Duration::from_secs(1));
        settled(&store).await;
        assert_eq!(is_active().await, active);
    }
}

/// Fails until it is told not to.
struct Flaky(Arc<AtomicBool>);

impl Mutation for Flaky {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.make(&Put::new(tx.now().timestamp()))?;
        if self.0.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, "not yet"))
    }
}

#[tokio::test]
async fn a_run_that_fails_leaves_nothing_and_is_tried_again_after_a_minute() {
    let good = Arc::new(AtomicBool::new(false));
    let make = {
        let good = Arc::clone(&good);
        move || Flaky(Arc::clone(&good))
    };
    let store = probe_store(|config| config.every(DAY, make)).await;
    settled(&store).await;
    store.clock().advance(DAY);
    settled(&store).await;
    assert_eq!(runs(&store).await, 0);
    good.store(true, Ordering::SeqCst);
    store.clock().advance(Duration::from_secs(59));
    settled(&store).await;
    assert_eq!(runs(&store).await, 0);
    store.clock().advance(Duration::from_secs(1));
    settled(&store).await;
    assert_eq!(runs(&store).await, 1);
}

/// Opens the file with two schedules of the same mutation, in this order.
async fn with_two(path: &Path, clock: &FixedClock, hourly_first: bool) -> Store {
    let config = Config::new(path).clock(clock.clone()).schema::<Probe>();
    let now = clock.now().timestamp();
    let hourly = |config: Config| config.every_named("hourly", HOUR, move || Put::new(now));
    let daily = |config: Config| config.every_named("daily", DAY, move || Put::new(-now));
    let store = Store::open(match hourly_first {
        true => daily(hourly(config)),
        false => hourly(daily(config)),
    });
    let store = store.await.unwrap();
    settled(&store).await;
    store
}

#[tokio::test]
async fn a_schedule_is_known_by_its_name_and_not_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    with_two(&path, &clock, true).await.close().await.unwrap();
    clock.advance(HOUR);
    for hourly_first in [false, true] {
        let store = with_two(&path, &clock, hourly_first).await;
        // The one that is due has run, and once; the daily one did not take its place.
        assert_eq!(
            store.read(Numbers).await.unwrap(),
            [clock.now().timestamp()]
        );
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn two_schedules_of_one_name_are_refused_with_what_to_do() {
    mod other {
        use super::*;
        /// Another type of the same name.
        pub(super) struct Put;
        impl Mutation for Put {
            type Output = ();
            fn apply(&self, _: &WriteTx<'_>) -> Result<()> {
                Ok(())
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let config = || {
        let config = Config::new(folder.path().join("bot.db")).schema::<Probe>();
        config.every(HOUR, || Put::new(1))
    };
    let refused = [
        config().every(DAY, || Put::new(2)),
        config().every(DAY, || other::Put),
        config().every_named("Put", DAY, || other::Put),
    ];
    for config in refused {
        let error = Store::open(config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("every_named"), "{error}");
    }
    let named = config().every_named("the other", DAY, || other::Put);
    Store::open(named).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_put_a_run_off_by_as_much() {
    let store = probe_store(|config| config.every(HOUR, counting())).await;
    settled(&store).await;
    store.clock().set(store.now() - 10 * DAY);
    settled(&store).await;
    store.clock().advance(HOUR);
    settled(&store).await;
    store.clock().advance(HOUR);
    settled(&store).await;
    assert!(runs(&store).await >= 1);
}

#[tokio::test]
async fn a_schedule_runs_without_being_asked() {
    let clock = FixedClock::default();
    let store = probe_store(|config| {
        config
            .every(Duration::from_secs(1), counting())
            .clock(clock.clone())
    })
    .await;
    until("a run", async || {
        clock.advance(Duration::from_secs(1));
        runs(&store).await > 0
    })
    .await;
}
