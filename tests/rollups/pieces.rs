//! Files whose rows are still to be counted, what is told of each piece of counting, and doing something there.

use botstore::rusqlite::Connection;
use botstore::{BeforeUpgrade, Config, Durability, UnknownTriggers, schema};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Rows of each table; of costs a tenth. Enough for several pieces.
pub(crate) const ROWS: i64 = 1_600;

/// What a bot wrote: in sessions that go on for days, beside one another.
const HISTORY: &str = "
    PRAGMA foreign_keys = OFF;
    BEGIN;
    CREATE TEMP TABLE n AS
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1599)
        SELECT i, strftime('%Y-%m-%d %H:%M:%f', 1740000000 + i * 2700, 'unixepoch') AS at FROM n;
    INSERT INTO users (user_id, first_seen, last_active) SELECT i, at, at FROM n WHERE i < 8;
    INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
        SELECT 's-' || i, i % 8, '/srv', at, at FROM n WHERE i < 40;
    INSERT INTO messages (session_id, user_id, timestamp, prompt, cost, duration_ms, error)
        SELECT 's-' || (i * 7 % 40), i * 7 % 8, at, 'p', 0.25, iif(i % 3 = 0, NULL, i),
               iif(i % 5 = 0, 'e', NULL) FROM n;
    INSERT INTO tool_usage (session_id, message_id, tool_name, success, timestamp)
        SELECT 's-' || (i * 7 % 40), i + 1, 'tool ' || (i % 11), i % 2, at FROM n;
    INSERT INTO cost_tracking (user_id, date, daily_cost, request_count)
        SELECT i % 8, date('2025-01-01', '+' || (i / 8) || ' days'), 0.5, i FROM n WHERE i < 160;
    COMMIT;
    DROP TABLE n;";

/// A connection of another program: foreign keys are off there.
pub(crate) fn other(path: &Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn
}

/// The file of a Python bot.
pub(crate) fn bots_file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(include_str!("../../migrations/botstore/0001_seed.up.sql"))
        .unwrap();
    conn.execute_batch(HISTORY).unwrap();
    (folder, path)
}

/// What that file becomes when all steps are applied: for all tests, which only copy it.
static WITH_ALL_STEPS: OnceLock<Vec<u8>> = OnceLock::new();

