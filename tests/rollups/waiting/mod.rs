//! Rows that wait to be counted: answers are the same before they are counted and after, wherever the rows are that
//! come, go and change, and whatever happens while they are counted.

mod histories;
mod turns;

use crate::child::{self, Victim, again, rounds};
use crate::kept::{filled, interaction};
use crate::pieces::is_exact;
use crate::support::{all, compare, open_plain};
use botstore::analytics::{Activity, AdminDashboard, Bucket, Span, UserActivity, UserDashboard};
use botstore::interactions::SaveInteraction;
use botstore::messages::{DeleteMessage, EditMessage};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::{BeforeUpgrade, Config, Durability, MessageId, Store};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

/// After how many messages they are counted, at the latest.
const AT_THE_LATEST: i64 = 896;

/// How many messages wait, and the last that is counted.
fn waiting(path: &Path) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM messages WHERE message_id > last_id), last_id
               FROM botstore_counted WHERE source = 'messages'";
    let row = |row: &botstore::rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    open_plain(path).query_row(sql, [], row).unwrap()
}

/// Everything that is answered from rollups.
async fn answers(store: &Store) -> String {
    let mut answers = String::new();
    let shown = store.read(AdminDashboard::new()).await.unwrap();
    answers += &format!("{:?}\n{:?}\n", shown.stats, shown.total_costs);
    let span = Span::LastDays(60);
    for bucket in [Bucket::Day, Bucket::Week, Bucket::Month] {
        let activity = Activity::new(span).by(bucket);
        answers += &format!("{:?}\n", store.read(activity).await.unwrap());
    }
    for user_id in 1..4 {
        let shown = store.read(UserDashboard::new(user_id)).await.unwrap();
        answers += &format!("{:?}\n", shown.map(|shown| shown.stats));
        let activity = UserActivity::new(user_id, span).by(Bucket::Week);
        answers += &format!("{:?}\n", store.read(activity).await.unwrap());
    }
    answers
}

fn config(path: &Path) -> Config {
    let config = Config::new(path).durability(Durability::Normal);
    config.before_upgrade(BeforeUpgrade::Skip)
}

