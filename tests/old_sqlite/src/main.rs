//! `old-sqlite FILE…`: does with each file what a program of 2020 does, and ends with 1 at what it cannot.
//!
//! Reads every table and view, and writes each of the Python bot's tables, so that every trigger runs; then rolls
//! that back.

#![forbid(unsafe_code)]

use rusqlite::{Connection, NO_PARAMS, Result};
use std::process::ExitCode;

/// What the Python bot does in a day, parents first, and its undoing.
const WRITES: &str = "
    INSERT INTO users (user_id, telegram_username) VALUES (-7, 'ada');
    INSERT INTO sessions (session_id, user_id, project_path) VALUES ('old', -7, '/srv');
    INSERT INTO messages (message_id, session_id, user_id, prompt, cost) VALUES (-7, 'old', -7, 'p', 0.5);
    INSERT INTO tool_usage (id, session_id, message_id, tool_name) VALUES (-7, 'old', -7, 'Read');
    INSERT INTO audit_log (id, user_id, event_type) VALUES (-7, -7, 'login');
    INSERT INTO user_tokens (token_id, user_id, token_hash) VALUES (-7, -7, 'x');
    INSERT INTO cost_tracking (user_id, date, daily_cost, request_count) VALUES (-7, '2020-01-27', 0.5, 1)
        ON CONFLICT (user_id, date) DO UPDATE SET daily_cost = daily_cost + 0.5;
    UPDATE messages SET cost = 1, timestamp = '2020-01-28 00:00:00' WHERE message_id = -7;
    UPDATE tool_usage SET tool_name = 'Bash', success = 0 WHERE id = -7;
    UPDATE cost_tracking SET date = '2020-01-28' WHERE user_id = -7;
    UPDATE cost_tracking SET daily_cost = 2 WHERE user_id = -7;
    UPDATE sessions SET session_id = 'older', user_id = -7 WHERE session_id = 'old';
    UPDATE sessions SET session_id = 'old' WHERE session_id = 'older';
    DELETE FROM sessions WHERE session_id = 'old';
    DELETE FROM tool_usage WHERE id = -7;
    DELETE FROM messages WHERE message_id = -7;
    DELETE FROM cost_tracking WHERE user_id = -7;
    DELETE FROM user_tokens WHERE user_id = -7;
    DELETE FROM audit_log WHERE user_id = -7;
    DELETE FROM users WHERE user_id = -7;";

fn try_file(path: &str) -> Result<usize> {
    let conn = Connection::open(path)?;
    // As every program that does not say otherwise; this one's build does.
    conn.execute_batch("PRAGMA foreign_keys = OFF")?;
    let verdict: String = conn.query_row("PRAGMA integrity_check", NO_PARAMS, |row| row.get(0))?;
    assert_eq!(verdict, "ok", "{path}");
    let mut names = conn
        .prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")?;
    let names = names.query_map(NO_PARAMS, |row| row.get::<_, String>(0))?;
    let names = names.collect::<Result<Vec<_>>>()?;
    for name in &names {
        let mut rows = conn.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let mut rows = rows.query(NO_PARAMS)?;
        while rows.next()?.is_some() {}
    }
    if names.iter().any(|name| name == "messages") {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        conn.execute_batch(WRITES)?;
        conn.execute_batch("ROLLBACK")?;
    }
    Ok(names.len())
}

fn main() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    assert!(
        rusqlite::version().starts_with("3.31."),
        "{}",
        rusqlite::version()
    );
    for path in std::env::args().skip(1) {
        match try_file(&path) {
            Ok(tables) => {
                passed += 1;
                println!(
                    "SQLite {} reads and writes {path}: {tables} tables",
                    rusqlite::version()
                );
            }
            Err(error) => {
                failed += 1;
                println!("SQLite {} fails at {path}: {error}", rusqlite::version());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0 || passed == 0))
}
