//! Files into which somebody has written what no store would: the least and the greatest number where
//! there is room for one. It may be nonsense; what is asked of it is answered, or refused with what is wrong.

use crate::fields::numbered;
use crate::support::populate;
use crate::vocabulary::{Answer, vocabulary};
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::rusqlite::Connection;
use botstore::testing::usd;
use botstore::testing::{FixedClock, TestStore};
use botstore::users::EnsureUser;
use botstore::{BeforeUpgrade, Config, Durability, ErrorKind, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The columns of numbers of each table that are no key, but for what opening goes by.
fn columns(conn: &Connection) -> BTreeMap<String, Vec<String>> {
    let sql = "SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c
               WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%'
                 AND t.name NOT IN ('botstore_ledger', 'schema_version')
                 AND c.type IN ('INTEGER', 'REAL', 'BOOLEAN') AND c.pk = 0
                 AND c.name NOT LIKE '%_id'";
    let mut found = conn.prepare(sql).expect("the schema");
    let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let mut columns = BTreeMap::<_, Vec<_>>::new();
    for (table, column) in found
        .expect("columns")
        .map(|found| found.expect("a column"))
    {
        columns.entry(table).or_default().push(column);
    }
    columns
}

fn config(path: &Path) -> Config {
    Config::new(path)
        .clock(FixedClock::default())
        .before_upgrade(BeforeUpgrade::Skip)
        .durability(Durability::Normal)
        .readers(1)
}

async fn told_what_is_wrong(path: &Path, context: &str) {
    let store = match Store::open(config(path)).await {
        Ok(store) => store,
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Panicked, "{context}: {error}");
            return;
        }
    };
    for (number, kind) in vocabulary().iter().enumerate() {
        let message = numbered(&kind.example, number);
        if let Answer::Refused(error) = kind.send(&store, message).await {
            assert_ne!(error.kind(), ErrorKind::Panicked, "{context}: {error}");
        }
    }
    store.close().await.expect("closed");
}

/// The file of a store in which something happened on four days.
async fn four_days() -> (tempfile::TempDir, std::path::PathBuf) {
    let store = TestStore::open().await.expect("a store");
    store.clock().set(store.now() - 4 * DAY);
    populate(&store).await;
    store.write(EnsureUser::new(2, None)).await.expect("a user");
    for _ in 0..4 {
        let save = SaveInteraction::new(1, "s", "").duration_ms(5);
        store.write(save).await.expect("a receipt");
        // Two rows of costs a day, whose sum may be too much for one number.
        let cost = AddCost::new(2, usd(0.5));
        store.write(cost).await.expect("added");
        store.clock().advance(DAY);
    }
    store.into_file().await.expect("a file")
}

#[tokio::test]
async fn no_number_in_a_file_makes_the_store_panic() {
    let (folder, whole) = four_days().await;
    let path = folder.path().join("wrong.db");
    let all = columns(&Connection::open(&whole).expect("the file"));
    for (table, columns) in all {
        for number in [i64::MIN, i64::MAX] {
            fs::copy(&whole, &path).expect("a copy");
            let conn = Connection::open(&path).expect("the copy");
            let set: Vec<_> = columns
                .iter()
                .map(|column| format!("{column} = ?1"))
                .collect();
            conn.pragma_update(None, "ignore_check_constraints", true)
                .expect("what whoever wrote the file has done");
            // Of a table that others are kept with, the triggers refuse nothing.
            let sql = format!("UPDATE {table} SET {}", set.join(", "));
            conn.execute(&sql, [number]).expect("numbers");
            drop(conn);
            told_what_is_wrong(&path, &format!("{table} = {number}")).await;
        }
    }
}

/// The store mends some of them when it opens, and counts anew: not those that come while it is open.
#[tokio::test]
async fn no_offset_of_a_clock_that_is_written_beside_a_store_makes_it_panic() {
    let (_folder, path) = four_days().await;
    let store = Store::open(config(&path)).await.expect("a store");
    let conn = Connection::open(&path).expect("the file");
    for seconds in [i64::MIN, i64::MAX, 1_000_000_000_000_000, 0] {
        let sql = "UPDATE botstore_zone SET offset_seconds = ?1";
        conn.execute(sql, [seconds]).expect("an offset");
        questions_do_not_panic(&store, &format!("{seconds} seconds")).await;
    }
    // As texts, the second follows the first, and the third is before the end of the days nearby; as times not.
    for (days, time) in [(7, "15:00:00"), (7, "5:00:00"), (3, "15: 59:00")] {
        let since = (store.now() - days * DAY).format("%Y-%m-%d").to_string() + " " + time;
        let sql = "INSERT INTO botstore_zone (generation, since, offset_seconds, zone)
                   SELECT generation, ?1, 0, zone FROM botstore_zone LIMIT 1";
        conn.execute(sql, [&since]).expect(&since);
        questions_do_not_panic(&store, &since).await;
    }
    store.close().await.expect("closed");
}

async fn questions_do_not_panic(store: &Store, context: &str) {
    for kind in vocabulary().iter().filter(|kind| kind.is_question) {
        if let Answer::Refused(error) = kind.send(store, kind.example.clone()).await {
            assert_ne!(error.kind(), ErrorKind::Panicked, "{context}: {error}");
        }
    }
}

/// The spelling of a leap second has the shape that opening leaves as it is, and is no spelling of ours.
#[tokio::test]
async fn a_list_with_a_leap_second_in_it_has_an_end() {
    let (_folder, path) = four_days().await;
    let conn = Connection::open(&path).expect("the file");
    let sql = "UPDATE messages SET timestamp = '2016-12-31T23:59:60.500000+00:00'";
    let rows = conn.execute(sql, []).expect("leap seconds");
    drop(conn);
    let store = Store::open(config(&path)).await.expect("a store");
    assert!(rows > 1);
    let (mut found, mut page) = (0, Some(PageRequest::first(1)));
    while let Some(next) = page {
        let messages = SessionMessages::new(1, "s").page(next);
        let read = store.read(messages).await.expect("a page");
        for message in &read.items {
            let second = message.timestamp.timestamp();
            assert_eq!(second, 1_483_228_799, "the last one that is a time");
        }
        found += read.items.len();
        assert!(found <= rows, "the list has no end");
        page = read.next.map(|cursor| PageRequest::first(1).after(cursor));
    }
    assert_eq!(found, rows);
    store.close().await.expect("closed");
}
