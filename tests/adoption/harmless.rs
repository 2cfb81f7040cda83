//! What a file may declare otherwise than the bot does: it is taken over, and everything works.

use crate::refusals::database;
use crate::shapes::SEED;
use botstore::audit::LogEvent;
use botstore::interactions::SaveInteraction;
use botstore::sessions::{CreateSession, EndSession};
use botstore::testing::usd;
use botstore::tokens::IssueToken;
use botstore::tools::ToolCall;
use botstore::users::{EnsureUser, Touch};
use botstore::{Config, Durability, Store};
use serde_json::json;
use std::path::Path;

/// What a bot does, one of each that writes a table of the seed.
pub(crate) async fn check_works(path: &Path, what: &str) {
    let config = Config::new(path).durability(Durability::Normal);
    let store = Store::open(config)
        .await
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    store.write(EnsureUser::new(7, None)).await.unwrap();
    store.write(Touch::new(7)).await.unwrap();
    let session = CreateSession::new(7, "7", "/srv");
    store.write(session).await.unwrap();
    let interaction = SaveInteraction::new(7, "7", "12")
        .cost(usd(0.25))
        .tool(ToolCall::new("Read"));
    for _ in 0..2 {
        store
            .write(interaction.clone())
            .await
            .unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    let event = LogEvent::new(7, "command").event_data(json!({}));
    store.write(event).await.unwrap();
    let token = IssueToken::new(7);
    store.write(token).await.unwrap();
    let end = EndSession::new(7, "7");
    store.write(end).await.unwrap();
    store.close().await.unwrap();
    let report =
        botstore::snapshot(path, |tx| tx.query(&botstore::integrity::CheckFile::new())).unwrap();
    assert!(
        !report.is_damaged() && !report.differs(),
        "{what}: {report:?}"
    );
}

/// What makes no difference to a row. Some are what later versions of the bot have made of the tables.
#[tokio::test]
async fn a_file_that_differs_in_what_makes_no_difference_is_taken_over_and_works() {
    let replaced = |from: &str, to: &str| {
        let sql = SEED.replace(from, to);
        assert_ne!(sql, SEED, "{from}");
        sql
    };
    let audit_reference =
        "    ip_address TEXT,\n    FOREIGN KEY (user_id) REFERENCES users(user_id)\n";
    for (what, sql) in [
        ("as it is", SEED.to_owned()),
        ("capitals", SEED.to_ascii_uppercase()),
        ("times as text", replaced(" TIMESTAMP", " DATETIME")),
        ("JSON as text", replaced(" JSON", " TEXT")),
        ("flags as numbers", replaced(" BOOLEAN", " INTEGER")),
        (
            "names of numbers",
            replaced("INTEGER NOT NULL", "BIGINT NOT NULL"),
        ),
        (
            "other texts",
            replaced(" TEXT NOT NULL", " VARCHAR(255) NOT NULL"),
        ),
        ("numbers are used again", replaced(" AUTOINCREMENT", "")),
        (
            "keys are not NULL",
            replaced("TEXT PRIMARY KEY", "TEXT NOT NULL PRIMARY KEY"),
        ),
        (
            "counters are not NULL",
            replaced("REAL DEFAULT 0.0", "REAL NOT NULL DEFAULT 0.0"),
        ),
        (
            "cascades",
            replaced(
                "REFERENCES users(user_id)",
                "REFERENCES users ON DELETE CASCADE",
            ),
        ),
        (
            "an event of nobody",
            replaced(audit_reference, "    ip_address TEXT\n"),
        ),
        (
            "more columns",
            format!(
                "{SEED}; ALTER TABLE sessions ADD COLUMN worktree_path TEXT;
                 ALTER TABLE audit_log ADD COLUMN risk_level TEXT NOT NULL DEFAULT 'low';
                 ALTER TABLE messages ADD COLUMN length INTEGER AS (length(prompt));"
            ),
        ),
        (
            "an index for a key",
            replaced("    UNIQUE(user_id, date),\n", "")
                + "; CREATE UNIQUE INDEX key_of_costs ON cost_tracking(date, user_id);",
        ),
        (
            "names like clauses",
            format!(
                "{SEED}; ALTER TABLE messages ADD COLUMN \"check\" TEXT DEFAULT 'on conflict';"
            ),
        ),
        (
            "no versions yet",
            format!("{SEED}; DELETE FROM schema_version;"),
        ),
    ] {
        let (_folder, path) = database(&sql);
        check_works(&path, what).await;
    }
}
