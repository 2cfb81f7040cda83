//! A file is taken over in pieces: whoever is killed goes on where it was, the bot can use the file in
//! between, and no piece is larger than the others for the file's size.

use crate::child::{self, Victim, again, rounds};
use crate::ends::Ends;
use crate::legacy::{Legacy, Row, Tables, dump, open_plain};
use botstore::rusqlite::Connection;
use botstore::rusqlite::types::Value as Cell;
use botstore::{Config, Store, UnknownTriggers, schema};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Enough rows for several pieces in each table, times as bots of 2025 wrote them.
const ROWS: &str = "
    PRAGMA foreign_keys = OFF;
    BEGIN;
    CREATE TEMP TABLE n AS
        WITH RECURSIVE n(i) AS (SELECT 100001 UNION ALL SELECT i + 1 FROM n WHERE i < 102000)
        SELECT i, strftime('%Y-%m-%d %H:%M:%f', 1740000000 + i * 60, 'unixepoch') AS at FROM n;
    INSERT INTO users (user_id, first_seen, last_active) SELECT i - 200000, at, at FROM n;
    INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
        SELECT 'many-' || i, i - 200000, '/srv', at, at FROM n;
    INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
        SELECT 'many-' || i, i - 200000, at, 'p' || i, 0.5 FROM n;
    INSERT INTO tool_usage (session_id, tool_name, timestamp) SELECT 'many-' || i, 'Read', at FROM n;
    INSERT INTO audit_log (user_id, event_type, timestamp) SELECT i - 200000, 'command', at FROM n;
    INSERT INTO user_tokens (user_id, token_hash, created_at, expires_at)
        SELECT i - 200000, 'many-' || i, at, at FROM n;
    COMMIT;
    DROP TABLE n;";

/// What the bot does when it is started in between: old rows are used again, new ones come.
const BOT: &str = "
    UPDATE sessions SET last_used = '2026-03-10 15:00:00', total_turns = total_turns + 1
        WHERE session_id IN ('many-100003', 'many-101999');
    UPDATE users SET last_active = '2026-03-10 15:00:00' WHERE user_id = -99997;
    INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
        VALUES ('many-100003', -99997, '2026-03-10 15:00:00', 'again', 0.25);
    INSERT INTO audit_log (user_id, event_type) VALUES (-99997, 'command');
    UPDATE audit_log SET timestamp = '2026-03-10 15:00:00.5' WHERE event_type = 'command'
        AND user_id = -99997;";

fn many(name: &'static str) -> Legacy {
    let legacy = Legacy::copy(name);
    let conn = open_plain(&legacy.path);
    conn.execute_batch(ROWS).unwrap();
    conn.close().unwrap();
    legacy
}

/// The file without what is different each time that it is taken over.
fn lasting(path: &Path) -> Tables {
    let mut tables = dump(path);
    for table in ["botstore_schedules", "botstore_store", "botstore_ledger"] {
        tables.remove(table);
    }
    tables
}

/// Whether rows are the same. Sums of costs are doubles: their last bits depend on where a piece of the counting
/// ended.
fn same(one: &[Row], other: &[Row]) -> bool {
    let cells = |rows: &[Row]| {
        rows.iter()
            .flatten()
            .map(|(_, cell)| cell.clone())
            .collect::<Vec<_>>()
    };
    let (one, other) = (cells(one), cells(other));
    let same = |pair: (&Cell, &Cell)| match pair {
        (Cell::Real(a), Cell::Real(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
        (a, b) => a == b,
    };
    one.len() == other.len() && one.iter().zip(&other).all(same)
}

/// A table of the bot's own, whose step comes after those that are in pieces.
struct Notes;

impl schema::Schema for Notes {
    const NAME: &'static str = "notes";
    const MIGRATIONS: &'static [schema::Migration] = &[schema::Migration::new(
        1,
        "notes",
        "CREATE TABLE notes (user_id INTEGER NOT NULL REFERENCES users(user_id), body TEXT NOT NULL);",
        "DROP TABLE notes;",
    )];
}

fn config(path: &Path) -> Config {
    // What a step has made half-way is the step's.
    Config::new(path)
        .unknown_triggers(UnknownTriggers::Refuse)
        .schema::<Notes>()
}

