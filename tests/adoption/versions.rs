//! Later versions of the bot, as its branches and copies have them: 5 and 6 add tables, indexes and columns.

use crate::legacy::{Legacy, Row, beside, dump, open_plain};
use botstore::audit::LogEvent;
use serde_json::json;
use std::fs;

const LATER: [(i64, &str); 3] = [
    (
        5,
        "CREATE TABLE pending_requests (
             id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, chat_id INTEGER NOT NULL,
             prompt TEXT NOT NULL, queued_at REAL NOT NULL, status TEXT NOT NULL DEFAULT 'pending'
         );
         CREATE INDEX idx_pending_requests_user ON pending_requests(user_id);
         INSERT INTO pending_requests (user_id, chat_id, prompt, queued_at) VALUES (1, 1, 'p', 1.5);
         CREATE INDEX idx_messages_user_id ON messages(user_id, timestamp);",
    ),
    (
        6,
        "CREATE TABLE teams (
             team_id TEXT PRIMARY KEY, name TEXT NOT NULL, created_by INTEGER NOT NULL,
             FOREIGN KEY (created_by) REFERENCES users(user_id)
         );
         CREATE INDEX idx_messages_ts_expr ON messages(datetime(timestamp));
         ALTER TABLE sessions ADD COLUMN worktree_path TEXT;",
    ),
    (
        // An event may be about somebody who is no user.
        7,
        "CREATE TABLE audit_log_new (
             id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, event_type TEXT NOT NULL,
             event_data JSON, success BOOLEAN DEFAULT TRUE,
             timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, ip_address TEXT
         );
         INSERT INTO audit_log_new SELECT * FROM audit_log;
         DROP TABLE audit_log;
         ALTER TABLE audit_log_new RENAME TO audit_log;
         ALTER TABLE audit_log ADD COLUMN risk_level TEXT;",
    ),
];

#[tokio::test]
async fn files_of_later_versions_of_the_bot_are_taken_over_and_keep_what_is_theirs() {
    for last in LATER.map(|(version, _)| version) {
        let legacy = Legacy::copy("v4");
        let conn = open_plain(&legacy.path);
        for (version, sql) in LATER.iter().filter(|(version, _)| *version <= last) {
            conn.execute_batch(sql).unwrap();
            let insert = "INSERT INTO schema_version (version) VALUES (?1)";
            conn.execute(insert, [version]).unwrap();
        }
        conn.close().unwrap();
        let before = dump(&legacy.path);

        let store = legacy.open().await;
        let event = LogEvent::new(legacy.user_ids()[0], "command").event_data(json!({}));
        store.write(event).await.unwrap();
        store.close().await.unwrap();
        let after = dump(&legacy.path);
        for (table, rows) in &before {
            let more = usize::from(table == "audit_log");
            assert_eq!(after[table].len(), rows.len() + more, "{last}: {table}");
        }
        for table in ["pending_requests", "teams", "schema_version"] {
            assert_eq!(after.get(table), before.get(table), "{last}: {table}");
        }
    }
}

/// A bot of schema 1 or 2 has a rollback journal, and one that is killed in the middle of a change leaves
/// it: without it the file is half of that change.
#[tokio::test]
async fn the_journal_of_a_bot_that_was_killed_is_taken_in() {
    let (live, killed) = (Legacy::copy("v2era"), Legacy::copy("v2era"));
    let before = dump(&killed.path);
    let bot = open_plain(&live.path);
    // More than fits into the cache, so that a part of it is in the file already.
    bot.execute_batch(
        "PRAGMA cache_size = 1; BEGIN; DELETE FROM tool_usage;
         UPDATE messages SET prompt = 'half', response = hex(zeroblob(10000));
         UPDATE sessions SET last_used = '2026-03-10 15:00:00';",
    )
    .unwrap();
    for suffix in ["", "-journal"] {
        fs::copy(beside(&live.path, suffix), beside(&killed.path, suffix)).unwrap();
    }
    assert!(
        fs::metadata(beside(&killed.path, "-journal"))
            .unwrap()
            .len()
            > 512
    );
    killed.adopt().await;
    assert!(!beside(&killed.path, "-journal").exists());
    let after = dump(&killed.path);
    for table in ["messages", "tool_usage", "sessions"] {
        assert_eq!(after[table].len(), before[table].len(), "{table}");
    }
    let prompts = |rows: &[Row]| Vec::from_iter(rows.iter().map(|row| row["prompt"].clone()));
    assert_eq!(prompts(&after["messages"]), prompts(&before["messages"]));
}
