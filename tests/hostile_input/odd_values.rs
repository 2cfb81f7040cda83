//! A hundred odd values in each column of each table, and everything asked: no question fails, no page is
//! missing a row that it could show, no list goes on for ever, the file opens, the check names what is odd, and a
//! repair sets it right.

use crate::fields::field;
use crate::odd_files::{ODD, ROWS, base, base_of, columns, columns_of, config, open, put, values};
use crate::support::is_told_why;
use crate::vocabulary::{Answer, vocabulary};
use botstore::integrity::{CheckFile, CheckReport};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::{Store, schema};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a list shows, and what its items are known by.
const LISTS: [(&str, &str, &str); 12] = [
    ("AllowedUsers", "users", "user_id"),
    ("ListUsers", "users", "user_id"),
    ("UserSessions", "sessions", ""),
    ("ProjectSessions", "sessions", ""),
    ("ActiveSessions", "sessions", ""),
    ("SessionMessages", "messages", "message_id"),
    ("UserMessages", "messages", "message_id"),
    ("RecentMessages", "messages", "message_id"),
    ("SessionToolUse", "tool_usage", "id"),
    ("UserToolUse", "tool_usage", "id"),
    ("UserAuditLog", "audit_log", "id"),
    ("UserTokens", "user_tokens", "token_id"),
];

/// Columns by which lists find their rows: what is in them decides which rows there are.
const FOUND_BY: [&str; 7] = [
    "user_id",
    "session_id",
    "project_path",
    "is_active",
    "is_allowed",
    "event_type",
    "timestamp",
];

/// Whether each value has its turn in each column of the store's own tables, and each question in each
/// opening: some minutes.
fn everything() -> bool {
    std::env::var_os("BOTSTORE_TEST_EVERY_CALL").is_some()
}

/// Otherwise it is another's turn in each run. A failure says whose it was.
fn any_turn() -> usize {
    fastrand::usize(..ODD)
}

/// Asks everything of a file with so many rows of each kind; gives how many of them each list has shown, which it
/// does in three pages.
async fn ask_everything(store: &Store, rows: usize, context: &str) -> Vec<(String, usize)> {
    let mut shown = Vec::new();
    for kind in vocabulary().into_iter().filter(|kind| kind.is_question) {
        let mut message = kind.example.clone();
        match kind.send(store, message.clone()).await {
            Answer::Said(_) => {}
            Answer::Refused(error) => {
                assert!(is_told_why(&error), "{context}: {}: {error}", kind.name);
            }
            other => panic!("{context}: {}: {other:?}", kind.name),
        }
        let Some(page) = ["/page", "/users"]
            .into_iter()
            .find(|at| message.pointer(at).is_some())
        else {
            continue;
        };
        if message.get("filter").is_some() {
            message["filter"] = json!({});
        }
        let (mut after, mut items) = (Value::Null, Vec::new());
        for pages in 0.. {
            assert!(pages <= rows, "{context}: {} has no end", kind.name);
            *field(&mut message, page) = json!({ "limit": rows * 2 / 5, "after": after });
            let answer = match kind.send(store, message.clone()).await {
                Answer::Said(answer) => answer,
                Answer::Refused(error) if error.field() == Some("session_id") => break,
                other => panic!("{context}: {} from {after}: {other:?}", kind.name),
            };
            let answer = if page == "/users" {
                &answer["users"]
            } else {
                &answer
            };
            items.extend(answer["items"].as_array().expect("items").clone());
            after = answer["next"].clone();
            if after.is_null() {
                break;
            }
        }
        if let Some((_, _, id)) = LISTS.iter().find(|(name, ..)| *name == kind.name) {
            let ids: BTreeSet<_> = items.iter().map(|item| item[*id].to_string()).collect();
            assert!(
                id.is_empty() || ids.len() == items.len(),
                "{context}: {} repeats",
                kind.name
            );
            shown.push((kind.name.to_owned(), items.len()));
        }
    }
    shown
}

