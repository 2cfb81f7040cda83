//! Answers are reserved before the model is asked, and refused politely over the limit.

use super::*;
use crate::midday::midday;
use botstore::{Config, Store};

/// A folder, and a bot's file in it whose day does not end before the test does.
#[actix::main]
async fn at_midday() -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let store = Store::open(Config::new(&db).time_zone(midday())).await;
    store.expect("a store").close().await.expect("closed");
    (folder, db)
}

#[test]
fn a_user_sees_what_is_used_and_what_is_left() {
    let (_folder, db) = at_midday();
    let lines = b"/usage\n/budget\nhello\nWhat is it?\n/usage\n/budget\n";
    let said = stdout(&conversation(&db, &["--dollars-a-day", "2"], lines));
    for expected in [
        "You have used nothing in the last 30 days.",
        "each user, $2.00 a day: $2.0000 left, $0.0000 spent, until 2",
        "parrot-1: 2 requests, 5 tokens read and 24 written, $0.0009",
        "each user, $2.00 a day: $1.9991 left, $0.0009 spent, until 2",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    assert!(!said.contains("reserved"), "everything is settled:\n{said}");
    // The limit is the file's, and the next bot keeps to it.
    let said = stdout(&conversation(&db, &["--user", "2"], b"/budget\n/usage\n"));
    assert!(
        said.contains("each user, $2.00 a day: $2.0000 left"),
        "{said}"
    );
    assert!(said.contains("You have used nothing"), "{said}");
    let open = "SELECT count(*) FROM botstore_reservation WHERE state = 'open'";
    assert_eq!(count(&db, open), 0);
}

#[test]
fn without_a_limit_everything_is_answered() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let said = stdout(&conversation(&db, &[], b"hello\n/budget\n"));
    assert!(said.contains("[message 1, $0.0003]"), "{said}");
    assert!(
        said.contains("There is no limit on what you spend."),
        "{said}"
    );
}

#[test]
fn who_is_over_the_limit_is_told_which_and_until_when_and_the_model_is_not_asked() {
    let (_folder, db) = at_midday();
    let limit = ["--dollars-a-day", "0.00097"];
    let lines = b"hello\nhello\n/again\n/budget\n";
    let said = stdout(&conversation(&db, &limit, lines));
    assert!(said.contains("[message 1, $0.0003"), "{said}");
    assert!(
        said.contains("; only $0.0002 left, until 2"),
        "a warning:\n{said}"
    );
    let refused =
        "it would be more than the limit allows (each user, $0.00097 a day). Ask me again after 2";
    assert_eq!(said.matches(refused).count(), 2, "{said}");
    assert!(
        !said.contains("Sorry") && !said.contains("limit reached"),
        "{said}"
    );
    assert!(said.contains("$0.0007 left, $0.0003 spent"), "{said}");
    assert_eq!(count(&db, "SELECT count(*) FROM messages"), 1);
    // Another user has a budget of another's own, and so has this one when the limit is raised.
    let said = stdout(&conversation(&db, &["--user", "2"], b"hello\n"));
    assert!(said.contains("[message 2, $0.0003"), "{said}");
    let said = stdout(&conversation(&db, &["--dollars-a-day", "1"], b"hello\n"));
    assert!(said.contains("[message 3, $0.0003]"), "{said}");
    let said = stdout(&conversation(&db, &["--dollars-a-day", "0"], b"hello\n"));
    assert!(said.contains("(each user, $0.00 a day)"), "{said}");
}

#[test]
fn what_was_reserved_for_an_answer_that_was_lost_holds_until_it_expires() {
    let (_folder, db) = at_midday();
    let mut bot = Bot::start(&db);
    bot.say("hello");
    bot.hear("[message 1,");
    // The model answers, and the answer is not saved.
    let conn = botstore::rusqlite::Connection::open(&db).expect("open");
    conn.execute_batch(
        "CREATE TRIGGER no_more BEFORE INSERT ON messages
         BEGIN SELECT raise(ABORT, 'no more messages'); END",
    )
    .expect("trigger");
    bot.say("is this lost?");
    bot.hear("Sorry, that did not work");
    bot.kill();
    conn.execute_batch("DROP TRIGGER no_more").expect("drop");
    drop(conn);
    let budget = || stdout(&conversation(&db, &["--dollars-a-day", "2"], b"/budget\n"));
    let said = budget();
    assert!(
        said.contains("$1.9989 left, $0.0003 spent, $0.0009 reserved"),
        "{said}"
    );
    let conn = botstore::rusqlite::Connection::open(&db).expect("open");
    let sql = "UPDATE botstore_reservation SET made_at = 0, until = 1 WHERE state = 'open'";
    assert_eq!(conn.execute(sql, []).expect("update"), 1);
    drop(conn);
    let said = budget();
    assert!(
        said.contains("$1.9997 left, $0.0003 spent, until"),
        "{said}"
    );
}

#[test]
fn what_is_no_amount_is_refused() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    for (dollars, code) in [
        ("-1", 1),
        ("NaN", 2),
        ("two", 2),
        ("1e12", 2),
        ("2000000000", 1),
    ] {
        let limit = format!("--dollars-a-day={dollars}");
        let refused = conversation(&db, &[&limit], b"");
        assert_eq!(refused.status.code(), Some(code), "{dollars}: {refused:?}");
    }
}
