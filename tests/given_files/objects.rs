//! Triggers, views and the like that no step made are told of, and refused where a host says so.

use crate::disabled::Logging;
use crate::new_file::made_by_steps;
use crate::support::{Given, run};
use botstore::audit::LogEvent;
use botstore::backup::{self, IfExists, TakeBackup, VerifyOptions};
use botstore::schema::{self, ObjectKind, UnknownObjects, UnknownTriggers};
use botstore::users::IsAllowed;
use botstore::{ErrorKind, Query, ReadTx, Result, Store, StoreEvent};
use std::collections::BTreeSet;
use std::path::Path;

/// As in an attack: an event is acknowledged and not there, and a stranger is let in.
pub(crate) const EVIL: &str = "CREATE TRIGGER evil AFTER INSERT ON audit_log BEGIN
    UPDATE users SET is_allowed = 1; DELETE FROM audit_log WHERE id = new.id; END;";

pub(crate) fn event() -> LogEvent {
    LogEvent::new(2, "login").failed()
}

pub(crate) struct Count(pub(crate) &'static str);

impl Query for Count {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.one(self.0, [], |row| Ok(row.get(0)?))
    }
}

fn names(found: &UnknownObjects) -> BTreeSet<(ObjectKind, &str)> {
    let named = found.first.iter().map(|o| (o.kind, o.name.as_str()));
    named.collect()
}

pub(crate) async fn told(store: &Store) -> UnknownObjects {
    match store.events().recv().await.expect("an event") {
        StoreEvent::UnknownObjects(found) => found,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_foreign_trigger_is_listed_by_all_who_look_and_told_at_opening() {
    let given = Given::file().await;
    for command in ["status", "check"] {
        let ran = run(command, &given.path, &[]).came_to(0);
        assert!(!ran.out.contains("evil"), "{}", ran.out);
    }
    given.forge(EVIL);
    for command in ["status", "check"] {
        let ran = run(command, &given.path, &[]).came_to(0);
        assert!(ran.out.contains("evil"), "{}", ran.out);
        let json = run(command, &given.path, &["--json"]).came_to(0).json();
        let object = &json["unknown_objects"]["first"][0];
        assert_eq!(object["name"], "evil");
        assert_eq!(object["kind"], "trigger");
        assert_eq!(object["table"], "audit_log");
        assert!(
            object["sql"]
                .as_str()
                .expect("its SQL")
                .contains("is_allowed")
        );
    }
    let store = Store::open(given.config())
        .await
        .expect("it is not bricked");
    let found = told(&store).await;
    assert_eq!(found.total, 1);
    assert_eq!(store.health().await.expect("health").unknown_objects, found);
    // An operator may have put it there, so it runs.
    store.write(event()).await.expect("acknowledged");
    assert!(store.read(IsAllowed::new(2)).await.expect("an answer"));
    store.close().await.expect("closed");
}

#[tokio::test]
async fn each_kind_of_what_no_step_made_is_listed_and_plain_tables_are_not() {
    let given = Given::file().await;
    given.forge(
        "CREATE TABLE operators (a, b AS (a || a), c AS (a + 1) STORED);
         CREATE TABLE plain (a);
         CREATE INDEX plain_index ON users(telegram_username);
         CREATE UNIQUE INDEX once ON audit_log(event_type, id);
         CREATE INDEX computed ON messages(hex(prompt));
         CREATE INDEX some ON messages(prompt) WHERE length(prompt) > 3;
         CREATE VIEW loud AS SELECT upper(prompt) FROM messages;
         CREATE VIRTUAL TABLE words USING fts5(prompt, content='messages');
         CREATE TRIGGER logging AFTER UPDATE ON users BEGIN INSERT INTO plain VALUES (new.user_id); END;
         DROP VIEW daily_stats; CREATE VIEW daily_stats AS SELECT 1 AS date;
         DROP TRIGGER botstore_message_added;
         CREATE TRIGGER botstore_message_added AFTER INSERT ON messages BEGIN SELECT 1; END;",
    );
    let found = schema::unknown_objects(given.config()).expect("a look");
    let expected = [
        (ObjectKind::GeneratedColumn, "operators.b"),
        (ObjectKind::GeneratedColumn, "operators.c"),
        (ObjectKind::Index, "computed"),
        (ObjectKind::Index, "once"),
        (ObjectKind::Index, "some"),
        (ObjectKind::Trigger, "botstore_message_added"),
        (ObjectKind::Trigger, "logging"),
        (ObjectKind::View, "daily_stats"),
        (ObjectKind::View, "loud"),
        (ObjectKind::VirtualTable, "words"),
    ];
    assert_eq!(names(&found), expected.into());
    let altered = found.first.iter().filter(|o| o.altered);
    let altered: BTreeSet<_> = altered.map(|o| o.name.as_str()).collect();
    assert_eq!(altered, ["botstore_message_added", "daily_stats"].into());
    // What stands in place of a step's own agrees with nothing.
    run("check", &given.path, &[]).came_to(4);
    let store = Store::open(given.config())
        .await
        .expect("it is not bricked");
    assert_eq!(told(&store).await.total, 10);
    store.close().await.expect("closed");
}

/// A table of the crate's that refuses rows without a word.
#[tokio::test]
async fn a_table_of_a_step_with_other_rules_is_listed() {
    let given = Given::file().await;
    given.forge(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'event_type TEXT NOT NULL',
             'event_type TEXT NOT NULL ON CONFLICT IGNORE') WHERE name = 'audit_log';",
    );
    let found = schema::unknown_objects(given.config()).expect("a look");
    assert_eq!(names(&found), [(ObjectKind::Table, "audit_log")].into());
}

#[tokio::test]
async fn a_view_in_place_of_a_table_is_refused_and_told_of() {
    let given = Given::file().await;
    given.forge(
        "PRAGMA legacy_alter_table = ON;
         ALTER TABLE cost_tracking RENAME TO old_costs;
         CREATE VIEW cost_tracking AS SELECT * FROM old_costs;",
    );
    let error = Store::open(given.config()).await.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::ForeignFile, "{error}");
    assert!(error.to_string().contains("cost_tracking"), "{error}");
    let ran = run("status", &given.path, &[]).came_to(1);
    assert!(ran.out.contains("cost_tracking"), "{}", ran.out);
    // Nor is such a file taken over.
    given.forge("DROP TABLE botstore_ledger");
    let error = Store::open(given.config()).await.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::ForeignFile, "{error}");
}

