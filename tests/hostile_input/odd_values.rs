//! A hundred odd values in each column of each table, and everything asked: no question fails, no page is
//! missing a row that it could show, no list goes on for ever, the file opens, the check names what is odd, and a
//! repair sets it right.

use crate::fields::field;
use crate::support::is_told_why;
use crate::vocabulary::{Answer, vocabulary};
use crate::wait::patient;
use botstore::integrity::{CheckFile, CheckReport};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::{BeforeUpgrade, Config, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// So many rows of a table have an odd value, and so many more have none.
const ODD: usize = 100;
const ROWS: usize = 104;

/// SQL expressions, a hundred of them.
pub(crate) fn values() -> Vec<String> {
    let texts = [
        "",
        " ",
        "True",
        "False",
        "yes",
        "NULL",
        "None",
        "nan",
        "NaN",
        "Infinity",
        "1a",
        "12 or so",
        "-",
        "1,5",
        "0x10",
        "yesterday",
        "2026-03-10",
        "2026-03-10 15:00",
        "10.03.2026",
        "2026-13-45 99:99:99",
        "2026-03-10T15:00:60.000000+00:00",
        "2026-03-10T15:00:01.000000+02:00",
        "9999-12-31T23:59:59Z",
        "~",
        "\u{10ffff}",
        "\u{feff}x",
        "{\"a\": NaN}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\ud800\"}",
        "[[[[",
        "{'a': 1}",
    ];
    let mut values: Vec<_> = texts
        .iter()
        .map(|text| format!("'{}'", text.replace('\'', "''")))
        .collect();
    // The same as bytes, and some with an end in the middle.
    values.extend(
        texts
            .iter()
            .map(|text| format!("CAST('{}' AS BLOB)", text.replace('\'', "''"))),
    );
    values.extend(
        [
            "NULL",
            "0",
            "1",
            "2",
            "-1",
            "17",
            "1773154800",
            "1773154800000",
            "1773154800000000",
            "1773154800.25",
            "9223372036854775807",
            "-9223372036854775808",
            "9007199254740993",
            "0.5",
            "-0.0",
            "1e18",
            "-1e18",
            "1e308",
            "-1e308",
            "9e999",
            "-9e999",
            "2461110.5",
            // Cut in the middle of a letter, another encoding, half of a surrogate pair, an end in the middle.
            "CAST(x'68c3' AS TEXT)",
            "CAST(x'fffe68006900' AS TEXT)",
            "CAST(x'eda080' AS TEXT)",
            "CAST(x'610062' AS TEXT)",
            "CAST(x'00' AS TEXT)",
            "CAST(x'ff' AS TEXT)",
            "CAST(x'e4f6fc' AS TEXT)",
            "CAST(x'323032362d30332d31305431353a30303a303100' AS TEXT)",
            "x''",
            "x'00'",
            "x'ff'",
            "x'ffffffffffffffff'",
            "zeroblob(5000)",
            "CAST(zeroblob(70) AS TEXT)",
            "hex(zeroblob(5000))",
            "x'31'",
        ]
        .map(str::to_owned),
    );
    values
}

#[test]
fn there_are_a_hundred_of_them_and_no_two_are_the_same() {
    let values = values();
    assert_eq!(values.len(), ODD);
    assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), ODD);
}

fn config(path: &Path) -> Config {
    let config = Config::new(path).clock(FixedClock::default());
    // What is changed beside the store is seen at once.
    patient(config)
        .before_upgrade(BeforeUpgrade::Skip)
        .row_cache_answers(0)
}

async fn open(path: &Path) -> Store {
    Store::open(config(path)).await.expect("the file opens")
}

/// Many rows of everything, all of them of user 1, and most in the session `s`.
async fn base(path: &Path) {
    open(path).await.close().await.expect("closed");
    let conn = Connection::open(path).expect("open");
    let at = "'2026-03-10T15:' || printf('%02d', i / 60) || ':' || printf('%02d', i % 60) || '.000000+00:00'";
    conn.execute_batch(&format!(
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
             SELECT i, {at} AS at FROM n;
         INSERT INTO users SELECT i, 'ada', at, at, 1, 0.5, 1, 1 FROM n;
         INSERT INTO sessions SELECT iif(i = {ROWS}, 's', 's-' || i), 1, '/srv', at, at, 0.5, 1, 1, 1 FROM n;
         INSERT INTO messages SELECT i, 's', 1, at, 'p', 'r', 0.5, 5, NULL FROM n;
         INSERT INTO tool_usage SELECT i, 's', i, 'Read', '{{}}', at, 1, NULL FROM n;
         INSERT INTO audit_log SELECT i, 1, 'login', '{{}}', 1, at, '10.0.0.1' FROM n;
         INSERT INTO user_tokens SELECT i, 1, 'hash ' || i, at, NULL, NULL, 1 FROM n;
         INSERT INTO cost_tracking SELECT i, 1, date('2026-03-10', -i || ' days'), 0.5, 1 FROM n;"
    ))
    .expect("rows");
    conn.close().expect("closed");
}

