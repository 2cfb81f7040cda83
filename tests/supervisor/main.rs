//! Schedules: they run, they survive a restart, and one that fails is tried again.

#[path = "../shared/child.rs"]
mod child;
#[path = "../common/mod.rs"]
mod common;
mod daily;
mod jumps;
mod timers;
mod uses;

use botstore::rusqlite::Connection;
use botstore::sessions::{CreateSession, ExpireIdle, GetSession};
use botstore::testing::{FixedClock, TestStore};
use botstore::time::Clock;
use botstore::users::EnsureUser;
use botstore::{
    Config, Durability, Error, ErrorKind, Mutation, Result, Store, StoreEvent, WriteTx,
};
use common::{Numbers, Probe, Put, probe_store, until};
use std::io::{Seek, SeekFrom, Write};
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

/// On this clock. No power goes off here, so nothing waits for the disk.
pub(crate) fn at_no_risk(path: &Path, clock: &FixedClock) -> Config {
    let config = Config::new(path).clock(clock.clone());
    config.durability(Durability::Normal)
}

#[tokio::test]
async fn a_daily_job_of_a_bot_that_restarts_many_times_a_day_runs_daily() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    for hour in (0..72_usize).step_by(3) {
        let first = hour as i64 * 100;
        let config = at_no_risk(&path, &clock)
            .schema::<Probe>()
            .every(DAY, move || Put::new(first));
        let store = Store::open(config).await.unwrap();
        settled(&store).await;
        assert_eq!(runs(&store).await, hour / 24, "in hour {hour}");
        store.close().await.unwrap();
        clock.advance(3 * HOUR);
    }
}

#[tokio::test]
async fn idle_sessions_are_ended_by_a_schedule() {
    let idle_for = 2 * HOUR;
    let store = TestStore::open_with(|c| c.every(HOUR, move || ExpireIdle::new(idle_for)))
        .await
        .unwrap();
    store.write(EnsureUser::new(1, None)).await.unwrap();
    let session = CreateSession::new(1, "s", "/");
    store.write(session).await.unwrap();
    let is_active = || async {
        let session = GetSession::new(1, "s");
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
        tx.apply(&Put::new(tx.now().timestamp()))?;
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
    let config = at_no_risk(path, clock).schema::<Probe>();
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

/// What another program would find, or does, in the file.
fn plainly<T>(path: &Path, work: impl FnOnce(&Connection) -> T) -> T {
    let conn = Connection::open(path).unwrap();
    conn.busy_timeout(common::HANG).unwrap();
    work(&conn)
}

#[tokio::test]
async fn old_keys_are_all_swept_however_many_there_are() {
    const KEYS: i64 = 45_000;
    const RETENTION: Duration = Duration::from_secs(60);
    let store = probe_store(|config| config.idempotency_retention(RETENTION)).await;
    settled(&store).await;
    store.clock().advance(10 * RETENTION);
    store.write(EnsureUser::new(1, None)).await.unwrap();
    let (old, young) = (store.now() - 2 * RETENTION, store.now());
    plainly(store.path(), |conn| {
        let numbers = "WITH RECURSIVE n(i) AS
                           (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";
        let update = format!(
            "{numbers} INSERT INTO botstore_update (key, message_id, recorded_at)
             SELECT CAST(printf('%d-%d', ?2, i) AS BLOB), i, ?2 FROM n"
        );
        // As they were kept before step 10.
        let before = format!(
            "{numbers} INSERT INTO botstore_idempotency
             SELECT 1, printf('%s-%d', ?2, i), i, ?2 FROM n"
        );
        for (keys, at) in [(KEYS, old), (7, young)] {
            conn.execute(&update, (keys, at.timestamp_micros()))
                .unwrap();
            let at = botstore::time::Timestamp(at).to_string();
            conn.execute(&before, (keys, at)).unwrap();
        }
    });
    settled(&store).await;
    for table in ["botstore_update", "botstore_idempotency"] {
        let left = plainly(store.path(), |conn| {
            let sql = format!("SELECT count(*) FROM {table}");
            conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        });
        assert_eq!(left, 7, "{table}");
    }
}

#[tokio::test]
async fn a_bot_that_restarts_more_often_than_its_rollups_are_compared_has_them_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    let mut told = Vec::new();
    for hour in 0..=24 {
        let config = at_no_risk(&path, &clock);
        let store = Store::open(config.reconcile_every(DAY)).await.unwrap();
        settled(&store).await;
        // Who subscribes after the first look is told too.
        let mut events = store.events();
        if hour == 0 {
            plainly(store.path(), |conn| {
                let sql = "INSERT INTO botstore_day VALUES (0, '2020-01-01', 1, 1, 0, 0, 0, 0)";
                conn.execute(sql, []).unwrap();
            });
        }
        while let Ok(event) = events.try_recv() {
            if let StoreEvent::RollupsDiffer { rows } = event {
                told.push((hour, rows));
            }
        }
        store.close().await.unwrap();
        clock.advance(HOUR);
    }
    assert!(matches!(told[..], [(24, 1..)]), "{told:?}");
}

/// Overwrites a part of the file. The file stays open, for the sake of the store's locks.
fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
    std::mem::forget(file);
}

#[tokio::test]
async fn an_optimize_that_fails_is_tried_again_after_a_minute_and_counts_when_it_has_run() {
    const MINUTE: Duration = Duration::from_secs(60);
    let store = probe_store(|config| config).await;
    let path = store.path().to_owned();
    let last_run = || {
        plainly(&path, |conn| {
            let sql = "SELECT last_run_at FROM botstore_schedules WHERE name = 'PRAGMA optimize'";
            let row = |row: &botstore::rusqlite::Row<'_>| row.get::<_, String>(0);
            conn.query_row(sql, [], row).unwrap()
        })
    };
    // An index that it has to look at, and that is damaged: whoever writes something else is not
    // disturbed, as he would be by another program's lock.
    let page = plainly(&path, |conn| {
        let sql = "INSERT INTO users (user_id) VALUES (1);
                   INSERT INTO sessions (session_id, user_id, project_path) VALUES ('s', 1, '/');";
        conn.execute_batch(sql).unwrap();
        let busy = |row: &botstore::rusqlite::Row<'_>| row.get::<_, i64>(0);
        let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
        assert_eq!(conn.query_row(truncate, [], busy).unwrap(), 0);
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_sessions_1'";
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    });
    let at = (page as u64 - 1) * 4096;
    let sound = std::fs::read(&path).unwrap()[at as usize..][..8].to_owned();
    overwrite(&path, at, &[0xff; 8]);
    let before = last_run();
    store.clock().advance(DAY);
    settled(&store).await;
    let health = store.health().await.unwrap();
    assert!(health.damage.is_some(), "it was looked at: {health:?}");
    assert_eq!(last_run(), before, "it has not run");
    overwrite(&path, at, &sound);
    store.clock().advance(MINUTE - Duration::from_secs(1));
    settled(&store).await;
    assert_eq!(last_run(), before, "a minute is not over");
    store.clock().advance(Duration::from_secs(1));
    settled(&store).await;
    let now = botstore::time::Timestamp(store.now()).to_string();
    assert_eq!(last_run(), now);
}
