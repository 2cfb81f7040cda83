//! What another program leaves in these tables: it is shown, named and set right as in the others.

use super::{details, lived};
use crate::support::{ADA, Run};
use botstore::costs::AddCost;
use botstore::integrity::CheckFile;
use botstore::metadata::GetMetadata;
use botstore::rusqlite::Connection;
use botstore::testing::usd;
use botstore::usage::PromptText;
use botstore::users::EnsureUser;

/// A column, and what it should not hold.
const ODD: [(&str, &str, &str); 17] = [
    ("botstore_prompt", "name", "x'ff'"),
    ("botstore_prompt", "version", "CAST(x'c328' AS TEXT)"),
    ("botstore_prompt", "body", "x'68c3'"),
    ("botstore_tool_result", "call_id", "x'ff'"),
    ("botstore_tool_result", "result", "CAST(x'c328' AS TEXT)"),
    ("botstore_tool_result", "bytes", "-5"),
    ("botstore_tool_result", "truncated", "'yes'"),
    ("botstore_tool_result", "duration_ms", "1.5"),
    ("botstore_attachment", "kind", "x'ff'"),
    ("botstore_attachment", "mime", "x'ff'"),
    ("botstore_attachment", "name", "CAST(x'c328' AS TEXT)"),
    ("botstore_attachment", "bytes", "'many'"),
    ("botstore_attachment", "platform_file_id", "x'ff'"),
    ("botstore_feedback", "tag", "x'ff'"),
    ("botstore_feedback", "comment", "x'ff'"),
    ("botstore_feedback", "at", "'yesterday'"),
    ("botstore_message_metadata", "metadata", "'{'"),
];

#[tokio::test]
async fn odd_values_are_shown_named_and_set_right() {
    let metadata = ["botstore_session_metadata", "botstore_user_metadata"];
    let metadata = metadata.map(|table| (table, "metadata", "'[[['"));
    for (table, column, value) in ODD.into_iter().chain(metadata) {
        let context = format!("{table}.{column} = {value}");
        let store = lived().await;
        let sql = format!("UPDATE {table} SET {column} = {value}");
        store.write(Run(sql)).await.expect("written");
        let shown = details(&store, ADA, 1).await.expect("a message");
        let rest = async || {
            let prompt = store.read(PromptText::new(1)).await.expect("a read");
            let user = store.read(GetMetadata::new(ADA)).await.expect("a read");
            let session = GetMetadata::new(ADA).session_id("ada-1");
            (prompt, user, store.read(session).await.expect("a read"))
        };
        let before = rest().await;
        let report = store.read(CheckFile::new()).await.expect("a report");
        let named = &report.odd_values.first;
        assert!(!named.is_empty(), "{context}: nothing is named");
        for odd in named {
            assert_eq!((&*odd.table, &*odd.column), (table, column), "{context}");
        }
        let repaired = store.repair_values(|_| Ok(())).await.expect("a repair");
        assert_eq!(repaired.written, report.odd_values.total, "{context}");
        assert_eq!(repaired.left, 0, "{context}");
        let report = store.read(CheckFile::new()).await.expect("a report");
        assert_eq!(report.odd_values.total, 0, "{context}");
        // What is written is what was shown.
        assert_eq!(details(&store, ADA, 1).await, Some(shown), "{context}");
        assert_eq!(rest().await, before, "{context}");
    }
}

/// Each reference, with a row that leads nowhere.
#[tokio::test]
async fn rows_that_belong_to_nothing_are_orphans() {
    let store = lived().await;
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report.orphans.total, 0, "{report:?}");
    let other = Connection::open(store.path()).expect("a connection");
    let at = "'2026-03-10T15:30:00.000000+00:00'";
    let orphans = [
        (
            "botstore_usage",
            "messages",
            "(usage_id) VALUES (900)".to_owned(),
        ),
        (
            "botstore_usage",
            "botstore_prompt",
            "(usage_id, prompt_id) VALUES (-900, 900)".to_owned(),
        ),
        (
            "botstore_tool_result",
            "tool_usage",
            "(tool_usage_id) VALUES (900)".to_owned(),
        ),
        (
            "botstore_attachment",
            "messages",
            "(message_id, direction, kind) VALUES (900, 'in', 'photo')".to_owned(),
        ),
        (
            "botstore_feedback",
            "messages",
            format!("(message_id, user_id, rating, at) VALUES (900, 1, 0, {at})"),
        ),
        (
            "botstore_feedback",
            "users",
            format!("(message_id, user_id, rating, at) VALUES (1, 900, 0, {at})"),
        ),
        (
            "botstore_message_metadata",
            "messages",
            "VALUES (900, '1')".to_owned(),
        ),
        (
            "botstore_session_metadata",
            "sessions",
            "VALUES ('none', '1')".to_owned(),
        ),
        (
            "botstore_user_metadata",
            "users",
            "VALUES (900, '1')".to_owned(),
        ),
    ];
    for (table, _, values) in &orphans {
        other
            .execute_batch(&format!("INSERT INTO {table} {values}"))
            .expect("a row");
    }
    // No message, and so it needs none.
    other
        .execute_batch("INSERT INTO botstore_usage (usage_id) VALUES (-901)")
        .expect("a row");
    let report = store.read(CheckFile::new()).await.expect("a report");
    let named = report.orphans.first.iter();
    let named: Vec<_> = named
        .map(|orphan| (&*orphan.table, &*orphan.parent))
        .collect();
    let expected: Vec<_> = orphans
        .iter()
        .map(|(table, parent, _)| (*table, *parent))
        .collect();
    assert_eq!(named, expected);
}

#[tokio::test]
async fn a_request_that_is_no_message_is_an_orphan_once_its_user_is_gone() {
    let store = lived().await;
    store
        .write(EnsureUser::new(77, "eve"))
        .await
        .expect("a user");
    let image = AddCost::new(77, usd(0.04));
    store.write(image).await.expect("a request");
    let other = Connection::open(store.path()).expect("a connection");
    other
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = 77")
        .expect("deleted");
    let report = store.read(CheckFile::new()).await.expect("a report");
    let mut named = report.orphans.first.iter();
    let is_it = |table: &str, parent: &str| (table, parent) == ("botstore_usage", "users");
    assert!(
        named.any(|orphan| is_it(&orphan.table, &orphan.parent)),
        "{report:?}"
    );
}
