//! The host's own operations.

use crate::support::*;
use botstore::rusqlite;
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser, ListUsers};
use botstore::{ErrorKind, Mutation, Query, ReadTx, Result, WriteTx};

/// Adds a pet and its owner, with the crate's operation for the owner. Then runs this SQL.
struct AddPet {
    user_id: i64,
    then: &'static str,
}

impl AddPet {
    fn of(user_id: i64) -> Self {
        let then = "SELECT 1";
        Self { user_id, then }
    }
}

impl Mutation for AddPet {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        let user_id = self.user_id;
        tx.apply(&EnsureUser::new(user_id, Some("ada")))?;
        let pet = tx.insert(
            "INSERT INTO pets (user_id, name) VALUES (?1, 'Rex')",
            [user_id],
        )?;
        // As a query sees what the mutation has done so far.
        let owner = tx
            .query(&GetUser::new(user_id))?
            .expect("she was just added");
        assert_eq!(owner.username.as_deref(), Some("ada"));
        tx.maybe(self.then, [], |_| Ok(()))?;
        Ok(pet)
    }
}

/// Runs any SQL where a query may.
#[derive(Debug)]
struct Run(&'static str);

impl Query for Run {
    type Output = ();

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<()> {
        tx.all(self.0, [], |_| Ok(())).map(|_| ())
    }
}

/// How many pets there are, and users, on one snapshot.
struct PetsAndUsers;

impl Query for PetsAndUsers {
    type Output = (i64, usize);

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<(i64, usize)> {
        let pets = tx.one("SELECT count(*) FROM pets", [], |row| Ok(row.get(0)?))?;
        Ok((pets, tx.query(&ListUsers::default())?.items.len()))
    }
}

const FORBIDDEN: &[&str] = &[
    "COMMIT",
    "END",
    "ROLLBACK",
    "BEGIN",
    "SAVEPOINT mine",
    "RELEASE operation",
    "ROLLBACK TO operation",
    "PRAGMA synchronous = OFF",
    "PRAGMA user_version = 7",
    "PRAGMA foreign_keys = OFF",
    "CREATE TABLE extra (a)",
    "CREATE TEMP TABLE extra (a)",
    "CREATE TRIGGER t AFTER INSERT ON pets BEGIN SELECT 1; END",
    "ALTER TABLE pets ADD COLUMN extra",
    "DROP TABLE pets",
    "DROP INDEX idx_messages_timestamp",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "UPDATE sqlite_schema SET sql = ''",
    // What the store goes by, however it is spelled.
    "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    "INSERT INTO sqlite_sequence VALUES ('users', 7)",
    "DELETE FROM sqlite_sequence",
    "UPDATE SQLITE_SEQUENCE SET seq = 7",
    "UPDATE botstore_store SET store_id = 'x'",
    "DELETE FROM botstore_store",
    "INSERT INTO \"BotStore_Store\" VALUES (2, 'x')",
    "DELETE FROM botstore_ledger",
    "UPDATE botstore_ledger SET down_sql = 'x'",
    "INSERT INTO botstore_ledger SELECT 'x', step, name, up_sql, down_sql, checksum, applied_at
     FROM botstore_ledger",
    "UPDATE botstore_total SET users = 7",
    // To the letter what the store itself does.
    "UPDATE botstore_total SET repairs = repairs + 1 WHERE generation = (SELECT min(generation) FROM botstore_total)",
    "UPDATE botstore_counted SET last_id = 7 WHERE source = 'messages'",
    "UPDATE botstore_counted SET last_id = ?1 WHERE source = ?2 AND generation = ?3",
    "DELETE FROM botstore_counted",
    "INSERT INTO botstore_zone VALUES (0, '2026-01-01 00:00:00', 60, 'UTC')",
    "INSERT INTO botstore_message_count (messages, user_id) VALUES (7, 1)",
    "DELETE FROM botstore_day",
    "INSERT INTO botstore_user_day VALUES (0, '2026-01-01', 1, 1, 1, 1, 1, 1, 1)",
    "REPLACE INTO botstore_tool VALUES ('Read', 9, 9, 9, 9)",
    "DELETE FROM botstore_session_tool",
    "UPDATE botstore_cost_day SET cost = 0",
];

#[actix::test]
async fn a_host_operation_can_change_rows_and_nothing_else() {
    let store = TestStore::open_with(|c| c.schema::<Pets<3>>())
        .await
        .expect("open");
    store.write(AddPet::of(1)).await.expect("a good one");
    for (user_id, &then) in (2..).zip(FORBIDDEN) {
        let error = store.write(AddPet { user_id, then }).await.expect_err(then);
        assert_eq!(error.kind(), ErrorKind::Sql, "{then}: {error}");
        assert_eq!(error.operation(), Some("AddPet"), "{then}");
        let there = store.read(PetsAndUsers).await.expect("read");
        assert_eq!(there, (1, 1), "{then} left something");
        let kind = kind(store.read(Run(then)).await);
        assert!(
            matches!(kind, ErrorKind::Sql | ErrorKind::ReadOnly),
            "{then} in a query: {kind}"
        );
    }
    assert_eq!(store.write(AddPet::of(1)).await.expect("a good one"), 2);
    // And the store itself still may.
    store.repair_rollups().await.expect("repaired");
}

/// The statements of a repair, prepared while the store itself ran them, are no operation's.
#[actix::test]
async fn what_the_store_has_just_done_is_still_refused_to_an_operation() {
    let store = TestStore::open_with(|c| c.schema::<Pets<3>>())
        .await
        .expect("open");
    store.write(AddPet::of(1)).await.expect("a good one");
    let sql = "UPDATE botstore_total SET users = 7, sessions = 7";
    let conn = rusqlite::Connection::open(store.path()).expect("another program");
    conn.execute(sql, []).expect("a difference");
    let report = store.repair_rollups().await.expect("repaired");
    assert_eq!(report.differences, 1);
    let then = "UPDATE botstore_total SET repairs = repairs + 1 WHERE generation = (SELECT min(generation) FROM botstore_total)";
    let error = store
        .write(AddPet { user_id: 2, then })
        .await
        .expect_err(then);
    assert_eq!(error.kind(), ErrorKind::Sql, "{error}");
}

#[actix::test]
async fn a_query_cannot_change_rows() {
    let store = TestStore::open_with(|c| c.schema::<Pets<3>>())
        .await
        .expect("open");
    store.write(AddPet::of(1)).await.expect("a pet");
    for sql in [
        "DELETE FROM pets RETURNING 1",
        "INSERT INTO toys VALUES ('ball')",
    ] {
        let kind = kind(store.read(Run(sql)).await);
        assert!(
            matches!(kind, ErrorKind::Sql | ErrorKind::ReadOnly),
            "{sql}: {kind}"
        );
    }
    assert_eq!(store.read(PetsAndUsers).await.expect("read"), (1, 1));
}

#[actix::test]
async fn a_composed_operation_that_fails_undoes_the_crates_part_too_and_no_neighbours() {
    let store = TestStore::open_with(|c| c.schema::<Pets<3>>())
        .await
        .expect("open");
    // All three are sent before one is waited for, so that they share a transaction.
    let failing = AddPet {
        user_id: 2,
        then: "SELECT * FROM nowhere",
    };
    let (before, failed, after) = tokio::join!(
        store.write(AddPet::of(1)),
        store.write(failing),
        store.write(AddPet::of(3)),
    );
    assert_eq!(kind(failed), ErrorKind::Sql);
    before.expect("its neighbour");
    after.expect("its other neighbour");
    assert_eq!(store.read(PetsAndUsers).await.expect("read"), (2, 2));
    let user = store.read(GetUser::new(2)).await.expect("read");
    assert_eq!(user, None, "EnsureUser inside the operation that failed");
}

#[actix::test]
async fn an_empty_name_that_a_check_refuses_is_the_callers_mistake() {
    let store = TestStore::open_with(|c| c.schema::<Pets<3>>())
        .await
        .expect("open");
    let then = "INSERT INTO pets (user_id, name) VALUES (1, '') RETURNING 1";
    let error = store
        .write(AddPet { user_id: 1, then })
        .await
        .expect_err("CHECK");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(store.read(PetsAndUsers).await.expect("read"), (0, 0));
}
