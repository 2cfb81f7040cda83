//! A new file is made at once, from lists, and an older one step by step. Both come to the same.

use crate::support::Given;
use botstore::rusqlite::Connection;
use botstore::rusqlite::types::Value;
use botstore::schema;
use std::collections::BTreeMap;
use std::fs;

type Rows = Vec<Vec<Value>>;

/// A file in which each step has run: what is not empty any more is not made at once.
pub(crate) fn made_by_steps() -> Given {
    let given = Given::nowhere();
    fs::write(&given.path, "").expect("an empty file");
    schema::apply_to(given.config(), "botstore", 1).expect("the first step");
    schema::apply(given.config()).expect("the others");
    given
}

fn made_at_once() -> Given {
    let given = Given::nowhere();
    schema::apply(given.config()).expect("all steps");
    given
}

fn rows(conn: &Connection, sql: &str) -> Rows {
    let mut rows = conn.prepare(sql).expect(sql);
    let columns = rows.column_count();
    let rows = rows.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
    let rows = rows.expect(sql).collect::<Result<Rows, _>>();
    rows.expect(sql)
}

/// The definition of each object.
fn objects(conn: &Connection) -> BTreeMap<String, Rows> {
    let sql = "SELECT type || ' ' || name, tbl_name, sql FROM sqlite_schema";
    let objects = rows(conn, sql).into_iter().map(|mut row| {
        let Value::Text(name) = row.remove(0) else {
            panic!("{row:?} has no name");
        };
        (name, vec![row])
    });
    objects.collect()
}

/// Compares what stands under each name. All of it would fill the screen.
fn same(at_once: &BTreeMap<String, Rows>, by_steps: &BTreeMap<String, Rows>) {
    let names = at_once.keys().chain(by_steps.keys());
    for name in names {
        assert_eq!(at_once.get(name), by_steps.get(name), "{name}");
    }
}

/// The rows of each table, without what is different in each file: its id, and when it was made.
fn contents(conn: &Connection) -> BTreeMap<String, Rows> {
    let tables = rows(conn, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    let contents = tables.into_iter().map(|row| {
        let Value::Text(table) = &row[0] else {
            panic!("{row:?} is no table");
        };
        let columns = match table.as_str() {
            "botstore_store" => "id, typeof(store_id), length(store_id)",
            "botstore_ledger" => {
                "schema, step, name, up_sql, down_sql, checksum, length(applied_at)"
            }
            _ => "*",
        };
        let mut rows = rows(conn, &format!("SELECT {columns} FROM \"{table}\""));
        rows.sort_by_cached_key(|row| format!("{row:?}"));
        (table.clone(), rows)
    });
    contents.collect()
}

#[test]
fn a_new_file_is_what_the_steps_make() {
    let (at_once, by_steps) = (made_at_once(), made_by_steps());
    let (at_once, by_steps) = (at_once.conn(), by_steps.conn());
    same(&objects(&at_once), &objects(&by_steps));
    for setting in [
        "user_version",
        "application_id",
        "encoding",
        "page_size",
        "journal_mode",
        "auto_vacuum",
    ] {
        let setting = format!("PRAGMA {setting}");
        assert_eq!(
            rows(&at_once, &setting),
            rows(&by_steps, &setting),
            "{setting}"
        );
    }
    let (at_once, by_steps) = (contents(&at_once), contents(&by_steps));
    same(&at_once, &by_steps);
    assert!(by_steps["botstore_ledger"].len() > 12 && by_steps["botstore_zone"].len() == 1);
}

#[test]
fn each_file_has_an_id_of_its_own() {
    let id = |given: Given| rows(&given.conn(), "SELECT store_id FROM botstore_store");
    let (one, other) = (id(made_at_once()), id(made_at_once()));
    assert!(one != other, "{one:?}");
}

#[test]
fn the_steps_of_a_new_file_can_be_taken_back_and_applied_again() {
    let (at_once, by_steps) = (made_at_once(), made_by_steps());
    for to in (0..12).rev() {
        for given in [&at_once, &by_steps] {
            if to == 11 {
                schema::rollback(given.config(), "botstore_llm", 0).expect("taken back");
            }
            schema::rollback(given.config(), "botstore", to).expect("taken back");
        }
        let (at_once, by_steps) = (at_once.conn(), by_steps.conn());
        same(&objects(&at_once), &objects(&by_steps));
        same(&contents(&at_once), &contents(&by_steps));
    }
    let missing = schema::plan(Given::nowhere().config()).expect("a plan");
    let done = schema::apply(at_once.config()).expect("applied again");
    assert_eq!(done.steps, missing.steps);
}
