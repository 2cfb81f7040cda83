//! Rollups stay right, cost what they show, are mended, and are filled in files from before them.

use crate::support::{compare, counted_anew, open_plain, zone_of};
use botstore::analytics::SystemStats;
use botstore::interactions::SaveInteraction;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::schema;
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{BeforeUpgrade, Config, Durability, Store};

pub(crate) async fn filled(interactions: u64) -> TestStore {
    // No power goes off here.
    let store = TestStore::open_with(|config| config.durability(Durability::Normal));
    let store = store.await.unwrap();
    for user_id in 1..4 {
        store.write(EnsureUser::new(user_id, None)).await.unwrap();
        let session = CreateSession::new(user_id, format!("s-{user_id}"), "/srv");
        store.write(session).await.unwrap();
    }
    for number in 0..interactions {
        store.write(interaction(number)).await.unwrap();
    }
    store
}

pub(crate) fn interaction(number: u64) -> SaveInteraction {
    let user_id = 1 + number as i64 % 3;
    SaveInteraction::new(user_id, format!("s-{user_id}"), "?")
        .cost(usd(0.1))
        .duration_ms(number)
        .tool(ToolCall::new("Read"))
}

/// Damages rollups as nothing in this crate does.
fn spoil(path: &std::path::Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(
        "UPDATE botstore_day SET messages = messages + 5, cost = cost - 1500000000;
         UPDATE botstore_user_total SET cost = 0, last_day = '1999-01-01' WHERE user_id = 1;
         DELETE FROM botstore_user_total WHERE user_id = 2;
         DELETE FROM botstore_user_day WHERE user_id = 3;
         INSERT INTO botstore_user_day VALUES (0, '2026-01-01', 99, 1, 1, 0, 0, 0, 9);
         DELETE FROM botstore_session_day WHERE session_id = 's-1';
         DELETE FROM botstore_session_user WHERE session_id = 's-2';
         INSERT INTO botstore_session_tool VALUES ('ghost', 'Read', 7);
         UPDATE botstore_tool SET uses = 0;
         INSERT INTO botstore_tool VALUES ('Ghost', 1, 1, 1, 1);
         DELETE FROM botstore_user_tool;
         UPDATE botstore_cost_day SET requests = 1000;
         UPDATE botstore_total SET users = 0, sessions = -3;",
    )
    .unwrap();
    conn.close().unwrap();
}

