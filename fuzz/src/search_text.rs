//! A text as everything that is looked for by text, and as every text that is saved.
//!
//! No text is more than text: the store answers, or refuses the text as `Invalid`. What a lookup
//! finds is exactly what is spelled so, to the letter; what was saved is read back equal, down to
//! the last NUL; and nothing but that has changed.

use crate::samples::{config, folder, session};
use botstore::audit::{EventFilter, LogEvent, RecentAuditLog, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::page::{Cursor, PageRequest};
use botstore::sessions::{
    CreateSession, GetSession, ProjectSessions, SessionFilter, SessionHistory,
};
use botstore::tokens::{Secret, VerifyToken};
use botstore::tools::ToolCall;
use botstore::users::{EnsureUser, GetUser};
use botstore::{ErrorKind, MAX_NAME_BYTES, Mutation, Query, Result, Store, WriteTx};
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const EVENTS: [&str; 3] = ["login", "Login", "log_n"];
const USERS: i64 = 4;

/// A store that is opened once, with some who have sessions and events.
struct Open {
    store: Store,
    runtime: Runtime,
    _folder: TempDir,
}

static OPEN: LazyLock<Open> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let folder = folder();
    let store = runtime.block_on(async {
        let store = Store::open(config(&folder.path().join("bot.db")))
            .await
            .expect("a store");
        for user_id in 1..=USERS {
            store
                .write(EnsureUser::new(user_id, Some("ada")))
                .await
                .expect("a user");
            store.write(session(user_id)).await.expect("a session");
        }
        for event_type in EVENTS {
            store.write(event(event_type)).await.expect("an event");
        }
        store
    });
    Open {
        store,
        runtime,
        _folder: folder,
    }
});

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Open { store, runtime, .. } = &*OPEN;
    runtime.block_on(async {
        // The id of the session that is saved has one byte more.
        if text.len() >= MAX_NAME_BYTES {
            return too_long(store, &text).await;
        }
        looked_for(store, &text).await;
        match text.is_empty() {
            true => refused(store).await,
            false => saved(store, &text).await,
        }
        store.write(Forget).await.expect("as it was before");
    });
}

fn event(event_type: &str) -> LogEvent {
    LogEvent::new(1, event_type.to_owned())
        .event_data(event_type.into())
        .ip_address(event_type.to_owned())
}

