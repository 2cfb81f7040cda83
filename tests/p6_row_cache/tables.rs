//! What an answer that is kept hangs on: the table that the query names, and the moment of its snapshot.

use crate::common::{Hold, Probe, answered, hold, patient, probe_store, until};
use crate::{Run, session_of, store_with_users};
use botstore::rusqlite::Connection;
use botstore::schema::{Migration, Schema};
use botstore::sessions::{GetSession, ShareSession, UnshareSession};
use botstore::testing::TestStore;
use botstore::{Cacheable, Query, ReadTx, Result, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The text of the row 1, kept as an answer about a row of this table.
struct TextAs(&'static str);

const SQL: &str = "SELECT text FROM probe WHERE number = 1";

impl Query for TextAs {
    type Output = String;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<String> {
        tx.one(SQL, [], |row| Ok(row.get(0)?))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, String>> {
        let kept = Cacheable::row(self.0, 1);
        Some(kept.bytes(|text: &String| text.len()))
    }
}

/// The same, kept by a key that is a text.
struct TextByKey(&'static str);

impl Query for TextByKey {
    type Output = String;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<String> {
        tx.one(SQL, [], |row| Ok(row.get(0)?))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, String>> {
        let row_of = "SELECT number FROM probe WHERE ?1 = 'one' AND number = 1";
        let kept = Cacheable::text(self.0, "one", row_of, 0);
        Some(kept.bytes(|text: &String| text.len()))
    }
}

/// A table whose rows have no number, a view, and a table that SQLite itself keeps.
struct Others;

impl Schema for Others {
    const NAME: &'static str = "others";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "others",
        "CREATE TABLE numberless (number INTEGER PRIMARY KEY, text TEXT) WITHOUT ROWID;
         CREATE VIEW seen AS SELECT number, text FROM probe;",
        "DROP VIEW seen; DROP TABLE numberless",
    )];
}

async fn store() -> TestStore {
    let store = TestStore::open_with(|config| patient(config).schema::<Probe>().schema::<Others>());
    let store = store.await.unwrap();
    let row = "INSERT INTO probe VALUES (1, 'first')";
    store.write(Run(row)).await.unwrap();
    store
}

/// Right after its own `Ok`, again and again: within the second that an answer may be kept.
async fn follows<Q: Query<Output = String>>(store: &Store, query: impl Fn() -> Q, table: &str) {
    for change in ["one", "two", "three", "four"] {
        let sql = match change {
            "one" => "UPDATE probe SET text = 'one'",
            "two" => "UPDATE PROBE SET text = 'two'",
            "three" => "INSERT OR REPLACE INTO \"Probe\" VALUES (1, 'three')",
            _ => "UPDATE probe SET text = 'four' WHERE number = 1",
        };
        store.write(Run(sql)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(store.read(query()).await.unwrap(), change, "as {table}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_void_however_its_querys_table_is_spelled() {
    let store = store().await;
    // The last four are no table whose rows SQLite reports, so that nothing about them is kept.
    for table in [
        "probe",
        "PROBE",
        "Probe",
        "prove",
        "main.probe",
        "numberless",
        "seen",
    ] {
        follows(&store, || TextAs(table), table).await;
        follows(&store, || TextByKey(table), table).await;
    }
}

/// Reads the text, and is held before it gives it.
struct Slow(Hold);

impl Query for Slow {
    type Output = String;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<String> {
        let text = tx.query(&TextAs("probe"))?;
        self.0.wait();
        Ok(text)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, String>> {
        TextAs("probe").cacheable().map(|_| {
            let kept = Cacheable::row("probe", 1);
            kept.bytes(|text: &String| text.len())
        })
    }
}

#[tokio::test]
async fn an_answer_is_as_old_as_its_snapshot_however_long_its_query_took() {
    let store = probe_store(|config| config.readers(2)).await;
    let row = "INSERT INTO probe VALUES (1, 'before')";
    store.write(Run(row)).await.unwrap();
    let (hold, holding) = hold();
    let holding = Arc::new(holding);
    let slow = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.read(Slow(hold)).await }
    });
    holding.started().await;
    // Its snapshot is there by now; another program's change is not in it, and not told to the store.
    let snapshot = Instant::now();
    let other = Connection::open(store.path()).unwrap();
    other
        .execute("UPDATE probe SET text = 'after'", [])
        .unwrap();
    let second = Duration::from_secs(1);
    until("the second is over", async || snapshot.elapsed() > second).await;
    holding.release();
    assert_eq!(answered(slow).await.unwrap().unwrap(), "before");
    let (unheld, released) = crate::common::hold();
    released.release();
    let again = answered(store.read(Slow(unheld))).await;
    assert_eq!(again.unwrap(), "after");
}

#[tokio::test]
async fn whoever_joins_or_leaves_a_session_is_told_the_new_answer_at_once() {
    let store = store_with_users().await;
    let told = async |asker| {
        let get = GetSession::new(asker, session_of(0));
        // Twice: asked for, and perhaps kept.
        let first = store.read(get.clone()).await.unwrap().is_some();
        assert_eq!(store.read(get).await.unwrap().is_some(), first);
        first
    };
    assert!(told(0).await && !told(1).await);
    for turn in 0..20 {
        let share = ShareSession::new(0, session_of(0), 1);
        store.write(share).await.unwrap();
        assert!(told(1).await && !told(2).await, "turn {turn}");
        match turn % 3 {
            0 => {
                let unshare = UnshareSession::new(0, session_of(0), 1);
                store.write(unshare).await.unwrap();
            }
            1 => {
                let sql = "DELETE FROM botstore_session_member";
                store.write(Run(sql)).await.unwrap();
            }
            _ => {
                let sql = "UPDATE botstore_session_member SET user_id = 3";
                store.write(Run(sql)).await.unwrap();
                assert!(told(3).await);
                store
                    .write(UnshareSession::new(3, session_of(0), 3))
                    .await
                    .unwrap();
                assert!(!told(3).await);
            }
        }
        assert!(told(0).await && !told(1).await, "turn {turn}");
    }
}
