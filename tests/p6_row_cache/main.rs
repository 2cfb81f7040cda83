//! P6 for answers that are kept on the callers' side: after a mutation's `Ok` nobody, anywhere,
//! reads the older value.

#[path = "../common/mod.rs"]
mod common;
mod tables;

use botstore::interactions::SaveInteraction;
use botstore::sessions::{
    CreateSession, EndSession, GetAnySession, GetSession, SaveSession, ShareSession, UnshareSession,
};
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::users::{EnsureUser, GetUser, IsAllowed, SetAllowed};
use botstore::{Cacheable, ErrorKind, Mutation, Query, ReadTx, Result, Store, WriteTx};
use common::{Numbers, Put, Then, kind, probe_store, until};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tokio::task::JoinSet;

const USERS: i64 = 4;

fn session_of(user_id: i64) -> String {
    format!("session-{user_id}")
}

async fn store_with_users() -> TestStore {
    // Few places, so that answers push each other out too.
    let store = TestStore::open_with(|config| config.row_cache_answers(7).readers(4))
        .await
        .unwrap();
    for user_id in 0..USERS {
        store.write(EnsureUser::new(user_id, None)).await.unwrap();
        let session = CreateSession::new(user_id, session_of(user_id), "/");
        store.write(session).await.unwrap();
    }
    store
}

fn interaction(user_id: i64) -> SaveInteraction {
    SaveInteraction::new(user_id, session_of(user_id), "")
}

