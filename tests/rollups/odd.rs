//! What no bot of ours writes is counted all the same: texts and blobs where numbers belong, numbers that
//! are too large to add up, texts that are no UTF-8; in the rows that are counted, and in the rollups.

use crate::kept::filled;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::rusqlite::types::Value;
use botstore::{BeforeUpgrade, Config, Durability, Store, schema};
use std::path::Path;

const ROLLUPS: [&str; 10] = [
    "botstore_day",
    "botstore_user_total",
    "botstore_user_day",
    "botstore_session_day",
    "botstore_session_user",
    "botstore_tool",
    "botstore_session_tool",
    "botstore_user_tool",
    "botstore_cost_day",
    "botstore_total",
];

/// Every value of every rollup, with its type.
fn dump(path: &Path) -> Vec<String> {
    let conn = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for table in ROLLUPS {
        let mut columns = match table {
            "botstore_total" => vec!["users".to_owned(), "sessions".to_owned()],
            _ => {
                let all = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
                let columns = 0..all.column_count();
                columns
                    .map(|at| all.column_name(at).unwrap().to_owned())
                    .collect()
            }
        };
        for column in &mut columns {
            *column = format!("typeof({column}) || ' ' || hex({column})");
        }
        let sql = format!("SELECT {} FROM {table}", columns.join(" || ', ' || "));
        let mut statement = conn.prepare(&sql).unwrap();
        let found = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        rows.extend(found.map(|row| format!("{table}: {}", row.unwrap())));
    }
    rows.sort();
    rows
}

fn alter(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
}

fn config(path: &Path) -> Config {
    let config = Config::new(path).durability(Durability::Normal);
    config.before_upgrade(BeforeUpgrade::Skip)
}

async fn open(path: &Path) -> Store {
    Store::open(config(path)).await.unwrap()
}

/// Opens the file; the rollups are what a full count says.
async fn is_right(path: &Path) {
    let store = open(path).await;
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    store.close().await.unwrap();
}

/// What is counted as it comes is what a full count says, what triggers say of rows that are counted and then changed
/// to what they are, and what the file is filled with when it is taken back to before the rollups and opened again.
async fn is_counted_alike(path: &Path) {
    is_right(path).await;
    let by_triggers = dump(path);
    alter(
        path,
        &("PRAGMA foreign_keys = OFF;".to_owned() + &changed_to_the_same()),
    );
    is_right(path).await;
    assert_eq!(dump(path), by_triggers);
    schema::rollback(config(path), "botstore", 6).unwrap();
    is_right(path).await;
    assert_eq!(dump(path), by_triggers);
}

/// Takes each counted value away and puts it back, by which triggers count it.
fn changed_to_the_same() -> String {
    let of = |table: &str, columns: &[&str]| -> String {
        let change = |column: &&str| {
            format!(
                "CREATE TEMP TABLE kept AS SELECT rowid AS id, {column} AS value FROM {table};
                 UPDATE {table} SET {column} = 1 WHERE rowid % 2;
                 UPDATE {table} SET {column} = (SELECT value FROM kept WHERE id = {table}.rowid);
                 DROP TABLE kept;"
            )
        };
        columns.iter().map(change).collect()
    };
    of(
        "messages",
        &[
            "session_id",
            "user_id",
            "timestamp",
            "cost",
            "duration_ms",
            "error",
        ],
    ) + &of("tool_usage", &["session_id", "tool_name", "success"])
        + &of("cost_tracking", &["daily_cost", "request_count"])
}

