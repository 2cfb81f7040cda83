//! A clock that jumps is waited for, before what cannot be undone is done by it.

use crate::common::{Probe, probe_store};
use crate::{DAY, HOUR, plainly, settled};
use botstore::interactions::{SaveInteraction, SweepKeys};
use botstore::sessions::{CreateSession, ExpireIdle, GetSession};
use botstore::testing::usd;
use botstore::testing::{FixedClock, TestStore};
use botstore::users::EnsureUser;
use botstore::{Config, Store, StoreEvent};
use std::path::Path;
use std::time::Duration;

/// A store with a session and a saved update, both a minute old, whose clock may jump.
async fn used_a_minute_ago(configure: impl FnOnce(Config) -> Config) -> TestStore {
    let store = probe_store(|config| {
        let config = config.idempotency_retention(7 * DAY);
        configure(config.every(HOUR, || ExpireIdle::new(30 * DAY)))
    })
    .await;
    store.write(EnsureUser::new(1, None)).await.unwrap();
    let session = CreateSession::new(1, "s", "/");
    store.write(session).await.unwrap();
    store.write(update()).await.unwrap();
    settled(&store).await;
    store.clock().advance(Duration::from_secs(60));
    store
}

/// The same whenever it is delivered.
fn update() -> SaveInteraction {
    SaveInteraction::new(1, "s", "p")
        .cost(usd(1.0))
        .idempotency_key("update-1")
}

/// Whether the session goes on, and how many keys are kept.
async fn is_kept(store: &Store) -> (bool, i64) {
    let session = GetSession::new(1, "s");
    let session = store.read(session).await.unwrap().unwrap();
    let keys = plainly(store.path(), |conn| {
        let sql = "SELECT count(*) FROM botstore_update";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    });
    (session.is_active, keys)
}

const KEPT: (bool, i64) = (true, 1);
const GONE: (bool, i64) = (false, 0);

/// How far ahead the clock was told to be, each time.
fn told(events: &mut tokio::sync::broadcast::Receiver<StoreEvent>) -> Vec<Duration> {
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let StoreEvent::ClockAhead { by, .. } = event {
            told.push(by);
        }
    }
    told
}

async fn clock_ahead(store: &Store) -> Option<Duration> {
    store.health().await.unwrap().clock_ahead
}

