//! What the tests share: a store with somebody in it, a picture of the whole file, and the
//! promises that every list makes.

use botstore::page::{Cursor, Page, PageRequest};
use botstore::rusqlite::types::Value;
use botstore::sessions::{CreateSession, Session};
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser, User};
use botstore::{Error, ErrorKind, Mutation, Query, ReadTx, Result, WriteTx};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

pub(crate) const ADA: i64 = 1;
pub(crate) const BOB: i64 = 2;
/// Nobody.
pub(crate) const STRANGER: i64 = 404;

pub(crate) const MICRO: Duration = Duration::from_micros(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many rows [`fill`] makes: more than the longest page, and a multiple of three.
pub(crate) const ROWS: usize = 1_005;

/// A store with Ada, who has the session `ada-1`, and Bob, who has `bob-1`.
pub(crate) async fn populated() -> TestStore {
    let store = TestStore::open().await.expect("a store");
    populate(&store).await;
    store
}

/// Their sessions are as the Python bot left them, which recorded no event when one began: so a test counts its own.
pub(crate) async fn populate(store: &TestStore) {
    for (user_id, name) in [(ADA, "ada"), (BOB, "bob")] {
        let user = EnsureUser::new(user_id, Some(name));
        store.write(user).await.expect("a user");
        let begin = store.transact("begin", move |tx| {
            tx.execute(
                "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
                 VALUES (?1, ?2, '/srv/project', ?3, ?3)",
                (format!("{name}-1"), user_id, tx.now_text()),
            )?;
            let sql = "UPDATE users SET session_count = 1 WHERE user_id = ?1";
            tx.execute(sql, [user_id])
        });
        begin.await.expect("a session");
    }
}

pub(crate) async fn create_session(store: &TestStore, user_id: i64, session_id: &str) -> Session {
    let create = CreateSession::new(user_id, session_id.to_owned(), "/srv/project");
    store.write(create).await.expect("a session")
}

pub(crate) async fn user(store: &TestStore, user_id: i64) -> User {
    let user = store.read(GetUser::new(user_id)).await.expect("a read");
    user.expect("a user")
}

/// A JSON value of so many levels: more than 127 could be written but not read.
pub(crate) fn nested(levels: u32) -> serde_json::Value {
    (0..levels).fold("bottom".into(), |inner, level| match level % 2 {
        0 => serde_json::json!([inner]),
        _ => serde_json::json!({ "deeper": inner }),
    })
}

/// A time in any spelling that files hold.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    botstore::time::parse(text).expect("a time")
}

/// Every row of every table, but for the store's own housekeeping, which goes by itself.
pub(crate) type Picture = BTreeMap<String, Vec<Vec<Value>>>;

struct TakePicture;

impl Query for TakePicture {
    type Output = Picture;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Picture> {
        let tables = tx.all(
            "SELECT name FROM sqlite_schema WHERE type = 'table'
             AND name NOT LIKE 'sqlite_stat%' AND name <> 'botstore_schedules'",
            [],
            |row| Ok(row.get::<_, String>(0)?),
        )?;
        let rows = |table: &str| {
            tx.all(&format!("SELECT * FROM {table}"), [], |row| {
                let columns = 0..row.as_ref().column_count();
                columns.map(|column| Ok(row.get(column)?)).collect()
            })
        };
        let pictured = tables.into_iter().map(|table| Ok((rows(&table)?, table)));
        pictured
            .map(|done| done.map(|(rows, table)| (table, rows)))
            .collect()
    }
}

pub(crate) async fn picture(store: &TestStore) -> Picture {
    store.read(TakePicture).await.expect("a picture")
}

/// The pictures of two files show the same, but for what is a file's own; amounts to a nano-dollar, since a sum of
/// doubles is another in another order.
pub(crate) fn show_the_same(mut is: Picture, mut should: Picture, context: &str) {
    for picture in [&mut is, &mut should] {
        picture.retain(|table, _| !["botstore_ledger", "botstore_store"].contains(&&**table));
        for value in picture.values_mut().flatten().flatten() {
            if let Value::Real(amount) = value {
                *amount = (*amount * 1e9).round() / 1e9;
            }
        }
    }
    assert!(is.keys().eq(should.keys()), "{context}");
    for (table, rows) in is {
        assert_eq!(rows, should[&table], "{context}: {table}");
    }
}

/// Sends a message that must be refused with this kind and field, and must change nothing.
pub(crate) async fn refused<M: Mutation>(
    store: &TestStore,
    message: M,
    kind: ErrorKind,
    field: &str,
) -> Error {
    let before = picture(store).await;
    let error = store.write(message).await.err();
    let error = error.unwrap_or_else(|| panic!("{} was not refused", M::name()));
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.field(), Some(field), "{error}");
    assert_eq!(error.operation(), Some(M::name()), "{error}");
    assert_eq!(
        picture(store).await,
        before,
        "{} was refused and changed something",
        M::name()
    );
    error
}