#[tokio::test]
async fn every_difference_is_found_and_mended_while_the_bot_goes_on() {
    let (_folder, path) = filled(30).await.into_file().await.unwrap();
    spoil(&path);
    let store = Store::open(&path).await.unwrap();
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, report.named.len());
    let tables: std::collections::BTreeSet<_> =
        report.named.iter().map(|d| d.table.as_str()).collect();
    assert_eq!(tables.len(), 10, "{tables:?}");
    let day = report
        .named
        .iter()
        .find(|d| d.table == "botstore_day")
        .unwrap();
    assert!(
        day.stored.as_deref().unwrap().contains("messages 35"),
        "{day:?}"
    );
    assert!(
        day.counted.as_deref().unwrap().contains("messages 30"),
        "{day:?}"
    );

    // Others write meanwhile.
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                store.write(interaction(number)).await.unwrap();
            }
        })
    };
    let mended = store.repair_rollups().await.unwrap();
    assert!(mended.differences > 0);
    writer.await.unwrap();
    compare(&store, 0).await;
    assert_eq!(store.repair_rollups().await.unwrap().differences, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn two_repairs_at_once_do_not_mend_the_same_twice() {
    let (_folder, path) = filled(30).await.into_file().await.unwrap();
    spoil(&path);
    let store = Store::open(&path).await.unwrap();
    let (one, two) = tokio::join!(store.repair_rollups(), store.repair_rollups());
    assert!(one.is_ok() || two.is_ok());
    compare(&store, 0).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_from_before_is_filled_when_it_is_opened() {
    let (_folder, path) = filled(40).await.into_file().await.unwrap();
    schema::rollback(&path, "botstore", 6).unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute("DELETE FROM messages WHERE message_id = 7 AND 0", [])
        .unwrap();
    conn.execute("UPDATE messages SET cost = 9.5 WHERE message_id = 3", [])
        .unwrap();
    conn.close().unwrap();
    let config = Config::new(&path).before_upgrade(BeforeUpgrade::Skip);
    let store = Store::open(config).await.unwrap();
    assert_eq!(
        store.read(SystemStats::new()).await.unwrap().total_messages,
        40
    );
    compare(&store, 0).await;
    store.close().await.unwrap();
}

/// Statements of the answers, as SQLite plans them: none may scan what grows with the bot's life.
#[tokio::test]
async fn no_statistic_scans_messages_tool_uses_or_events() {
    let (_folder, path) = filled(5).await.into_file().await.unwrap();
    let conn = open_plain(&path);
    for sql in [
        "SELECT tool_name, uses FROM botstore_user_tool WHERE user_id = 1 ORDER BY uses DESC",
        "SELECT count(*) FROM botstore_user_total WHERE generation = 0 AND last_day >= '2026-01-01'",
        "SELECT t.user_id FROM botstore_user_total t INDEXED BY botstore_user_total_cost
         CROSS JOIN users u ON u.user_id = t.user_id
         WHERE t.generation = 0 ORDER BY t.cost DESC, t.user_id LIMIT 10",
        "SELECT count(DISTINCT user_id) FROM botstore_user_day WHERE generation = 0 AND day >= 'a' AND day <= 'b'",
    ] {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(|step| step.unwrap()) {
            for table in ["messages", "tool_usage", "audit_log"] {
                assert!(!step.contains(&format!("SCAN {table}")), "{sql}: {step}");
            }
            let sorts_users =
                step.contains("TEMP B-TREE FOR ORDER BY") && sql.contains("user_total");
            assert!(!sorts_users, "{sql}: {step}");
        }
    }
}

#[tokio::test]
async fn a_bot_is_told_of_rollups_that_differ_if_it_wants_to_be() {
    let (_folder, path) = filled(5).await.into_file().await.unwrap();
    spoil(&path);
    let config = Config::new(&path).reconcile_every(std::time::Duration::from_secs(1));
    let store = Store::open(config).await.unwrap();
    let mut events = store.events();
    let rows = loop {
        // The file's times are from March, so the clock is told of as well.
        if let botstore::StoreEvent::RollupsDiffer { rows } = events.recv().await.unwrap() {
            break rows;
        }
    };
    assert!(rows > 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_python_bot_is_counted_as_a_full_scan_counts_it() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
    for name in ["v1", "v2", "v2era", "v4", "v4mixed"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        std::fs::copy(fixtures.join(format!("{name}.db")), &path).unwrap();
        let now = chrono::TimeZone::with_ymd_and_hms(&chrono::Utc, 2026, 3, 10, 15, 30, 0).unwrap();
        let clock = botstore::testing::FixedClock::at(now);
        let config = || {
            let config = Config::new(&path).clock(clock.clone());
            let config = config.durability(Durability::Normal);
            config.before_upgrade(BeforeUpgrade::Skip)
        };
        let store = Store::open(config()).await.unwrap();
        compare(&store, 0).await;
        store.close().await.unwrap();

        // The Python bot writes on, in a spelling of its own.
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(
            "INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
             SELECT session_id, user_id, '2026-03-09 23:59:59', 'later', 0.125 FROM sessions;
             INSERT INTO tool_usage (session_id, tool_name) SELECT session_id, 'Later' FROM sessions;
             INSERT INTO messages (session_id, user_id, timestamp, prompt)
             SELECT session_id, user_id, 'no time at all', 'later' FROM sessions LIMIT 1;
             DELETE FROM messages WHERE prompt = 'later' AND timestamp = 'no time at all';",
        )
        .unwrap();
        conn.close().unwrap();
        let store = Store::open(config()).await.unwrap();
        compare(&store, 0).await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_last_moment_of_a_day_is_counted_the_same_by_triggers_and_by_a_full_count() {
    let clock = botstore::testing::FixedClock::default();
    let (_folder, path) = filled(1).await.into_file().await.unwrap();
    for offset in [0, 330, -60] {
        let config = Config::new(&path).clock(clock.clone());
        let config = config.time_zone(zone_of(offset));
        let store = Store::open(config).await.unwrap();
        counted_anew(&store).await;
        for micros in [0, 499_000, 999_000, 999_499, 999_500, 999_999] {
            let midnight = chrono::TimeZone::with_ymd_and_hms(&chrono::Utc, 2026, 3, 11, 0, 0, 0);
            let local = chrono::TimeDelta::minutes(offset);
            let before = chrono::TimeDelta::microseconds(1_000_000 - micros);
            clock.set(midnight.unwrap() - local - before);
            store.write(interaction(1)).await.unwrap();
        }
        compare(&store, offset).await;
        store.close().await.unwrap();
    }
}
