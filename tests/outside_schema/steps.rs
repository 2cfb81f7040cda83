//! Applying steps, planning them, taking them back, rebuilding tables.

use crate::support::*;
use botstore::schema::{self, UnknownSteps};
use botstore::testing::TestStore;
use botstore::{BeforeUpgrade, Config, ErrorKind};

#[test]
fn what_is_missing_is_applied_in_order_and_only_once() {
    let file = File::new();
    let done = file.apply::<Pets<3>>().expect("apply");
    assert_eq!(
        done.steps[0].schema, "botstore",
        "the crate's own come first"
    );
    assert_eq!(host_steps(&done), [1, 2, 3]);
    assert_eq!(file.steps(), [1, 2, 3]);
    assert!(file.conn().table_exists(None, "toys").expect("toys"));
    let again = file.apply::<Pets<3>>().expect("apply again");
    assert_eq!(again.to_string(), "nothing to do");
}

#[test]
fn a_dry_run_tells_what_opening_would_do_and_creates_no_file() {
    let file = File::new();
    let plan = schema::plan(file.with::<Pets<3>>()).expect("plan");
    assert_eq!(host_steps(&plan), [1, 2, 3]);
    assert_eq!(plan.steps.last().expect("a step").sql, TOYS_SQL);
    assert!(
        plan.to_string()
            .ends_with("pets 0001 pets\npets 0002 owned_pets\npets 0003 toys")
    );
    assert_eq!(file.folder(), [] as [&str; 0]);

    assert_eq!(
        file.apply::<Pets<3>>().expect("apply"),
        plan,
        "what was planned is done"
    );
}

const TOYS_SQL: &str = "CREATE TABLE toys (toy TEXT NOT NULL);";

#[test]
fn a_dry_run_on_a_file_changes_neither_it_nor_its_folder() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    let bytes = std::fs::read(&file.path).expect("read");
    let names = file.folder();
    let plan = schema::plan(file.with::<Pets<3>>()).expect("plan");
    assert_eq!(host_steps(&plan), [2, 3]);
    assert_eq!(file.folder(), names);
    assert!(std::fs::read(&file.path).expect("read") == bytes);
}

#[cfg(unix)]
#[test]
fn a_dry_run_finds_a_file_whatever_its_name() {
    let mut file = File::new();
    file.path = file.folder.path().join("a b#c?d=1&e%20é.db");
    file.apply::<Pets<1>>().expect("apply");
    let names = file.folder();
    let plan = schema::plan(file.with::<Pets<2>>()).expect("plan");
    assert_eq!(host_steps(&plan), [2]);
    assert_eq!(file.folder(), names);
}

#[test]
fn steps_are_taken_back_to_one_and_applied_again() {
    let file = File::new();
    file.apply::<Pets<3>>().expect("apply");
    file.sql(
        "INSERT INTO users (user_id) VALUES (1);
         INSERT INTO pets VALUES (5, 1, 'Rex'); INSERT INTO meals VALUES (5, 'bone');",
    );
    let before = file.dump();
    let back = file.rollback(1).expect("back");
    let taken: Vec<_> = back.steps.iter().map(|step| step.step).collect();
    assert_eq!(taken, [3, 2], "newest first");
    assert_eq!(file.steps(), [1]);
    assert!(!file.conn().table_exists(None, "toys").expect("toys"));
    // Step 1 refers to no user, and its rows are still there.
    file.sql("INSERT INTO pets VALUES (6, 99, ''); DELETE FROM pets WHERE pet_id = 6;");
    assert_eq!(one::<i64>(&file.conn(), "SELECT count(*) FROM meals"), 1);

    assert_eq!(
        host_steps(&file.apply::<Pets<3>>().expect("up again")),
        [2, 3]
    );
    file.assert_unchanged(&before);
    assert_eq!(file.rollback(3).expect("nothing").steps, []);
    assert_eq!(file.rollback(0).expect("all").steps.len(), 3);
    assert_eq!(kind(file.rollback(0)), ErrorKind::NotFound);
}