/// Asks a question that must be refused as invalid for this field.
pub(crate) async fn not_answered<Q: Query>(store: &TestStore, query: Q, field: &str) {
    let error = store.read(query).await.err();
    let error = error.unwrap_or_else(|| panic!("{} was answered", Q::name()));
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(error.field(), Some(field), "{error}");
    assert_eq!(error.operation(), Some(Q::name()), "{error}");
}

/// Sends a message that must be taken, and must change nothing.
pub(crate) async fn changes_nothing<M: Mutation>(store: &TestStore, message: M) -> M::Output {
    let before = picture(store).await;
    let answer = store.write(message).await.expect("an answer");
    assert_eq!(
        picture(store).await,
        before,
        "{} changed something",
        M::name()
    );
    answer
}

/// A message or a model reads back from its JSON as it was.
pub(crate) fn survives_json<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_string(value).expect("JSON");
    let read: T = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{json}: {e}"));
    assert_eq!(&read, value, "{json}");
}

/// A host's SQL.
pub(crate) struct Run(pub(crate) String);

impl Mutation for Run {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(&self.0, [])
    }
}

/// Makes [`ROWS`] rows at noon of the clock's first day. `values` may use `i`, which counts them
/// from 1, and `at`, a time that seven in a row share.
pub(crate) async fn fill(store: &TestStore, table_and_columns: &str, values: &str) {
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}),
              rows(i, at) AS (SELECT i, printf('2026-03-10T12:00:00.%06d+00:00', i / 7) FROM n)
         INSERT INTO {table_and_columns} SELECT {values} FROM rows"
    );
    assert_eq!(store.write(Run(sql)).await.expect("rows"), ROWS);
}

/// The page as its reader gets it who keeps the cursor as text, as the data of a button does, and
/// has page and request go over a wire.
async fn page<Q, T>(
    store: &TestStore,
    ask: &impl Fn(PageRequest) -> Q,
    request: &PageRequest,
) -> Page<T>
where
    Q: Query<Output = Page<T>>,
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut request = request.clone();
    request.after = request.after.map(|cursor| {
        let text = cursor.to_string();
        assert!(text.len() <= 64, "{text} does not fit a button");
        text.parse::<Cursor>().expect("a cursor")
    });
    survives_json(&request);
    let page = store.read(ask(request)).await.expect("a page");
    survives_json(&page);
    page
}

/// Every row of a list from `request` on, by pages of which only the last may be short.
async fn walk<Q, T>(
    store: &TestStore,
    ask: &impl Fn(PageRequest) -> Q,
    mut request: PageRequest,
) -> Vec<T>
where
    Q: Query<Output = Page<T>>,
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut all = Vec::new();
    loop {
        let page = page(store, ask, &request).await;
        let full = page.items.len() == request.limit as usize;
        assert!(full || page.next.is_none(), "a short page is not the last");
        assert!(!page.items.is_empty(), "a page has nothing on it");
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        request = request.after(next);
    }
}

/// What every list promises, on a store where it has [`ROWS`] rows: newest first by `key`, all of
/// them, none twice, whatever `arrives` in between; from 1 to 1,000 at a time.
pub(crate) async fn keeps_the_promises_of_a_list<Q, T, I>(
    store: &TestStore,
    ask: impl Fn(PageRequest) -> Q,
    key: impl Fn(&T) -> (DateTime<Utc>, I),
    arrives: impl AsyncFnOnce(),
) where
    Q: Query<Output = Page<T>>,
    T: Serialize + DeserializeOwned + PartialEq + Debug,
    I: Ord + Debug,
{
    not_answered(store, ask(PageRequest::first(0)), "limit").await;
    let capped = page(store, &ask, &PageRequest::first(1_000_000)).await;
    assert_eq!(capped.items.len(), 1_000, "{}", Q::name());
    let foreign = match capped.next.expect("more").to_string().contains(':') {
        true => "0.1",
        false => "0:s",
    };
    let foreign = PageRequest::first(1).after(foreign.parse().expect("a cursor"));
    not_answered(store, ask(foreign), "after").await;

    let all = walk(store, &ask, PageRequest::first(1_000)).await;
    assert_eq!(all.len(), ROWS, "{}", Q::name());
    let keys: Vec<_> = all.iter().map(&key).collect();
    assert!(keys.is_sorted_by(|a, b| a > b), "{keys:?}");
    assert!(keys.windows(2).any(|two| two[0].0 == two[1].0), "no ties");

    let first = page(store, &ask, &PageRequest::first(3)).await;
    arrives().await;
    let rest = PageRequest::first(3).after(first.next.expect("more"));
    let mut walked = first.items;
    walked.extend(walk(store, &ask, rest).await);
    assert!(walked == all, "{}: an arrival shifted the list", Q::name());

    let now = walk(store, &ask, PageRequest::first(1_000)).await;
    assert!(now.len() > ROWS, "{}: nothing arrived", Q::name());
    assert!(now.ends_with(&all), "{}: not newest first", Q::name());
}
