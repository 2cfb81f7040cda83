//! Files that are opened as a database. The first byte says what the others are: the file itself,
//! edits of a valid file, of the log beside it or of both, or values that are put into its columns;
//! and whether a whole store is opened on it, or one connection, which is many times as fast.
//!
//! No panic, no hang, and each failure is an error that says what is wrong: never
//! `ErrorKind::Panicked`.

use botstore::testing::usd;
use crate::edits::edited;
use crate::samples::{self, Sample, config, folder, session};
use arbitrary::{Arbitrary, Unstructured};
use botstore::analytics::{
    Activity, AdminDashboard, Bucket, Fill, Span, SystemStats, UserActivity, UserDashboard,
};
use botstore::audit::RecentAuditLog;
use botstore::integrity::CheckFile;
use botstore::interactions::SaveInteraction;
use botstore::page::PageRequest;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::types::Value;
use botstore::sessions::{ActiveSessions, ExpireIdle, SessionHistory};
use botstore::testing::Plain;
use botstore::tools::{ToolCall, UserToolUse};
use botstore::users::{EnsureUser, ListUsers};
use botstore::{ErrorKind, Mutation, Query, ReadTx, Result, Store, WriteTx};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

static SAMPLE: LazyLock<Sample> = LazyLock::new(samples::database);
static FOLDER: LazyLock<TempDir> = LazyLock::new(folder);

pub fn run(data: &[u8]) {
    let Some((&what, rest)) = data.split_first() else {
        return;
    };
    let path = cleared();
    let (mut file, mut log) = (SAMPLE.file.clone(), SAMPLE.log.clone());
    match what % 5 {
        0 => (file, log) = (rest.to_vec(), Vec::new()),
        1 => (file, log) = (edited(&file, rest), Vec::new()),
        2 => log = edited(&log, rest),
        3 => {
            let (in_file, in_log) = rest.split_at(rest.len() / 2);
            (file, log) = (edited(&file, in_file), edited(&log, in_log));
        }
        _ => {}
    }
    fs::write(&path, file).expect("a file");
    if !log.is_empty() {
        fs::write(path.with_extension("db-wal"), log).expect("a log");
    }
    if what % 5 == 4 {
        put_values(&path, rest);
    }
    match what & 0x80 {
        0 => connection(&path),
        _ => store(&path),
    }
}

/// The path of the file, with nothing of the last one beside it.
fn cleared() -> PathBuf {
    for entry in fs::read_dir(FOLDER.path()).expect("the folder") {
        let path = entry.expect("an entry").path();
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.expect("an empty folder");
    }
    FOLDER.path().join("bot.db")
}

/// What nobody can put into a column but with SQL of their own.
#[derive(Debug, Arbitrary)]
enum Cell {
    Null,
    Integer(i64),
    Small(i8),
    Least,
    Greatest,
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    /// The text that was there, with another character in one place.
    Letter(u8, char),
}

fn put_values(path: &Path, script: &[u8]) {
    let mut script = Unstructured::new(script);
    let plain = Plain::open(config(path)).expect("the sample");
    let conn = plain.connection();
    let sql = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;";
    conn.execute_batch(sql).expect("settings");
    let columns = "SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c
                   WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%'
                   ORDER BY t.name, c.cid";
    let mut columns = conn.prepare(columns).expect("the schema");
    let columns: Vec<(String, String)> = columns
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .expect("the columns");
    for _ in 0..16 {
        let Ok((column, cell)) = script.arbitrary::<(u8, Cell)>() else {
            return;
        };
        let (table, column) = &columns[usize::from(column) % columns.len()];
        let (expression, value) = match cell {
            Cell::Null => ("?1".to_owned(), Value::Null),
            Cell::Integer(number) => ("?1".to_owned(), number.into()),
            Cell::Small(number) => ("?1".to_owned(), i64::from(number).into()),
            Cell::Least => ("?1".to_owned(), i64::MIN.into()),
            Cell::Greatest => ("?1".to_owned(), i64::MAX.into()),
            Cell::Real(number) => ("?1".to_owned(), number.into()),
            Cell::Text(text) => ("?1".to_owned(), text.into()),
            Cell::Blob(bytes) => ("?1".to_owned(), bytes.into()),
            Cell::Letter(at, letter) => (
                format!("substr({column}, 1, {at}) || ?1 || substr({column}, {at} + 2)"),
                letter.to_string().into(),
            ),
        };
        // A column that must not be NULL, or be there twice, stays as it is.
        let _ = conn.execute(
            &format!("UPDATE {table} SET {column} = {expression}"),
            [value],
        );
        if script.is_empty() {
            return;
        }
    }
}

