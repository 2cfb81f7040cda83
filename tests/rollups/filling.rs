//! A file whose rows are still to be counted is counted in pieces: whoever is killed goes on where it was, what
//! other programs write in between is counted once, and nobody takes half of the counts for all.

use crate::child::{self, Victim, again, rounds};
use crate::pieces::{
    ROWS, at_piece, bots_file, config, counted, forgotten, is_exact, other, was_counted,
};
use crate::support::compare;
use botstore::{ErrorKind, Store, UnknownTriggers, schema};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What a bot does while nobody else has the file open: it appends, and changes what no count is made of.
const BOT: &str = "
    INSERT OR IGNORE INTO sessions (session_id, user_id, project_path) VALUES ('new', 3, '/srv');
    INSERT INTO messages (session_id, user_id, timestamp, prompt, cost, duration_ms)
        VALUES ('new', 3, '2026-03-10 15:00:00', 'again', 0.5, 9), ('s-1', 7, '2025-02-20 01:02:03', 'p', 0.25, 1);
    INSERT INTO tool_usage (session_id, tool_name, timestamp) VALUES ('s-1', 'tool 1', '2026-03-10 15:00:00');
    INSERT INTO cost_tracking (user_id, date, daily_cost, request_count) VALUES (3, '2026-03-10', 0.5, 1)
        ON CONFLICT (user_id, date) DO UPDATE SET daily_cost = daily_cost + 0.5, request_count = request_count + 1;
    UPDATE sessions SET last_used = '2026-03-10 15:00:00', total_turns = total_turns + 1 WHERE session_id = 's-1';
    UPDATE messages SET response = 'r' WHERE message_id = 1;";

/// How far messages and tool uses are counted.
fn rank(path: &Path) -> Vec<i64> {
    let conn = other(path);
    let sql =
        "SELECT last_id FROM botstore_counted WHERE source <> 'cost_tracking' ORDER BY source";
    let mut rows = conn.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| row.get(0));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Whoever looks at the file is told that it is still to be counted.
#[track_caller]
fn is_not_believed(path: &Path) {
    let conn = other(path);
    assert!(!was_counted(&conn));
    let plan = botstore::status(config(path)).unwrap().plan.unwrap();
    assert_eq!(plan.uncounted, ["botstore"]);
    let stats = botstore::snapshot(config(path), |tx| {
        tx.query(&botstore::analytics::SystemStats::new())
    });
    assert_eq!(stats.unwrap_err().kind(), ErrorKind::OlderSchema);
    let unknown = schema::unknown_objects(config(path)).unwrap();
    assert!(
        unknown.is_empty() && unknown.missing.is_empty(),
        "{unknown:?}"
    );
}

/// The child's part: opens the file, and may end at the so-manyth piece.
async fn open_up_to(path: &str, at: &str) {
    at_piece(at.parse().unwrap(), || std::process::abort());
    let store = Store::open(config(Path::new(path))).await.unwrap();
    store.close().await.unwrap();
    println!("opened");
}