/// The file of a Python bot with all steps, which nobody has opened since.
pub(crate) fn with_all_steps() -> (TempDir, PathBuf) {
    let file = WITH_ALL_STEPS.get_or_init(|| {
        let (_folder, path) = bots_file();
        schema::apply(config(&path)).unwrap();
        fs::read(path).unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    fs::write(&path, file).unwrap();
    (folder, path)
}

/// A file with all steps, whose counts have been forgotten: they are there, and no one knows whether they are right.
pub(crate) fn forgotten() -> (TempDir, PathBuf) {
    let (folder, path) = with_all_steps();
    let sql = "DELETE FROM botstore_counted; UPDATE botstore_total SET users = 99;
               UPDATE botstore_day SET messages = messages + 1";
    other(&path).execute_batch(sql).unwrap();
    (folder, path)
}

pub(crate) fn config(path: &Path) -> Config {
    // What is in the file while it is counted is ours. No power goes off here.
    Config::new(path)
        .durability(Durability::Normal)
        .before_upgrade(BeforeUpgrade::Skip)
        .unknown_triggers(UnknownTriggers::Refuse)
}

/// Each table of rollups beside a scan of the rows that it covers, by SQL of this test's own.
const SCANS: [(&str, &str); 10] = [
    (
        "SELECT 1, users, sessions FROM botstore_total",
        "SELECT 1, count(DISTINCT user_id), count(DISTINCT session_id) FROM counted_messages",
    ),
    (
        "SELECT day, users, messages, errors, timed, duration_ms, cost FROM botstore_day",
        "SELECT date(timestamp), count(DISTINCT user_id), count(*), count(error), count(duration_ms),
                coalesce(sum(duration_ms), 0), sum(nanos) FROM counted_messages GROUP BY 1",
    ),
    (
        "SELECT user_id, sessions, messages, cost, last_day FROM botstore_user_total",
        "SELECT user_id, count(DISTINCT session_id), count(*), sum(nanos), max(date(timestamp))
         FROM counted_messages GROUP BY 1",
    ),
    (
        "SELECT user_id, day, sessions, messages, errors, timed, duration_ms, cost FROM botstore_user_day",
        "SELECT user_id, date(timestamp), count(DISTINCT session_id), count(*), count(error),
                count(duration_ms), coalesce(sum(duration_ms), 0), sum(nanos) FROM counted_messages GROUP BY 1, 2",
    ),
    (
        "SELECT session_id, user_id, day, messages FROM botstore_session_day",
        "SELECT session_id, user_id, date(timestamp), count(*) FROM counted_messages GROUP BY 1, 2, 3",
    ),
    (
        "SELECT session_id, user_id, days FROM botstore_session_user",
        "SELECT session_id, user_id, count(DISTINCT date(timestamp)) FROM counted_messages GROUP BY 1, 2",
    ),
    (
        "SELECT tool_name, uses, successes, errors, sessions FROM botstore_tool",
        "SELECT tool_name, count(*), sum(success = 1), sum(success = 0), count(DISTINCT session_id)
         FROM counted_tools GROUP BY 1",
    ),
    (
        "SELECT session_id, tool_name, uses FROM botstore_session_tool",
        "SELECT session_id, tool_name, count(*) FROM counted_tools GROUP BY 1, 2",
    ),
    (
        "SELECT user_id, tool_name, uses FROM botstore_user_tool",
        "SELECT user_id, tool_name, count(*) FROM counted_tools JOIN sessions USING (session_id) GROUP BY 1, 2",
    ),
    (
        "SELECT day, users, requests, cost FROM botstore_cost_day",
        "SELECT date, count(*), sum(request_count), sum(CAST(round(daily_cost * 1e9) AS INTEGER))
         FROM cost_tracking GROUP BY 1",
    ),
];

/// The rows that are counted, and all of cost_tracking.
const COUNTED: &str = "
    CREATE TEMP TABLE counted_messages AS
        SELECT *, CAST(round(cost * 1e9) AS INTEGER) AS nanos FROM messages
        WHERE message_id <= (SELECT last_id FROM botstore_counted WHERE source = 'messages');
    CREATE TEMP TABLE counted_tools AS SELECT * FROM tool_usage
        WHERE id <= (SELECT last_id FROM botstore_counted WHERE source = 'tool_usage');";

/// Everything was counted once, few rows wait, and each count is what a scan says.
#[track_caller]
pub(crate) fn is_exact(path: &Path, after: &str) {
    let conn = other(path);
    assert!(was_counted(&conn), "{after}");
    let waiting = "SELECT count(*) FROM messages
                   WHERE message_id > (SELECT last_id FROM botstore_counted WHERE source = 'messages')";
    assert!(one(&conn, waiting) <= 768, "{after}");
    conn.execute_batch(COUNTED).unwrap();
    for (is, due) in SCANS {
        for (more, less) in [(is, due), (due, is)] {
            let sql = format!("SELECT count(*) FROM ({more} EXCEPT {less})");
            assert_eq!(one(&conn, &sql), 0, "{after}: {more} without {less}");
        }
    }
}

/// Whether everything was counted once.
pub(crate) fn was_counted(conn: &Connection) -> bool {
    let sql =
        "SELECT last_id = 9223372036854775807 FROM botstore_counted WHERE source = 'cost_tracking'";
    one(conn, sql) == 1
}

pub(crate) fn one(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A piece, as the log tells of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    message: String,
    pub(crate) table: String,
    /// The last row that is counted after it.
    pub(crate) last_id: Option<i64>,
}

impl Visit for Piece {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "table" {
            value.clone_into(&mut self.table);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "last_id" {
            self.last_id = Some(value);
        }
    }
}

/// Does something between two pieces, when nobody has the file locked.
struct Between<F>(F);

impl<F: Fn(Piece) + 'static> Subscriber for Between<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("botstore")
    }

    fn event(&self, event: &Event<'_>) {
        let mut piece = Piece::default();
        event.record(&mut piece);
        if piece.message.starts_with("counted a piece of the rows") {
            (self.0)(piece);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// From now on, does this after the so-manyth piece, counted from one, that this process counts.
pub(crate) fn at_piece(at: u64, what: impl Fn() + Send + Sync + 'static) {
    let seen = Mutex::new(0);
    let between = Between(move |_| {
        let mut seen = seen.lock().unwrap();
        *seen += 1;
        if *seen == at {
            what();
        }
    });
    tracing::subscriber::set_global_default(between).unwrap();
}

/// Counts what is still to be counted in a file, and does something after each piece. Gives the pieces.
pub(crate) fn counted(
    path: &Path,
    between: impl Fn(usize, &Path) + Send + Sync + 'static,
) -> Vec<Piece> {
    let pieces = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pieces);
    let file = PathBuf::from(path);
    let between = Between(move |piece| {
        let nth = seen.lock().unwrap().len();
        seen.lock().unwrap().push(piece);
        between(nth, &file);
    });
    tracing::subscriber::with_default(between, || schema::apply(config(path))).unwrap();
    let pieces = pieces.lock().unwrap();
    pieces.clone()
}
