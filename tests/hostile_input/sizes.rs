//! Files with texts that are larger than any message may bring into one: an older program wrote them,
//! or somebody else. They are read as they are, and no error shows much of them.

use crate::support::populated_with;
use botstore::audit::{EventFilter, UserAuditLog};
use botstore::integrity::CheckFile;
use botstore::messages::{SessionMessages, UserMessages};
use botstore::page::PageRequest;
use botstore::rusqlite::Connection;
use botstore::sessions::{
    ActiveSessions, GetSession, ProjectSessions, SessionFilter, SessionHistory, UserSessions,
};
use botstore::testing::FixedClock;
use botstore::users::{GetUser, ListUsers};
use botstore::{Config, Error, ErrorKind, Store, schema};
use chrono::DateTime;
use std::path::{Path, PathBuf};

/// Less than a name may have; everything in these files is more.
const MAX_TEXT_BYTES: usize = 1024;

/// Ids of sessions, longer than a message may have.
fn long_id(number: usize) -> String {
    format!("{number}{}", "é".repeat(5_000))
}

fn path_of_project() -> String {
    format!("/srv/{}", "p".repeat(10_000))
}

/// A closed file that somebody has written to.
async fn written(change: impl FnOnce(&Connection)) -> (tempfile::TempDir, PathBuf) {
    let store = populated_with(|config| config).await;
    let (folder, path) = store.into_file().await.expect("a file");
    let conn = Connection::open(&path).expect("the file");
    change(&conn);
    drop(conn);
    (folder, path)
}

fn config(path: &Path) -> Config {
    Config::new(path).clock(FixedClock::default())
}

async fn opened(path: &Path) -> Store {
    // More bytes in flight than the ids have, so that they are not all alone.
    let config = config(path).max_text_bytes(64 * MAX_TEXT_BYTES);
    Store::open(config).await.expect("a store")
}

#[tokio::test]
async fn what_a_file_holds_is_read_whatever_its_size() {
    let (_folder, path) = written(|conn| {
        let megabyte = "m".repeat(1 << 20);
        conn.execute("UPDATE users SET telegram_username = ?1", [&megabyte]).expect("a name");
        conn.execute("UPDATE messages SET prompt = ?1, response = ?1, error = ?1", [&megabyte]).expect("texts");
        for number in 0..3 {
            let sql = "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used, is_active)
                       VALUES (?1, 1, ?2, '2026-03-10T15:30:00.000000+00:00',
                               '2026-03-10T15:30:00.000000+00:00', 1)";
            conn.execute(sql, (long_id(number), path_of_project())).expect("a session");
            let sql = "INSERT INTO messages (session_id, user_id, timestamp, prompt)
                       VALUES (?1, 1, '2026-03-10T15:30:00.000000+00:00', ?2)";
            conn.execute(sql, (long_id(number), &megabyte)).expect("a message");
        }
        let sql = "INSERT INTO audit_log (user_id, event_type, event_data, timestamp)
                   VALUES (1, ?1, ?2, '2026-03-10T15:30:00.000000+00:00')";
        conn.execute(sql, ("t".repeat(5_000), format!("[\"{megabyte}\"]"))).expect("an event");
    })
    .await;
    let store = opened(&path).await;
    let user = store.read(GetUser::new(1)).await.expect("a read");
    assert_eq!(
        user.and_then(|user| user.username).map(|name| name.len()),
        Some(1 << 20)
    );
    let page = PageRequest::default();
    let users = store.read(ListUsers::new().page(page.clone())).await;
    assert_eq!(users.expect("a page").items.len(), 1);
    let messages = UserMessages::new(1).page(page.clone());
    let messages = store.read(messages).await.expect("a page").items;
    assert!(
        messages
            .iter()
            .all(|message| message.prompt.len() == 1 << 20)
    );
    assert_eq!(messages.len(), 4);
    for number in 0..3 {
        let session_id = long_id(number);
        let get = GetSession::new(1, session_id.clone());
        // Twice: asked for, and perhaps kept.
        for _ in 0..2 {
            let session = store
                .read(get.clone())
                .await
                .expect("a read")
                .expect("a session");
            assert_eq!(session.session_id, session_id);
        }
        let history = SessionHistory::new(1, session_id.clone()).limit(5);
        let history = store
            .read(history)
            .await
            .expect("a read")
            .expect("a session");
        assert_eq!(history.messages.len(), 1);
        let said = SessionMessages::new(1, session_id).page(page.clone());
        assert_eq!(store.read(said).await.expect("a page").items.len(), 1);
    }
    let filter = EventFilter::new().event_type("t".repeat(5_000));
    let events = UserAuditLog::new(1).filter(filter).page(page);
    assert_eq!(store.read(events).await.expect("a page").items.len(), 1);
    store.close().await.expect("closed");
}