#[tokio::test]
async fn values_of_any_type_are_counted_as_the_triggers_count_them() {
    let (_folder, path) = filled(3).await.into_file().await.unwrap();
    let conn = Connection::open(&path).unwrap();
    for (number, id) in ["''", "x'732d31'", "CAST(x'ff41' AS TEXT)", "17"]
        .iter()
        .enumerate()
    {
        let user = 1 + number % 3;
        conn.execute_batch(&format!(
            "INSERT INTO sessions (session_id, user_id, project_path) VALUES ({id}, {user}, '/');
             INSERT INTO messages (session_id, user_id, timestamp, prompt)
             VALUES ({id}, {user}, '2026-03-09T10:00:00.000000+00:00', '?');
             INSERT INTO tool_usage (session_id, tool_name) VALUES ({id}, {id});"
        ))
        .unwrap();
    }
    for value in [
        "NULL",
        "0",
        "7",
        "-3",
        "1.75",
        "'12 or so'",
        "'much'",
        "'1e3'",
        "x'39'",
        "x'ff'",
        "''",
        "'0x10'",
        "9007199254740993",
    ] {
        conn.execute_batch(&format!(
            "INSERT INTO messages (session_id, user_id, timestamp, prompt, cost, duration_ms, error)
             VALUES ('s-1', 1, '2026-03-08T10:00:00.000000+00:00', '?', {value}, {value}, {value});
             INSERT INTO messages (session_id, user_id, timestamp, prompt)
             VALUES ('s-2', 2, {value}, '?');
             INSERT INTO tool_usage (session_id, tool_name, success) VALUES ('s-2', 'Odd', {value});
             INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
             VALUES (1, 'd' || quote({value}), {value}, 3);"
        ))
        .unwrap();
    }
    conn.close().unwrap();
    is_counted_alike(&path).await;
}

#[tokio::test]
async fn durations_that_64_bits_do_not_hold_are_counted_as_the_triggers_count_them() {
    for durations in [
        &[i64::MAX, i64::MAX][..],
        &[i64::MAX, -1, i64::MIN],
        &[i64::MIN, -1],
        &[i64::MAX],
        &[i64::MIN],
    ] {
        let (_folder, path) = filled(2).await.into_file().await.unwrap();
        let conn = Connection::open(&path).unwrap();
        for duration in durations {
            let sql = "INSERT INTO messages (session_id, user_id, timestamp, prompt, duration_ms)
                       VALUES ('s-1', 1, '2026-03-08T10:00:00.000000+00:00', '?', ?1)";
            conn.execute(sql, [duration]).unwrap();
        }
        conn.close().unwrap();
        is_counted_alike(&path).await;
    }
}

#[tokio::test]
async fn costs_without_end_do_not_keep_a_file_from_being_filled() {
    let (_folder, path) = filled(2).await.into_file().await.unwrap();
    schema::rollback(config(&path), "botstore", 6).unwrap();
    alter(
        &path,
        "UPDATE messages SET cost = 9e999;
         INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
         SELECT session_id, user_id, timestamp, prompt, -9e999 FROM messages LIMIT 1;
         INSERT INTO cost_tracking (user_id, date, daily_cost) VALUES (1, '2026-03-01', 9e999),
             (2, '2026-03-01', -9e999), (3, '2026-03-02', 9e999);",
    );
    is_right(&path).await;
}

#[tokio::test]
async fn whatever_stands_in_a_rollup_is_mended() {
    for value in [
        "'many'",
        "'12 or so'",
        "x'01'",
        "1.5",
        "9e999",
        "-9e999",
        "9223372036854775807",
    ] {
        let (_folder, path) = filled(9).await.into_file().await.unwrap();
        alter(
            &path,
            &format!(
                "UPDATE botstore_total SET users = {value}, sessions = {value};
                 UPDATE botstore_day SET users = {value}, messages = {value}, cost = {value};
                 UPDATE botstore_user_total SET sessions = {value}, cost = {value}, last_day = {value};
                 UPDATE botstore_user_day SET duration_ms = {value}, timed = {value}, errors = {value};
                 UPDATE botstore_session_user SET days = {value};
                 UPDATE botstore_tool SET uses = {value}, sessions = {value};
                 UPDATE botstore_cost_day SET requests = {value}, cost = {value};
                 INSERT INTO botstore_day VALUES (0, {value}, 1, 1, 1, 1, {value}, {value});
                 INSERT INTO botstore_session_day VALUES (0, CAST(x'ff' AS TEXT), 1, {value}, {value});
                 INSERT INTO botstore_user_tool VALUES (9, {value}, {value});
                 INSERT INTO botstore_tool VALUES (CAST(x'ff41' AS TEXT), 1, 1, 1, {value});"
            ),
        );
        let store = open(&path).await;
        let report = store.repair_rollups().await.unwrap();
        assert!(report.differences > 10, "{value}: {:#?}", report.named);
        store.close().await.unwrap();
        is_right(&path).await;
    }
}

