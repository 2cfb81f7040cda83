//! What a host's own steps may do beside the tables of others, and what they may not.

use crate::support::{Given, interaction};
use botstore::schema::{self, Migration, Schema};
use botstore::{ErrorKind, Query, ReadTx, Result, Store};

/// A full-text index of what was said, kept by triggers on the crate's table: the pattern of
/// <https://sqlite.org/fts5.html#external_content_tables>.
struct Search;

impl Schema for Search {
    const NAME: &'static str = "search";
    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "words",
            "CREATE VIRTUAL TABLE words USING fts5(prompt, content='messages',
                 content_rowid='message_id');
             INSERT INTO words(words) VALUES ('rebuild');
             CREATE TRIGGER words_added AFTER INSERT ON messages BEGIN
                 INSERT INTO words(rowid, prompt) VALUES (new.message_id, new.prompt);
             END;
             CREATE TRIGGER words_removed AFTER DELETE ON messages BEGIN
                 INSERT INTO words(words, rowid, prompt)
                 VALUES ('delete', old.message_id, old.prompt);
             END;
             CREATE INDEX messages_failed ON messages(error) WHERE error IS NOT NULL;
             CREATE VIEW talkers AS SELECT user_id, count(*) AS said FROM messages GROUP BY user_id;",
            "DROP VIEW talkers; DROP INDEX messages_failed; DROP TRIGGER words_removed;
             DROP TRIGGER words_added; DROP TABLE words;",
        ),
        Migration::new(
            2,
            "log",
            "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT,
                 user_id INTEGER NOT NULL REFERENCES users(user_id), said TEXT);
             INSERT INTO log (user_id, said) SELECT user_id, prompt FROM messages;
             CREATE TABLE new_log (id INTEGER PRIMARY KEY AUTOINCREMENT,
                 user_id INTEGER NOT NULL REFERENCES users(user_id), said TEXT NOT NULL);
             INSERT INTO new_log SELECT * FROM log;
             DROP TABLE log;
             ALTER TABLE new_log RENAME TO log;
             CREATE VIRTUAL TABLE places USING rtree(id, x0, x1);
             UPDATE sqlite_sequence SET seq = 100 WHERE name = 'log';
             PRAGMA defer_foreign_keys = ON;",
            "DROP TABLE places; DROP TABLE log;",
        )
        .rebuilding(),
    ];
}

struct Found(&'static str);

impl Query for Found {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        let sql = "SELECT count(*) FROM words WHERE words MATCH ?1";
        tx.one(sql, [self.0], |row| Ok(row.get(0)?))
    }
}

#[tokio::test]
async fn a_full_text_index_on_the_crates_table_is_made_kept_and_taken_back() {
    let given = Given::file().await;
    let config = || given.config().schema::<Search>();
    let store = Store::open(config()).await.expect("a store");
    assert_eq!(store.read(Found("tests")).await.expect("found"), 3);
    store.write(interaction()).await.expect("saved");
    assert_eq!(store.read(Found("tests")).await.expect("found"), 4);
    let health = store.health().await.expect("health");
    assert!(
        health.unknown_objects.is_empty(),
        "{:?}",
        health.unknown_objects
    );
    store.close().await.expect("closed");
    // What it made beside the crate's tables goes, and theirs stays.
    schema::rollback(config(), "search", 0).expect("taken back");
    let done = schema::apply(config()).expect("and applied again");
    assert_eq!(done.steps.len(), 2);
    // The crate's steps go under it.
    let back = schema::rollback(config(), "botstore", 2).expect("taken back");
    let again = schema::apply(config()).expect("applied");
    assert_eq!(again.steps.len(), back.steps.len());
    let store = Store::open(config()).await.expect("a store");
    store.write(interaction()).await.expect("saved");
    assert_eq!(store.read(Found("tests")).await.expect("found"), 5);
    store.close().await.expect("closed");
}

