//! The SQL that takes a step back is the program's own, never the file's.

use crate::support::{Given, run};
use botstore::schema::{self, Migration, Schema, UnknownSteps};
use botstore::{Config, ErrorKind, FileStatus, Result, Store};
use std::path::Path;

struct Notes;

impl Schema for Notes {
    const NAME: &'static str = "notes";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "notes",
        "CREATE TABLE notes (user_id INTEGER NOT NULL REFERENCES users(user_id), body TEXT);
         CREATE TABLE kept (note INTEGER PRIMARY KEY AUTOINCREMENT);",
        "DROP TABLE kept; DROP TABLE notes;",
    )];
}

/// Writes a step into the ledger that nobody has applied.
fn forge_step(given: &Given, schema: &str, step: u32, down: &str) {
    given
        .conn()
        .execute(
            "INSERT INTO botstore_ledger VALUES (?1, ?2, 'more', 'SELECT 1', ?3, 'x', 'y')",
            (schema, step, down),
        )
        .expect("a forged row");
}

fn last_step() -> u32 {
    let plan = schema::plan("a-file-that-is-not-there.db").expect("a plan");
    let steps = plan.steps.iter().filter(|step| step.schema == "botstore");
    steps.map(|step| step.step).max().expect("a step")
}

fn attach(file: &Path) -> String {
    format!(
        "ATTACH '{}' AS z; CREATE TABLE z.k(x); INSERT INTO z.k VALUES ('ssh-ed25519 AAAA');",
        file.display()
    )
}

fn trusting(given: &Given, schema: &str, to: u32) -> Result<schema::Plan> {
    schema::rollback_with(given.config(), schema, to, UnknownSteps::Trust)
}

#[test]
fn a_forged_step_is_shown_and_not_run() {
    let given = Given::file_now();
    let victim = given.path_of("authorized_keys");
    for name in ["botstore", "notes"] {
        let step = last_step() + 1;
        forge_step(&given, name, step, &attach(&victim));
        let before = given.dump();
        let to = (step - 1).to_string();
        let error = schema::rollback(given.config(), name, step - 1).expect_err("a refusal");
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
        assert!(
            error.to_string().contains("AS z; CREATE TABLE z.k(x)"),
            "{error}"
        );

        let refused = run("rollback", &given.path, &["--schema", name, "--to", &to]).came_to(1);
        assert!(
            refused.err.contains("CREATE TABLE z.k(x)"),
            "{}",
            refused.err
        );
        // Whoever says so all the same lets it into this file, and into no other.
        let more = ["--schema", name, "--to", &to, "--trust-file"];
        let refused = run("rollback", &given.path, &more).came_to(1);
        assert!(refused.err.contains("another file"), "{}", refused.err);
        assert!(!victim.exists());
        assert_eq!(given.dump(), before);
        given.forge("DELETE FROM botstore_ledger WHERE name = 'more'");
    }
}

#[test]
fn nobody_is_told_to_roll_back_what_the_program_does_not_know() {
    let given = Given::file_now();
    forge_step(&given, "botstore", last_step() + 1, "SELECT 1");
    let status = run("status", &given.path, &[]).came_to(1);
    let said = status.out.to_lowercase();
    assert!(said.contains("restore"), "{said}");
    assert!(
        !said.contains("rollback") && !said.contains("take the step back"),
        "{said}"
    );
}

