//! An answer is bounded in bytes as well as in rows, and a cursor goes on where it ends.

use crate::support::{ADA, populate};
use botstore::analytics::UserDashboard;
use botstore::audit::{EventFilter, RecentAuditLog, UserAuditLog};
use botstore::limits::{Limits, NamedBudgets};
use botstore::messages::{RecentMessages, SessionMessages, UserMessages};
use botstore::page::{MAX_LIMIT, Page, PageRequest};
use botstore::sessions::{
    ActiveSessions, ProjectSessions, SessionFilter, SessionHistory, SessionMembers, UserSessions,
};
use botstore::testing::TestStore;
use botstore::timers::Timers;
use botstore::tokens::UserTokens;
use botstore::tools::{SessionToolUse, UserToolUse};
use botstore::users::{AllowedUsers, ListUsers};
use botstore::{ErrorKind, Mutation, Query, Result, Store, WriteTx};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

/// How many rows each list has.
const ROWS: usize = 40;

/// How many bytes a large text of theirs has.
const TEXT: usize = 3_000;

/// Room for two rows of such a text, and not for three.
const ROOM: usize = 3 * TEXT;

/// Rows in every table that has a list, each with a large text: in each of the columns that take one, in turn.
struct Fill;

impl Mutation for Fill {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let text = "x".repeat(TEXT);
        let json = format!("{{\"a\":\"{text}\"}}");
        for n in 0..ROWS as i64 {
            let (at, id) = (tx.now_text(), 1_000 + n);
            tx.execute(
                "INSERT INTO users (user_id, telegram_username, first_seen, last_active, is_allowed)
                 VALUES (?1, ?2, ?3, ?3, 1)",
                (id, &text, at),
            )?;
            let (path, session_id) = match n % 2 {
                0 => (format!("/{text}"), format!("s-{n}")),
                _ => ("/p".to_owned(), format!("s-{n}-{text}")),
            };
            tx.execute(
                "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
                 VALUES (?1, 1, ?2, ?3, ?3)",
                (&session_id, path, at),
            )?;
            tx.execute(
                "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used)
                 VALUES (?1 || ?2, 2, '/shared', ?3, ?3)",
                (&text, n, at),
            )?;
            // A member has no text of its own but a time that is none.
            tx.execute(
                "INSERT INTO botstore_session_member (session_id, user_id, joined_at)
                 VALUES ('ada-1', ?1, ?2)",
                (id, &text),
            )?;
            let column = ["prompt", "response", "error"][n as usize % 3];
            let (prompt, response, error) = match column {
                "prompt" => (text.as_str(), None, None),
                "response" => ("p", Some(&text), None),
                _ => ("p", None, Some(&text)),
            };
            tx.execute(
                "INSERT INTO messages (session_id, user_id, timestamp, prompt, response, error)
                 VALUES ('ada-1', 1, ?1, ?2, ?3, ?4)",
                (at, prompt, response, error),
            )?;
            let (input, why, name) = match n % 3 {
                0 => (Some(&json), None, "Read"),
                1 => (None, Some(&text), "Read"),
                _ => (None, None, text.as_str()),
            };
            tx.execute(
                "INSERT INTO tool_usage (session_id, tool_name, tool_input, timestamp, error_message)
                 VALUES ('ada-1', ?1, ?2, ?3, ?4)",
                (name, input, at, why),
            )?;
            let (event_type, data) = match n % 2 {
                0 => ("odd", Some(&json)),
                _ => (text.as_str(), None),
            };
            tx.execute(
                "INSERT INTO audit_log (user_id, event_type, event_data, timestamp)
                 VALUES (1, ?1, ?2, ?3)",
                (event_type, data, at),
            )?;
            let (name, message) = match n % 2 {
                0 => ("remind", json.as_str()),
                _ => (text.as_str(), "{}"),
            };
            tx.execute(
                "INSERT INTO botstore_timer (name, message, due_at, created_at) VALUES (?1, ?2, ?3, ?3)",
                (name, message, at),
            )?;
            tx.execute(
                "INSERT INTO botstore_limit (scope, who, measure, per, max, limit_id, set_at)
                 VALUES ('model', ?1 || ?2, 'cost', 'day', 5, ?2, ?3)",
                (&text, n, at),
            )?;
            for part in 0..8 {
                tx.execute(
                    "INSERT INTO user_tokens (user_id, token_hash, created_at)
                     VALUES (1, printf('%d-%d', ?1, ?2), ?3)",
                    (n, part, at),
                )?;
            }
        }
        Ok(())
    }
}

async fn filled(max_answer_bytes: usize) -> TestStore {
    let config = |config: botstore::Config| config.max_answer_bytes(max_answer_bytes);
    let store = TestStore::open_with(config).await.expect("a store");
    populate(&store).await;
    store.write(Fill).await.expect("rows");
    store
}