/// Asks for everything that cannot be undone, by every way to it.
async fn does_what_cannot_be_undone(store: &Store) {
    settled(store).await;
    let idle_for = 30 * DAY;
    store.write(ExpireIdle::new(idle_for)).await.unwrap();
    let older_than = 7 * DAY;
    store.write(SweepKeys::new(older_than)).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_wrong_for_a_moment_undoes_nothing() {
    // Some hours more than what is kept, and another century.
    for jump in [30 * DAY + HOUR, 3_650 * DAY, 100 * 365 * DAY] {
        let store = used_a_minute_ago(|config| config).await;
        let mut events = store.events();
        let right = store.now();
        for _ in 0..3 {
            store.clock().set(right + jump);
            does_what_cannot_be_undone(&store).await;
            assert_eq!(is_kept(&store).await, KEPT);
            let ahead = clock_ahead(&store).await.expect("it is doubted");
            assert_eq!(ahead, jump);
            assert!(store.health().await.unwrap().ok);
            store.clock().set(right);
            does_what_cannot_be_undone(&store).await;
            assert_eq!(clock_ahead(&store).await, None);
        }
        assert_eq!(told(&mut events), [jump; 3], "once for each jump");
        assert_eq!(is_kept(&store).await, KEPT);
        // The update is delivered again, and is the same.
        assert_eq!(store.write(update()).await.unwrap().message_id, 1);
    }
}

#[tokio::test]
async fn a_clock_that_goes_on_so_is_believed_after_the_time_that_was_set() {
    for wait in [HOUR, 10 * DAY / 20] {
        let store = used_a_minute_ago(|config| config.clock_jump_wait(wait)).await;
        let mut events = store.events();
        store.clock().set(store.now() + 365 * DAY);
        settled(&store).await;
        // In steps, as the supervisor sees them; nothing of it is believed.
        let steps = 7;
        for _ in 1..steps {
            store.clock().advance(wait / steps);
            does_what_cannot_be_undone(&store).await;
            assert_eq!(is_kept(&store).await, KEPT);
        }
        assert_eq!(told(&mut events).len(), 1);
        store.clock().advance(wait / steps + Duration::from_secs(1));
        does_what_cannot_be_undone(&store).await;
        assert_eq!(is_kept(&store).await, GONE);
        assert_eq!(clock_ahead(&store).await, None);
        assert_eq!(told(&mut events), []);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_again_is_waited_for_anew() {
    let store = used_a_minute_ago(|config| config).await;
    for _ in 0..5 {
        store.clock().set(store.now() + 365 * DAY);
        settled(&store).await;
        store.clock().advance(HOUR / 2);
        does_what_cannot_be_undone(&store).await;
        assert_eq!(is_kept(&store).await, KEPT);
    }
    store.clock().advance(HOUR / 2);
    does_what_cannot_be_undone(&store).await;
    assert_eq!(is_kept(&store).await, GONE);
}

#[tokio::test]
async fn time_that_passes_or_a_wait_of_nothing_is_believed_at_once() {
    let store = used_a_minute_ago(|config| config).await;
    store.clock().advance(31 * DAY);
    does_what_cannot_be_undone(&store).await;
    assert_eq!(is_kept(&store).await, GONE);
    let store = used_a_minute_ago(|config| config.clock_jump_wait(Duration::ZERO)).await;
    let mut events = store.events();
    store.clock().set(store.now() + 31 * DAY);
    does_what_cannot_be_undone(&store).await;
    assert_eq!(is_kept(&store).await, GONE);
    assert_eq!(told(&mut events), []);
}

#[tokio::test]
async fn a_clock_that_was_wrong_in_the_past_for_a_moment_is_right_again_at_once() {
    let store = used_a_minute_ago(|config| config).await;
    let mut events = store.events();
    let right = store.now();
    store.clock().set(right - 20_000 * DAY);
    does_what_cannot_be_undone(&store).await;
    store.clock().set(right + Duration::from_secs(10));
    does_what_cannot_be_undone(&store).await;
    assert_eq!(
        (is_kept(&store).await, clock_ahead(&store).await),
        (KEPT, None)
    );
    store.clock().advance(31 * DAY);
    does_what_cannot_be_undone(&store).await;
    assert_eq!(is_kept(&store).await, GONE);
    assert_eq!(told(&mut events), []);
}

/// Opens the file with a clock that says this.
async fn opened_at(path: &Path, now: chrono::DateTime<chrono::Utc>) -> (Store, FixedClock) {
    let clock = FixedClock::at(now);
    let config = Config::new(path).clock(clock.clone()).schema::<Probe>();
    let config = config.every(HOUR, || ExpireIdle::new(30 * DAY));
    let store = Store::open(config.idempotency_retention(7 * DAY))
        .await
        .unwrap();
    settled(&store).await;
    (store, clock)
}

#[tokio::test]
async fn a_file_that_is_opened_years_later_is_told_of_and_believed_when_it_has_gone_on_so() {
    let store = used_a_minute_ago(|config| config).await;
    let now = store.now();
    let (folder, path) = store.into_file().await.unwrap();
    // Again and again, as with a bot that starts before there is a network.
    for minute in 0..5 {
        let (store, _) =
            opened_at(&path, now + 3_650 * DAY + minute * Duration::from_secs(60)).await;
        does_what_cannot_be_undone(&store).await;
        assert_eq!(is_kept(&store).await, KEPT, "{minute}");
        let mut events = store.events();
        assert_eq!(told(&mut events).len(), 1);
        assert!(clock_ahead(&store).await.is_some());
        store.close().await.unwrap();
    }
    // The clock was wrong: nothing has happened.
    let (store, _) = opened_at(&path, now + HOUR).await;
    does_what_cannot_be_undone(&store).await;
    assert_eq!(
        (is_kept(&store).await, clock_ahead(&store).await),
        (KEPT, None)
    );
    store.close().await.unwrap();
    // It was right: so it is in an hour.
    let (store, clock) = opened_at(&path, now + 3_650 * DAY).await;
    clock.advance(HOUR);
    does_what_cannot_be_undone(&store).await;
    assert_eq!(is_kept(&store).await, GONE);
    store.close().await.unwrap();
    drop(folder);
}

#[tokio::test]
async fn a_bot_that_never_runs_for_an_hour_is_not_waited_for_for_ever() {
    let store = used_a_minute_ago(|config| config).await;
    let now = store.now();
    let (folder, path) = store.into_file().await.unwrap();
    // Ten minutes each week.
    let mut kept = Vec::new();
    for week in 5..8 {
        let (store, clock) = opened_at(&path, now + week * 7 * DAY).await;
        does_what_cannot_be_undone(&store).await;
        kept.push(is_kept(&store).await);
        clock.advance(10 * Duration::from_secs(60));
        settled(&store).await;
        store.close().await.unwrap();
    }
    assert_eq!(kept[0], KEPT, "not on one reading");
    assert_eq!(kept[2], GONE);
    drop(folder);
}