/// Puts each value into this column of a row of its own, as far as SQLite takes it; gives how many it took.
fn put(path: &Path, table: &str, column: &str) -> usize {
    let conn = Connection::open(path).expect("open");
    conn.execute_batch("PRAGMA foreign_keys = OFF; BEGIN")
        .expect("settings");
    let taken = values().into_iter().zip(1..).filter(|(value, row)| {
        let sql = format!("UPDATE OR FAIL {table} SET {column} = {value} WHERE rowid = {row}");
        conn.execute(&sql, []).is_ok()
    });
    let taken = taken.count();
    conn.execute_batch("COMMIT").expect("committed");
    conn.close().expect("closed");
    taken
}

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

/// Asks everything; gives how many rows each list has shown.
async fn ask_everything(store: &Store, context: &str) -> Vec<(String, usize)> {
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
            assert!(pages <= ROWS, "{context}: {} has no end", kind.name);
            *field(&mut message, page) = json!({ "limit": 7, "after": after });
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
    let report = store.read(CheckFile).await.expect("a report");
    assert!(!report.is_damaged(), "{:?}", report.damage);
    report
}

/// Odd values in one column: put there beside an open store, asked about, then again after opening, and after
/// they were set right.
async fn column_may_hold_anything(base: &Path, folder: &Path, table: &str, column: &str) {
    let context = format!("{table}.{column}");
    let path = folder.join(format!("{context}.db"));
    fs::copy(base, &path).expect("a copy");
    let store = open(&path).await;
    let taken = put(&path, table, column);
    assert!(taken >= 10, "{context}: {taken} values were taken");
    let shown = ask_everything(&store, &context).await;
    nothing_is_missing(&shown, &path, table, column, &context);
    store.close().await.expect("closed");

    let store = open(&path).await;
    let shown = ask_everything(&store, &format!("{context}, opened")).await;
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
        assert_eq!(
            (odd.table.as_str(), odd.column.as_str()),
            (table, column),
            "{odd:?}"
        );
        assert!(
            (1..=ODD as i64).contains(&odd.row) && odd.holds.len() < 200,
            "{odd:?}"
        );
    }

    let stays = named
        .first
        .iter()
        .filter(|odd| odd.becomes.is_none())
        .count() as u64;
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
    let rollups = store.read(ReconcileRollups).await.expect(&context);
    assert_eq!(rollups.differences, 0, "{context}: {:?}", rollups.named);
    ask_everything(&store, &format!("{context}, set right")).await;
    store.close().await.expect("closed");
}

/// Tables and columns, by a statement.
fn columns(path: &Path, sql: &str) -> Vec<(String, String)> {
    let conn = Connection::open(path).expect("open");
    let mut columns = conn.prepare(sql).expect("columns");
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let columns = columns
        .expect("columns")
        .map(|column| column.expect("a column"));
    columns.collect()
}

async fn table_may_hold_anything(table: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("base.db");
    base(&path).await;
    let sql = format!(
        "SELECT '{table}', name FROM pragma_table_info('{table}') WHERE NOT (pk AND type = 'INTEGER')"
    );
    let columns = columns(&path, &sql);
    assert!(columns.len() >= 4, "{table}: {columns:?}");
    for (_, column) in columns {
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

/// What the store keeps for itself is read as leniently.
#[tokio::test]
async fn any_value_in_a_table_of_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("base.db");
    base(&path).await;
    let columns = columns(
        &path,
        "SELECT t.name, c.name FROM pragma_table_list t, pragma_table_info(t.name) c
         WHERE t.schema = 'main' AND t.name GLOB 'botstore_*'
           AND t.name NOT IN ('botstore_ledger', 'botstore_store')",
    );
    assert!(columns.len() > 40, "{columns:?}");
    let (mut number, values) = (0, values());
    for (table, column) in columns {
        let copy = folder.path().join(format!("{table}.{column}.db"));
        fs::copy(&path, &copy).expect("a copy");
        let store = open(&copy).await;
        for _ in 0..8 {
            number += 1;
            let value = &values[number * 7 % ODD];
            let context = format!("{table}.{column} = {value}");
            let conn = Connection::open(&copy).expect("open");
            conn.execute_batch("PRAGMA ignore_check_constraints = ON")
                .expect("settings");
            // What SQLite refuses is not there.
            let _ = conn.execute(
                &format!("UPDATE OR IGNORE {table} SET {column} = {value}"),
                [],
            );
            drop(conn);
            ask_everything(&store, &context).await;
        }
        store.close().await.expect("closed");
        let store = open(&copy).await;
        ask_everything(&store, &format!("{table}.{column}, opened")).await;
        store.close().await.expect("closed");
    }
}