/// Page by page, each ends at an id, and the next begins there.
#[tokio::test]
async fn a_list_of_sessions_with_long_ids_has_an_end() {
    let (_folder, path) = written(|conn| {
        for number in 0..3 {
            let sql = "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used, is_active)
                       VALUES (?1, 1, ?2, '2026-03-10T15:30:00.000000+00:00',
                               '2026-03-10T15:30:00.000000+00:00', 1)";
            conn.execute(sql, (long_id(number), path_of_project())).expect("a session");
        }
    })
    .await;
    let store = opened(&path).await;
    let (project_path, which) = (path_of_project(), SessionFilter::All);
    let mut found = Vec::new();
    for list in 0..3 {
        let mut rows = 0;
        let mut page = PageRequest::first(1);
        loop {
            let (request, project_path) = (page.clone(), project_path.clone());
            let answer = match list {
                0 => {
                    store
                        .read(UserSessions::new(1).which(which).page(request))
                        .await
                }
                1 => {
                    store
                        .read(
                            ProjectSessions::new(project_path)
                                .which(which)
                                .page(request),
                        )
                        .await
                }
                _ => store.read(ActiveSessions::new().page(request)).await,
            };
            let answer = answer.expect("a page");
            rows += answer.items.len();
            let Some(next) = answer.next else { break };
            // As whoever keeps it as text has it.
            page = page.after(next.to_string().parse().expect("a cursor"));
        }
        found.push(rows);
    }
    assert_eq!(found, [4, 3, 4]);
    store.close().await.expect("closed");
}

fn is_short(error: &Error, context: &str) {
    assert!(
        error.to_string().len() < 1_100,
        "{context}: {} bytes",
        error.to_string().len()
    );
    assert!(
        format!("{error:?}").len() < 1_500,
        "{context}: {} bytes",
        format!("{error:?}").len()
    );
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        assert!(
            cause.to_string().len() < 1_100,
            "{context}: {} bytes",
            cause.to_string().len()
        );
        source = cause.source();
    }
}

#[tokio::test]
async fn what_is_told_of_an_odd_value_shows_little_of_it() {
    let long = "z".repeat(5 << 20);
    let (_folder, path) = written(|conn| {
        conn.execute("UPDATE users SET first_seen = ?1", [&long])
            .expect("a time");
    })
    .await;
    let store = opened(&path).await;
    let user = store.read(GetUser::new(1)).await.expect("shown");
    let epoch = DateTime::UNIX_EPOCH;
    assert_eq!(user.expect("the user").first_seen, epoch);
    let odd = store
        .read(CheckFile::new())
        .await
        .expect("a report")
        .odd_values;
    assert!(odd.total > 0 && !odd.first.is_empty());
    for odd in odd.first {
        let told = format!("{odd:?}");
        assert!(told.len() < 1_500, "{} bytes", told.len());
        assert!(!told.contains(&"z".repeat(65)), "{told}");
    }
    store.close().await.expect("closed");
}

#[tokio::test]
async fn a_ledger_cannot_make_an_error_long() {
    let long = "z".repeat(5 << 20);
    for (column, kind) in [
        ("name", ErrorKind::NewerSchema),
        ("up_sql", ErrorKind::ChangedMigration),
    ] {
        let (_folder, path) = written(|conn| {
            let sql = match column {
                "name" => "UPDATE botstore_ledger SET name = ?1, step = 99 WHERE step = 7",
                _ => "UPDATE botstore_ledger SET up_sql = ?1, checksum = 'x' WHERE step = 7",
            };
            conn.execute(sql, [&long]).expect("a row");
        })
        .await;
        let refused = schema::plan(config(&path)).expect_err("a refusal");
        assert_eq!(refused.kind(), kind, "{column}");
        is_short(&refused, column);
        let refused = Store::open(config(&path)).await.expect_err("a refusal");
        assert_eq!(refused.kind(), kind, "{column}");
        is_short(&refused, column);
    }
}
