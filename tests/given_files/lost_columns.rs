//! A column that somebody has dropped or renamed is named, and by nobody called a fault of the store.

use crate::support::{Given, run};
use botstore::integrity::CheckFile;
use botstore::rusqlite::Connection;
use botstore::schema::{self, ObjectKind};
use botstore::{Error, ErrorKind, Store};
use std::collections::BTreeMap;

/// Table and column.
type Place = (String, String);

/// The columns of all tables.
fn columns(conn: &Connection) -> Vec<Place> {
    let sql = "SELECT object.name, column.name FROM sqlite_schema AS object, pragma_table_info(object.name) AS column
               WHERE object.type = 'table' AND object.name NOT LIKE 'sqlite%' AND object.name <> 'botstore_ledger'
               ORDER BY object.name, column.cid";
    let mut columns = conn.prepare(sql).expect(sql);
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    columns.expect(sql).map(|row| row.expect(sql)).collect()
}

fn drop((table, column): &Place) -> String {
    format!("ALTER TABLE {table} DROP COLUMN {column}")
}

/// Those of which no key, index, trigger or view keeps SQLite from dropping them.
fn that_can_be_dropped(given: &Given) -> Vec<Place> {
    let conn = given.conn();
    let mut places = columns(&conn);
    places.retain(|place| {
        conn.execute_batch("BEGIN").expect("a transaction");
        let dropped = conn.execute_batch(&drop(place)).is_ok();
        conn.execute_batch("ROLLBACK").expect("taken back");
        dropped
    });
    places
}

/// An error may only say what is missing.
fn is_of(error: &Error, table: &str) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let said = error.to_string();
    let names = said.contains(&format!("the column \"{table}."));
    assert!(names && said.contains("restore a backup"), "{said}");
}

#[tokio::test]
async fn each_column_that_somebody_can_drop_is_named_and_is_in_backups_only() {
    let template = Given::file().await;
    let bytes = std::fs::read(&template.path).expect("the file");
    let mut tables = BTreeMap::<String, Vec<Place>>::new();
    for place in that_can_be_dropped(&template) {
        tables.entry(place.0.clone()).or_default().push(place);
    }
    let mut refused = 0;
    assert!(tables.len() > 10, "{tables:?}");
    for (table, places) in &tables {
        let given = Given::nowhere();
        std::fs::write(&given.path, &bytes).expect("a copy");
        // The last column of a table cannot be dropped.
        let conn = given.conn();
        let dropped = places
            .iter()
            .filter(|place| conn.execute_batch(&drop(place)).is_ok());
        let dropped =
            dropped.map(|(table, column)| (ObjectKind::Column, format!("{table}.{column}"), false));
        let dropped = Vec::from_iter(dropped);
        std::mem::drop(conn);
        if let Err(error) = botstore::snapshot(given.config(), |tx| tx.query(&CheckFile::new())) {
            refused += 1;
            is_of(&error, table);
        }
        let found = match Store::open(given.config()).await {
            Ok(store) => {
                let health = store.health().await.expect("health");
                store.close().await.expect("closed");
                health.unknown_objects
            }
            Err(error) => {
                is_of(&error, table);
                schema::unknown_objects(given.config()).expect("a look")
            }
        };
        let missing = found.missing.into_iter();
        let missing = missing.map(|lost| (lost.kind, lost.name, lost.made_again));
        assert_eq!(Vec::from_iter(missing), dropped);
    }
    assert!(refused > 0, "no check reads {tables:?}");
}

#[tokio::test]
async fn a_column_under_another_name_is_as_good_as_dropped_and_check_says_what_to_do() {
    for change in ["DROP COLUMN ip_address", "RENAME COLUMN ip_address TO ip"] {
        let given = Given::file().await;
        given.forge(&format!("ALTER TABLE audit_log {change}"));
        let ran = run("check", &given.path, &[]).came_to(3);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("audit_log.ip_address"), "{said}");
        assert!(
            said.contains("restore a backup") && !said.contains("bug"),
            "{said}"
        );
        let status = run("status", &given.path, &[]).came_to(0);
        assert!(
            status.out.contains("audit_log.ip_address"),
            "{}",
            status.out
        );
    }
}
