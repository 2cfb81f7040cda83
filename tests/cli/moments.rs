//! Backups beside programs that write the file all the time: each is of one moment.

use crate::beside::{UNDER_WAY, leaves_nothing, until_told_to_stop};
use crate::child::{self, Victim};
use crate::support::{Place, interaction, on, run};
use botstore::Store;
use botstore::rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// The Python bot's way to keep a total: a message's cost and its user's change in one transaction.
fn moves_money(conn: &Connection, number: u64) {
    let message = 1 + number as i64 * 7919 % 2_500;
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
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
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
        refused.err.contains("another program is working"),
        "{}",
        refused.err
    );
    assert!(scratch.join("copy.db").exists());
    claim.unlock().unwrap();
    on("backup", &place.file, &sealed).came_to(0);
    assert!(!scratch.exists());
}