/// How many backups are beside the file.
fn backups(path: &Path) -> usize {
    let folder = botstore::backup::Backups::default().folder_of(path);
    botstore::backup::list(folder).unwrap().backups.len()
}

/// How far the file is: the last step that is applied, and (step, part, row) of one that has begun.
fn progress(path: &Path) -> (i64, Option<(i64, i64, Option<i64>)>) {
    let conn = open_plain(path);
    let there = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?1";
    let there = |table: &str| {
        conn.query_row(there, [table], |row| row.get::<_, bool>(0))
            .unwrap()
    };
    let applied = match there("botstore_ledger") {
        true => conn.query_row("SELECT max(step) FROM botstore_ledger", [], |row| {
            row.get(0)
        }),
        false => Ok(0),
    };
    let begun = there("botstore_progress").then(|| {
        let sql = "SELECT step, part, next_row FROM botstore_progress";
        conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    });
    (applied.unwrap(), begun.transpose().unwrap())
}

/// The child's part of these tests: opens the file, and may end at the so-manyth piece.
async fn open_up_to(path: &str, at: &str) {
    let subscriber = Ends::at(at.parse().unwrap());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let store = Store::open(config(Path::new(path))).await.unwrap();
    store.close().await.unwrap();
    println!("opened");
}

#[tokio::test]
async fn who_was_killed_between_any_two_pieces_goes_on_and_the_bot_may_write_in_between() {
    if let Some([path, at]) = child::given() {
        return open_up_to(&path, &at).await;
    }
    let (interrupted, whole) = (many("v2era"), many("v2era"));
    let (mut last, mut made) = (None, 0);
    let mut openings = 0;
    loop {
        let test = who_was_killed_between_any_two_pieces_goes_on_and_the_bot_may_write_in_between;
        // Before and after each of the first steps, and then somewhere else each time. The first three may
        // be where it was: a step goes on, a part goes on, and has no more rows.
        let at = (1 + openings).min(4 + openings % 4).to_string();
        let mut child = Victim::start(again(&[], test, &[&interrupted.path, Path::new(&at)]));
        openings += 1;
        if child.says("opened") {
            assert_eq!(child.ends(), Some(0));
            break;
        }
        child.kill();
        let now = progress(&interrupted.path);
        assert!(Some(now) > last, "{now:?} comes after {last:?}");
        // None is made of a file in which a step is applied in part.
        let goes_on = last.is_some_and(|(_, begun)| begun.is_some());
        assert!(!goes_on || backups(&interrupted.path) == made, "{last:?}");
        made = backups(&interrupted.path);
        last = Some(now);

        let conn = open_plain(&interrupted.path);
        let check: String = conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        if let (_, Some((step, ..))) = now {
            // To take steps back, this one has to be whole.
            let error = schema::rollback(config(&interrupted.path), "botstore", 2).unwrap_err();
            assert!(error.to_string().contains("only partly applied"), "{error}");
            // Whoever looks at it is told that it is still to be done.
            let status = botstore::status(config(&interrupted.path)).unwrap();
            assert_eq!(i64::from(status.plan.unwrap().steps[0].step), step);
        }
        for path in [&interrupted.path, &whole.path] {
            open_plain(path).execute_batch(BOT).unwrap();
        }
    }
    assert!(openings > 10, "{openings}");
    assert_eq!(progress(&interrupted.path).1, None);
    Store::open(config(&whole.path))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let (one, other) = (lasting(&interrupted.path), lasting(&whole.path));
    for (table, rows) in &one {
        // Not assert_eq!, which would show thousands of rows.
        assert!(rows == &other[table], "{table} differs");
    }
    assert!(one.keys().eq(other.keys()));
    let schema = |path| {
        let conn = open_plain(path);
        let mut names = conn
            .prepare("SELECT name FROM sqlite_schema ORDER BY 1")
            .unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0));
        names.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(schema(&interrupted.path), schema(&whole.path));
}

#[tokio::test]
async fn who_was_killed_at_any_moment_of_taking_over_goes_on() {
    if let Some([path]) = child::given() {
        return open_up_to(&path, "0").await;
    }
    let whole = many("v4");
    Store::open(config(&whole.path))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let whole = lasting(&whole.path);
    for round in 0..rounds().div_ceil(4) {
        let legacy = many("v4");
        // Wherever each of them is then.
        for kill in 0..4 {
            let test = who_was_killed_at_any_moment_of_taking_over_goes_on;
            let child = Victim::start(again(&[], test, &[&legacy.path]));
            child.killed_after(Duration::from_millis(
                u64::from(37 * round + 23 * kill) % 250,
            ));
        }
        Store::open(config(&legacy.path))
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
        let found = lasting(&legacy.path);
        for (table, rows) in &whole {
            assert!(
                same(rows, &found[table]),
                "round {round}: {table} differs: {rows:?}, {:?}",
                found[table]
            );
        }
    }
}

