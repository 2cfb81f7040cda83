//! What it takes to delete a row, or to change one that is counted, does not grow with the history around it.
//! Measured in the steps of SQLite's virtual machine, triggers and foreign keys included: a clock would tell how
//! busy the machine is.

use botstore::Store;
use botstore::rusqlite::{Connection, StatementStatus};

/// A session of so many days, with ten messages and as many tool uses on each; a tool of the first day comes once.
fn lived(days: i64) -> String {
    format!(
        "CREATE TEMP TABLE n AS
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10 * {days})
             SELECT i, strftime('%Y-%m-%dT%H:%M:%S', '2020-01-01', i / 10 || ' days', i % 10 || ' hours')
                       || '.000000+00:00' AS at FROM n;
         INSERT INTO users (user_id) VALUES (1);
         INSERT INTO sessions (session_id, user_id, project_path) VALUES ('s', 1, '/');
         INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
             SELECT 's', 1, at, 'p', 0.5 FROM n;
         INSERT INTO tool_usage (session_id, message_id, tool_name, timestamp)
             SELECT 's', i, CASE i WHEN 5 THEN 'Once' ELSE 'Read' END, at FROM n;
         INSERT INTO botstore_usage (usage_id, user_id, at, request_model, platform, chat_id, cost_nanos)
             SELECT i, 1, at, 'gpt', 'telegram', '7', 5 FROM n;
         INSERT INTO botstore_usage (usage_id, user_id, at, cost_nanos) SELECT -i, 1, at, 5 FROM n;"
    )
}

const CHANGES: [&str; 11] = [
    // The last message of its day, at the beginning of the history and at its end.
    "DELETE FROM messages WHERE message_id = 1001",
    "DELETE FROM messages WHERE message_id = (SELECT max(message_id) FROM messages)",
    // One of several.
    "DELETE FROM messages WHERE message_id = 505",
    "UPDATE messages SET cost = 1.0 WHERE message_id = 707",
    "UPDATE messages SET cost = 1.0, error = 'e'
     WHERE message_id = (SELECT max(message_id) - 12 FROM messages)",
    // The only use of a tool, and one of many.
    "DELETE FROM tool_usage WHERE id = 5",
    "DELETE FROM tool_usage WHERE id = 300",
    "DELETE FROM tool_usage WHERE id = (SELECT max(id) FROM tool_usage)",
    "DELETE FROM botstore_usage WHERE usage_id = -5",
    "INSERT INTO botstore_usage (usage_id, user_id, at, request_model) VALUES (-1000000, 1, '2020-03-01', 'gpt')",
    "UPDATE botstore_usage SET request_model = 'mini', usage_id = -1000001 WHERE usage_id = 300",
];

/// Has all rows counted.
async fn count(path: &std::path::Path) {
    let store = Store::open(path).await.unwrap();
    store.close().await.unwrap();
}

async fn steps(days: i64) -> Vec<i32> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let store = Store::open(&path).await.unwrap();
    store.close().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(&lived(days)).unwrap();
    count(&path).await;
    // So that message 1001 is the only one of its day, as the last one is, and nothing refers to them.
    conn.execute_batch(
        "DELETE FROM tool_usage WHERE message_id BETWEEN 1000 AND 1009 OR message_id = 505
             OR message_id = (SELECT max(message_id) FROM messages);
         DELETE FROM messages WHERE message_id BETWEEN 1000 AND 1009 AND message_id <> 1001;",
    )
    .unwrap();
    conn.pragma_update(None, "foreign_keys", true).unwrap();
    let steps = CHANGES.map(|sql| {
        let mut statement = conn.prepare(sql).unwrap();
        assert_eq!(statement.execute([]).unwrap(), 1, "{sql}");
        statement.get_status(StatementStatus::VmStep)
    });
    steps.to_vec()
}

#[tokio::test]
async fn deleting_and_changing_takes_as_long_in_a_history_of_years_as_in_one_of_months() {
    let (short, long) = (steps(110).await, steps(2_000).await);
    for ((sql, short), long) in CHANGES.iter().zip(short).zip(long) {
        println!("{short:6} {long:6} {sql}");
        assert!(
            long < 2 * short + 200,
            "{short} steps, {long} in a long history: {sql}"
        );
    }
}

/// Deletes a session of one day, whose user said so much in other sessions on that day and those around it.
async fn beside(others: i64) -> Vec<i32> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let store = Store::open(&path).await.unwrap();
    store.close().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    // As of a file that is new: nobody has counted for SQLite how many rows belong together.
    conn.execute_batch(&format!(
        "DROP TABLE IF EXISTS sqlite_stat1;
         INSERT INTO users (user_id) VALUES (1);
         INSERT INTO sessions (session_id, user_id, project_path) VALUES ('a', 1, '/'), ('b', 1, '/'), ('c', 1, '/');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others})
         INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
             SELECT iif(i % 2, 'b', 'c'), 1,
                    strftime('%Y-%m-%dT%H:%M:%S', '2025-01-01', (i % 3) || ' days', i || ' seconds')
                        || '.000000+00:00', 'p', 0.5 FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
         INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
             SELECT 'a', 1, '2025-01-02T23:59:5' || i || '.000000+00:00', 'p', 0.5 FROM n;"
    ))
    .unwrap();
    count(&path).await;
    let steps = |sql: &str| {
        let mut statement = conn.prepare(sql).unwrap();
        assert_eq!(statement.execute([]).unwrap(), 1, "{sql}");
        statement.get_status(StatementStatus::VmStep)
    };
    let oldest = "(SELECT message_id FROM messages INDEXED BY idx_messages_session_id
                   WHERE session_id = 'a' ORDER BY message_id LIMIT 1)";
    let change = format!("UPDATE messages SET cost = 1.0 WHERE message_id = {oldest}");
    let delete = format!("DELETE FROM messages WHERE message_id = {oldest}");
    let mut all = vec![steps(&change)];
    all.extend((0..5).map(|_| steps(&delete)));
    all
}

#[tokio::test]
async fn deleting_a_session_takes_no_longer_for_what_its_user_said_in_others() {
    let (few, many) = (beside(30).await, beside(3_000).await);
    println!("{few:?} {many:?}");
    for (few, many) in few.iter().zip(&many) {
        assert!(*many < 2 * few + 200, "{few:?} steps, {many:?} beside many");
    }
}