#[tokio::test]
async fn a_text_in_a_rollup_is_named_by_its_beginning() {
    let (_folder, path) = filled(1).await.into_file().await.unwrap();
    let long = "x".repeat(1_000_000);
    alter(
        &path,
        &format!("INSERT INTO botstore_session_tool VALUES ('{long}', '\u{1b}[2J', 1)"),
    );
    let store = open(&path).await;
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    let named = report
        .named
        .iter()
        .find(|d| d.table == "botstore_session_tool")
        .unwrap();
    assert!(named.row.len() < 200, "{}", named.row.len());
    assert!(
        named.row.contains("xxx") && !named.row.contains('\u{1b}'),
        "{}",
        named.row
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn more_rows_than_one_piece_of_a_repair_takes_are_mended() {
    let (_folder, path) = filled(3).await.into_file().await.unwrap();
    alter(
        &path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         INSERT INTO sessions (session_id, user_id, project_path) SELECT 'n' || i, 1, '/' FROM n;
         INSERT INTO messages (session_id, user_id, timestamp, prompt)
         SELECT session_id, 1, '2026-03-01T10:00:00.000000+00:00', '?' FROM sessions;",
    );
    is_right(&path).await;
    alter(
        &path,
        "DELETE FROM botstore_session_day WHERE session_id LIKE 'n%';
         INSERT INTO botstore_session_tool SELECT session_id, 'Ghost', 1 FROM sessions;",
    );
    let store = open(&path).await;
    let report = store.repair_rollups().await.unwrap();
    assert_eq!(report.differences, 1200 + 1203);
    assert_eq!(report.named.len(), 100);
    store.close().await.unwrap();
    is_right(&path).await;
}

#[tokio::test]
async fn a_file_in_utf_16_is_compared_and_mended() {
    let (_folder, path) = filled(3).await.into_file().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let wide = folder.path().join("wide.db");
    in_utf_16(&path, &wide);
    is_counted_alike(&wide).await;
    alter(
        &wide,
        "UPDATE botstore_tool SET uses = 1000 WHERE tool_name = 'b'",
    );
    let store = open(&wide).await;
    assert_eq!(store.repair_rollups().await.unwrap().differences, 1);
    store.close().await.unwrap();
    is_right(&wide).await;
}

/// Copies a file into one whose texts are in UTF-16: what it has, in its order.
fn in_utf_16(path: &Path, to: &Path) {
    let conn = Connection::open(to).unwrap();
    conn.execute_batch("PRAGMA encoding = 'UTF-16le'; PRAGMA foreign_keys = OFF;")
        .unwrap();
    let from = Connection::open(path).unwrap();
    let sql = "SELECT sql, name, type FROM sqlite_schema
               WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type = 'trigger', rowid";
    let mut objects = from.prepare(sql).unwrap();
    let mut objects = objects.query([]).unwrap();
    let mut triggers = String::new();
    while let Some(object) = objects.next().unwrap() {
        let [sql, name, kind]: [String; 3] = [0, 1, 2].map(|at| object.get(at).unwrap());
        if kind == "trigger" {
            triggers += &format!("{sql};");
            continue;
        }
        conn.execute_batch(&sql).unwrap();
        if kind == "table" {
            copy(&from, &conn, &name);
        }
    }
    conn.execute_batch(&triggers).unwrap();
    let encoding: String = conn
        .query_row("PRAGMA encoding", [], |row| row.get(0))
        .unwrap();
    assert_eq!(encoding, "UTF-16le");
    // The session ids are such that their order is another there.
    conn.execute_batch(
        "INSERT INTO sessions (session_id, user_id, project_path) VALUES ('\u{101}', 1, '/'),
             ('b', 1, '/'), ('\u{ff5e}', 1, '/'), ('\u{1f916}', 1, '/');
         INSERT INTO messages (session_id, user_id, timestamp, prompt)
         SELECT session_id, 1, '2026-03-01T10:00:00.000000+00:00', '?' FROM sessions;
         INSERT INTO tool_usage (session_id, tool_name) SELECT session_id, session_id FROM sessions;",
    )
    .unwrap();
    conn.close().map_err(|(_, error)| error).unwrap();
}

fn copy(from: &Connection, to: &Connection, table: &str) {
    let mut rows = from.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = rows.column_count();
    let places = vec!["?"; columns].join(", ");
    let mut insert = to
        .prepare(&format!("INSERT INTO {table} VALUES ({places})"))
        .unwrap();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let values = (0..columns).map(|at| row.get::<_, Value>(at).unwrap());
        insert
            .execute(botstore::rusqlite::params_from_iter(values))
            .unwrap();
    }
}
