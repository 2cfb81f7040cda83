//! P2: all of a mutation or none of it, and counters that equal the sums of what was acknowledged.

mod common;

use botstore::interactions::SaveInteraction;
use botstore::rusqlite::Connection;
use botstore::sessions::{CreateSession, GetSession};
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::updates::{Claim, ClaimUpdate, FinishUpdate};
use botstore::users::{EnsureUser, GetUser};
use botstore::{Error, ErrorKind, Mutation, Result, Store, WriteTx, costs};
use common::kind;
use tokio::task::JoinSet;

async fn user_with_session(store: &Store, user_id: i64) -> String {
    let session_id = format!("s{user_id}");
    store.write(EnsureUser::new(user_id, None)).await.unwrap();
    let session = CreateSession::new(user_id, session_id.clone(), "/srv");
    store.write(session).await.unwrap();
    session_id
}

fn interaction(user_id: i64) -> SaveInteraction {
    SaveInteraction::new(user_id, format!("s{user_id}"), "p")
        .cost(usd(0.125))
        .turns(3)
        .tools(vec![ToolCall::new("Read"), ToolCall::new("Bash")])
}

/// Every row of every table but the ledger, as one text.
fn dump(path: &std::path::Path) -> String {
    let conn = Connection::open(path).unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'
                  AND name <> 'botstore_ledger' ORDER BY name";
    let mut text = String::new();
    let mut tables = conn.prepare(tables).unwrap();
    let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for name in names.map(Result::<_, _>::unwrap) {
        let mut rows = conn.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|c| format!("{:?}", row.get_ref(c).unwrap()));
            text += &format!("{name}: {}\n", values.collect::<Vec<_>>().join(", "));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_when_everybody_writes_to_the_same_rows() {
    const CALLERS: usize = 32;
    const EACH: usize = 20;
    let store = TestStore::open().await.unwrap();
    user_with_session(&store, 1).await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let store = Store::clone(&store);
        callers.spawn(async move {
            for _ in 0..EACH {
                store.write(interaction(1)).await.unwrap();
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let saved = (CALLERS * EACH) as u64;
    let user = store.read(GetUser::new(1)).await.unwrap().unwrap();
    assert_eq!(user.message_count, saved);
    assert_eq!(user.total_cost, usd(0.125 * saved as f64));
    let session = GetSession::new(1, "s1");
    let session = store.read(session).await.unwrap().unwrap();
    assert_eq!(session.message_count, saved);
    assert_eq!(session.total_turns, 3 * saved);
    assert_eq!(session.total_cost, usd(0.125 * saved as f64));
    let days = costs::UserDailyCosts::new(1, 1);
    let days = store.read(days).await.unwrap();
    assert_eq!(days[0].request_count, saved);
    assert_eq!(days[0].daily_cost, usd(0.125 * saved as f64));
    let (_folder, path) = store.into_file().await.unwrap();
    let conn = Connection::open(path).unwrap();
    for (table, rows) in [
        ("messages", saved),
        ("tool_usage", 2 * saved),
        // And the beginning of the session.
        ("audit_log", saved + 1),
    ] {
        let sql = format!("SELECT count(*) FROM {table}");
        let found: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found as u64, rows, "{table}");
    }
}

/// Fails after an interaction and more have been written in the same transaction.
struct SaveThenFail;

impl Mutation for SaveThenFail {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&interaction(1))?;
        tx.apply(&EnsureUser::new(99, Some("nobody")))?;
        Err(Error::new(ErrorKind::Conflict, "changed its mind"))
    }
}

#[tokio::test]
async fn a_mutation_that_fails_at_its_end_has_done_nothing() {
    let store = TestStore::open().await.unwrap();
    user_with_session(&store, 1).await;
    store.write(interaction(1)).await.unwrap();
    let before = dump(store.path());
    assert_eq!(kind(store.write(SaveThenFail).await), ErrorKind::Conflict);
    assert_eq!(dump(store.path()), before);
}

#[tokio::test]
async fn an_interaction_with_one_wrong_part_leaves_none_of_it() {
    let store = TestStore::open().await.unwrap();
    user_with_session(&store, 1).await;
    let before = dump(store.path());
    for wrong in [
        {
            let mut new = interaction(1);
            new.tools = vec![ToolCall::new("Read"), ToolCall::new("")];
            new
        },
        {
            let mut new = interaction(1);
            new.cost = usd(-0.01);
            new
        },
        {
            let mut new = interaction(1);
            new.duration_ms = Some(u64::MAX);
            new
        },
        {
            let mut new = interaction(1);
            new.idempotency_key = Some(String::new());
            new
        },
    ] {
        assert_eq!(kind(store.write(wrong).await), ErrorKind::Invalid);
    }
    assert_eq!(dump(store.path()), before);
}

#[tokio::test]
async fn of_many_who_are_delivered_an_update_at_once_one_gets_it() {
    const UPDATES: i32 = 20;
    let store = TestStore::open().await.unwrap();
    user_with_session(&store, 1).await;
    let mut tasks = JoinSet::new();
    for (caller, update) in (0..16).flat_map(|caller| (0..UPDATES).map(move |u| (caller, u))) {
        let store = Store::clone(&store);
        tasks.spawn(async move {
            if (caller + update) % 7 == 0 {
                // Has the batch run again: the ticket that is told is the one that was committed.
                store.write(SaveThenFail).await.unwrap_err();
            }
            let claim = ClaimUpdate::new("telegram", update);
            let Claim::First { ticket } = store.write(claim).await.unwrap() else {
                return None;
            };
            store.write(FinishUpdate::new(ticket)).await.unwrap();
            Some(update)
        });
    }
    let mut done = Vec::from_iter(tasks.join_all().await.into_iter().flatten());
    done.sort_unstable();
    assert_eq!(done, Vec::from_iter(0..UPDATES));
}
