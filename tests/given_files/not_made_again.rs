//! An index that somebody has dropped or altered, and that cannot be made again: rows that came meanwhile do not
//! allow it, or something else has its name. The file opens, or is refused in a sentence; `check` names it.

use crate::support::{Given, interaction, run};
use botstore::schema::{self, Migration, Schema, UnknownTriggers};
use botstore::{Config, Store};

/// Indexes that rows can stand in the way of.
struct Tags;

impl Schema for Tags {
    const NAME: &'static str = "tags";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "tags",
        "CREATE TABLE tags (name TEXT, weight);
         CREATE UNIQUE INDEX tags_once ON tags(name);
         CREATE INDEX tags_weight ON tags(abs(weight));",
        "DROP TABLE tags;",
    )];
}

fn indexes(given: &Given) -> Vec<(String, String)> {
    let conn = given.conn();
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    let mut indexes = conn.prepare(sql).expect(sql);
    let indexes = indexes.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    indexes.expect(sql).map(|row| row.expect(sql)).collect()
}

/// How often it is opened and works.
async fn works(config: Config) {
    for _ in 0..2 {
        let store = Store::open(config.clone()).await.expect("not bricked");
        let health = store.health().await.expect("health");
        assert!(!health.unknown_objects.missing.is_empty());
        store.write(interaction()).await.expect("saved");
        store.close().await.expect("closed");
    }
}

#[tokio::test]
async fn what_rows_do_not_allow_stays_as_it_is_and_is_named() {
    const SMALLEST: &str = "INSERT INTO tags (weight) VALUES (-9223372036854775807 - 1)";
    const TWICE: &str = "INSERT INTO tags (name) VALUES ('a'), ('a')";
    for (name, rows) in [("tags_once", TWICE), ("tags_weight", SMALLEST)] {
        for altered in [
            Some("CREATE INDEX {name} ON tags(name)"),
            Some("CREATE INDEX {name} ON tags(weight, name)"),
            None,
        ] {
            let given = Given::file().await;
            let config = given.config().schema::<Tags>();
            schema::apply(config.clone()).expect("applied");
            let altered = altered.map(|sql| sql.replace("{name}", name));
            let sql = altered.clone().unwrap_or_default();
            given.forge(&format!("DROP INDEX {name}; {sql}; {rows};"));
            works(config.clone()).await;
            let now = indexes(&given).into_iter().find(|index| index.0 == name);
            assert_eq!(now.map(|index| index.1), altered, "{name}");
            let found = schema::unknown_objects(config.clone()).expect("a look");
            assert!(
                found.missing.iter().any(|lost| lost.name == name),
                "{found:?}"
            );
            // The others are made again all the same.
            given.forge("DROP INDEX botstore_messages_of_user");
            works(config.clone()).await;
            let found = schema::unknown_objects(config).expect("a look");
            assert_eq!(found.missing.len(), 1, "{found:?}");
        }
    }
}

/// SQLite has one space of names for tables, views and indexes.
#[tokio::test]
async fn a_name_that_something_else_has_is_named_and_keeps_nothing_from_opening() {
    const OTHERS: [(&str, &str); 3] = [
        ("TABLE", "CREATE TABLE {name} (a)"),
        ("VIEW", "CREATE VIEW {name} AS SELECT 1 AS a"),
        ("TABLE", "CREATE VIRTUAL TABLE {name} USING fts5(a)"),
    ];
    let given = Given::file().await;
    let mut before = indexes(&given);
    before.sort();
    // Each name is taken by each of them.
    for first in 0..OTHERS.len() {
        let others = OTHERS.iter().cycle().skip(first);
        let taken: Vec<_> = before.iter().zip(others).collect();
        for ((name, _), (_, other)) in &taken {
            let other = other.replace("{name}", name);
            given.forge(&format!("DROP INDEX {name}; {other};"));
        }
        for look in ["check", "status"] {
            let code = if look == "check" { 4 } else { 0 };
            let ran = run(look, &given.path, &[]).came_to(code);
            for (name, _) in &before {
                assert!(ran.out.contains(name), "{look}: {name} in {}", ran.out);
            }
        }
        let store = Store::open(given.config()).await.expect("not bricked");
        store.write(interaction()).await.expect("saved");
        let unknown = store.health().await.expect("health").unknown_objects;
        assert!(unknown.has_altered(), "{unknown:?}");
        store.close().await.expect("closed");

        // With what has their names out of the way all is as it was.
        for ((name, _), (kind, _)) in &taken {
            given.forge(&format!("DROP {kind} {name}"));
        }
        let config = given.config().unknown_triggers(UnknownTriggers::Refuse);
        let store = Store::open(config).await.expect("a store");
        store.close().await.expect("closed");
        let mut now = indexes(&given);
        now.sort();
        assert_eq!(now, before);
    }
}
