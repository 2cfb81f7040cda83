//! Which files are the bot's: a half-made one is, somebody else's is not and stays as it is.

use crate::legacy::{TIMES, beside, objects, open_plain};
use botstore::rusqlite::Connection;
use botstore::users::{EnsureUser, GetUser};
use botstore::{ErrorKind, Store};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A new database with this in it, closed.
pub(crate) fn database(sql: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
    (folder, path)
}

const VERSION_TABLE: &str = "CREATE TABLE schema_version (version INTEGER PRIMARY KEY);";

/// As the bot makes them, in the order in which it makes them.
const FIRST_TABLES: &str = "
    CREATE TABLE users (
        user_id INTEGER PRIMARY KEY,
        telegram_username TEXT,
        first_seen TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        last_active TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        is_allowed BOOLEAN DEFAULT FALSE,
        total_cost REAL DEFAULT 0.0,
        message_count INTEGER DEFAULT 0,
        session_count INTEGER DEFAULT 0
    );
    CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY,
        user_id INTEGER NOT NULL,
        project_path TEXT NOT NULL,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        last_used TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        total_cost REAL DEFAULT 0.0,
        total_turns INTEGER DEFAULT 0,
        message_count INTEGER DEFAULT 0,
        is_active BOOLEAN DEFAULT TRUE,
        FOREIGN KEY (user_id) REFERENCES users(user_id)
    );";

#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_finished() {
    for tables in ["", FIRST_TABLES] {
        let (_folder, path) = database(&format!("{VERSION_TABLE}{tables}"));
        let store = Store::open(&path).await.unwrap();
        store.write(EnsureUser::new(1, None)).await.unwrap();
        let user = store.read(GetUser::new(1)).await.unwrap();
        assert!(user.is_some());
        store.close().await.unwrap();
        let found = objects(&open_plain(&path));
        for (table, _) in TIMES {
            assert!(found.contains(&("table".to_owned(), table.to_owned())));
        }
    }
}

pub(crate) async fn check_refused(path: &Path) {
    let bytes = fs::read(path).unwrap();
    for attempt in 1..=2 {
        let error = Store::open(path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignFile, "{attempt}: {error}");
        assert!(error.to_string().contains("bot.db"), "{error}");
        assert!(fs::read(path).unwrap() == bytes, "the file was changed");
        for suffix in ["-wal", "-shm", "-journal", ".backups"] {
            assert!(!beside(path, suffix).exists(), "{suffix} was left");
        }
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_stays_as_it_is() {
    let tables = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
                  INSERT INTO notes (body) VALUES ('keep me');";
    for mode in ["DELETE", "WAL"] {
        let (_folder, path) = database(&format!("PRAGMA journal_mode={mode}; {tables}"));
        check_refused(&path).await;
    }
}

#[tokio::test]
async fn a_refused_database_whose_program_was_killed_keeps_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (live, path) = (folder.path().join("live.db"), folder.path().join("bot.db"));
    let program = Connection::open(&live).unwrap();
    program
        .execute_batch(
            "PRAGMA journal_mode=WAL; CREATE TABLE notes (body TEXT);
             PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO notes VALUES ('keep me');",
        )
        .unwrap();
    let (live_log, log) = (beside(&live, "-wal"), beside(&path, "-wal"));
    fs::copy(&live, &path).unwrap();
    fs::copy(&live_log, &log).unwrap();

    let before = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let error = Store::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignFile, "{error}");
    let after = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    assert!(before == after, "the file or its log was changed");
    let sql = "SELECT body FROM notes";
    let body: String = open_plain(&path)
        .query_row(sql, [], |row| row.get(0))
        .unwrap();
    assert_eq!(body, "keep me");
}

#[tokio::test]
async fn a_program_with_tables_of_the_same_names_but_other_columns_is_refused() {
    for table in [
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT);",
        // The bot's own columns, and one more.
        "CREATE TABLE cost_tracking (id INTEGER PRIMARY KEY, user_id INTEGER, date DATE,
                                     daily_cost REAL, request_count INTEGER, currency TEXT);",
    ] {
        for mode in ["DELETE", "WAL"] {
            let pragma = format!("PRAGMA journal_mode={mode};");
            let (_folder, path) = database(&format!("{pragma}{VERSION_TABLE}{table}"));
            check_refused(&path).await;
        }
    }
    let columns = "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at TEXT);";
    let (_folder, path) = database(&format!("{columns}{FIRST_TABLES}"));
    check_refused(&path).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    fs::write(&path, "Dear diary, \n".repeat(1_000)).unwrap();
    check_refused(&path).await;
}
