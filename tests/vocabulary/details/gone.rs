//! What belongs to a row goes with it, and moves with it, whoever changes that.

use super::{TABLES, details, full, lived, rows};
use crate::support::{ADA, BOB, Run, picture};
use botstore::integrity::CheckFile;
use botstore::messages::{DeleteMessage, RateMessage, Rating};
use botstore::metadata::GetMetadata;
use botstore::rusqlite::Connection;
use botstore::sessions::DeleteSession;
use botstore::testing::TestStore;
use botstore::users::{DeleteUser, EnsureUser};
use serde_json::json;

/// What is left of Ada's message with everything: [`rows`] when it alone is gone.
const WITHOUT_MESSAGE: [usize; 8] = [0, 0, 0, 0, 0, 0, 1, 2];

/// Who runs the SQL.
#[derive(Clone, Copy, Debug)]
enum By {
    /// An operation in the store.
    Store,
    /// Another program, whose foreign keys are on.
    Other,
    /// Another program, whose foreign keys are off, as is SQLite's default.
    OtherWithoutKeys,
}

async fn run(store: &TestStore, by: By, sql: &str) {
    let keys = match by {
        By::Store => {
            for statement in sql.split(';') {
                let done = store.write(Run(statement.to_owned())).await;
                done.unwrap_or_else(|e| panic!("{statement}: {e}"));
            }
            return;
        }
        By::Other => "ON",
        By::OtherWithoutKeys => "OFF",
    };
    let conn = Connection::open(store.path()).expect("a connection");
    conn.execute_batch(&format!("PRAGMA foreign_keys = {keys}; {sql}"))
        .unwrap_or_else(|e| panic!("{sql}: {e}"));
}

async fn no_orphans(store: &TestStore, context: &str) {
    let report = store.read(CheckFile::new()).await.expect("a report");
    let ours = report.orphans.first.iter();
    let ours: Vec<_> = ours
        .filter(|orphan| TABLES.contains(&orphan.table.as_str()))
        .collect();
    assert!(ours.is_empty(), "{context}: {ours:?}");
}

const TOOLS: &str = "DELETE FROM tool_usage";

#[tokio::test]
async fn nothing_is_left_of_a_row_that_goes_whoever_deletes_it() {
    let replaced = "REPLACE INTO messages (message_id, session_id, user_id, prompt, timestamp)
                    VALUES (1, 'ada-1', 1, '', '2026-03-10T15:30:00.000000+00:00')";
    let message = [
        format!("{TOOLS}; DELETE FROM messages WHERE message_id = 1"),
        format!("{TOOLS}; DELETE FROM messages"),
        format!("{TOOLS}; DELETE FROM messages WHERE prompt LIKE 'H%'"),
    ];
    for by in [By::Store, By::Other, By::OtherWithoutKeys] {
        for sql in &message {
            let store = lived().await;
            run(&store, by, sql).await;
            let context = format!("{sql} by {by:?}");
            assert_eq!(rows(&store).await, WITHOUT_MESSAGE, "{context}");
            no_orphans(&store, &context).await;
        }
        for (sql, left) in [
            (TOOLS, [1, 1, 0, 2, 2, 1, 1, 2]),
            (
                "DELETE FROM tool_usage WHERE tool_name = 'Bash'",
                [1, 1, 1, 2, 2, 1, 1, 2],
            ),
            (
                "DELETE FROM tool_usage; DELETE FROM messages; DELETE FROM sessions WHERE user_id = 1",
                [0, 0, 0, 0, 0, 0, 0, 2],
            ),
            // Bob's opinion of Ada's message.
            (
                "DELETE FROM botstore_session_member; DELETE FROM sessions WHERE user_id = 2; \
                 DELETE FROM audit_log WHERE user_id = 2; \
                 DELETE FROM users WHERE user_id = 2",
                [1, 1, 1, 2, 1, 1, 1, 1],
            ),
        ] {
            let store = lived().await;
            run(&store, by, sql).await;
            let context = format!("{sql} by {by:?}");
            assert_eq!(rows(&store).await, left, "{context}");
            no_orphans(&store, &context).await;
        }
    }
    // With what SQLite removes by itself.
    let store = lived().await;
    run(&store, By::Store, &format!("{TOOLS}; {replaced}")).await;
    assert_eq!(rows(&store).await, WITHOUT_MESSAGE);
}