/// Steps back of a schema that has made no table, with somebody's consent.
const REACHING: &[&str] = &[
    "DETACH main",
    "VACUUM",
    "VACUUM INTO 'FOLDER/copy.db'",
    "SELECT load_extension('FOLDER/evil.so')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = ''",
    "SELECT * FROM pragma_writable_schema(1)",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA trusted_schema = ON",
    "PRAGMA temp_store_directory = 'FOLDER'",
    "UPDATE sqlite_schema SET sql = ''",
    "COMMIT; ATTACH 'FOLDER/copy.db' AS z; CREATE TABLE z.a (b)",
    "UPDATE users SET is_allowed = 1",
    "UPDATE USERS SET is_allowed = 1",
    "WITH a AS (SELECT 1) UPDATE main.\"users\" SET is_allowed = 1",
    "INSERT INTO audit_log (user_id, event_type) VALUES (2, 'login')",
    "DELETE FROM audit_log",
    "REPLACE INTO users (user_id, is_allowed) VALUES (2, 1)",
    "DROP TABLE audit_log",
    "DROP VIEW daily_stats",
    "DROP INDEX idx_messages_timestamp",
    "DROP TRIGGER botstore_message_added",
    "ALTER TABLE users RENAME TO people",
    "ALTER TABLE users ADD COLUMN more DEFAULT 1",
    "ALTER TABLE users DROP COLUMN is_allowed",
    "DELETE FROM botstore_ledger WHERE step = 1",
    "UPDATE BOTSTORE_LEDGER SET down_sql = ''",
    "ALTER TABLE botstore_ledger RENAME TO old_ledger",
    "DROP TABLE botstore_ledger",
    "CREATE TRIGGER t AFTER INSERT ON botstore_ledger BEGIN SELECT 1; END",
    "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    "DELETE FROM sqlite_sequence WHERE name = 'audit_log'",
    "CREATE TEMP TABLE users AS SELECT 2 AS user_id, 1 AS is_allowed",
    "CREATE TEMP VIEW users AS SELECT 2 AS user_id, 1 AS is_allowed",
    "CREATE TABLE temp.users (user_id)",
    "CREATE TEMP TRIGGER t AFTER INSERT ON audit_log BEGIN DELETE FROM audit_log; END",
    "CREATE TRIGGER t AFTER INSERT ON audit_log BEGIN UPDATE users SET is_allowed = 1; END",
    "CREATE TRIGGER t AFTER UPDATE OF last_used ON sessions WHEN new.user_id = 2
     BEGIN DELETE FROM audit_log; END",
    "CREATE TABLE mine (a); CREATE TRIGGER t AFTER DELETE ON mine BEGIN
         INSERT INTO users (user_id, is_allowed) VALUES (9, 1); END",
    "CREATE VIEW mine AS SELECT 1 AS a; CREATE TRIGGER t INSTEAD OF INSERT ON mine BEGIN
         UPDATE users SET is_allowed = 1; END",
    "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT load_extension('x'); END",
    "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM botstore_ledger; END",
    "CREATE TABLE botstore_next (a)",
    "CREATE TABLE mine (a); ALTER TABLE mine RENAME TO botstore_next",
    "CREATE VIRTUAL TABLE pages USING dbstat",
    "CREATE VIRTUAL TABLE pages USING sqlite_dbpage",
    "CREATE TABLE IF NOT EXISTS users (a); UPDATE users SET is_allowed = 1",
    "CREATE TABLE kept (a); DELETE FROM notes",
];

#[test]
fn steps_reach_no_other_file_and_no_other_schema_whoever_trusts_them() {
    let given = Given::nowhere();
    schema::apply(given.config().schema::<Notes>()).expect("applied");
    given.forge(
        "INSERT INTO users (user_id, is_allowed) VALUES (1, 1), (2, 0);
         INSERT INTO notes VALUES (1, 'mine');
         INSERT INTO audit_log (user_id, event_type) VALUES (1, 'login');",
    );
    let folder = given.folder.path().to_str().expect("a path").to_owned();
    for step in REACHING {
        let sql = step.replace("FOLDER", &folder);
        forge_step(&given, "forged", 1, &sql);
        let before = given.dump();
        let error = trusting(&given, "forged", 0).expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::Migration, "{sql}: {error}");
        assert_eq!(given.dump(), before, "{sql}");
        assert!(!given.path_of("copy.db").exists(), "{sql}");
        given.forge("DELETE FROM botstore_ledger WHERE schema = 'forged'");
    }
}

