//! Holds a count by another zone where a test wants it.

use crate::pieces::{one, other};
use crate::wait::until;
use botstore::rusqlite::Connection;
use std::path::Path;

/// Up to which ids of messages and of requests another program lets rows be counted by the next zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) messages: i64,
    pub(crate) requests: i64,
}

/// The first piece has 16 rows; the next ones are not let through.
pub(crate) const SOME_MESSAGES: i64 = 16;

/// The rows of the zone to come, of either table.
const NEXT: &str = "generation > (SELECT min(generation) FROM botstore_total)";

/// From now on the count goes no further. Whoever holds it is another program.
pub(crate) fn hold(path: &Path, Held { messages, requests }: Held) {
    let hold = |table: &str, most: i64| {
        format!(
            "CREATE TRIGGER holds_{table} BEFORE UPDATE ON {table} WHEN new.{NEXT} AND new.last_id > {most} BEGIN
                 SELECT RAISE(ABORT, 'held'); END;"
        )
    };
    let sql = hold("botstore_counted", messages) + &hold("botstore_usage_counted", requests);
    other(path).execute_batch(&sql).unwrap();
}

/// It goes on. Whoever opens the file next does not wait for the next try.
pub(crate) fn release(path: &Path) {
    let sql = "DROP TRIGGER holds_botstore_counted; DROP TRIGGER holds_botstore_usage_counted";
    other(path).execute_batch(sql).unwrap();
}

/// Up to which ids messages and requests are counted by the next zone, if there is one.
pub(crate) fn rank(path: &Path) -> Option<[i64; 2]> {
    rank_by(&other(path))
}

fn rank_by(conn: &Connection) -> Option<[i64; 2]> {
    if generations_by(conn).len() < 2 {
        return None;
    }
    let rank = |table: &str| {
        one(
            conn,
            &format!("SELECT max(last_id) FROM {table} WHERE {NEXT}"),
        )
    };
    Some([rank("botstore_counted"), rank("botstore_usage_counted")])
}

/// Returns once rows are counted so far.
pub(crate) async fn until_held(path: &Path, Held { messages, requests }: Held) {
    let conn = other(path);
    until("so many rows are counted", async || {
        rank_by(&conn).expect("it is held") == [messages, requests]
    })
    .await;
}

/// The generations that exist.
pub(crate) fn generations(path: &Path) -> Vec<i64> {
    generations_by(&other(path))
}

fn generations_by(conn: &Connection) -> Vec<i64> {
    let mut rows = conn
        .prepare("SELECT generation FROM botstore_total ORDER BY 1")
        .unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// How many rows there are that belong to no generation.
pub(crate) fn left_over(conn: &Connection) -> i64 {
    let tables = [
        "botstore_zone",
        "botstore_day",
        "botstore_user_total",
        "botstore_user_day",
        "botstore_session_day",
        "botstore_session_user",
        "botstore_model_day",
        "botstore_user_model_day",
        "botstore_chat_day",
        "botstore_other_day",
    ];
    let rows = tables.map(|table| {
        let none = "generation NOT IN (SELECT generation FROM botstore_total)";
        one(conn, &format!("SELECT count(*) FROM {table} WHERE {none}"))
    });
    rows.iter().sum()
}