async fn ask<Q: Query>(store: &Store, query: Q) -> Q::Output {
    store
        .read(query)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn make<M: Mutation>(store: &Store, mutation: M) -> M::Output {
    store
        .write(mutation)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

fn about(text: &str) -> ProjectSessions {
    ProjectSessions::new(text.to_owned()).which(SessionFilter::All)
}

fn of_type(text: &str) -> EventFilter {
    EventFilter::new().event_type(text.to_owned())
}

fn log(text: &str) -> (RecentAuditLog, UserAuditLog) {
    let (filter, page) = (of_type(text), PageRequest::default());
    let recent = RecentAuditLog::new()
        .filter(filter.clone())
        .page(page.clone());
    (recent, UserAuditLog::new(1).filter(filter).page(page))
}

/// What was there is found by what it is called, and by nothing else.
async fn looked_for(store: &Store, text: &str) {
    let found = ask(store, about(text)).await.items;
    let expected = (1..=USERS)
        .filter(|&user_id| session(user_id).project_path == text)
        .count();
    assert_eq!(found.len(), expected, "{text:?}");
    let (recent, of_user) = log(text);
    let events = ask(store, recent).await;
    assert_eq!(
        events.items.len(),
        EVENTS.iter().filter(|&&known| known == text).count()
    );
    assert_eq!(ask(store, of_user).await, events);
    for user_id in 1..=USERS {
        let get = GetSession::new(user_id, text.to_owned());
        let is_its_own = session(user_id).session_id == text;
        assert_eq!(ask(store, get).await.is_some(), is_its_own, "{text:?}");
    }
    let secret = Secret::new(text);
    assert_eq!(ask(store, VerifyToken::new(secret)).await, None);
    if let Ok(cursor) = text.parse::<Cursor>() {
        let again = cursor.to_string().parse::<Cursor>();
        assert_eq!(again.expect("a cursor"), cursor, "{text:?}");
        let page = PageRequest::first(2).after(cursor);
        let (mut recent, mut about) = (RecentAuditLog::default(), about("/srv/0"));
        (recent.page, about.page) = (page.clone(), page);
        // One of the two is another list's.
        let kinds = [
            store.read(recent).await.err(),
            store.read(about).await.err(),
        ];
        let refused = kinds.iter().flatten().map(botstore::Error::kind);
        assert_eq!(
            refused.collect::<Vec<_>>(),
            [ErrorKind::Invalid],
            "{text:?}"
        );
    }
}

async fn too_long(store: &Store, text: &str) {
    let text = format!("{text}/");
    let told = store.write(event(&text)).await;
    assert_eq!(told.map_err(|error| error.kind()), Err(ErrorKind::Invalid));
    let listed = store.read(about(&text)).await.map(drop);
    assert_eq!(
        listed.map_err(|error| error.kind()),
        Err(ErrorKind::Invalid)
    );
}

async fn refused(store: &Store) {
    let kind = |result: Result<()>| result.map_err(|error| error.kind());
    let create = {
        let mut new = session(1);
        new.session_id = "".into();
        new
    };
    let created = store.write(create).await.map(drop);
    assert_eq!(kind(created), Err(ErrorKind::Invalid));
    let told = store.write(event("")).await.map(drop);
    assert_eq!(kind(told), Err(ErrorKind::Invalid));
}

/// The text in each place that a text can be in.
async fn saved(store: &Store, text: &str) {
    let (user_id, some) = (100, || Some(text.to_owned()));
    let named = make(store, EnsureUser::new(user_id, some().as_deref())).await;
    assert_eq!(named.username.as_deref(), Some(text));
    assert_eq!(ask(store, GetUser::new(user_id)).await, Some(named));
    let session_id = format!("{text}/");
    let create = CreateSession::new(user_id, session_id.clone(), text.to_owned());
    let created = make(store, create).await;
    assert_eq!(
        (created.session_id.as_str(), created.project_path.as_str()),
        (session_id.as_str(), text)
    );
    let get = GetSession::new(user_id, session_id.clone());
    assert_eq!(ask(store, get).await, Some(created.clone()));
    assert!(
        ask(store, about(text)).await.items.contains(&created),
        "{text:?}"
    );
    let input = serde_json::json!({ text: [text] });
    let save = {
        let mut new = SaveInteraction::new(user_id, session_id.clone(), text.to_owned())
            .tool(ToolCall::new(text).input(input.clone()).failed(text));
        new.response = some();
        new.error = some();
        new.ip_address = some();
        new.idempotency_key = some();
        new
    };
    let receipt = make(store, save.clone()).await;
    assert_eq!(make(store, save).await, receipt, "{text:?} was saved twice");
    let history = SessionHistory::new(user_id, session_id.clone()).limit(10);
    let history = ask(store, history).await.expect("a session");
    let [message] = &history.messages[..] else {
        panic!("{text:?} is {} messages", history.messages.len());
    };
    assert_eq!(message.prompt, text);
    assert_eq!((&message.response, &message.error), (&some(), &some()));
    let [tool] = &history.tools[..] else {
        panic!("{text:?} is {} tool uses", history.tools.len());
    };
    assert_eq!(
        (tool.tool_name.as_str(), &tool.error_message),
        (text, &some())
    );
    assert_eq!(tool.tool_input, Some(input));
    let id = make(store, event(text)).await;
    let (recent, _) = log(text);
    let newest = ask(store, recent).await.items.swap_remove(0);
    assert_eq!((newest.id, newest.event_type.as_str()), (id, text));
    assert_eq!(
        (newest.event_data, newest.ip_address),
        (Some(text.into()), some())
    );
}

/// Takes away what an input has saved, so that the next finds what this one found.
struct Forget;

impl Mutation for Forget {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        for statement in [
            "DELETE FROM botstore_idempotency",
            "DELETE FROM tool_usage",
            "DELETE FROM messages",
            "DELETE FROM cost_tracking",
            "DELETE FROM sessions WHERE user_id = 100",
            "DELETE FROM audit_log WHERE id > 3",
            "DELETE FROM users WHERE user_id = 100",
        ] {
            tx.execute(statement, [])?;
        }
        Ok(())
    }
}