/// A schema of one bad step.
struct Meddling<const WHICH: usize>;

const MEDDLING: [&str; 9] = [
    "UPDATE users SET is_allowed = 1",
    "INSERT INTO users (user_id) VALUES (9)",
    "ALTER TABLE messages ADD COLUMN more TEXT",
    "DROP TRIGGER botstore_message_added",
    "DROP TRIGGER words_added",
    "INSERT INTO words(words) VALUES ('delete-all')",
    "CREATE TABLE a (b); CREATE TRIGGER c AFTER INSERT ON a BEGIN
         UPDATE users SET total_cost = 0; END",
    "ATTACH ':memory:' AS other",
    "CREATE TEMP TABLE scratch (a)",
];

impl<const WHICH: usize> Schema for Meddling<WHICH> {
    const NAME: &'static str = "meddling";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(1, "bad", MEDDLING[WHICH], "")];
}

fn refused<const WHICH: usize>(given: &Given) {
    let before = given.dump();
    let config = given
        .config()
        .schema::<Search>()
        .schema::<Meddling<WHICH>>();
    let error = schema::apply(config).expect_err(MEDDLING[WHICH]);
    assert_eq!(error.kind(), ErrorKind::Migration, "{error}");
    assert_eq!(given.dump(), before, "{}", MEDDLING[WHICH]);
}

#[test]
fn a_hosts_own_step_that_changes_what_another_schema_made_is_refused() {
    let given = Given::file_now();
    schema::apply(given.config().schema::<Search>()).expect("applied");
    refused::<0>(&given);
    refused::<1>(&given);
    refused::<2>(&given);
    refused::<3>(&given);
    refused::<4>(&given);
    refused::<5>(&given);
    refused::<6>(&given);
    refused::<7>(&given);
    refused::<8>(&given);
}

/// A schema whose table has a trigger of another schema on it, as the crate's have.
struct Rebuilt;

impl Schema for Rebuilt {
    const NAME: &'static str = "rebuilt";
    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "a",
            "CREATE TABLE things (id INTEGER PRIMARY KEY, a)",
            "DROP TABLE things",
        ),
        Migration::new(
            2,
            "b",
            "INSERT INTO things (a) VALUES (1);
             CREATE TABLE new_things (id INTEGER PRIMARY KEY, a NOT NULL);
             INSERT INTO new_things SELECT * FROM things;
             DROP TABLE things;
             ALTER TABLE new_things RENAME TO things;",
            "SELECT 1",
        )
        .rebuilding(),
    ];
}

struct Watching;

impl Schema for Watching {
    const NAME: &'static str = "watching";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "watch",
        "CREATE TABLE seen (id);
         CREATE TRIGGER seen_things AFTER INSERT ON things BEGIN
             INSERT INTO seen VALUES (new.id); END;",
        "DROP TRIGGER seen_things; DROP TABLE seen;",
    )];
}

#[test]
fn anothers_trigger_on_ones_own_table_goes_on_writing_its_own_and_goes_with_the_table() {
    let given = Given::nowhere();
    let config = || given.config().schema::<Rebuilt>().schema::<Watching>();
    schema::apply_to(given.config(), "botstore", 1).expect_err("no file");
    schema::apply(given.config()).expect("ours");
    schema::apply_to(config(), "rebuilt", 1).expect("the table");
    schema::apply_to(config(), "watching", 1).expect("the trigger");
    // An operator's, which nobody knows.
    given.forge(
        "CREATE TABLE operators (id);
         CREATE TRIGGER logging AFTER INSERT ON things BEGIN
             INSERT INTO operators VALUES (new.id); UPDATE users SET total_cost = 1; END;",
    );
    schema::apply(config()).expect("rebuilt");
    let seen = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        given
            .conn()
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .expect("a count")
    };
    assert_eq!((seen("seen"), seen("operators"), seen("things")), (1, 1, 1));
}
