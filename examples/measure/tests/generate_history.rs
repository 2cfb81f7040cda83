//! `generate_history`, the built program: what it makes is a store's file, whole and the
//! same every time.

use botstore::rusqlite::types::Value;
use botstore::rusqlite::{Connection, Result};
use botstore::{Store, analytics, integrity::CheckFile};
use std::path::Path;
use std::process::{Command, Output};

const TABLES: [&str; 7] = [
    "users",
    "sessions",
    "messages",
    "tool_usage",
    "audit_log",
    "user_tokens",
    "cost_tracking",
];

/// Makes a file of 2,000 messages.
fn generate(out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_generate_history"));
    command.args(["--messages", "2k", "--end", "2026-03-10", "--json"]);
    command.arg("--out").arg(out).args(more);
    command.output().expect("it runs")
}

fn generated(out: &Path, more: &[&str]) -> serde_json::Value {
    let output = generate(out, more);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let line = text.lines().last().expect("a last line");
    serde_json::from_str(line).expect("JSON")
}

/// All rows of the tables, in the order of their ids.
fn rows(path: &Path) -> Result<Vec<Vec<Value>>> {
    let conn = Connection::open(path)?;
    let mut rows = Vec::new();
    for table in TABLES {
        let mut all = conn.prepare(&format!("SELECT rowid, * FROM {table} ORDER BY rowid"))?;
        let columns = all.column_count();
        let all = all.query_map([], |row| (0..columns).map(|i| row.get(i)).collect())?;
        rows.extend(all.collect::<Result<Vec<_>>>()?);
    }
    Ok(rows)
}

#[tokio::test]
async fn a_store_opens_it_and_a_check_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let summary = generated(&path, &[]);
    assert_eq!(summary["rows"]["messages"], 2_000);
    assert_eq!(summary["rows"]["users"], 20);

    let report = botstore::snapshot(&path, |tx| tx.query(&CheckFile::new())).unwrap();
    assert!(!report.is_damaged() && !report.differs(), "{report:?}");

    let store = Store::open(&path).await.unwrap();
    let stats = store.read(analytics::SystemStats::new()).await.unwrap();
    assert_eq!(stats.total_messages, 2_000);
    store.close().await.unwrap();

    let conn = Connection::open(&path).unwrap();
    for table in TABLES {
        let count = format!("SELECT count(*) FROM {table}");
        let count: i64 = conn.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(summary["rows"][table], count, "{table}");
    }
    let disorder = "SELECT count(*) FROM messages a JOIN messages b
                    ON b.message_id = a.message_id + 1 WHERE b.timestamp < a.timestamp";
    let disorder: i64 = conn.query_row(disorder, [], |row| row.get(0)).unwrap();
    assert_eq!(disorder, 0);
}

#[test]
fn it_has_the_indexes_of_a_new_file() {
    let schema = |path: &Path| {
        let conn = Connection::open(path)?;
        let mut all = conn.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
        let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        all.collect::<Result<Vec<(String, Option<String>)>>>()
    };
    let folder = tempfile::tempdir().unwrap();
    let (new, path) = (folder.path().join("new.db"), folder.path().join("old.db"));
    botstore::schema::apply(&new).unwrap();
    generated(&path, &[]);
    assert_eq!(schema(&path).unwrap(), schema(&new).unwrap());
}

#[test]
fn the_same_seed_makes_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, seed| {
        let path = folder.path().join(name);
        generated(&path, &["--seed", seed]);
        rows(&path).unwrap()
    };
    let first = make("first.db", "7");
    assert!(first == make("again.db", "7"));
    assert!(first != make("other.db", "8"));
}

#[test]
fn it_stops_before_a_step_and_leaves_a_file_that_is_there_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    assert_eq!(generated(&path, &["--schema-step", "5"])["schema_step"], 5);
    let plan = botstore::schema::plan(&path).unwrap();
    assert_eq!(plan.steps[0].step, 6);

    let before = std::fs::read(&path).unwrap();
    assert!(!generate(&path, &[]).status.success());
    assert!(std::fs::read(&path).unwrap() == before);

    let new = folder.path().join("new.db");
    let refused = generate(&new, &["--schema-step", "1000"]);
    assert!(!refused.status.success() && !new.exists());
}
