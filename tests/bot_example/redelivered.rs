//! An update that the messenger delivers again is done once.

use super::*;

#[test]
fn an_update_that_is_delivered_again_is_done_once_and_has_the_same_answer() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let lines = "my roses are red\n/again\n\n/again\n/remind 1h tea\n/again\n/new the garden\n/again\n/stats\n/again\n";
    let said = stdout(&conversation(&db, &[], lines.as_bytes()));
    let first = "bot> Your roses are red? Tell me more.\n     [message 1, $0.";
    let again = "bot> Your roses are red? Tell me more.\n     [message 1, said again]";
    assert_eq!(said.matches(first).count(), 1, "{said}");
    assert_eq!(said.matches(again).count(), 2, "{said}");
    assert_eq!(
        said.matches("I have done that already.").count(),
        2,
        "{said}"
    );
    // What only looks is answered again.
    assert_eq!(
        said.matches("1 message in 1 conversation,").count(),
        2,
        "{said}"
    );
    for (table, rows) in [("messages", 1), ("sessions", 2), ("botstore_timer", 1)] {
        assert_eq!(
            count(&db, &format!("SELECT count(*) FROM {table}")),
            rows,
            "{table}"
        );
    }
}

#[test]
fn an_update_whose_claim_was_lost_after_its_answer_was_saved_does_not_ask_the_model_again() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let mut bot = Bot::start(&db);
    bot.say("my roses are red");
    bot.hear("[message 1, $");
    // As it is when the bot was killed before it finished the update, and the lease is over.
    let conn = botstore::rusqlite::Connection::open(&db).expect("open");
    let forget = "DELETE FROM botstore_update WHERE message_id IS NULL";
    assert_eq!(conn.execute(forget, []).expect("delete"), 1);
    drop(conn);
    bot.say("/again");
    bot.hear("[message 1, said again]");
    bot.hang_up();
    assert_eq!(count(&db, "SELECT count(*) FROM messages"), 1);
}