/// The pieces of a table, in rows.
fn pieces(out: &str, table: &str) -> Vec<u64> {
    let begins = format!("piece {table:?} ");
    let lines = out.lines().filter_map(|line| line.split_once(&begins));
    lines
        .map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn a_piece_has_many_small_rows_or_a_few_large_ones() {
    if let Some([path]) = child::given() {
        return open_up_to(&path, "0").await;
    }
    const LARGE: u64 = 1 << 20;
    let legacy = many("v2era");
    let conn = open_plain(&legacy.path);
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 64)
               UPDATE messages SET prompt = CAST(zeroblob(?1) AS TEXT) WHERE message_id IN n";
    let large = conn.execute(sql, [LARGE as i64]).unwrap() as u64;
    assert!(large > 20, "{large}");
    conn.close().unwrap();
    let test = a_piece_has_many_small_rows_or_a_few_large_ones;
    let output = again(&[], test, &[&legacy.path]).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}");

    let (tools, messages) = (pieces(&out, "tool_usage"), pieces(&out, "messages"));
    // Small rows soon come in large pieces.
    assert!(
        tools.iter().max().unwrap() >= &1_000 && tools.len() < 10,
        "{tools:?}"
    );
    // The large ones come first, and as many of them as make up to 16 MiB.
    let mut before = 0;
    for rows in messages {
        if before < large {
            assert!(rows * LARGE <= 16 << 20, "a piece of {rows} rows");
        }
        before += rows;
    }
}

#[tokio::test]
async fn a_note_of_how_far_a_step_is_that_somebody_made_up_is_refused() {
    let legacy = many("v2era");
    Store::open(config(&legacy.path))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    schema::rollback(config(&legacy.path), "botstore", 4).unwrap();
    let conn = open_plain(&legacy.path);
    conn.execute_batch(
        "CREATE TABLE botstore_progress (schema TEXT PRIMARY KEY, step INTEGER, part INTEGER, next_row);
         INSERT INTO botstore_progress VALUES ('botstore', 5, 10, NULL);",
    )
    .unwrap();
    conn.close().unwrap();
    let error = Store::open(config(&legacy.path)).await.unwrap_err();
    assert_eq!(error.kind(), botstore::ErrorKind::Migration, "{error}");
    let steps = schema::plan(config(&legacy.path)).unwrap().steps;
    assert_eq!(steps[0].step, 5, "it is not taken for applied");
}

/// A disk that fills up half-way: what is done is kept, and there is no need to begin again.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_fills_up_while_a_file_is_taken_over_leaves_a_file_that_goes_on() {
    if let Some([folder]) = child::given() {
        let folder = Path::new(&folder);
        let (path, ballast) = (folder.join("bot.db"), folder.join("ballast"));
        fs::copy(many("v2era").path, &path).unwrap();
        let mut openings = 0;
        for kib in (0..8_192).step_by(256).rev() {
            fs::write(&ballast, vec![0; kib << 10]).ok();
            openings += 1;
            let done = match Store::open(config(&path)).await {
                Ok(store) => store.close().await,
                Err(error) => Err(error),
            };
            let Err(error) = done else { break };
            assert_eq!(error.kind(), botstore::ErrorKind::DiskFull, "{error}");
            fs::remove_file(&ballast).ok();
            let conn = Connection::open(&path).unwrap();
            let rows = "SELECT count(*) FROM messages";
            let rows: i64 = conn.query_row(rows, [], |row| row.get(0)).unwrap();
            assert!(rows > 2_000, "{rows}");
        }
        assert!(openings > 1, "there was room from the beginning");
        assert!(schema::plan(&path).unwrap().steps.is_empty());
        return;
    }
    let test = a_disk_that_fills_up_while_a_file_is_taken_over_leaves_a_file_that_goes_on;
    child::succeed_on_a_small_disk(test, 10);
}