#[test]
fn a_program_that_no_longer_has_the_steps_takes_them_back_only_when_told_to_trust_the_file() {
    let file = File::new();
    file.apply::<Pets<3>>().expect("apply");
    let before = file.dump();
    let config = || Config::new(&file.path).before_upgrade(BeforeUpgrade::Skip);
    let error = schema::rollback(config(), "pets", 1).expect_err("not known");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    for shown in [
        "step 3 (\"toys\")",
        "DROP TABLE toys;",
        "ALTER TABLE old_pets RENAME TO pets;",
    ] {
        assert!(error.to_string().contains(shown), "{shown}: {error}");
    }
    assert!(!error.to_string().contains("DROP TABLE meals"), "{error}");
    file.assert_unchanged(&before);
    schema::rollback_with(config(), "pets", 0, UnknownSteps::Trust).expect("back");
    assert_eq!(file.steps(), [] as [i64; 0]);
    assert!(!file.conn().table_exists(None, "pets").expect("pets"));
}

#[test]
fn taking_back_a_file_that_is_not_there_creates_none() {
    let file = File::new();
    assert_eq!(kind(file.rollback(0)), ErrorKind::NotFound);
    assert_eq!(file.folder(), [] as [&str; 0]);
}

#[test]
fn a_crash_between_two_steps_is_continued_after_the_first() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("as far as it came");
    file.sql("INSERT INTO users (user_id) VALUES (1); INSERT INTO pets VALUES (5, 1, 'Rex');");
    let done = file.apply::<Pets<3>>().expect("go on");
    assert_eq!(host_steps(&done), [2, 3]);
    assert_eq!(one::<String>(&file.conn(), "SELECT name FROM pets"), "Rex");
}

#[actix::test]
async fn a_file_that_a_store_has_open_is_neither_migrated_nor_taken_back() {
    let store = TestStore::open_with(|c| c.schema::<Pets<1>>())
        .await
        .expect("open");
    let config = || Config::new(store.path()).schema::<Pets<3>>();
    assert_eq!(kind(schema::apply(config())), ErrorKind::AlreadyOpen);
    assert_eq!(
        kind(schema::rollback(config(), "pets", 0)),
        ErrorKind::AlreadyOpen
    );
    let plan = schema::plan(config()).expect("looking is allowed");
    assert_eq!(host_steps(&plan), [2, 3]);
    let health = store.health().await.expect("health");
    assert!(
        health
            .schemas
            .iter()
            .any(|s| s.schema == "pets" && s.step == 1)
    );
}

// --- Rebuilding a table.

#[test]
fn a_rebuild_keeps_rows_and_the_foreign_keys_to_and_from_its_table() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    file.sql(
        "INSERT INTO users (user_id) VALUES (1);
         INSERT INTO pets VALUES (5, 1, 'Rex'); INSERT INTO meals VALUES (5, 'bone');",
    );
    file.apply::<Pets<2>>().expect("rebuild");
    let conn = file.conn();
    conn.pragma_update(None, "foreign_keys", true).expect("on");
    let row: String = one(
        &conn,
        "SELECT pet_id || user_id || name || food FROM pets JOIN meals USING (pet_id)",
    );
    assert_eq!(row, "51Rexbone");
    for broken in [
        "INSERT INTO meals VALUES (6, 'bone')",
        "INSERT INTO pets VALUES (6, 2, 'Tom')",
        "DELETE FROM pets",
        "DELETE FROM users",
    ] {
        let error = conn.execute(broken, []).expect_err(broken);
        assert!(
            error.to_string().contains("FOREIGN KEY"),
            "{broken}: {error}"
        );
    }
}

#[test]
fn a_rebuild_that_leaves_orphans_is_refused_with_the_file_as_before() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    file.sql("PRAGMA foreign_keys = OFF; INSERT INTO pets VALUES (5, 77, 'Nobody''s');");
    let before = file.dump();
    let error = file.apply::<Pets<3>>().expect_err("orphans");
    assert_eq!(error.kind(), ErrorKind::Migration);
    let text = error.to_string();
    assert!(
        text.contains("leaves 1 rows that refer to missing rows"),
        "{text}"
    );
    assert!(
        text.contains("step 2 (\"owned_pets\") of schema \"pets\""),
        "{text}"
    );
    file.assert_unchanged(&before);
    // Once the row has an owner, the same program opens the file.
    file.sql("INSERT INTO users (user_id) VALUES (77)");
    file.apply::<Pets<3>>().expect("apply");
}

#[test]
fn a_rebuild_is_not_refused_for_orphans_that_were_there_before() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    file.sql("PRAGMA foreign_keys = OFF; INSERT INTO meals VALUES (404, 'ghost food');");
    file.apply::<Pets<2>>().expect("its own rows are sound");
}