/// Reads a list to its end, and sees that each page has as many rows as there is room for.
async fn is_bounded<Q, T>(
    (small, large): (&Store, &Store),
    ask: impl Fn(PageRequest) -> Q,
) -> &'static str
where
    Q: Query<Output = Page<T>>,
    T: Serialize + PartialEq + Debug,
{
    let whole = large.read(ask(PageRequest::first(MAX_LIMIT))).await;
    let whole = whole.expect("a page");
    assert!(
        whole.next.is_none() && whole.items.len() >= ROWS,
        "{}",
        Q::name()
    );
    let size = |row: &T| serde_json::to_string(row).expect("JSON").len();
    let are_large = whole.items.iter().any(|row| size(row) >= TEXT);
    let mut request = PageRequest::first(MAX_LIMIT);
    let mut walked = Vec::new();
    loop {
        let page = small.read(ask(request.clone())).await.expect("a page");
        let rows = page.items.len();
        assert!(rows > 0, "{}: a page has nothing on it", Q::name());
        assert!(rows < whole.items.len(), "{}: it is not bounded", Q::name());
        let large = page.items.iter().filter(|row| size(row) >= TEXT).count();
        assert!(
            large <= 2,
            "{}: {large} large rows in one answer",
            Q::name()
        );
        walked.extend(page.items);
        let Some(next) = page.next else { break };
        assert!(
            large == 2 || !are_large,
            "{}: there was room for more",
            Q::name()
        );
        request = request.after(next);
    }
    assert!(
        walked == whole.items,
        "{}: by pages it is another list",
        Q::name()
    );
    Q::name()
}

/// The names of the queries that give a page, by the sources.
fn lists() -> BTreeSet<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain")];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a source");
            for query in source.split("impl Query for ").skip(1) {
                let body = query.split("fn fetch").next().unwrap_or_default();
                if body.contains("type Output = Page<") {
                    names.extend(query.split(' ').next().map(str::to_owned));
                }
            }
        }
    }
    names
}

#[tokio::test]
async fn every_list_ends_its_page_where_its_bytes_end_and_goes_on_from_there() {
    let (small, large) = (filled(ROOM).await, filled(1 << 30).await);
    let stores: (&Store, &Store) = (&small, &large);
    let (user_id, session_id) = (ADA, "ada-1".to_owned());
    let session = || session_id.clone();
    let within = Duration::from_secs(3600);
    let mut seen = BTreeSet::new();
    seen.insert(is_bounded(stores, |page| ListUsers::new().page(page)).await);
    seen.insert(is_bounded(stores, |page| AllowedUsers::new().page(page)).await);
    let which = SessionFilter::All;
    let of_user = |page| UserSessions::new(user_id).which(which).page(page);
    seen.insert(is_bounded(stores, of_user).await);
    let of_project = |page| ProjectSessions::new("/shared").which(which).page(page);
    seen.insert(is_bounded(stores, of_project).await);
    seen.insert(is_bounded(stores, |page| ActiveSessions::new().page(page)).await);
    let members = |page| SessionMembers::new(user_id, session()).page(page);
    seen.insert(is_bounded(stores, members).await);
    let said = |page| SessionMessages::new(user_id, session()).page(page);
    seen.insert(is_bounded(stores, said).await);
    seen.insert(is_bounded(stores, |page| UserMessages::new(user_id).page(page)).await);
    seen.insert(is_bounded(stores, |page| RecentMessages::new(within).page(page)).await);
    let used = |page| SessionToolUse::new(user_id, session()).page(page);
    seen.insert(is_bounded(stores, used).await);
    seen.insert(is_bounded(stores, |page| UserToolUse::new(user_id).page(page)).await);
    for since in [None, Some(small.now())] {
        let filter = {
            let mut new = EventFilter::new();
            new.since = since;
            new
        };
        let of_user = |page| UserAuditLog::new(user_id).filter(filter.clone()).page(page);
        seen.insert(is_bounded(stores, of_user).await);
        let of_all = |page| RecentAuditLog::new().filter(filter.clone()).page(page);
        seen.insert(is_bounded(stores, of_all).await);
    }
    seen.insert(is_bounded(stores, |page| UserTokens::new(user_id).page(page)).await);
    seen.insert(is_bounded(stores, |page| Timers::new().page(page)).await);
    seen.insert(is_bounded(stores, |page| Limits::new().page(page)).await);
    seen.insert(is_bounded(stores, |page| NamedBudgets::new().page(page)).await);
    let seen: BTreeSet<_> = seen.into_iter().map(str::to_owned).collect();
    assert_eq!(seen, lists(), "a list that is not asked here");
}

#[tokio::test]
async fn an_answer_of_several_lists_has_room_for_all_of_them_once() {
    let store = filled(ROOM).await;
    let ask = SessionHistory::new(ADA, "ada-1").limit(100);
    let history = store
        .read(ask)
        .await
        .expect("an answer")
        .expect("a session");
    // At least one of each.
    assert_eq!((history.messages.len(), history.tools.len()), (2, 1));
    let shown = store.read(UserDashboard::new(ADA)).await;
    let shown = shown.expect("an answer").expect("a user");
    assert_eq!(
        (shown.recent_messages.len(), shown.recent_audit.len()),
        (2, 1)
    );
}

#[tokio::test]
async fn one_row_that_is_larger_than_an_answer_may_be_comes_alone() {
    let store = filled(1024).await;
    let mut request = PageRequest::first(7);
    for rest in (0..ROWS).rev() {
        let ask = UserMessages::new(ADA).page(request.clone());
        let page = store.read(ask).await.expect("a page");
        assert_eq!((page.items.len(), page.next.is_some()), (1, rest > 0));
        if let Some(next) = page.next {
            request = request.after(next);
        }
    }
}

#[tokio::test]
async fn how_large_an_answer_may_be_has_a_range() {
    for bytes in [0, 1023, (2 << 30) + 1] {
        let opened = TestStore::open_with(|config| config.max_answer_bytes(bytes)).await;
        let error = opened.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field(), Some("max_answer_bytes"));
    }
}
