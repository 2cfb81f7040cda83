//! No list and no point query reads a table that grows with the bot's age from end to end.
//!
//! The statements are taken out of the sources, so that a new one is looked at without being named
//! here, and SQLite is asked how it would carry each out.

use crate::support::populated;
use botstore::rusqlite::Connection;
use botstore::rusqlite::functions::FunctionFlags;
use std::path::Path;

/// Every source of the vocabulary by its path, but for what may read all there is.
fn sources() -> Vec<(String, String)> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![project.join("src/domain")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            // By its name in the project: what the folder around the project is called decides nothing.
            let name = path.strip_prefix(project).expect("in it").to_string_lossy();
            // `odd` is a part of the check, and `schema/` looks once at a bot's file that has no index yet.
            let reads_all = [
                "rollups",
                "domain/integrity",
                "domain/odd.rs",
                "domain/schema/",
            ];
            if reads_all.iter().any(|file| name.contains(file)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("a source");
                sources.push((path.display().to_string(), program(&text)));
            }
        }
    }
    sources
}

/// A source without comments and unit tests.
fn program(source: &str) -> String {
    source
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// What else may read all there is, told by a part of the statement.
const SCANS: &[&str] = &[
    // Opening, once a trigger of that table was missing.
    "INSERT INTO botstore_session_recent",
    "DELETE FROM botstore_session_import",
    // Counters are forgotten with a zone, and compared with the rows.
    "starts, cost, requests, tokens FROM botstore_spent",
    // The oldest few that are over: it reads past those that are open.
    "WHERE state IS NOT 'open' ORDER BY reservation_id LIMIT",
    // DeleteUser: those of a day.
    "SELECT reservation_id FROM botstore_reservation WHERE user_id = ?1",
];

/// What may sort, told by a part of the statement: what says so in its doc.
const SORTS: &[&str] = &[
    // ProjectSessions, ActiveSessions, SessionSummary: sessions of one project, live ones, and a user's
    // projects are few. An index by time of last use would change with every message.
    "FROM sessions INDEXED BY idx_sessions_project_path",
    "FROM sessions INDEXED BY botstore_sessions_active",
    "DISTINCT project_path FROM sessions",
    // UserSessions: those that were last used on one day, those that have no id, and those that others share.
    "CROSS JOIN sessions s",
    // UserToolUse merges the sessions of a user.
    "CROSS JOIN tool_usage t",
    // What is in the order of its ids, and has an index by time: the keys of what is in a span of time, or of one
    // rare type. None reads a row for it but those of its page, and for an event type.
    "messages INDEXED BY idx_messages_timestamp",
    "audit_log INDEXED BY idx_audit_log_timestamp",
    "audit_log INDEXED BY botstore_audit_type",
];

const GROWING: &[&str] = &[
    "users",
    "sessions",
    "messages",
    "tool_usage",
    "audit_log",
    "user_tokens",
    "cost_tracking",
    "botstore_idempotency",
    "botstore_update",
    "botstore_external_user",
    "botstore_session_member",
    "botstore_usage",
    "botstore_price",
    "botstore_spent",
    "botstore_reservation",
    "botstore_session_recent",
    "botstore_session_import",
    "botstore_usage",
    "botstore_prompt",
    "botstore_tool_result",
    "botstore_attachment",
    "botstore_feedback",
    "botstore_message_metadata",
    "botstore_session_metadata",
    "botstore_user_metadata",
    "botstore_user_total",
    "botstore_user_day",
    "botstore_session_day",
    "botstore_session_tool",
    "botstore_user_tool",
    // The names by which a join calls them.
    "s",
    "t",
    "m",
    "p",
    "r",
    "used",
];

/// Partial indexes of what is live or out of line: reading one of them whole reads little. And the
/// users by cost, of which as many are read as are shown.
const SMALL: &[&str] = &[
    "INDEX botstore_sessions_active",
    "INDEX botstore_reservation_open",
    "INDEX botstore_stray_",
    "INDEX botstore_user_total_cost",
];

/// How a string that is a statement begins.
const VERBS: &[&str] = &["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "];

/// Every string in a source that is a statement.
fn statements(source: &str) -> Vec<&str> {
    let strings = source.split('"').skip(1).step_by(2);
    strings
        .filter(|text| VERBS.iter().any(|verb| text.starts_with(&verb[1..])))
        .collect()
}

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    // Parameters that are not bound are NULL, which is nothing to the planner.
    let mut explained = conn
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|e| panic!("{sql}: {e}"));
    let lines = explained.raw_query().mapped(|row| row.get("detail"));
    lines.collect::<Result<_, _>>().expect("a plan")
}

