//! P1 and P2 for a process that is killed at any moment: what `crash_test` looks for, in a
//! few rounds; and that it would find it.

#[path = "../crash_test/ledger.rs"]
#[allow(dead_code, reason = "the parent and its child use all of it")]
mod ledger;
#[path = "../crash_test/lines.rs"]
#[allow(dead_code, reason = "the parent and its child use all of it")]
mod lines;
#[path = "../crash_test/script.rs"]
#[allow(dead_code, reason = "the parent and its child use all of it")]
mod script;
#[path = "../crash_test/verify/mod.rs"]
mod verify;
#[path = "../../../tests/shared/wait.rs"]
mod wait;

use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::{ErrorKind, Store};
use ledger::{Fate, Ledger};
use lines::Line;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use verify::Found;
use wait::{until, wait_until};

#[test]
fn a_process_killed_at_any_moment_leaves_what_it_acknowledged_once_and_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crash_test"))
        .env("TMPDIR", folder.path())
        .args(["--rounds", "10", "--rounds-per-file", "5", "--json"])
        .args(["--seed", &fastrand::u64(..).to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(found["verified"], true, "{found}");
    assert_eq!((&found["rounds"], &found["files"]), (&10.into(), &2.into()));
    for none in ["lost", "half", "duplicates"] {
        assert_eq!(found[none], 0, "{none}: {found}");
    }
    for some in ["acknowledged_interactions", "unacknowledged", "redelivered"] {
        assert!(found[some].as_u64() > Some(0), "{some}: {found}");
    }
    assert!(text.contains("\nOK\n"), "{text}");
    let left = folder.path().read_dir().unwrap().count();
    assert_eq!(left, 0, "it leaves nothing behind");
}

#[tokio::test]
async fn the_child_does_not_outlive_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_crash_test"))
        .args(["--rounds", "1000", "--keep"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let path = folder.path().join("from-round-0/bot.db");
    let lock = folder.path().join("from-round-0/bot.db.lock");
    let own = parent.id().to_string();
    wait_until("a child that has the file open", || {
        let holder = std::fs::read_to_string(&lock).unwrap_or_default();
        !holder.is_empty() && holder != own
    });
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the child's end", async || match Store::open(&path).await {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::AlreadyOpen, "{error}");
            false
        }
        Ok(store) => {
            store.close().await.unwrap();
            true
        }
    })
    .await;
}

#[test]
fn arguments_that_are_wrong_are_refused() {
    let full = tempfile::tempdir().unwrap();
    std::fs::write(full.path().join("something"), "").unwrap();
    let full = full.path().to_str().unwrap();
    for args in [["--rounds", "0"], ["--callers", "many"], ["--keep", full]] {
        let output = Command::new(env!("CARGO_BIN_EXE_crash_test"))
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
    }
}

/// A closed file that holds what its ledger says, until it is damaged.
struct Scene {
    _folder: TempDir,
    path: PathBuf,
    ledger: Ledger,
}

impl Scene {
    async fn set() -> Self {
        let store = TestStore::open().await.unwrap();
        let mut ledger = Ledger::new(7);
        ledger.note(&Line::Open);
        for number in 0..80 {
            ledger.note(&Line::Sent(number));
            let request = script::request(ledger.seed, number);
            let id = request.send(&store).await.unwrap();
            ledger.note(&Line::Acknowledged(number, id));
        }
        let (_folder, path) = store.into_file().await.unwrap();
        Self {
            _folder,
            path,
            ledger,
        }
    }

    fn look(&self) -> Found {
        look(&self.path, &self.ledger)
    }

    /// What is found in a copy of the file after this.
    fn after(&self, damage: &str) -> (Found, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.db");
        std::fs::copy(&self.path, &path).unwrap();
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let before = conn.total_changes();
        conn.execute_batch(damage).unwrap();
        assert!(conn.total_changes() > before, "{damage} does nothing");
        drop(conn);
        (look(&path, &self.ledger), verify::rollups(&path))
    }
}

fn look(path: &Path, ledger: &Ledger) -> Found {
    verify::look(&Connection::open(path).unwrap(), ledger)
}

/// Lost, half, duplicates.
fn counts(found: &Found) -> (u64, u64, u64) {
    (found.lost, found.half, found.duplicates)
}

#[tokio::test]
async fn a_whole_file_has_no_problems() {
    let scene = Scene::set().await;
    let found = scene.look();
    assert!(found.problems.is_empty(), "{:#?}", found.problems);
    assert_eq!(counts(&found), (0, 0, 0));
    assert_eq!(found.done.len(), 80);
    assert_eq!(verify::rollups(&scene.path), [""; 0]);
}

