//! The commands that only read, beside programs that open, change and close the file all the time.

use crate::child::{self, Victim};
use crate::support::{Place, Ran, interaction, on, run};
use botstore::rusqlite::Connection;
use botstore::{ErrorKind, Store, backup};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 8;

/// What a program says when it has changed the file once, so that it is in the middle of it.
const UNDER_WAY: &str = "under way";

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

fn leaves_nothing(place: &Place) {
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

fn until_told_to_stop(file: &Path, mut change: impl FnMut(u64)) {
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
                for command in ["status", "check", "dashboard", "export", "backups"] {
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

/// The Python bot's way to keep a total: a message's cost and its user's change in one transaction.
fn moves_money(conn: &Connection, number: u64) {
    let message = 1 + number as i64 * 7919 % 5_000;
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    for sql in [
        "UPDATE users SET total_cost = total_cost + 1 WHERE user_id =
             (SELECT user_id FROM messages WHERE message_id = 1000000 + ?1)",
        "UPDATE messages SET cost = cost + 1 WHERE message_id = 1000000 + ?1",
    ] {
        assert_eq!(conn.execute(sql, [message]).unwrap(), 1);
    }
    conn.execute_batch("COMMIT").unwrap();
}

/// A file of the Python bot's whose users' totals are the sums of their messages, too large to be copied
/// between two transactions.
fn with_totals(mode: &str) -> Place {
    let place = Place::legacy();
    place.alter(&format!(
        "PRAGMA journal_mode = {mode};
         DELETE FROM tool_usage; DELETE FROM messages; DELETE FROM sessions; DELETE FROM user_tokens;
         DELETE FROM audit_log; DELETE FROM cost_tracking; DELETE FROM users;
         INSERT INTO users (user_id) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
             WHERE i < 50) SELECT i FROM n;
         INSERT INTO sessions (session_id, user_id, project_path) SELECT 's' || user_id, user_id, '/'
             FROM users;
         INSERT INTO messages (message_id, session_id, user_id, prompt, response, cost)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             SELECT 1000000 + i, 's' || (i % 50 + 1), i % 50 + 1, 'a question',
                 hex(randomblob(500)), 0 FROM n;
         UPDATE users SET total_cost = 0;"
    ));
    place
}

/// All that was moved, in a backup in which each user's total is the sum of the messages.
fn moved_in(place: &Place, backup: &str) -> i64 {
    run(["verify", backup]).came_to(0);
    let to = place.path("looked-at.db");
    on(
        "restore",
        Path::new(backup),
        &["--to", to.to_str().unwrap(), "--replace"],
    )
    .came_to(0);
    let conn = Connection::open(&to).unwrap();
    let one = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let torn = "SELECT count(*) FROM users WHERE total_cost <> (SELECT sum(cost) FROM messages
                    WHERE messages.user_id = users.user_id)";
    assert_eq!(one(torn), 0, "{backup} is of no moment");
    one("SELECT CAST(sum(total_cost) AS INTEGER) FROM users")
}

const BACKUPS: usize = 3;

/// Backups beside a program that moves money all the time, of as many moments.
fn as_many_moments(mode: &str, child: std::process::Command, place: &Place) {
    let mut child = Victim::start(child);
    assert!(child.says(UNDER_WAY), "it ended before its time");
    let backups: Vec<_> = (0..BACKUPS).map(|_| place.back_up(&[])).collect();
    std::fs::write(place.path("stop"), "").unwrap();
    assert_eq!(child.ends(), Some(0));
    let moved: Vec<_> = backups
        .iter()
        .map(|b| moved_in(place, b.to_str().unwrap()))
        .collect();
    assert!(
        moved.is_sorted() && moved[0] < moved[BACKUPS - 1],
        "{mode}: {moved:?}"
    );
}

#[test]
fn each_backup_beside_a_program_that_writes_is_of_one_moment_in_each_journal_mode() {
    if let Some([file]) = child::given() {
        let conn = Connection::open(&file).unwrap();
        conn.busy_timeout(Duration::from_secs(60)).unwrap();
        // In WAL mode it copies its log into the file all the time.
        conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 10")
            .unwrap();
        until_told_to_stop(file.as_ref(), |number| {
            moves_money(&conn, number);
            // It lets others have the lock, as a bot does that waits for people.
            std::thread::sleep(Duration::from_millis(2));
        });
        return;
    }
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        let place = with_totals(mode);
        let test = each_backup_beside_a_program_that_writes_is_of_one_moment_in_each_journal_mode;
        as_many_moments(mode, child::again(&[], test, &[&place.file]), &place);
    }
}

#[test]
fn a_backup_is_made_beside_a_bot_that_goes_on() {
    if let Some([file]) = child::given() {
        let work = tokio::runtime::Runtime::new().unwrap();
        work.block_on(async {
            let store = Store::open(&file).await.unwrap();
            for number in 0.. {
                store.write(interaction(number)).await.unwrap();
                if number == 0 {
                    println!("{UNDER_WAY}");
                }
                if Path::new(&file).with_file_name("stop").exists() {
                    break;
                }
            }
            store.close().await.unwrap();
        });
        return;
    }
    let place = Place::filled(300);
    let test = a_backup_is_made_beside_a_bot_that_goes_on;
    let mut bot = Victim::start(child::again(&[], test, &[&place.file]));
    assert!(bot.says(UNDER_WAY), "it ended before its time");
    let recipient = botstore::backup::AgeIdentity::generate()
        .recipient()
        .to_string();
    for more in [
        &[][..],
        &["--compact"],
        &["--to", "elsewhere"],
        &["--recipient", &recipient],
    ] {
        let mut more = more.to_vec();
        let elsewhere = place.path("elsewhere");
        if let Some(to) = more.iter_mut().find(|word| **word == "elsewhere") {
            *to = elsewhere.to_str().unwrap();
        }
        let made = place.back_up(&more);
        if more.contains(&"--recipient") {
            continue;
        }
        let verified = on("verify", &made, &["--json"]).came_to(0).json();
        let rows = &verified["manifest"]["contents"]["rows"];
        assert_eq!(rows["messages"], rows["tool_usage"]);
        assert!(rows["messages"].as_u64().unwrap() > 300);
    }
    std::fs::write(place.path("stop"), "").unwrap();
    assert_eq!(bot.ends(), Some(0));
    leaves_nothing(&place);
}

/// The scratch of an encrypted backup has one place, and a bot may be at work there.
#[cfg(unix)]
#[test]
fn an_encrypted_backup_leaves_the_scratch_of_another_alone() {
    let place = Place::filled(1);
    let scratch = place.path("bot.db.unsealed.partial");
    std::fs::create_dir(&scratch).unwrap();
    std::fs::write(scratch.join("copy.db"), "another's").unwrap();
    let claim = std::fs::File::open(&scratch).unwrap();
    claim.lock().unwrap();
    let recipient = botstore::backup::AgeIdentity::generate()
        .recipient()
        .to_string();
    let sealed = ["--recipient", recipient.as_str()];
    let refused = on("backup", &place.file, &sealed).came_to(1);
    assert!(
        refused.err.contains("another program is at work"),
        "{}",
        refused.err
    );
    assert!(scratch.join("copy.db").exists());
    claim.unlock().unwrap();
    on("backup", &place.file, &sealed).came_to(0);
    assert!(!scratch.exists());
}