#[tokio::test]
async fn few_messages_wait_and_answers_count_them() {
    let store = filled(0).await;
    let mut saved = 0;
    for until in [0, 1, 2, 767, 768, 769, 895, 896, 897, 2_000] {
        while saved < until {
            store.write(interaction(saved)).await.unwrap();
            saved += 1;
        }
        compare(&store, 0).await;
        let (waits, _) = waiting(store.path());
        assert!(waits <= AT_THE_LATEST, "{waits} of {saved}");
    }
    let (waits, last) = waiting(store.path());
    assert!(waits < 2_000 && last > 0, "{waits} wait, up to {last}");
    let before = answers(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    // Closing counts the rest.
    assert_eq!(waiting(&path), (0, 2_000));
    is_exact(&path, "closed");
    let clock = botstore::testing::FixedClock::default();
    let store = Store::open(config(&path).clock(clock)).await.unwrap();
    assert_eq!(answers(&store).await, before);
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_interaction_writes_no_page_of_counts() {
    let store = filled(1).await;
    let days = || {
        let conn = open_plain(store.path());
        all(&conn, "SELECT messages FROM botstore_day", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    let before = days();
    store.write(interaction(1)).await.unwrap();
    assert_eq!(days(), before);
    compare(&store, 0).await;
}

#[tokio::test]
async fn a_mutation_that_saves_more_than_wait_is_counted() {
    let store = filled(3).await;
    let many = |from: u64| {
        move |tx: &botstore::WriteTx<'_>| {
            (from..from + 900).try_for_each(|number| tx.apply(&interaction(number)).map(|_| ()))
        }
    };
    store.transact("many", many(0)).await.unwrap();
    compare(&store, 0).await;
    // The next is behind what was counted.
    store.write(interaction(0)).await.unwrap();
    let (waits, _) = waiting(store.path());
    assert!(waits <= 1, "{waits}");
    compare(&store, 0).await;
}

/// A session, a user and a day of which some messages are counted, and some wait; and others of which none is.
#[tokio::test]
async fn who_is_there_already_is_not_counted_twice() {
    let store = filled(1_000).await;
    let clock = store.clock();
    for round in 0..4_u64 {
        for number in 0..9 {
            store.write(interaction(number)).await.unwrap();
            let said =
                SaveInteraction::new(10 + (number as i64 % 2), format!("n-{}", number % 4), "?");
            let said = said
                .creating("/srv")
                .cost(usd(0.3))
                .tool(ToolCall::new("New"));
            let _ = store.write(said).await;
        }
        let long_ago = store.now() - chrono::TimeDelta::days(20 + round as i64);
        let imported = SaveInteraction::new(1, format!("i-{round}"), "?").creating("/srv");
        let imported = imported.cost(usd(0.2)).at(long_ago);
        store.write(imported).await.unwrap();
        compare(&store, 0).await;
        clock.advance(Duration::from_secs(13 * 60 * 60));
        compare(&store, 0).await;
    }
}

#[tokio::test]
async fn rows_on_both_sides_change_and_go_by_every_hand() {
    let store = filled(1_000).await;
    let (waits, last) = waiting(store.path());
    assert!(waits > 0 && last > 0, "{waits} {last}");
    let path = store.path().to_owned();
    let other = |sql: &str| {
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        conn.execute_batch(sql).unwrap();
    };
    for id in [1, last - 1, last, last + 1, last + 2, 700] {
        let user_id = 1 + (id - 1) % 3;
        let edit = EditMessage::new(user_id, MessageId::new(id)).cost(usd(7.25));
        store.write(edit).await.unwrap();
        compare(&store, 0).await;
        other(&format!(
            "UPDATE messages SET user_id = 2, session_id = 's-2' WHERE message_id = {id}"
        ));
        compare(&store, 0).await;
        other(&format!(
            "UPDATE tool_usage SET tool_name = 'Other', success = 0 WHERE id = {id}"
        ));
        compare(&store, 0).await;
    }
    for sql in [
        // From one side to the other, and back.
        format!("UPDATE messages SET message_id = 5000 WHERE message_id = {last}"),
        format!("UPDATE messages SET rowid = {last} WHERE rowid = 5000"),
        "UPDATE messages SET message_id = -1 WHERE message_id = 999".to_owned(),
        "UPDATE tool_usage SET id = -1 WHERE id = 999".to_owned(),
        "INSERT INTO messages (message_id, session_id, user_id, prompt) VALUES (-7, 's-1', 1, 'early')".to_owned(),
        "INSERT INTO messages (session_id, user_id, prompt, cost) VALUES ('s-1', 1, 'late', 0.125)".to_owned(),
        format!("DELETE FROM messages WHERE message_id BETWEEN {last} - 3 AND {last} + 3"),
        "UPDATE sessions SET user_id = 3 WHERE session_id = 's-1'".to_owned(),
        "UPDATE sessions SET session_id = 's-9' WHERE session_id = 's-2'".to_owned(),
        "DELETE FROM sessions WHERE session_id = 's-3'".to_owned(),
    ] {
        other(&sql);
        let report = store.read(ReconcileRollups::new()).await.unwrap();
        assert_eq!(report.differences, 0, "{sql}: {:#?}", report.named);
        compare(&store, 0).await;
    }
    let delete = DeleteMessage::new(2, MessageId::new(1));
    store.write(delete).await.unwrap();
    compare(&store, 0).await;
}

/// A place that rows cannot be counted into, found when some hundred wait.
#[tokio::test]
async fn counts_that_fail_fail_no_save() {
    for (breaks, mends) in [
        (
            "CREATE TRIGGER refuses BEFORE INSERT ON botstore_session_day BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER refuses",
        ),
        (
            "CREATE TRIGGER refuses BEFORE UPDATE ON botstore_counted BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
            "DROP TRIGGER refuses",
        ),
    ] {
        let store = filled(1).await;
        let conn = Connection::open(store.path()).unwrap();
        let counted = waiting(store.path()).1;
        conn.execute_batch(breaks).unwrap();
        for number in 0..1_000 {
            store.write(interaction(number)).await.expect(breaks);
        }
        assert_eq!(waiting(store.path()), (1_001, counted), "{breaks}");
        conn.execute_batch(mends).unwrap();
        compare(&store, 0).await;
        for number in 0..200 {
            store.write(interaction(number)).await.unwrap();
        }
        assert!(waiting(store.path()).0 <= AT_THE_LATEST, "{breaks}");
        compare(&store, 0).await;
    }
}

#[tokio::test]
async fn another_programs_thousands_are_counted_in_parts() {
    let store = filled(3).await;
    let conn = Connection::open(store.path()).unwrap();
    conn.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
         SELECT 's-1', 1, '2026-03-0' || (1 + i % 9) || 'T10:00:00.000000+00:00', '?', 0.5 FROM n;",
    )
    .unwrap();
    compare(&store, 0).await;
    let mut before = waiting(store.path()).0;
    assert_eq!(before, 20_003);
    while before > AT_THE_LATEST {
        for number in 0..100 {
            store.write(interaction(number)).await.unwrap();
        }
        let now = waiting(store.path()).0;
        assert!(now < before && before - now < 10_000, "{before}, {now}");
        before = now;
    }
    compare(&store, 0).await;
}

/// The child's part: saves until it is killed.
async fn save(path: &str) {
    let store = Store::open(config(Path::new(path))).await.unwrap();
    println!("open");
    for number in 0_u64.. {
        store.write(interaction(number)).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_killed_while_rows_are_counted_has_counted_them_or_not() {
    if let Some([path]) = child::given() {
        return save(&path).await;
    }
    let test = who_is_killed_while_rows_are_counted_has_counted_them_or_not;
    let (_folder, path) = filled(3).await.into_file().await.unwrap();
    for round in 0..rounds().div_ceil(4) {
        let child = Victim::start(again(&[], test, &[&path]));
        child.killed_after(Duration::from_millis(200 + u64::from(41 * round) % 300));
        let conn = open_plain(&path);
        let mut quick = conn.prepare("PRAGMA quick_check").unwrap();
        assert_eq!(
            quick.query_row([], |row| row.get::<_, String>(0)).unwrap(),
            "ok"
        );
        drop(quick);
        drop(conn);
        let store = Store::open(config(&path)).await.unwrap();
        compare(&store, 0).await;
        store.close().await.unwrap();
        is_exact(&path, &format!("round {round}"));
    }
}

#[tokio::test]
async fn long_texts_do_not_wait_by_the_hundred() {
    let store = filled(1).await;
    for number in 0..300 {
        let said = interaction(number).response("r".repeat(20_000));
        store.write(said).await.unwrap();
    }
    let (waits, _) = waiting(store.path());
    assert!(waits < 200, "{waits}");
    compare(&store, 0).await;
}