/// Readers that never rest compare what they are told with what was acknowledged before they asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_never_rest_read_no_value_older_than_what_was_acknowledged() {
    let store = store_with_users().await;
    let acknowledged: Arc<Vec<AtomicU64>> =
        Arc::new((0..USERS).map(|_| AtomicU64::new(0)).collect());
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..6 {
        let (store, over) = (Store::clone(&store), Arc::clone(&over));
        let acknowledged = Arc::clone(&acknowledged);
        readers.spawn(async move {
            let mut reads = 0_u64;
            while !over.load(SeqCst) {
                let user_id = (reads as i64 + reader) % USERS;
                let least = acknowledged[user_id as usize].load(SeqCst);
                let found = if reader % 2 == 0 {
                    let user = store.read(GetUser::new(user_id)).await.unwrap();
                    user.unwrap().message_count
                } else {
                    let session_id = session_of(user_id);
                    let session = GetSession::new(user_id, session_id);
                    store.read(session).await.unwrap().unwrap().message_count
                };
                assert!(found >= least, "{found} after {least} was acknowledged");
                reads += 1;
                if reads.is_multiple_of(64) {
                    tokio::task::yield_now().await;
                }
            }
            reads
        });
    }
    let mut writers = JoinSet::new();
    for user_id in 0..USERS {
        let store = Store::clone(&store);
        let acknowledged = Arc::clone(&acknowledged);
        writers.spawn(async move {
            for saved in 1..=250 {
                store.write(interaction(user_id)).await.unwrap();
                acknowledged[user_id as usize].store(saved, SeqCst);
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    over.store(true, SeqCst);
    while let Some(reader) = readers.join_next().await {
        assert!(reader.unwrap() > 0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Allow(i64, bool),
    Save(i64),
    Rename(i64, u8),
    End(i64),
    Revive(i64),
    /// The user's session, with another.
    Share(i64, i64),
    Unshare(i64, i64),
    /// Whatever a host's SQL does to memberships.
    Forget,
    FailAfterChanging,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = 0..USERS + 1;
    let step = prop_oneof![
        (user.clone(), any::<bool>()).prop_map(|(u, a)| Step::Allow(u, a)),
        user.clone().prop_map(Step::Save),
        (user.clone(), any::<u8>()).prop_map(|(u, n)| Step::Rename(u, n)),
        user.clone().prop_map(Step::End),
        user.clone().prop_map(Step::Revive),
        (user.clone(), user.clone()).prop_map(|(u, with)| Step::Share(u, with)),
        (user.clone(), user).prop_map(|(u, with)| Step::Unshare(u, with)),
        Just(Step::Forget),
        Just(Step::FailAfterChanging),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Changes a user and fails.
struct ChangeAndFail;

impl Mutation for ChangeAndFail {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute("UPDATE users SET is_allowed = 1 - is_allowed", [])?;
        tx.execute("UPDATE sessions SET message_count = 999", [])?;
        Err(botstore::Error::new(ErrorKind::Conflict, "on purpose"))
    }
}

/// The same questions, never kept.
struct Afresh(i64);

/// What anybody is told of a session, never kept.
struct AskedAfresh<Q>(Q);

impl<Q: Query> Query for AskedAfresh<Q> {
    type Output = Q::Output;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Self::Output> {
        tx.query(&self.0)
    }
}

impl Query for Afresh {
    type Output = (
        Option<botstore::users::User>,
        Option<botstore::sessions::Session>,
    );

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Self::Output> {
        let user = tx.query(&GetUser::new(self.0))?;
        let session = tx.query(&GetSession::new(self.0, session_of(self.0)))?;
        Ok((user, session))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn after_any_history_kept_answers_are_those_of_the_file(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = store_with_users().await;
            for step in steps {
                match step {
                    Step::Allow(user_id, allowed) => {
                        let _ = store.write(if allowed { SetAllowed::allow(user_id) } else { SetAllowed::forbid(user_id) }).await;
                    }
                    Step::Save(user_id) => drop(store.write(interaction(user_id)).await),
                    Step::Rename(user_id, name) => {
                        let name = name.to_string();
                        store.write(EnsureUser::new(user_id, name.as_str())).await.unwrap();
                    }
                    Step::End(user_id) => {
                        let end = EndSession::new(user_id, session_of(user_id));
                        let _ = store.write(end).await;
                    }
                    Step::Revive(user_id) => {
                        let save = SaveSession::new(user_id, session_of(user_id), "/").total_cost(usd(1.0)).total_turns(2).message_count(3);
                        let _ = store.write(save).await;
                    }
                    Step::Share(user_id, with) => {
                        let _ = store.write(ShareSession::new(user_id, session_of(user_id), with)).await;
                    }
                    Step::Unshare(user_id, with) => {
                        let _ = store.write(UnshareSession::new(user_id, session_of(user_id), with)).await;
                    }
                    Step::Forget => {
                        store.write(Run("DELETE FROM botstore_session_member WHERE user_id < 2")).await.unwrap();
                    }
                    Step::FailAfterChanging => {
                        let failed = store.write(ChangeAndFail).await;
                        assert_eq!(kind(failed), ErrorKind::Conflict);
                    }
                }
                for user_id in 0..=USERS {
                    let (user, session) = store.read(Afresh(user_id)).await.unwrap();
                    // Twice: asked for, and kept.
                    for _ in 0..2 {
                        assert_eq!(store.read(GetUser::new(user_id)).await.unwrap(), user);
                        let allowed = store.read(IsAllowed::new(user_id)).await.unwrap();
                        assert_eq!(allowed, user.as_ref().is_some_and(|u| u.is_allowed));
                        let get = GetSession::new(user_id, session_of(user_id));
                        assert_eq!(store.read(get).await.unwrap(), session);
                        let strangers = GetSession::new(77, session_of(user_id));
                        assert_eq!(store.read(strangers).await.unwrap(), None);
                        for asker in 0..USERS {
                            let get = GetSession::new(asker, session_of(user_id));
                            let afresh = store.read(AskedAfresh(get.clone())).await.unwrap();
                            assert_eq!(store.read(get).await.unwrap(), afresh);
                        }
                        let any = GetAnySession::new(session_of(user_id));
                        let afresh = store.read(AskedAfresh(any.clone())).await.unwrap();
                        assert_eq!(store.read(any).await.unwrap(), afresh);
                    }
                }
            }
        });
    }
}

/// A host's answer that is kept.
struct TextOf(i64);

impl Query for TextOf {
    type Output = Option<String>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<String>> {
        let sql = "SELECT text FROM probe WHERE number = ?1";
        tx.maybe(sql, [self.0], |row| Ok(row.get(0)?))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<String>>> {
        let kept = Cacheable::row("probe", self.0);
        Some(kept.bytes(|text: &Option<String>| text.as_ref().map_or(0, String::len)))
    }
}

struct Run(&'static str);

impl Mutation for Run {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(self.0, [])
    }
}

#[tokio::test]
async fn whatever_sql_a_host_changes_its_rows_with_its_kept_answers_follow() {
    let store = probe_store(|config| config).await;
    let text = async |number| store.read(TextOf(number)).await.unwrap();
    assert_eq!(text(1).await, None);
    for (sql, expected) in [
        ("INSERT INTO probe VALUES (1, 'a')", Some("a")),
        ("UPDATE probe SET text = 'b'", Some("b")),
        ("INSERT OR REPLACE INTO probe VALUES (1, 'c')", Some("c")),
        (
            "INSERT INTO probe VALUES (1, 'd') ON CONFLICT DO UPDATE SET text = 'd'",
            Some("d"),
        ),
        // All of a table at once: SQLite would not report the rows by itself.
        ("DELETE FROM probe", None),
        ("INSERT INTO probe SELECT 1, 'e'", Some("e")),
        ("DELETE FROM probe WHERE number < 5", None),
    ] {
        assert_eq!(store.write(Run(sql)).await.unwrap(), 1, "{sql}");
        for _ in 0..2 {
            assert_eq!(text(1).await.as_deref(), expected, "{sql}");
        }
    }
    let failed = store.write(Put::then(1, Then::Fail)).await;
    assert_eq!(kind(failed), ErrorKind::Invalid);
    assert_eq!(text(1).await, None);
    assert!(store.read(Numbers).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_is_replaced_by_another_row_is_not_given_from_memory() {
    let store = store_with_users().await;
    let get = |user_id| GetSession::new(user_id, session_of(1));
    let owner = async || {
        let any = store.read(GetAnySession::new(session_of(1))).await;
        any.unwrap().unwrap().user_id
    };
    assert_eq!(owner().await, 1);
    assert!(store.read(get(1)).await.unwrap().is_some());
    assert!(store.read(get(2)).await.unwrap().is_none());
    let replace = "INSERT OR REPLACE INTO sessions (rowid, session_id, user_id, project_path)
                   VALUES (1000, 'session-1', 2, '/')";
    store.write(Run(replace)).await.unwrap();
    assert!(store.read(get(1)).await.unwrap().is_none());
    assert!(store.read(get(2)).await.unwrap().is_some());
    assert_eq!(owner().await, 2);
}

#[tokio::test]
async fn what_another_program_changes_is_seen_after_a_while() {
    let store = probe_store(|config| config).await;
    store
        .write(Run("INSERT INTO probe VALUES (1, 'a')"))
        .await
        .unwrap();
    assert_eq!(store.read(TextOf(1)).await.unwrap().as_deref(), Some("a"));
    let other = botstore::rusqlite::Connection::open(store.path()).unwrap();
    other.execute("UPDATE probe SET text = 'b'", []).unwrap();
    until("the change", async || {
        store.read(TextOf(1)).await.unwrap().as_deref() == Some("b")
    })
    .await;
}

/// How often the file was asked.
static ASKED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// The text of a row, kept in one of three ways.
struct Counted(usize);

impl Query for Counted {
    type Output = Option<String>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<String>> {
        ASKED[self.0].fetch_add(1, SeqCst);
        tx.query(&TextOf(self.0 as i64))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<String>>> {
        let kept = Cacheable::row("probe", self.0 as i64);
        match self.0 {
            2 => Some(kept),
            _ => Some(kept.bytes(|text: &Option<String>| text.as_ref().map_or(0, String::len))),
        }
    }
}

#[tokio::test]
async fn an_answer_is_kept_if_it_says_how_large_it_is_and_is_not_large() {
    const TIMES: u64 = 1_000;
    let store = probe_store(|config| config).await;
    let rows = "INSERT INTO probe VALUES (0, 'small'), (1, hex(zeroblob(3000))), (2, 'small')";
    store.write(Run(rows)).await.unwrap();
    for which in 0..3 {
        for _ in 0..TIMES {
            store.read(Counted(which)).await.unwrap().unwrap();
        }
    }
    let asked = |which: usize| ASKED[which].load(SeqCst);
    // It is asked again when it is a second old.
    assert!(asked(0) < TIMES, "{} times", asked(0));
    assert_eq!(asked(1), TIMES, "one that is too large");
    assert_eq!(asked(2), TIMES, "one that does not say");
}

#[tokio::test]
async fn a_closed_store_gives_nothing_from_memory() {
    let store = store_with_users().await;
    store.read(GetUser::new(1)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(kind(store.read(GetUser::new(1)).await), ErrorKind::Closed);
}