#[tokio::test]
async fn what_is_lost_half_or_double_is_found() {
    let scene = Scene::set().await;
    let last = "(SELECT max(message_id) FROM messages)";
    let delete = |what: &str| format!("DELETE FROM {what};");
    let newest = |table: &str| format!("{table} WHERE rowid = (SELECT max(rowid) FROM {table})");
    let tools = delete(&format!("tool_usage WHERE message_id = {last}"));
    let one_tool = delete(&format!(
        "tool_usage WHERE id = (SELECT min(id) FROM tool_usage WHERE message_id = {last})"
    ));
    let event = delete(&format!(
        "audit_log WHERE event_data ->> 'message_id' = {last}"
    ));
    let key = delete(&format!("botstore_update WHERE message_id = {last}"));
    let message = delete(&format!("messages WHERE message_id = {last}"));
    let change = |table: &str, column: &str| {
        format!("UPDATE {table} SET {column} WHERE message_id = {last}")
    };
    let copy = "INSERT INTO messages
                    (session_id, user_id, timestamp, prompt, response, cost, duration_ms, error)
                SELECT session_id, user_id, timestamp, prompt, response, cost, duration_ms, error
                FROM messages WHERE message_id = 5";
    for (damage, expected) in [
        ([&*tools, &event, &key, &message].concat(), (1, 0, 0)),
        (message, (1, 3, 0)),
        (tools, (0, 1, 0)),
        (one_tool, (0, 1, 0)),
        (event, (0, 1, 0)),
        (key, (0, 1, 0)),
        (copy.to_owned(), (0, 1, 1)),
        (change("messages", "response = 'another'"), (0, 1, 0)),
        (change("messages", "duration_ms = 1"), (0, 1, 0)),
        (change("messages", "timestamp = '2026'"), (0, 1, 0)),
        (change("tool_usage", "tool_input = '{}'"), (0, 1, 0)),
        (change("tool_usage", "message_id = NULL"), (0, 2, 0)),
        (delete(&newest("users")), (1, 0, 0)),
        (delete(&newest("sessions")), (1, 0, 0)),
    ] {
        let (found, _) = scene.after(&damage);
        assert_eq!(counts(&found), expected, "{damage}: {:#?}", found.problems);
        assert!(!found.problems.is_empty(), "{damage}");
    }
}

#[tokio::test]
async fn a_counter_or_a_rollup_that_is_wrong_is_found() {
    let scene = Scene::set().await;
    for counter in [
        "users SET message_count = message_count + 1",
        "users SET total_cost = total_cost + 0.0009765625",
        "users SET session_count = session_count - 1",
        "sessions SET message_count = message_count - 1",
        "sessions SET total_turns = total_turns + 1",
        "sessions SET total_cost = 0",
        "cost_tracking SET request_count = request_count + 1",
        "cost_tracking SET daily_cost = 0",
        "cost_tracking SET date = '2026-01-01'",
    ] {
        let (found, _) = scene.after(&format!("UPDATE {counter}"));
        assert!(!found.problems.is_empty(), "{counter}");
        assert_eq!(counts(&found), (0, 0, 0), "{counter}");
    }
    for rollup in [
        "botstore_day SET messages = messages + 1",
        "botstore_user_total SET cost = cost + 1",
        "botstore_tool SET uses = uses - 1",
    ] {
        let (found, rollups) = scene.after(&format!("UPDATE {rollup}"));
        assert!(found.problems.is_empty(), "{rollup}: {:#?}", found.problems);
        assert!(!rollups.is_empty(), "{rollup}");
    }
}

#[tokio::test]
async fn what_was_refused_or_never_sent_or_told_otherwise_is_found() {
    let mut scene = Scene::set().await;
    let (number, id) = scene.ledger.messages().next().unwrap();
    let told = Fate::Acknowledged(Some(id));
    for (fate, is_wrong) in [
        (Some(told), false),
        (Some(Fate::Open), false),
        (Some(Fate::Refused), true),
        (Some(Fate::Acknowledged(Some(id + 1))), true),
        (None, true),
    ] {
        match fate {
            Some(fate) => scene.ledger.fates.insert(number, fate),
            None => scene.ledger.fates.remove(&number),
        };
        let problems = scene.look().problems;
        assert_eq!(!problems.is_empty(), is_wrong, "{fate:?}: {problems:?}");
    }
    // An acknowledged one that is nowhere.
    scene.ledger.fates.insert(number, told);
    scene.ledger.note(&Line::Acknowledged(1_000, Some(1_000)));
    assert_eq!(counts(&scene.look()), (1, 0, 0));
}

#[tokio::test]
async fn a_file_that_is_damaged_or_has_no_tables_is_found() {
    let scene = Scene::set().await;
    let whole = std::fs::read(&scene.path).unwrap();
    let mut scribbled = whole.clone();
    scribbled[4_096 * 8..4_096 * 9].fill(0xA5);
    for damaged in [&whole[..whole.len() / 2], &scribbled, &[]] {
        std::fs::write(&scene.path, damaged).unwrap();
        let found = scene.look();
        assert!(!found.problems.is_empty(), "{} bytes", damaged.len());
    }
    // One that no store ever had open may be empty.
    let never_open = Ledger::new(7);
    assert_eq!(look(&scene.path, &never_open).problems, [""; 0]);
}