/// The growing table that a line of a plan is about, if it is about one.
fn growing(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    rest.split(' ')
        .next()
        .filter(|table| GROWING.contains(table))
}

/// What is wrong with a plan.
fn complaints<'a>(sql: &str, plan: &'a [String]) -> Vec<&'a String> {
    let may = |list: &[&str]| list.iter().any(|part| sql.contains(part));
    let is_small = |line: &str| SMALL.iter().any(|index| line.contains(index));
    let scans =
        |line: &str| line.starts_with("SCAN ") && growing(line).is_some() && !is_small(line);
    let reads_growing = plan.iter().any(|line| growing(line).is_some());
    let sorts = |line: &str| line.starts_with("USE TEMP B-TREE FOR") && reads_growing;
    plan.iter()
        .filter(|line| scans(line) && !may(SCANS) || sorts(line) && !may(SORTS))
        .collect()
}

const FIVE_ROWS: &str = "with the statistics of five rows";

/// Statements whose foreign keys SQLite would look for by reading all tool uses, by the statistics of five rows: no
/// index can be named for that. Told by a part of the statement.
const KEYS_BY_FIVE_ROWS: &[&str] = &[
    // Until statistics are gathered again, which the store does once a day.
    "DELETE FROM sessions WHERE rowid",
    // Skipped (`FkIfZero`) where no session is missing, as is always so.
    "INSERT INTO sessions (session_id",
    // RecountUserTotals, which reads all users: of a single one, SQLite reads the table and not from an id on, and
    // no index can be named for that either.
    "SELECT user_id FROM users WHERE user_id >= ?1",
];

/// The file of a store, with what SQLite knows of it at three ages. By statistics the planner
/// decides by numbers and not by rules of thumb, and a connection keeps those that it began with:
/// so a plan must also be good that is made for a handful of rows.
async fn at_every_age(check: impl Fn(&str, &Connection)) {
    let store = populated().await;
    let (_folder, path) = store.into_file().await.expect("a file");
    let conn = Connection::open(path).expect("a connection");
    let known = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("botstore_utc", 1, known, |text| text.get::<String>(0))
        .expect("a function");
    conn.execute_batch("ANALYZE; DELETE FROM sqlite_stat1; ANALYZE sqlite_schema;")
        .expect("no statistics");
    check("without statistics", &conn);
    conn.execute_batch(&rows(5)).expect("rows");
    check(FIVE_ROWS, &conn);
    conn.execute_batch(&rows(6_000)).expect("rows");
    check("with the statistics of years", &conn);
}