#[tokio::test]
async fn who_was_killed_between_any_two_pieces_goes_on_and_the_bot_may_write_in_between() {
    if let Some([path, at]) = child::given() {
        return open_up_to(&path, &at).await;
    }
    let test = who_was_killed_between_any_two_pieces_goes_on_and_the_bot_may_write_in_between;
    let (_folder, path) = bots_file();
    let (mut last, mut kills) = (Vec::new(), 0_u64);
    loop {
        // After one piece, after two, and so on: the first is small in each opening.
        let at = (1 + kills % 4).to_string();
        let mut child = Victim::start(again(&[], test, &[&path, Path::new(&at)]));
        if child.says("opened") {
            assert_eq!(child.ends(), Some(0));
            break;
        }
        child.kill();
        kills += 1;
        let now = rank(&path);
        // The bot writes on, so that there are always more messages to count.
        assert!(now > last, "{now:?} comes after {last:?}");
        last = now;
        is_not_believed(&path);
        other(&path).execute_batch(BOT).unwrap();
    }
    assert!(kills > 8, "{kills}");
    is_exact(&path, "killed between pieces");
    let store = Store::open(config(&path)).await.unwrap();
    compare(&store, 0).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn who_was_killed_at_any_moment_of_counting_goes_on() {
    if let Some([path]) = child::given() {
        return open_up_to(&path, "0").await;
    }
    let test = who_was_killed_at_any_moment_of_counting_goes_on;
    for round in 0..rounds().div_ceil(4) {
        let (_folder, path) = forgotten();
        // Wherever each of them is then.
        for kill in 0..4 {
            let child = Victim::start(again(&[], test, &[&path]));
            child.killed_after(Duration::from_millis(
                u64::from(37 * round + 23 * kill) % 150,
            ));
            other(&path).execute_batch(BOT).unwrap();
        }
        Store::open(config(&path))
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
        is_exact(&path, &format!("round {round}"));
    }
}

/// What programs may do to the rows that are counted. `{id}` is that of a row at the beginning, in the middle
/// or at the end.
const CHANGES: [&str; 27] = [
    BOT,
    "UPDATE messages SET cost = cost + 1.5, error = 'e', duration_ms = 7 WHERE message_id = {id}",
    "UPDATE messages SET session_id = 's-1', user_id = 1 WHERE message_id = {id}",
    "UPDATE messages SET timestamp = '2026-01-02 03:04:05' WHERE message_id = {id}",
    "UPDATE messages SET message_id = message_id + 100000 WHERE message_id = {id}",
    "UPDATE messages SET message_id = -message_id WHERE message_id = {id}",
    "INSERT INTO messages (message_id, session_id, user_id, prompt) VALUES (-5, 's-2', 2, 'early')",
    "DELETE FROM messages WHERE message_id = {id}",
    // The sessions of one day, some counted and some not.
    "DELETE FROM messages WHERE session_id IN (SELECT session_id FROM messages WHERE message_id = {id})
         AND message_id <> {id}",
    "DELETE FROM messages",
    "REPLACE INTO messages (message_id, session_id, user_id, timestamp, prompt, cost)
         VALUES ({id}, 's-3', 3, '2026-01-02 03:04:05', 'p', 8.0)",
    "DELETE FROM messages WHERE message_id = {id};
     INSERT INTO messages (message_id, session_id, user_id, timestamp, prompt, cost)
         VALUES ({id}, 's-3', 3, '2026-01-02 03:04:05', 'p', 8.0)",
    "UPDATE tool_usage SET success = 1 - success WHERE id = {id}",
    "UPDATE tool_usage SET tool_name = 'other', session_id = 's-4' WHERE id = {id}",
    "UPDATE tool_usage SET id = id + 100000 WHERE id = {id}",
    "DELETE FROM tool_usage WHERE id = {id}",
    "DELETE FROM tool_usage WHERE tool_name IN (SELECT tool_name FROM tool_usage WHERE id = {id}) AND id <> {id}",
    "REPLACE INTO tool_usage (id, session_id, tool_name) VALUES ({id}, 's-5', 'other')",
    "UPDATE sessions SET user_id = 7 - user_id WHERE session_id IN ('s-6', 's-7')",
    "UPDATE sessions SET session_id = 'renamed' WHERE session_id = 's-8'",
    "DELETE FROM sessions WHERE session_id = 's-9'",
    "REPLACE INTO sessions (session_id, user_id, project_path) VALUES ('s-10', 5, '/srv')",
    "UPDATE cost_tracking SET daily_cost = daily_cost + 2, request_count = 1 WHERE id = {id} / 10",
    "UPDATE cost_tracking SET date = '2027-01-01' WHERE id = {id} / 10",
    "DELETE FROM cost_tracking WHERE id = {id} / 10",
    "REPLACE INTO cost_tracking (user_id, date, daily_cost)
         SELECT user_id, date, 4.0 FROM cost_tracking WHERE id = {id} / 10",
    "UPDATE cost_tracking SET id = id + 100000 WHERE id = {id} / 10",
];

#[test]
fn what_another_program_changes_between_any_two_pieces_is_counted_as_it_is_in_the_end() {
    let (folder, path) = forgotten();
    let pieces = counted(&copy(&folder, &path), |_, _| {}).len();
    assert!(pieces > 8, "{pieces}");
    for (number, change) in CHANGES.iter().enumerate() {
        // Each change at every fourth piece, of a row that is counted by then or not.
        for at in (number % 4..pieces).step_by(4) {
            let id = [8, ROWS / 2, ROWS - 8][(number + at / 4) % 3];
            let sql = change.replace("{id}", &id.to_string());
            let copy = copy(&folder, &path);
            counted(&copy, move |nth, path| {
                if nth == at {
                    other(path).execute_batch(&sql).unwrap();
                }
            });
            is_exact(&copy, &format!("after piece {at}: {change}, {id}"));
        }
    }
}

fn copy(folder: &TempDir, path: &Path) -> PathBuf {
    let copy = folder.path().join("copy.db");
    fs::copy(path, &copy).unwrap();
    copy
}

#[test]
fn a_program_that_never_ceases_to_change_rows_does_not_keep_a_file_from_being_counted() {
    for table in [
        "UPDATE messages SET cost = cost + 1 WHERE message_id IN (9, 1590)",
        "UPDATE tool_usage SET success = 1 - success WHERE id IN (9, 1590)",
        "UPDATE cost_tracking SET daily_cost = daily_cost + 1 WHERE id IN (9, 159)",
    ] {
        let (_folder, path) = forgotten();
        counted(&path, |_, path| other(path).execute_batch(table).unwrap());
        is_exact(&path, table);
    }
}

#[test]
fn a_piece_has_as_many_rows_as_it_may_and_its_end_is_told() {
    let (_folder, path) = forgotten();
    let pieces = counted(&path, |_, _| {});
    let of = |table: &str| -> Vec<i64> {
        let rows = pieces.iter().filter(|piece| piece.table == table);
        rows.map(|piece| piece.last_id.unwrap_or(0)).collect()
    };
    for (table, rows) in [
        ("messages", ROWS),
        ("tool_usage", ROWS),
        ("cost_tracking", ROWS / 10),
    ] {
        let ends = of(table);
        assert_eq!(ends.last(), Some(&rows), "{table}: {ends:?}");
        assert!(ends.is_sorted(), "{table}: {ends:?}");
    }
    // Whatever the table before had: a row may have megabytes. And never many times as many as before.
    for table in ["messages", "tool_usage", "cost_tracking"] {
        let ends = of(table).into_iter().filter(|&end| end > 0);
        let ends = Vec::from_iter(std::iter::once(0).chain(ends));
        let rows: Vec<_> = ends.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(rows[0] <= 16, "{table}: {rows:?}");
        assert!(
            rows.windows(2).all(|two| two[1] <= 8 * two[0]),
            "{table}: {rows:?}"
        );
    }
}

/// The triggers that count users and sessions are the program's own then.
#[test]
fn a_file_whose_triggers_do_not_run_is_counted_the_same() {
    let (_folder, path) = forgotten();
    schema::apply(config(&path).unknown_triggers(UnknownTriggers::Disable)).unwrap();
    is_exact(&path, "no trigger of the file runs");
}

/// Whoever drops what watches over the rows, or what tells how far they are counted, is found out.
#[test]
fn a_file_in_which_nobody_watched_meanwhile_is_counted_anew() {
    let (folder, path) = forgotten();
    for (name, again) in [
        ("TRIGGER botstore_message_changed", true),
        ("TRIGGER botstore_messages_removed", true),
        ("TABLE botstore_counted", false),
        ("TABLE botstore_session_user", false),
    ] {
        let copy = copy(&folder, &path);
        let drop = move |path: &Path| {
            let conn = other(path);
            let _ = conn.execute_batch(&format!("DROP {name}"));
            let _ = conn.execute_batch("UPDATE messages SET cost = cost + 1");
        };
        if again {
            counted(&copy, move |nth, path| {
                if nth == 6 {
                    drop(path);
                }
            });
        } else {
            counted(&copy, |_, _| {});
            drop(&copy);
        }
        schema::apply(config(&copy).unknown_triggers(UnknownTriggers::Allow)).unwrap();
        is_exact(&copy, name);
    }
}

/// It had a table, and triggers that began its count again.
#[test]
fn what_an_older_program_left_when_it_was_killed_while_it_counted_goes() {
    let (_folder, path) = forgotten();
    let left = "CREATE TABLE botstore_filling (source TEXT, phase TEXT);
                CREATE TRIGGER botstore_filling_message_changed AFTER UPDATE ON messages BEGIN
                    UPDATE botstore_filling SET phase = 'clearing'; END";
    other(&path).execute_batch(left).unwrap();
    schema::apply(config(&path).unknown_triggers(UnknownTriggers::Allow)).unwrap();
    assert!(schema::unknown_objects(config(&path)).unwrap().is_empty());
    is_exact(&path, "of an older program");
}

#[tokio::test]
async fn a_file_that_is_half_counted_can_go_back_and_to_another_day() {
    if let Some([path, at]) = child::given() {
        return open_up_to(&path, &at).await;
    }
    let test = a_file_that_is_half_counted_can_go_back_and_to_another_day;
    let (folder, half) = forgotten();
    let mut child = Victim::start(again(&[], test, &[&half, Path::new("5")]));
    assert!(!child.says("opened"));
    child.kill();
    // Whoever looks into it last puts what the child left in its log into the file, which can be copied then.
    assert!(!was_counted(&other(&half)));
    for to in [0, 6, 8] {
        let path = copy(&folder, &half);
        schema::rollback(config(&path), "botstore", to).unwrap();
        let conn = other(&path);
        conn.execute_batch(&CHANGES[1].replace("{id}", "8"))
            .unwrap();
        schema::apply(config(&path)).unwrap();
        is_exact(&path, &format!("back to {to} and on"));
    }
    let path = copy(&folder, &half);
    let config = config(&path).time_zone("+02:00");
    let store = Store::open(config).await.unwrap();
    compare(&store, 120).await;
    store.close().await.unwrap();
}

/// A disk that fills up half-way: what is counted stays, and the next opening goes on.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_fills_up_while_rows_are_counted_leaves_a_file_that_goes_on() {
    if let Some([folder]) = child::given() {
        let folder = Path::new(&folder);
        let (path, ballast) = (folder.join("bot.db"), folder.join("ballast"));
        let (_folder, made) = forgotten();
        fs::copy(made, &path).unwrap();
        // As much as there is room for.
        fs::write(&ballast, vec![0; 10 << 20]).unwrap_err();
        let size = fs::metadata(&ballast).unwrap().len();
        let ballast = fs::File::options().write(true).open(&ballast).unwrap();
        let mut told = Vec::new();
        for free in (32..8_192).step_by(32) {
            ballast.set_len(size - (free << 10)).unwrap();
            let Err(error) = schema::apply(config(&path)) else {
                break;
            };
            assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
            told.push(error.to_string());
        }
        assert!(
            told.iter()
                .any(|told| told.contains("the next opening continues")),
            "{told:?}"
        );
        ballast.set_len(0).unwrap();
        is_exact(&path, "a full disk");
        return;
    }
    let test = a_disk_that_fills_up_while_rows_are_counted_leaves_a_file_that_goes_on;
    child::succeed_on_a_small_disk(test, 10);
}