fn typed<T>(result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| assert_ne!(error.kind(), ErrorKind::Panicked, "{error}"))
        .ok()
}

/// As tools look at a file, and then the operations on a connection of their own.
fn connection(path: &Path) {
    typed(botstore::status(config(path)));
    typed(botstore::snapshot(config(path), |tx| {
        ask(tx);
        Ok(())
    }));
    if let Some(plain) = typed(Plain::open(config(path))) {
        let make = |work: &dyn Fn(&WriteTx<'_>) -> Result<()>| typed(plain.write(work));
        make(&|tx| tx.apply(&EnsureUser::new(9, Some("new"))).map(drop));
        make(&|tx| tx.apply(&session(9)).map(drop));
        make(&|tx| tx.apply(&interaction(9)).map(drop));
        make(&|tx| tx.apply(&interaction(1)).map(drop));
        make(&|tx| tx.apply(&IDLE).map(drop));
        typed(plain.read(|tx| {
            ask(tx);
            Ok(())
        }));
    }
}

const IDLE: ExpireIdle = ExpireIdle::new(Duration::from_secs(1));

fn interaction(user_id: i64) -> SaveInteraction {
    SaveInteraction::new(user_id, format!("s{user_id}"), "p")
        .cost(usd(0.5))
        .duration_ms(5)
        .tool(ToolCall::new("Read"))
        .idempotency_key("k")
}

fn month(by: Bucket) -> Activity {
    Activity::new(Span::LastDays(30)).by(by).gaps(Fill::Fill)
}

fn page() -> PageRequest {
    PageRequest::default()
}

fn history() -> SessionHistory {
    SessionHistory::new(1, "s1").limit(10)
}

fn ask(tx: &ReadTx<'_>) {
    typed(tx.query(&CheckFile::new()));
    typed(tx.query(&ReconcileRollups::new()));
    typed(tx.query(&SystemStats::new()));
    typed(tx.query(&AdminDashboard::default()));
    typed(tx.query(&UserDashboard::new(1)));
    typed(tx.query(&month(Bucket::Week)));
    let Activity { span, by, gaps, .. } = month(Bucket::Month);
    typed(tx.query(&UserActivity::new(1, span).by(by).gaps(gaps)));
    typed(tx.query(&history()));
    typed(tx.query(&ListUsers::new().page(page())));
    typed(tx.query(&ActiveSessions::new().page(page())));
    typed(tx.query(&RecentAuditLog::default()));
    typed(tx.query(&UserToolUse::new(1).page(page())));
}

/// The same through the actors.
fn store(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let Some(store) = typed(Store::open(config(path)).await) else {
            return;
        };
        read(&store, CheckFile::new()).await;
        read(&store, AdminDashboard::default()).await;
        read(&store, UserDashboard::new(1)).await;
        read(&store, month(Bucket::Week)).await;
        read(&store, history()).await;
        write(&store, EnsureUser::new(9, Some("new"))).await;
        write(&store, session(9)).await;
        write(&store, interaction(9)).await;
        write(&store, interaction(1)).await;
        typed(store.repair_rollups().await);
        read(&store, AdminDashboard::default()).await;
        typed(store.health().await);
        typed(store.close().await);
    });
}

async fn read<Q: Query>(store: &Store, query: Q) {
    typed(store.read(query).await);
}

async fn write<M: Mutation>(store: &Store, mutation: M) {
    typed(store.write(mutation).await);
}
