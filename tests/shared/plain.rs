//! A bot's plain rusqlite over the schema of the Python bot: what it would have without this crate. Whoever
//! includes this file has `rusqlite` and `seed` beside it.

#![allow(dead_code, reason = "each program uses a part of it")]

use super::rusqlite::{Connection, Result, TransactionBehavior, params};
use super::seed::{self, Exchange, sql};

/// The time at which [`fill`]'s history ends: later than any exchange in it.
pub const TIME_OF_HISTORY: &str = "2026-01-31 12:00:00";

/// Makes a file with the tables, the users and their sessions.
pub fn create(path: &std::path::Path, page_size: u32) -> Result<()> {
    let mut conn = Connection::open(path)?;
    conn.pragma_update(None, "page_size", page_size)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.execute_batch(seed::SCHEMA)?;
    let tx = conn.transaction()?;
    for (user_id, sessions) in seed::everybody() {
        tx.prepare_cached(
            "INSERT INTO users (user_id, is_allowed, session_count, first_seen, last_active)
             VALUES (?1, TRUE, ?2, ?3, ?3)",
        )?
        .execute(params![user_id, sessions.len() as i64, TIME_OF_HISTORY])?;
        for session_id in sessions {
            tx.prepare_cached(
                "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
                 VALUES (?1, ?2, '/srv/bot', ?3, ?3)",
            )?
            .execute(params![session_id, user_id, TIME_OF_HISTORY])?;
        }
    }
    tx.commit()
}

/// Opens the file with full durability and these settings; otherwise as SQLite has it by default, so commits copy
/// the WAL.
pub fn open(path: &std::path::Path, cache_bytes: u64, checkpoint_pages: u64) -> Result<Connection> {
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "cache_size", -(cache_bytes as i64 / 1024))?;
    conn.pragma_update(None, "wal_autocheckpoint", checkpoint_pages as i64)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Saves an exchange inside whatever transaction is open. `at` is a time such as `2026-01-31 12:00:00`.
pub fn save(conn: &Connection, new: &Exchange, at: &str) -> Result<i64> {
    conn.prepare_cached(sql::MESSAGE)?.execute(params![
        new.session_id,
        new.user_id,
        at,
        new.prompt,
        new.response,
        new.cost,
        new.duration_ms as i64,
    ])?;
    let message_id = conn.last_insert_rowid();
    for (name, input) in &new.tools {
        conn.prepare_cached(sql::TOOL)?.execute(params![
            new.session_id,
            message_id,
            name,
            input,
            at
        ])?;
    }
    conn.prepare_cached(sql::DAY)?
        .execute(params![new.user_id, &at[..10], new.cost])?;
    conn.prepare_cached(sql::USER)?
        .execute(params![new.cost, at, new.user_id])?;
    conn.prepare_cached(sql::SESSION)?
        .execute(params![new.cost, new.turns, at, new.session_id])?;
    conn.prepare_cached(sql::AUDIT)?
        .execute(params![new.user_id, new.audit(message_id), at])?;
    Ok(message_id)
}

/// Saves these exchanges in one transaction.
pub fn save_all(
    conn: &mut Connection,
    all: impl IntoIterator<Item = Exchange>,
    at: &str,
) -> Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for new in all {
        save(&tx, &new, at)?;
    }
    tx.commit()
}

/// How the last messages of a session are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LastMessages {
    /// As the Python bot does: all of the session's are read and sorted.
    ByTime,
    /// As an index has them.
    ById,
}

/// Point read `number`: a third each asks for a user, a session, and the last ten messages of a session. Gives the
/// number of rows.
pub fn ask(conn: &Connection, number: u64, last: LastMessages) -> Result<usize> {
    let (user_id, session_id) = seed::speaker(number);
    match number % 3 {
        0 => rows(conn, sql::GET_USER, params![user_id]),
        1 => rows(conn, sql::GET_SESSION, params![session_id]),
        _ => match last {
            LastMessages::ByTime => rows(conn, sql::LAST_BY_TIME, params![session_id]),
            LastMessages::ById => rows(conn, sql::LAST_BY_ID, params![session_id]),
        },
    }
}

/// Reads each column of each row into memory, as a bot does.
fn rows(conn: &Connection, sql: &str, parameters: &[&dyn super::rusqlite::ToSql]) -> Result<usize> {
    use super::rusqlite::types::Value;
    let mut statement = conn.prepare_cached(sql)?;
    let columns = statement.column_count();
    let found = statement
        .query_map(parameters, |row| {
            (0..columns)
                .map(|at| row.get::<_, Value>(at))
                .collect::<Result<Vec<_>>>()
        })?
        .collect::<Result<Vec<_>>>()?;
    Ok(std::hint::black_box(found).len())
}

/// Adds so many exchanges of the thirty days before [`TIME_OF_HISTORY`], and the sums that belong to them. Indexes
/// are made again at the end, and nothing is durable before.
pub fn fill(path: &std::path::Path, messages: u64) -> Result<()> {
    const SPAN: u64 = 30 * 24 * 60 * 60;
    const AT: &str = "SELECT datetime(?1, '-' || ?2 || ' seconds')";
    let mut conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -131072;",
    )?;
    let indexes = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")?
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?
        .collect::<Result<Vec<_>>>()?;
    let tx = conn.transaction()?;
    for (name, _) in &indexes {
        tx.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    let mut at = String::new();
    for number in 0..messages {
        let new = seed::exchange(number);
        let before = SPAN - SPAN * number / messages;
        if number % 16 == 0 {
            at = tx
                .prepare_cached(AT)?
                .query_row(params![TIME_OF_HISTORY, before as i64], |row| row.get(0))?;
        }
        tx.prepare_cached(sql::MESSAGE)?.execute(params![
            new.session_id,
            new.user_id,
            at,
            new.prompt,
            new.response,
            new.cost,
            new.duration_ms as i64,
        ])?;
        let message_id = tx.last_insert_rowid();
        for (name, input) in &new.tools {
            tx.prepare_cached(sql::TOOL)?.execute(params![
                new.session_id,
                message_id,
                name,
                input,
                at
            ])?;
        }
        tx.prepare_cached(sql::AUDIT)?
            .execute(params![new.user_id, new.audit(message_id), at])?;
    }
    tx.execute_batch(
        "UPDATE users SET message_count = count, total_cost = cost
         FROM (SELECT user_id AS id, count(*) AS count, sum(cost) AS cost FROM messages GROUP BY 1) WHERE id = user_id;
         UPDATE sessions SET message_count = count, total_cost = cost, total_turns = 2 * count
         FROM (SELECT session_id AS id, count(*) AS count, sum(cost) AS cost FROM messages GROUP BY 1)
         WHERE id = session_id;
         INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
         SELECT user_id, date(timestamp), sum(cost), count(*) FROM messages GROUP BY 1, 2;",
    )?;
    for (_, sql) in &indexes {
        tx.execute_batch(sql)?;
    }
    tx.commit()?;
    conn.pragma_update(None, "journal_mode", "WAL")
}