/// "kept" is made by "notes", which the program is not told of: the file says so.
#[test]
fn a_trusted_step_leaves_the_tables_of_a_schema_that_only_the_file_knows() {
    let given = Given::nowhere();
    schema::apply(given.config().schema::<Notes>()).expect("applied");
    for sql in ["DROP TABLE kept", "INSERT INTO notes VALUES (NULL, 'x')"] {
        forge_step(&given, "forged", 1, sql);
        let error = trusting(&given, "forged", 0).expect_err(sql);
        assert!(error.to_string().contains("schema \"notes\""), "{error}");
        given.forge("DELETE FROM botstore_ledger WHERE schema = 'forged'");
    }
    trusting(&given, "notes", 0).expect("its own step may");
    assert!(!given.conn().table_exists(None, "kept").expect("a look"));
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

async fn refused_everywhere(given: &Given, config: impl Fn() -> Config, schema: &str, to: u32) {
    let before = given.dump();
    let changed = Some(ErrorKind::ChangedMigration);
    assert_eq!(kind(Store::open(config()).await), changed);
    assert_eq!(kind(schema::plan(config())), changed);
    assert_eq!(kind(schema::apply(config())), changed);
    assert_eq!(kind(schema::rollback(config(), schema, to)), changed);
    let trusting = schema::rollback_with(config(), schema, to, UnknownSteps::Trust);
    assert_eq!(kind(trusting), changed);
    assert_eq!(kind(botstore::snapshot(config(), |_| Ok(()))), changed);
    let status = botstore::status(config()).map(|FileStatus { plan, .. }| plan);
    assert_eq!(kind(status.expect("a status")), changed);
    assert_eq!(given.dump(), before);
}

#[tokio::test]
async fn a_known_step_whose_way_back_reads_differently_is_a_changed_one() {
    let given = Given::file().await;
    let victim = given.path_of("authorized_keys");
    let sql = "UPDATE botstore_ledger SET down_sql = ?1 || down_sql WHERE schema = 'botstore' AND step = ?2";
    let last = last_step();
    let params = (attach(&victim), last);
    given.conn().execute(sql, params).expect("a forged row");
    refused_everywhere(&given, || given.config(), "botstore", last - 1).await;
    // It is not the one that is to be taken back, but whoever wrote it may have written more.
    schema::rollback(given.config(), "botstore", last).expect_err("nothing is taken back");
    let status = run("status", &given.path, &[]).came_to(1);
    assert!(status.out.contains("changed migration"), "{}", status.out);
    run("check", &given.path, &[]).came_to(1);
    let to = (last - 1).to_string();
    run("rollback", &given.path, &["--to", &to, "--trust-file"]).came_to(1);
    assert!(!victim.exists());
}

#[tokio::test]
async fn a_hosts_step_whose_way_back_reads_differently_is_a_changed_one() {
    let given = Given::file().await;
    let config = || given.config().schema::<Notes>();
    schema::apply(config()).expect("applied");
    given.forge("UPDATE botstore_ledger SET down_sql = 'DROP TABLE users' WHERE schema = 'notes'");
    refused_everywhere(&given, config, "notes", 0).await;
}

#[tokio::test]
async fn a_checksum_that_is_of_neither_text_is_a_changed_step() {
    let given = Given::file().await;
    given.forge("UPDATE botstore_ledger SET checksum = 'ff' WHERE step = 3");
    refused_everywhere(&given, || given.config(), "botstore", 6).await;
}

#[tokio::test]
async fn rows_from_before_the_way_back_was_under_the_checksum_stay_valid() {
    let given = Given::file().await;
    // What 0.1 wrote: the SHA-256 of the way up alone.
    let old = "24697dad515148365d0573088db201bc6513fcedb3d6c5b7279dcc11d9f61259";
    let sql = "SELECT up_sql, checksum FROM botstore_ledger WHERE step = 6";
    let (up, new): (String, String) = given
        .conn()
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("a row");
    assert!(up.contains("CREATE TABLE botstore_store"));
    assert_ne!(new, old, "the way back is in it too");
    let sql = "UPDATE botstore_ledger SET checksum = ?1 WHERE step = 6";
    given.conn().execute(sql, [old]).expect("an old row");
    let store = Store::open(given.config()).await.expect("it opens");
    store.close().await.expect("closed");
    schema::rollback(given.config(), "botstore", 5).expect("taken back");
}

/// The name of a trigger in a file may be any text, and so may be what stands in its SQL.
#[tokio::test]
async fn another_time_zone_runs_nothing_that_the_file_says() {
    let given = Given::file().await;
    let victim = given.path_of("authorized_keys");
    given.forge(&format!(
        "CREATE TRIGGER \"botstore_message_added; {}\" AFTER INSERT ON users BEGIN
             SELECT '+0 minutes'; END;",
        attach(&victim)
    ));
    let opened = Store::open(given.config().time_zone("+01:00")).await;
    assert!(!victim.exists());
    let store = opened.expect("it opens");
    let report = store.read(botstore::rollups::ReconcileRollups::new()).await;
    assert_eq!(report.expect("a report").differences, 0);
    store.close().await.expect("closed");
}
