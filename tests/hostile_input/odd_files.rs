//! Files whose columns hold what they should not: what another program, a data frame or a CSV import leaves.

use crate::wait::patient;
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::{BeforeUpgrade, Config, Durability, Store};
use std::collections::BTreeSet;
use std::path::Path;

/// So many rows of a table have an odd value, and so many more have none.
pub(crate) const ODD: usize = 100;
pub(crate) const ROWS: usize = 104;

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

pub(crate) fn config(path: &Path) -> Config {
    let config = Config::new(path).clock(FixedClock::default());
    // What is changed beside the store is seen at once. No power goes off here, and nobody reads beside another.
    patient(config)
        .readers(1)
        .durability(Durability::Normal)
        .before_upgrade(BeforeUpgrade::Skip)
        .row_cache_answers(0)
}

pub(crate) async fn open(path: &Path) -> Store {
    Store::open(config(path)).await.expect("the file opens")
}

/// Many rows of everything, all of them of user 1, and most in the session `s`.
pub(crate) async fn base(path: &Path, encoding: &str) {
    base_of(ROWS, path, encoding).await;
}

/// The same with so many rows.
pub(crate) async fn base_of(rows: usize, path: &Path, encoding: &str) {
    let conn = Connection::open(path).expect("open");
    let sql = format!("PRAGMA encoding = '{encoding}'; CREATE TABLE t (c); DROP TABLE t;");
    conn.execute_batch(&sql).expect("an encoding");
    conn.close().expect("closed");
    open(path).await.close().await.expect("closed");
    let conn = Connection::open(path).expect("open");
    let at = "'2026-03-10T15:' || printf('%02d', i / 60) || ':' || printf('%02d', i % 60) || '.000000+00:00'";
    conn.execute_batch(&format!(
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             SELECT i, {at} AS at FROM n;
         INSERT INTO users SELECT i, 'ada', at, at, 1, 0.5, 1, 1 FROM n;
         INSERT INTO sessions SELECT iif(i = {rows}, 's', 's-' || i), 1, '/srv', at, at, 0.5, 1, 1, 1 FROM n;
         INSERT INTO messages SELECT i, 's', 1, at, 'p', 'r', 0.5, 5, NULL FROM n;
         INSERT INTO tool_usage SELECT i, 's', i, 'Read', '{{}}', at, 1, NULL FROM n;
         INSERT INTO botstore_usage (usage_id, user_id, at, provider_name, request_model, prompt_id)
             SELECT i, 1, at, 'openai', 'gpt', i FROM n;
         INSERT INTO botstore_prompt SELECT i, x'00', 'support', i, 'Be brief.' FROM n;
         INSERT INTO botstore_tool_result SELECT i, 'call', 'done', 4, 0, 5 FROM n;
         INSERT INTO botstore_attachment SELECT i, i, 'in', 'photo', 'image/png', 'a', 5, NULL, 'f' FROM n;
         INSERT INTO botstore_feedback SELECT i, i, 1, 1, 'good', 'Thanks', at FROM n;
         INSERT INTO botstore_message_metadata SELECT i, '{{}}' FROM n;
         INSERT INTO botstore_session_metadata SELECT session_id, '{{}}' FROM sessions;
         INSERT INTO botstore_user_metadata SELECT i, '{{}}' FROM n;
         INSERT INTO audit_log SELECT i, 1, 'login', '{{}}', 1, at, '10.0.0.1' FROM n;
         INSERT INTO user_tokens SELECT i, 1, 'hash ' || i, at, NULL, NULL, 1 FROM n;
         INSERT INTO cost_tracking SELECT i, 1, date('2026-03-10', -i || ' days'), 0.5, 1 FROM n;"
    ))
    .expect("rows");
    conn.close().expect("closed");
}

/// Puts each value into this column of a row of its own, as far as SQLite takes it; gives how many it took.
pub(crate) fn put(path: &Path, table: &str, column: &str) -> usize {
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

/// The columns of a table, but for the id that is always a number.
pub(crate) fn columns_of(path: &Path, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT '{table}', name FROM pragma_table_info('{table}') WHERE NOT (pk AND type = 'INTEGER')"
    );
    let columns = columns(path, &sql);
    assert!(columns.len() >= 4, "{table}: {columns:?}");
    columns
}

/// Tables and columns, by a statement.
pub(crate) fn columns(path: &Path, sql: &str) -> Vec<(String, String)> {
    let conn = Connection::open(path).expect("open");
    let mut columns = conn.prepare(sql).expect("columns");
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let columns = columns
        .expect("columns")
        .map(|column| column.expect("a column"));
    columns.collect()
}