#[tokio::test]
async fn a_file_of_the_python_bot_has_nothing_unknown_before_or_after_it_is_taken_over() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
    for name in ["v1", "v2", "v2era", "v4", "v4killed", "v4mixed"] {
        let given = Given::nowhere();
        let (db, wal) = (format!("{name}.db"), format!("{name}.db-wal"));
        std::fs::copy(fixtures.join(db), &given.path).expect("a copy");
        if fixtures.join(&wal).exists() {
            std::fs::copy(fixtures.join(wal), given.path_of("bot.db-wal")).expect("its log");
        }
        let found = schema::unknown_objects(given.config()).expect("a look");
        assert_eq!(names(&found), BTreeSet::new(), "{name}");
        let config = given.config().unknown_triggers(UnknownTriggers::Refuse);
        let store = Store::open(config.clone()).await.expect(name);
        let health = store.health().await.expect("health");
        assert!(
            health.unknown_objects.is_empty(),
            "{name}: {:?}",
            health.unknown_objects
        );
        store.close().await.expect("closed");
        let store = Store::open(config.time_zone("-05:00")).await.expect(name);
        let health = store.health().await.expect("health");
        assert!(
            health.unknown_objects.is_empty(),
            "{name}: {:?}",
            health.unknown_objects
        );
        store.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_refused_file_stays_as_it_is_and_the_error_lists_what_is_in_it() {
    let given = Given::file().await;
    given.forge(EVIL);
    let bytes = std::fs::read(&given.path).expect("the file");
    let config = || given.config().unknown_triggers(UnknownTriggers::Refuse);
    let refusals = [
        Store::open(config()).await.map(|_| ()),
        schema::plan(config()).map(|_| ()),
        schema::apply(config()).map(|_| ()),
        schema::rollback(config(), "botstore", 6).map(|_| ()),
    ];
    for refusal in refusals {
        let error = refusal.expect_err("a refusal");
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
        assert!(
            error.to_string().contains("the trigger \"evil\""),
            "{error}"
        );
    }
    assert!(std::fs::read(&given.path).expect("the file") == bytes);
    given.forge("DROP TRIGGER evil");
    let store = Store::open(config()).await.expect("a store");
    store.close().await.expect("closed");
}

#[tokio::test]
async fn a_restore_lists_what_no_step_made_or_refuses_it() {
    let given = Given::file().await;
    given.forge(EVIL);
    let made = backup::take(given.config(), TakeBackup::default()).expect("a backup");
    let to = given.path_of("restored.db");
    let to_text = to.to_str().expect("a path");
    let refused = run(
        "restore",
        &made.path,
        &["--to", to_text, "--refuse-unknown"],
    )
    .came_to(1);
    assert!(refused.err.contains("evil"), "{}", refused.err);
    assert!(!to.exists());
    let config = botstore::Config::new(&to).unknown_triggers(UnknownTriggers::Refuse);
    let refused = backup::restore(
        config,
        &made.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    );
    assert_eq!(refused.expect_err("a refusal").kind(), ErrorKind::Untrusted);
    assert!(!to.exists());
    let ran = run("restore", &made.path, &["--to", to_text]).came_to(0);
    assert!(ran.out.contains("evil"), "{}", ran.out);
    let again = backup::restore(
        &to,
        &made.path,
        IfExists::MoveAside,
        VerifyOptions::default(),
    );
    assert_eq!(again.expect("restored").unknown_objects.total, 1);
}

#[tokio::test]
async fn objects_of_a_schema_that_only_the_file_knows_are_listed_with_that_said() {
    let given = Given::file().await;
    schema::apply(given.config().schema::<Logging>()).expect("applied");
    let found = schema::unknown_objects(given.config().schema::<Logging>()).expect("a look");
    assert_eq!(found, UnknownObjects::default());
    let found = schema::unknown_objects(given.config()).expect("a look");
    assert_eq!(names(&found), [(ObjectKind::Trigger, "said_more")].into());
    assert_eq!(found.unknown_schemas, ["logging"]);
    for command in ["status", "check"] {
        let ran = run(command, &given.path, &[]).came_to(0);
        assert!(ran.out.contains("schema \"logging\""), "{}", ran.out);
    }
}

#[test]
fn the_lists_of_what_all_steps_make_are_what_they_make() {
    // Each step runs: a new file would be made from the lists.
    let given = made_by_steps();
    let made = || {
        let conn = given.conn();
        let sql = "SELECT sql FROM sqlite_schema
                   WHERE sql IS NOT NULL AND name <> 'botstore_ledger' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
                   ORDER BY rowid";
        let mut made = conn.prepare(sql).expect("prepared");
        let made = made.query_map([], |row| row.get(0)).expect("a query");
        made.collect::<Result<Vec<String>, _>>().expect("texts")
    };
    let all = made();
    schema::rollback(given.config(), "botstore_llm", 0).expect("taken back");
    let bots = made();
    let (first, rest) = all.split_at(bots.len());
    assert_eq!(first, bots);
    for (name, made, listed) in [
        (
            "botstore",
            first,
            include_str!("../../migrations/botstore/schema.sql"),
        ),
        (
            "botstore_llm",
            rest,
            include_str!("../../migrations/botstore_llm/schema.sql"),
        ),
    ] {
        let made = made.join(";\n\n") + "\n";
        if made != listed.replace("\r\n", "\n") {
            let now = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.sql"));
            std::fs::write(&now, made).expect("written");
            let now = now.display();
            panic!("the steps make something else: copy {now} to migrations/{name}/schema.sql");
        }
    }
}

#[tokio::test]
async fn what_reads_nearly_as_a_step_made_it_is_told() {
    let given = Given::file().await;
    let conn = given.conn();
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'botstore_message_added'";
    let listed: String = conn
        .query_row(sql, [], |row| row.get(0))
        .expect("a trigger");
    // The same once more, under another name; the other, on another table.
    let again = listed.replace("botstore_message_added", "botstore_message_added_2");
    let elsewhere = listed.replace("INSERT ON messages", "INSERT ON audit_log");
    given.forge(&format!(
        "{again}; DROP TRIGGER botstore_message_added; {elsewhere};"
    ));
    drop(conn);
    let store = Store::open(given.config()).await.expect("a store");
    let found = told(&store).await;
    let expected = ["botstore_message_added", "botstore_message_added_2"];
    let expected = expected.map(|name| (ObjectKind::Trigger, name));
    assert_eq!(names(&found), BTreeSet::from(expected), "{found}");
    assert!(found.has_altered(), "{found}");
    store.close().await.expect("closed");
}
