//! The commands that only read, beside programs that open, change and close the file all the time.

use crate::child::{self, Victim};
use crate::support::{Place, Ran, interaction, on, run};
use botstore::rusqlite::Connection;
use botstore::{ErrorKind, Store, backup};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 4;

/// What a program says when it has changed the file once, so that it is in the middle of it.
pub(crate) const UNDER_WAY: &str = "under way";

/// Each command that reads tells what is so, and each backup is whole.
fn everything_is_so(place: &Place) {
    let mut backups = Vec::new();
    for _ in 0..ROUNDS {
        let status = on("status", &place.file, &["--json"]).came_to(0).json();
        assert_eq!(status["to_migrate"], json!([]));
        assert_eq!(status["rows"]["messages"], status["rows"]["tool_usage"]);
        let plan = on("migrate", &place.file, &["--plan", "--json"]);
        assert_eq!(plan.came_to(0).json()["steps"], json!([]));
        on("check", &place.file, &[]).came_to(0);
        on("dashboard", &place.file, &["--json"]).came_to(0).json();
        on("usage", &place.file, &["--json"]).came_to(0).json();
        on("limits", &place.file, &["--json"]).came_to(0).json();
        let rows = on("export", &place.file, &[]).came_to(0).out;
        let of = |table: &str| {
            let begins = format!("{{\"table\":\"{table}\"");
            rows.lines().filter(|row| row.starts_with(&begins)).count()
        };
        assert_eq!(of("messages"), of("tool_usage"));
        assert!(of("messages") > 0);
        let backup = on("backup", &place.file, &["--json"]);
        match backup.code {
            // The bot has it open.
            6 => {}
            _ => backups.push(backup.came_to(0).json()["path"].clone()),
        }
    }
    for backup in backups {
        run(["verify", backup.as_str().unwrap()]).came_to(0);
    }
}

pub(crate) fn leaves_nothing(place: &Place) {
    for suffix in ["-wal", "-shm", "-journal"] {
        let left = place.path(&format!("bot.db{suffix}"));
        assert!(!left.exists(), "{}", left.display());
    }
}

/// Runs everything beside a child that goes on until its input ends, and ends well then.
fn beside(place: &Place, child: std::process::Command) {
    let mut child = Victim::start(child);
    assert!(child.says(UNDER_WAY), "it ended before its time");
    everything_is_so(place);
    std::fs::write(place.path("stop"), "").unwrap();
    assert_eq!(child.ends(), Some(0));
}

pub(crate) fn until_told_to_stop(file: &Path, mut change: impl FnMut(u64)) {
    for number in 0.. {
        // Once more without anybody beside it.
        let is_last = file.with_file_name("stop").exists();
        change(number);
        if number == 0 {
            println!("{UNDER_WAY}");
        }
        if is_last {
            return;
        }
    }
}

#[test]
fn what_is_told_beside_a_bot_that_starts_and_ends_and_its_operator_is_so() {
    if let Some([file]) = child::given() {
        let work = tokio::runtime::Runtime::new().unwrap();
        until_told_to_stop(file.as_ref(), |number| {
            let bot = async {
                let store = match Store::open(&file).await {
                    Ok(store) => store,
                    // A backup is made of it.
                    Err(error) if error.kind() == ErrorKind::AlreadyOpen => return,
                    Err(error) => panic!("{error}"),
                };
                store.write(interaction(number)).await.unwrap();
                // Somebody may be reading.
                if let Err(error) = store.close().await {
                    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
                }
            };
            if number % 8 == 0 {
                work.block_on(bot);
            }
            // Its operator has every table begin elsewhere.
            let conn = Connection::open(&file).unwrap();
            conn.busy_timeout(Duration::from_secs(60)).unwrap();
            let vacuum = if number % 2 == 0 { 0 } else { 2 };
            conn.execute_batch(&format!("PRAGMA auto_vacuum = {vacuum}; VACUUM"))
                .unwrap();
            conn.close().unwrap();
        });
        return;
    }
    let place = Place::filled(300);
    let test = what_is_told_beside_a_bot_that_starts_and_ends_and_its_operator_is_so;
    beside(&place, child::again(&[], test, &[&place.file]));
    leaves_nothing(&place);
}

