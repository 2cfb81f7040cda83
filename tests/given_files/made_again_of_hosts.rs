//! What a host's own steps made is made again like the store's own.

use crate::made_again::has;
use crate::support::Given;
use botstore::Store;
use botstore::schema::{self, Migration, Schema};

/// A host's steps are no different; the second ends with fewer objects than the first made.
struct Tags;

impl Schema for Tags {
    const NAME: &'static str = "tags";
    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "tags",
            "CREATE TABLE tags (name TEXT, said TEXT); CREATE UNIQUE INDEX tags_once ON tags(name);
             CREATE INDEX tags_said ON tags(said);",
            "DROP TABLE tags;",
        ),
        Migration::new(
            2,
            "fewer",
            "DROP INDEX tags_said;",
            "CREATE INDEX tags_said ON tags(said);",
        ),
    ];
}

/// Of which the second step cannot be run without rows, so that nobody knows what it leaves.
struct Odd;

impl Schema for Odd {
    const NAME: &'static str = "odd";
    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "odd",
            "CREATE TABLE odd (a); INSERT INTO odd VALUES (1); CREATE INDEX odd_a ON odd(a);",
            "DROP TABLE odd;",
        ),
        Migration::new(
            2,
            "odder",
            "CREATE TABLE odder (a NOT NULL);
             CREATE TABLE checked AS SELECT abs(CASE WHEN (SELECT count(*) FROM odd) = 0
                 THEN -9223372036854775807 - 1 ELSE 1 END) AS a;
             DROP INDEX odd_a;",
            "DROP TABLE checked; DROP TABLE odder; CREATE INDEX odd_a ON odd(a);",
        ),
    ];
}

#[tokio::test]
async fn what_a_hosts_steps_made_is_made_again_and_what_they_dropped_is_not() {
    let given = Given::file().await;
    let config = || given.config().schema::<Tags>().schema::<Odd>();
    schema::apply(config()).expect("applied");
    let found = schema::unknown_objects(config()).expect("a look");
    assert_eq!(found.missing, [], "dropped by their own steps");
    given.forge("DROP INDEX tags_once");
    Store::open(config())
        .await
        .expect("a store")
        .close()
        .await
        .expect("closed");
    assert!(has(&given.conn(), "tags_once"));
    assert!(!has(&given.conn(), "tags_said") && !has(&given.conn(), "odd_a"));

    // What rows that came meanwhile do not allow is told of, and keeps nothing from opening.
    given.forge("DROP INDEX tags_once; INSERT INTO tags (name) VALUES ('a'), ('a')");
    Store::open(config())
        .await
        .expect("it is not bricked")
        .close()
        .await
        .expect("closed");
    let found = schema::unknown_objects(config()).expect("a look");
    assert_eq!(found.missing.len(), 1, "{found:?}");
    // A program that does not know the steps has no opinion.
    let found = schema::unknown_objects(given.config()).expect("a look");
    assert_eq!(found.missing, []);
}

/// Nothing is left then that differs from what this crate's own steps make.
#[tokio::test]
async fn what_a_hosts_steps_made_is_missing_also_where_all_of_it_is() {
    let given = Given::file().await;
    let config = || given.config().schema::<Tags>();
    schema::apply(config()).expect("applied");
    given.forge("DROP TABLE tags");
    let found = schema::unknown_objects(config()).expect("a look");
    let names: Vec<_> = found.missing.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["tags", "tags_once"], "{found:?}");
    assert!(found.is_empty(), "{found:?}");
}