#[tokio::test]
async fn no_list_and_no_point_query_scans_or_sorts_a_table_that_grows() {
    at_every_age(|age, conn| {
        for (file, source) in &sources() {
            if age == FIVE_ROWS && file.ends_with("schema.rs") {
                // These run once, at opening, when the statistics have just been read.
                continue;
            }
            for sql in statements(source) {
                if age == FIVE_ROWS && KEYS_BY_FIVE_ROWS.iter().any(|part| sql.contains(part)) {
                    continue;
                }
                let plan = plan(conn, sql);
                let wrong = complaints(sql, &plan);
                assert!(wrong.is_empty(), "{age}: {file}: {sql}\n{plan:#?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_exception_is_needed() {
    // One that nothing needs would hide the next statement that resembles it.
    at_every_age(|age, conn| {
        let sources = sources();
        let needed = |part: &str, line_begins: &str| {
            let statements = sources.iter().flat_map(|(_, source)| statements(source));
            let mut resembling = statements.filter(|sql| sql.contains(part));
            resembling.any(|sql| plan(conn, sql).iter().any(|l| l.starts_with(line_begins)))
        };
        for part in SCANS {
            assert!(needed(part, "SCAN "), "{age}: {part}");
        }
        for part in SORTS {
            assert!(needed(part, "USE TEMP B-TREE FOR"), "{age}: {part}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_scan_and_a_sort_would_be_noticed() {
    at_every_age(|_, conn| {
        for sql in [
            "SELECT message_id FROM messages WHERE prompt = ?1",
            "SELECT user_id FROM users ORDER BY last_active DESC LIMIT 1",
            "SELECT t.id FROM tool_usage t WHERE t.success = 0",
            "SELECT message_id FROM messages WHERE user_id = ?1 ORDER BY cost LIMIT 1",
            "UPDATE audit_log SET success = 1 WHERE event_data = ?1",
            "DELETE FROM botstore_idempotency WHERE message_id = ?1",
            "DELETE FROM botstore_update WHERE recorded_at < ?1",
        ] {
            assert!(!complaints(sql, &plan(conn, sql)).is_empty(), "{sql}");
        }
    })
    .await;
    let source = "tx.one(\n \"SELECT 1\n FROM users\", [\"x\"]) \"UPDATE users SET a = 1\"";
    assert_eq!(statements(source).len(), 2);
    let mut all = 0;
    for (file, source) in &sources() {
        let found = statements(source).len();
        let written: usize = VERBS.iter().map(|verb| source.matches(verb).count()).sum();
        assert_eq!(found, written, "{file}: a statement was overlooked");
        all += found;
    }
    assert!(all > 40, "there are more statements than {all}");
}

/// Rows in the proportions of a bot that has run for long, and what SQLite then knows of them.
fn rows(messages: usize) -> String {
    let (sessions, users) = (messages.div_ceil(6), messages.div_ceil(20));
    format!(
        "CREATE TEMP TABLE IF NOT EXISTS n (i INTEGER PRIMARY KEY, at TEXT);
         DELETE FROM messages; DELETE FROM tool_usage; DELETE FROM audit_log;
         DELETE FROM user_tokens; DELETE FROM cost_tracking; DELETE FROM botstore_idempotency;
         DELETE FROM botstore_update;
         DELETE FROM botstore_session_member; DELETE FROM botstore_external_user;
         DELETE FROM botstore_session_import; DELETE FROM botstore_usage; DELETE FROM botstore_prompt;
         DELETE FROM sessions; DELETE FROM users; DELETE FROM n;
         INSERT INTO n
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {messages})
             SELECT i, strftime('%Y-%m-%dT%H:%M:%S', '2025-01-01', i || ' hours')
                       || '.000000+00:00' FROM n;
         INSERT INTO users (user_id, first_seen, last_active, is_allowed)
             SELECT i % {users}, min(at), max(at), i % {users} % 20 = 0 FROM n GROUP BY 1;
         INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used, is_active)
             SELECT i % {sessions}, i % {users}, '/' || (i % 40), min(at), max(at), i % 20 = 0
             FROM n GROUP BY i % {sessions};
         INSERT INTO messages (session_id, user_id, timestamp, prompt)
             SELECT i % {sessions}, i % {users}, at, 'p' FROM n;
         INSERT INTO tool_usage (session_id, tool_name, timestamp)
             SELECT i % {sessions}, 'Read', at FROM n;
         INSERT INTO audit_log (user_id, event_type, timestamp)
             SELECT i % {users}, CASE WHEN i % 20 THEN 'interaction' ELSE 'login' END, at FROM n;
         INSERT INTO user_tokens (user_id, token_hash, created_at)
             SELECT i % {users}, i, at FROM n;
         INSERT INTO cost_tracking (user_id, date)
             SELECT DISTINCT i % {users}, date(at) FROM n;
         INSERT INTO botstore_idempotency SELECT i % {users}, i, i, at FROM n;
         INSERT INTO botstore_update (key, content, message_id, recorded_at)
             SELECT CAST(printf('%016d', i) AS BLOB), zeroblob(16), i, i FROM n;
         INSERT INTO botstore_session_import SELECT session_id, 1, last_used FROM sessions;
         INSERT INTO botstore_external_user SELECT user_id, 'matrix', user_id FROM users;
         INSERT OR IGNORE INTO botstore_session_member (session_id, user_id, joined_at)
             SELECT i % {sessions}, i % 7 % {users}, at FROM n;
         INSERT INTO botstore_usage (usage_id, request_model, prompt_id)
             SELECT message_id, 'gpt', message_id % 3 FROM messages;
         INSERT INTO botstore_prompt SELECT i, zeroblob(32), 'support', i, 'p' FROM n;
         INSERT INTO botstore_tool_result (tool_usage_id, result) SELECT id, 'r' FROM tool_usage;
         INSERT INTO botstore_attachment (message_id, direction, kind)
             SELECT min(message_id), 'in', 'photo' FROM messages GROUP BY message_id % 50;
         INSERT INTO botstore_feedback (message_id, user_id, rating, at)
             SELECT message_id, user_id, 1, timestamp FROM messages;
         INSERT INTO botstore_message_metadata SELECT message_id, '1' FROM messages;
         INSERT INTO botstore_session_metadata SELECT session_id, '1' FROM sessions;
         INSERT INTO botstore_user_metadata SELECT user_id, '1' FROM users;
         ANALYZE;"
    )
}