#[test]
fn what_is_told_beside_a_program_with_a_rollback_journal_is_so() {
    if let Some([file]) = child::given() {
        until_told_to_stop(file.as_ref(), |number| {
            let conn = Connection::open(&file).unwrap();
            conn.busy_timeout(Duration::from_secs(60)).unwrap();
            conn.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE")
                .unwrap();
            let (from, to) = match number % 2 {
                0 => (150, 300),
                _ => (0, 150),
            };
            for table in ["messages", "tool_usage"] {
                let sql = format!("SELECT count(*) FROM {table}");
                let rows = conn.query_row(&sql, [], |row| row.get::<_, i64>(0));
                assert!(rows.unwrap() > 0);
            }
            let sql = "UPDATE messages SET prompt = printf('%.*c', ?1, 'x') WHERE message_id > ?2
                       AND message_id <= ?3";
            let long = 500 + number % 7 * 1000;
            conn.execute(sql, (long as i64, from, to)).unwrap();
            conn.execute_batch("COMMIT").unwrap();
            conn.close().unwrap();
        });
        return;
    }
    let place = Place::filled(300);
    place.alter("PRAGMA journal_mode = DELETE");
    let test = what_is_told_beside_a_program_with_a_rollback_journal_is_so;
    beside(&place, child::again(&[], test, &[&place.file]));
    leaves_nothing(&place);
}

#[test]
fn what_is_told_while_the_file_is_restored_is_so_or_says_that_it_is_restored() {
    let place = Place::filled(20);
    let backup = place.back_up(&[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let reading = backup::VerifyOptions::default();
                let existing = backup::IfExists::MoveAside;
                backup::restore(&place.file, &backup, existing, reading).unwrap();
            }
        });
        let told = scope.spawn(|| {
            for _ in 0..ROUNDS {
                for command in [
                    "status",
                    "check",
                    "dashboard",
                    "usage",
                    "limits",
                    "export",
                    "backups",
                ] {
                    so_or_restored(on(command, &place.file, &["--json"]));
                }
                let plan = on("migrate", &place.file, &["--plan", "--json"]);
                if let Some(plan) = so_or_restored(plan) {
                    assert_eq!(plan["steps"], json!([]));
                }
            }
        });
        let told = told.join();
        done.store(true, Ordering::SeqCst);
        told.unwrap();
    });
    leaves_nothing(&place);
}

fn so_or_restored(ran: Ran) -> Option<Value> {
    let json = ran.json();
    match &json["error"] {
        Value::Null => {
            ran.came_to(0);
            Some(json)
        }
        error => {
            let message = error["message"].as_str().unwrap();
            assert!(message.starts_with("a restore of"), "{message}");
            None
        }
    }
}

/// To find out who has the file open, one looks at its lock, and so holds it for a moment: or longer,
/// where the machine is busy.
#[test]
fn looking_at_a_file_does_not_keep_a_bot_from_opening_it() {
    const OPENED: usize = 20;
    const MOMENT: Duration = Duration::from_millis(5);
    let place = Place::filled(1);
    let lock = std::fs::File::open(place.path("bot.db.lock")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                botstore::status(&place.file).unwrap();
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let is_locked = lock.try_lock_shared().is_ok();
                std::thread::sleep(MOMENT);
                if is_locked {
                    lock.unlock().unwrap();
                    std::thread::sleep(MOMENT);
                }
            }
        });
        let opens = scope.spawn(|| {
            let work = tokio::runtime::Runtime::new().unwrap();
            (0..OPENED).try_for_each(|_| {
                work.block_on(async {
                    let store = Store::open(&place.file).await?;
                    // Somebody may be reading.
                    let _ = store.close().await;
                    Ok(())
                })
            })
        });
        let opened: botstore::Result<()> = opens.join().unwrap();
        done.store(true, Ordering::SeqCst);
        opened.unwrap();
    });
}