/// Each list has all of its rows, but for those that the odd values leave out.
fn nothing_is_missing(
    shown: &[(String, usize)],
    path: &Path,
    table: &str,
    column: &str,
    context: &str,
) {
    let conn = Connection::open(path).expect("open");
    // A row without a time has no place among others.
    let sql = format!("SELECT count(*) FROM {table} WHERE {column} IS NULL AND rowid <= {ODD}");
    let null: u32 = conn.query_row(&sql, [], |row| row.get(0)).expect("a count");
    let is_time = ["timestamp", "first_seen", "last_used", "created_at"].contains(&column);
    for (name, of, _) in LISTS {
        let rows = shown.iter().find(|(list, _)| list == name).expect(name).1;
        let left_out = match of == table {
            false => 0,
            true if FOUND_BY.contains(&column)
                && (name != "UserMessages" || column != "timestamp") =>
            {
                ODD
            }
            true if is_time => null as usize,
            true => 0,
        };
        assert!(
            rows + left_out >= ROWS && rows <= ROWS,
            "{context}: {name} shows {rows} of {ROWS}"
        );
    }
}

async fn check(store: &Store) -> CheckReport {
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert!(!report.is_damaged(), "{:?}", report.damage);
    report
}

/// Whether texts that are no UTF-16, in a file of such texts, are not the same to this SQLite before and after
/// it has converted them: those before 3.54, which hosts may link with. A repair leaves some of them
/// then, and says so.
fn compares_otherwise(path: &Path) -> bool {
    let conn = Connection::open(path).expect("open");
    let encoding: String = conn
        .query_row("PRAGMA encoding", [], |row| row.get(0))
        .expect("an encoding");
    encoding != "UTF-8" && botstore::rusqlite::version_number() < 3_054_000
}

/// Odd values in one column: put there beside an open store, asked about, then again after opening; then they
/// are set right.
async fn column_may_hold_anything(base: &Path, folder: &Path, table: &str, column: &str) {
    let context = format!("{table}.{column}");
    let path = folder.join(format!("{context}.db"));
    fs::copy(base, &path).expect("a copy");
    let store = open(&path).await;
    let taken = put(&path, table, column);
    assert!(taken >= 10, "{context}: {taken} values were taken");
    let shown = ask_everything(&store, ROWS, &context).await;
    nothing_is_missing(&shown, &path, table, column, &context);
    store.close().await.expect("closed");

    let store = open(&path).await;
    let shown = ask_everything(&store, ROWS, &format!("{context}, opened")).await;
    nothing_is_missing(&shown, &path, table, column, &context);
    let named = check(&store).await.odd_values;
    assert!(
        named.total > 0 || column == "user_id",
        "{context}: nothing is named"
    );
    assert!(
        named.total <= 2 * ODD as u64 && named.first.len() <= ODD,
        "{context}"
    );
    for odd in &named.first {
        let named = (odd.table.as_str(), odd.column.as_str());
        let copy = match (table, column) {
            ("messages", "user_id") => Some(("botstore_usage", "user_id")),
            ("messages", "timestamp") => Some(("botstore_usage", "at")),
            _ => None,
        };
        assert!(
            named == (table, column) || Some(named) == copy,
            "{odd:?} in {table}.{column}"
        );
        assert!(
            (1..=ODD as i64).contains(&odd.row) && odd.holds.len() < 200,
            "{odd:?}"
        );
    }

    if compares_otherwise(&path) {
        eprintln!(
            "{context}: not repaired: this SQLite reads what is no UTF-16 otherwise each time"
        );
        return store.close().await.expect("closed");
    }
    // Whose a row is, nobody guesses. More of them are odd than are listed: the copies, too.
    let stays = match column {
        "user_id" => named.total,
        _ => {
            let stay = named.first.iter().filter(|odd| odd.becomes.is_none());
            stay.count() as u64
        }
    };
    let mut gone = Vec::new();
    let repaired = store.repair_values(|values| {
        gone.extend(values.to_vec());
        Ok(())
    });
    let repaired = repaired.await.expect(&context);
    assert_eq!(
        (repaired.written, repaired.left),
        (named.total - stays, 0),
        "{context}"
    );
    assert_eq!(gone.len() as u64, repaired.written, "{context}");
    store.repair_rollups().await.expect(&context);
    let left = check(&store).await.odd_values;
    assert_eq!(left.total, stays, "{context}: {left:?}");
    let rollups = store.read(ReconcileRollups::new()).await.expect(&context);
    assert_eq!(rollups.differences, 0, "{context}: {:?}", rollups.named);
    store.close().await.expect("closed");
}

async fn table_may_hold_anything(table: &str) {
    table_in_encoding(table, "UTF-8").await;
}

async fn table_in_encoding(table: &str, encoding: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("base.db");
    base(&path, encoding).await;
    for (_, column) in columns_of(&path, table) {
        column_may_hold_anything(&path, folder.path(), table, &column).await;
    }
}

#[tokio::test]
async fn any_value_in_a_user() {
    table_may_hold_anything("users").await;
}

