//! Taking steps back drops what they made, and keeps what they found: an adopted file is the Python bot's again.

use crate::legacy::{Legacy, Tables, beside, dump, objects, open_plain};
use botstore::rusqlite::Connection;
use botstore::schema::{self, Plan, UnknownSteps};
use botstore::{BeforeUpgrade, Store};
use std::fs;

/// The names of what is in the file but for what SQLite makes.
fn names(legacy: &Legacy) -> Vec<String> {
    let objects = objects(&open_plain(&legacy.path)).into_iter();
    let names = objects.map(|(_, name)| name);
    names.filter(|name| !name.starts_with("sqlite_")).collect()
}

/// Every row of the bot's own tables.
fn rows(legacy: &Legacy) -> Tables {
    let mut tables = dump(&legacy.path);
    tables.retain(|table, _| !table.starts_with("botstore_") && !table.starts_with("sqlite_"));
    tables
}

fn alter(legacy: &Legacy, sql: &str) {
    let conn = Connection::open(&legacy.path).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
}

fn check(legacy: &Legacy, before: &[String], adopted: &Tables, plan: &Plan) {
    let name = legacy.name;
    let left = names(legacy);
    assert!(
        !left.iter().any(|object| object.starts_with("botstore_")),
        "{name}: {left:?}"
    );
    for object in before {
        assert!(left.contains(object), "{name}: {object} is gone");
    }
    let rows = rows(legacy);
    for (table, kept) in adopted.iter().filter(|(table, _)| before.contains(table)) {
        assert_eq!(rows.get(table), Some(kept), "{name}: {table}");
    }
    // The plan told so.
    for step in &plan.steps {
        for dropped in &step.drops {
            assert!(!left.contains(dropped), "{name}: {dropped}");
        }
        for kept in &step.keeps {
            assert!(before.contains(kept), "{name}: {kept}");
        }
    }
}

/// What the program that wrote the ledger was.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ledger {
    Ours,
    OfAnOlderProgram,
}

/// `legacy` is what the bot's file became when it was taken over.
async fn back(bots: &Legacy, legacy: &Legacy, ledger: Ledger) {
    let config = || legacy.config().before_upgrade(BeforeUpgrade::Skip);
    let before = names(bots);
    let versions = dump(&bots.path)["schema_version"].clone();
    // What is older than step 8 has no more than seven.
    if ledger == Ledger::OfAnOlderProgram {
        schema::rollback(config(), "botstore", 7).unwrap();
        legacy.make_its_ledger_strict();
    }
    let mut adopted = rows(legacy);
    adopted.insert("schema_version".to_owned(), versions);
    let plan = schema::plan_rollback(&legacy.path, "botstore", 0, UnknownSteps::Refuse).unwrap();
    // Straight to nothing, or by way of step 1 and a look.
    if ledger == Ledger::Ours {
        schema::rollback(config(), "botstore", 1).unwrap();
        assert_eq!(
            rows(legacy)["schema_version"],
            adopted["schema_version"],
            "{}",
            legacy.name
        );
    }
    schema::rollback(config(), "botstore", 0).unwrap();
    check(legacy, &before, &adopted, &plan);
    // And it is taken over again as if for the first time.
    let again = Store::open(config()).await.unwrap();
    again.close().await.unwrap();
}

#[tokio::test]
async fn an_adopted_file_goes_back_to_what_the_bot_left() {
    for ledger in [Ledger::Ours, Ledger::OfAnOlderProgram] {
        for legacy in Legacy::all_taken_over().await {
            back(&Legacy::copy(legacy.name), &legacy, ledger).await;
        }
    }
}

/// Of a file that lacks some of it, only the rest was found.
#[tokio::test]
async fn of_a_file_that_lacked_a_part_the_part_goes_again() {
    for lacks in [
        "DROP INDEX idx_cost_tracking_user_date",
        "DROP TABLE cost_tracking",
        "DROP VIEW daily_stats",
        "DROP TABLE user_tokens; DELETE FROM schema_version WHERE version = 2",
    ] {
        let [bots, legacy] = ["v4"; 2].map(Legacy::copy);
        alter(&bots, lacks);
        alter(&legacy, lacks);
        legacy.adopt().await;
        back(&bots, &legacy, Ledger::Ours).await;
    }
}

#[tokio::test]
async fn a_file_of_ours_is_left_without_a_ledger_and_can_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    schema::apply(&path).unwrap();
    let plan = schema::plan_rollback(&path, "botstore", 0, UnknownSteps::Refuse).unwrap();
    assert!(plan.steps.iter().all(|step| step.keeps.is_empty()));
    let done = schema::rollback(&path, "botstore", 0).unwrap();
    assert_eq!(done, plan);
    let left = objects(&open_plain(&path));
    let left = left.iter().filter(|(_, name)| !name.starts_with("sqlite_"));
    let left: Vec<_> = left.collect();
    // Empty, and what the Python bot goes by.
    assert_eq!(left, [&("table".to_owned(), "schema_version".to_owned())]);
    schema::apply(&path).unwrap();
    fs::remove_dir_all(beside(&path, ".backups")).unwrap();
}