#[tokio::test]
async fn what_belongs_to_a_row_follows_its_new_id() {
    for by in [By::Store, By::Other, By::OtherWithoutKeys] {
        for column in ["message_id", "rowid", "oid", "_rowid_", "ROWID"] {
            let store = lived().await;
            let before = details(&store, ADA, 1).await.expect("a message");
            let sql = format!("{TOOLS}; UPDATE messages SET {column} = 50 WHERE message_id = 1");
            run(&store, by, &sql).await;
            let mut after = details(&store, ADA, 50).await.expect("a message");
            let context = format!("{sql} by {by:?}");
            after.message.message_id = 1.into();
            after.tools = before.tools.clone();
            assert_eq!(after, before, "{context}");
            no_orphans(&store, &context).await;
        }
        for column in ["id", "rowid"] {
            let store = lived().await;
            let sql = format!("UPDATE tool_usage SET {column} = {column} + 70");
            run(&store, by, &sql).await;
            let all = details(&store, ADA, 1).await.expect("a message");
            assert!(all.tools[0].result.is_some() && all.tools[1].result.is_none());
            assert_eq!(all.tools[0].tool.id, 71, "{sql} by {by:?}");
        }
    }
    // A session and a user to which no other row refers, or a program that does not mind.
    for column in ["user_id", "rowid", "oid", "_rowid_", "ROWID"] {
        let store = lived().await;
        let sql = format!(
            "UPDATE sessions SET session_id = 'renamed' WHERE session_id = 'ada-1';
             UPDATE messages SET session_id = 'renamed', user_id = 77; UPDATE sessions SET user_id = 77;
             UPDATE users SET {column} = 77 WHERE user_id = 1"
        );
        run(&store, By::OtherWithoutKeys, &sql).await;
        assert_eq!(rows(&store).await, [1, 1, 1, 2, 2, 1, 1, 2], "{sql}");
        no_orphans(&store, &sql).await;
        let get = GetMetadata::new(77);
        let read = store.read(get.clone()).await.expect("a read");
        assert_eq!(read, Some(json!({ "language": "de" })));
        let read = store.read(get.session_id("renamed")).await.expect("a read");
        assert_eq!(read, Some(json!([1])));
        let all = details(&store, 77, 1).await.expect("a message");
        assert!(all.feedback.iter().any(|said| said.user_id == 77));
    }
}

/// What a replaced row had is not the other's.
#[tokio::test]
async fn a_row_that_takes_anothers_place_does_not_take_what_it_had() {
    for by in [By::Store, By::OtherWithoutKeys] {
        for is_plain in [true, false] {
            let store = lived().await;
            let second = match is_plain {
                true => botstore::interactions::SaveInteraction::new(ADA, "ada-1", "Second"),
                false => full(ADA, "ada-1").metadata(json!("second")),
            };
            store.write(second).await.expect("saved");
            let before = details(&store, ADA, 2).await.expect("a message");
            let sql = format!(
                "{TOOLS}; UPDATE OR REPLACE messages SET message_id = 1 WHERE message_id = 2"
            );
            run(&store, by, &sql).await;
            let mut after = details(&store, ADA, 1).await.expect("a message");
            after.message.message_id = 2.into();
            after.tools = before.tools.clone();
            assert_eq!(after, before, "by {by:?}, {is_plain}");
        }
    }
}

#[tokio::test]
async fn messages_that_delete_take_all_that_belongs_to_what_they_delete() {
    let store = lived().await;
    store
        .write(DeleteMessage::new(ADA, 1))
        .await
        .expect("deleted");
    assert_eq!(rows(&store).await, WITHOUT_MESSAGE);
    let store = lived().await;
    let delete = DeleteSession::new(ADA, "ada-1");
    store.write(delete).await.expect("deleted");
    assert_eq!(rows(&store).await, [0, 0, 0, 0, 0, 0, 0, 2]);
    let store = lived().await;
    store.write(DeleteUser::new(BOB)).await.expect("forgotten");
    assert_eq!(rows(&store).await, [1, 1, 1, 2, 1, 1, 1, 1]);
    store.write(DeleteUser::new(ADA)).await.expect("forgotten");
    assert_eq!(rows(&store).await, [0; 8]);
    no_orphans(&store, "both forgotten").await;
}

/// A message with more of it than a piece has, and a user who rated more than that.
#[tokio::test]
async fn much_of_it_goes_in_pieces() {
    let store = lived().await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)";
    for sql in [
        format!(
            "INSERT INTO botstore_attachment (message_id, direction, kind) {many} SELECT 1, 'in', i FROM n"
        ),
        format!("INSERT INTO users (user_id) {many} SELECT 1000 + i FROM n"),
        format!(
            "INSERT INTO botstore_feedback (message_id, user_id, rating, at)
             {many} SELECT 1, 1000 + i, 0, '2026-03-10T15:30:00.000000+00:00' FROM n"
        ),
        format!(
            "INSERT INTO messages (session_id, user_id, timestamp, prompt)
             {many} SELECT 'ada-1', 1, '2026-03-10T15:30:00.000000+00:00', 'p' FROM n"
        ),
        format!(
            "INSERT INTO botstore_feedback (message_id, user_id, rating, at)
             {many} SELECT 1 + i, 2, 0, '2026-03-10T15:30:00.000000+00:00' FROM n"
        ),
    ] {
        store.write(Run(sql)).await.expect("rows");
    }
    let batches = async || store.health().await.expect("health").writer.batches;
    let before = batches().await;
    store
        .write(DeleteMessage::new(ADA, 1))
        .await
        .expect("deleted");
    assert!(batches().await - before >= 3);
    let before = batches().await;
    store.write(DeleteUser::new(BOB)).await.expect("forgotten");
    assert!(batches().await - before >= 2);
    assert_eq!(rows(&store).await, [0, 0, 0, 0, 0, 0, 1, 1]);
    assert!(picture(&store).await["messages"].len() == 1_500);
}

/// Whoever comes back under an id finds nothing of the one before.
#[tokio::test]
async fn a_user_who_comes_back_is_new() {
    let store = lived().await;
    store.write(DeleteUser::new(BOB)).await.expect("forgotten");
    store
        .write(EnsureUser::new(BOB, "bob"))
        .await
        .expect("a user");
    let metadata = store.read(GetMetadata::new(BOB)).await.expect("a read");
    assert_eq!(metadata, None);
    let all = details(&store, ADA, 1).await.expect("a message");
    assert_eq!(all.feedback.len(), 1);
    store
        .write(RateMessage::new(ADA, 1, Rating::Down))
        .await
        .expect("rated");
}