#[tokio::test]
async fn any_value_in_a_session() {
    table_may_hold_anything("sessions").await;
}

#[tokio::test]
async fn any_value_in_a_message() {
    table_may_hold_anything("messages").await;
}

#[tokio::test]
async fn any_value_in_a_tool_use() {
    table_may_hold_anything("tool_usage").await;
}

#[tokio::test]
async fn any_value_in_an_event() {
    table_may_hold_anything("audit_log").await;
}

#[tokio::test]
async fn any_value_in_a_token() {
    table_may_hold_anything("user_tokens").await;
}

#[tokio::test]
async fn any_value_in_a_day_s_cost() {
    table_may_hold_anything("cost_tracking").await;
}

/// Where bytes of one encoding are letters of another.
#[tokio::test]
async fn any_value_in_a_file_in_utf_16() {
    table_in_encoding("messages", "UTF-16le").await;
    table_in_encoding("tool_usage", "UTF-16be").await;
}

/// Nothing keeps the Python bot's file from being taken over: its tables have no triggers, so that anything may
/// be anywhere in them.
#[tokio::test]
async fn any_value_in_a_file_of_before_the_first_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("base.db");
    base(&path, "UTF-8").await;
    schema::rollback(config(&path), "botstore", 2).expect("steps back");
    let mut turn = any_turn();
    for table in [
        "users",
        "sessions",
        "messages",
        "tool_usage",
        "audit_log",
        "user_tokens",
        "cost_tracking",
    ] {
        for (_, column) in columns_of(&path, table) {
            turn += 1;
            let context = format!("{table}.{column}, turn {turn}");
            let copy = folder.path().join(format!("{table}.{column}.db"));
            fs::copy(&path, &copy).expect("a copy");
            assert!(put(&copy, table, &column) >= 10, "{context}");
            // The opening that takes it over, and one more: the questions come in one of them.
            for opening in 0..2 {
                let store = open(&copy).await;
                if everything() || turn % 2 == opening {
                    ask_everything(&store, ROWS, &context).await;
                }
                let report = store.read(ReconcileRollups::new()).await.expect(&context);
                assert_eq!(report.differences, 0, "{context}: {:?}", report.named);
                check(&store).await;
                store.close().await.expect("closed");
            }
        }
    }
}

/// Rows of each kind where a value is in all of them at once.
const FEW: usize = 12;

/// Puts a value into all rows of a column, as far as SQLite takes it. What it refuses is not there.
fn put_everywhere(path: &Path, table: &str, column: &str, value: &str) {
    let conn = Connection::open(path).expect("open");
    conn.execute_batch("PRAGMA ignore_check_constraints = ON")
        .expect("settings");
    let sql = format!("UPDATE OR IGNORE {table} SET {column} = {value}");
    let _ = conn.execute(&sql, []);
    conn.close().expect("closed");
}

/// What the store keeps for itself is read as leniently.
#[tokio::test]
async fn any_value_in_a_table_of_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("base.db");
    base_of(FEW, &path, "UTF-8").await;
    let columns = columns(
        &path,
        "SELECT t.name, c.name FROM pragma_table_list t, pragma_table_info(t.name) c
         WHERE t.schema = 'main' AND t.name GLOB 'botstore_*'
           AND t.name NOT IN ('botstore_ledger', 'botstore_store')",
    );
    assert!(columns.len() > 40, "{columns:?}");
    let (mut turn, values) = (any_turn(), values());
    let each = if everything() { ODD } else { 1 };
    for (table, column) in columns {
        let copy = folder.path().join(format!("{table}.{column}.db"));
        fs::copy(&path, &copy).expect("a copy");
        // The store opens with one value, and others are put there beside it. The questions come after the one or
        // the others. Not by the turn, which picks the value: each value is to come in both.
        let opened_with = fastrand::bool();
        let mut next = || {
            // 7 and 100 have no divisor in common, so that all have their turn.
            turn += 1;
            let value = &values[turn * 7 % ODD];
            put_everywhere(&copy, &table, &column, value);
            format!("{table}.{column} = {value}")
        };
        let context = next() + ", opened";
        let store = open(&copy).await;
        if everything() || opened_with {
            ask_everything(&store, FEW, &context).await;
        }
        for _ in 0..each {
            if everything() || !opened_with {
                ask_everything(&store, FEW, &next()).await;
            }
        }
        store.close().await.expect(&context);
        fs::remove_file(&copy).expect("removed");
    }
}
