//! A store in which every message finds what it is about, and what is asked of it at the end.

use crate::fields::numbered;
use crate::vocabulary::{Answer, vocabulary};
use crate::wait::patient;
use botstore::interactions::SaveInteraction;
use botstore::limits::Reserve;
use botstore::prices::SetPrice;
use botstore::rusqlite::types::Value;
use botstore::sessions::CreateSession;
use botstore::testing::{TestStore, usd};
use botstore::tokens::IssueToken;
use botstore::users::EnsureUser;
use botstore::{Config, Durability, Error, ErrorKind, Query, ReadTx, Result, Store, Usd};

/// With user 1, the session `s`, message 1, token 1 and a price.
pub(crate) async fn populated() -> TestStore {
    populated_with(|config| config).await
}

pub(crate) async fn populated_with(configure: impl FnOnce(Config) -> Config) -> TestStore {
    // No deadline is met on a busy machine, but where a test sets one. No power goes off.
    let calm = |config| patient(config).durability(Durability::Normal);
    let store = TestStore::open_with(|config| configure(calm(config)))
        .await
        .expect("a store");
    populate(&store).await;
    store
}

pub(crate) async fn populate(store: &Store) {
    store
        .write(EnsureUser::new(1, Some("ada")))
        .await
        .expect("a user");
    let create = CreateSession::new(1, "s", "/srv");
    store.write(create).await.expect("a session");
    let reserve = Reserve::new(1, Usd::ZERO);
    let decision = store.write(reserve).await.expect("a decision");
    let reservation = decision.reservation().expect("no limit");
    let save = SaveInteraction::new(1, "s", "p").duration_ms(5);
    let save = save.reservation(reservation);
    store.write(save).await.expect("a receipt");
    let issue = IssueToken::new(1);
    store.write(issue).await.expect("a token");
    let price = SetPrice::new("acme", "parrot", usd(3.0), usd(15.0));
    store.write(price).await.expect("a price");
}

/// The whole schema, as the file has it.
pub(crate) struct SchemaOf;

impl Query for SchemaOf {
    type Output = Vec<String>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<String>> {
        // Statistics are the store's own, and come by themselves.
        let sql = "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '')
                   FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY 1";
        tx.all(sql, [], |row| Ok(row.get(0)?))
    }
}

/// Every row of every table, as texts, but for what the store writes by itself.
pub(crate) struct Everything;

impl Query for Everything {
    type Output = Vec<String>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<String>> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
                   AND name NOT LIKE 'sqlite_stat%' AND name <> 'botstore_schedules' ORDER BY 1";
        let tables = tx.all(sql, [], |row| Ok(row.get::<_, String>(0)?))?;
        let mut found = Vec::new();
        for table in tables {
            found.extend(tx.all(&format!("SELECT * FROM {table}"), [], |row| {
                let columns = 0..row.as_ref().column_count();
                let values: Result<Vec<Value>> = columns.map(|c| Ok(row.get(c)?)).collect();
                Ok(format!("{table}: {:?}", values?))
            })?);
        }
        Ok(found)
    }
}

/// An error that a caller can do something about: of its kind, and with the name of the field.
pub(crate) fn is_told_why(error: &Error) -> bool {
    let kinds = [ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::Conflict];
    kinds.contains(&error.kind()) && error.field().is_some()
}

/// Everything that can be asked is answered.
pub(crate) async fn everything_is_answered(store: &Store, after: &str) {
    let mut unanswered = Vec::new();
    for (number, kind) in vocabulary().iter().enumerate() {
        let message = numbered(&kind.example, number);
        if let Answer::Refused(error) = kind.send(store, message).await {
            unanswered.extend((!is_told_why(&error)).then(|| error.to_string()));
        }
    }
    assert!(unanswered.is_empty(), "after {after}: {unanswered:#?}");
    let health = store.health().await.expect("health");
    assert!(health.ok, "after {after}: {health:?}");
}
