//! Reminders come when they are due, to the user who set them.

use super::*;

#[test]
fn a_reminder_comes_by_itself_also_when_the_bot_was_killed_meanwhile() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut bot = Bot::start(&db);
    bot.say("/remind 0s the first");
    bot.hear("/forget 1 takes it back");
    bot.hear("bot> Reminder: the first");
    bot.say("/remind 1h the second");
    bot.hear("/forget 2 takes it back");
    bot.kill();
    // The hour is over, however long this test takes.
    let conn = botstore::rusqlite::Connection::open(&db).expect("open");
    let past = "2020-01-01T00:00:00.000000+00:00";
    let sql = "UPDATE botstore_timer SET due_at = ?1, try_at = ?1";
    assert_eq!(conn.execute(sql, [past]).expect("update"), 1);
    drop(conn);

    let bot = Bot::start(&db);
    bot.hear("bot> Reminder: the second");
    // Deleted after it was said.
    let waits = "SELECT count(*) FROM outbox";
    wait::wait_until("an empty outbox", || count(&db, waits) == 0);
    bot.hang_up();
    assert_eq!(count(&db, "SELECT count(*) FROM botstore_timer"), 0);
}

#[test]
fn a_reminder_is_of_the_user_who_set_it_and_is_forgotten_on_request() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let lines = "/remind 2h tea\n/remind 10m a  walk\n/remind\n/remind later tea\n/remind é x\n/reminders\n";
    let said = stdout(&conversation(&db, &[], lines.as_bytes()));
    assert_eq!(said.matches("When, and of what?").count(), 3, "{said}");
    let (_, list) = said.split_once("I shall remind you of:").expect("a list");
    assert!(
        list.contains("tea\n") && list.contains("a walk\n"),
        "{said}"
    );

    let lines = b"/reminders\n/forget 1\n/remind 1h mine\n/reminders\n";
    let said = stdout(&conversation(&db, &["--user", "2"], lines));
    assert!(
        said.contains("There is nothing to remind you of."),
        "{said}"
    );
    assert!(
        said.contains("There is no such reminder of yours."),
        "{said}"
    );
    assert!(said.contains("mine\n") && !said.contains("tea\n"), "{said}");

    let lines = b"/forget 1\n/forget 1\n/forget\n/reminders\n";
    let said = stdout(&conversation(&db, &[], lines));
    assert!(said.contains("Reminder 1 is forgotten."), "{said}");
    assert_eq!(
        said.matches("There is no such reminder").count(),
        2,
        "{said}"
    );
    let (_, list) = said.split_once("I shall remind you of:").expect("a list");
    assert!(
        !list.contains("tea\n") && list.contains("a walk\n"),
        "{said}"
    );
}
