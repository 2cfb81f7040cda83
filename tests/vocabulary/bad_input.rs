//! What nobody should send.

use crate::support::{ADA, BOB, MICRO, changes_nothing, populated, refused, survives_json};
use botstore::audit::{EventFilter, RecentAuditLog};
use botstore::costs::{AddCost, UserDailyCosts};
use botstore::interactions::{SaveInteraction, SweepKeys};
use botstore::limits::{Amount, Per, Scope, SetLimit, UserBudget};
use botstore::messages::{RecentMessages, SaveMessage, SessionMessages, UserMessages};
use botstore::page::{Cursor, PageRequest};
use botstore::sessions::{CreateSession, EndSession, ExpireIdle, GetSession, SaveSession};
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::tokens::{IssueToken, UserTokens};
use botstore::tools::{RecordToolUse, SessionToolUse, ToolCall};
use botstore::usage::Usage;
use botstore::users::{EnsureUser, GetUser, ListUsers};
use botstore::{Error, ErrorKind};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn any_id_of_a_user_will_do() {
    let store = TestStore::open().await.expect("a store");
    for user_id in [i64::MIN, -1, 0, i64::MAX] {
        assert_eq!(
            store.read(GetUser::new(user_id)).await.expect("a read"),
            None
        );
        let made = store.write(EnsureUser::new(user_id, None)).await;
        survives_json(&made.expect("a user"));
        let session_id = user_id.to_string();
        let create = CreateSession::new(user_id, session_id.clone(), "/");
        store.write(create).await.expect("a session");
        let save = SaveInteraction::new(user_id, session_id, "")
            .cost(usd(0.5))
            .idempotency_key("k");
        store.write(save).await.expect("a receipt");
        let issue = IssueToken::new(user_id);
        store.write(issue).await.expect("a token");
        let page = PageRequest::default();
        let days = 0;
        let costs = store.read(UserDailyCosts::new(user_id, days)).await;
        assert_eq!(costs.expect("costs")[0].daily_cost, usd(0.5));
        let messages = UserMessages::new(user_id).page(page.clone());
        assert_eq!(store.read(messages).await.expect("a page").items.len(), 1);
        let tokens = UserTokens::new(user_id).page(page);
        assert_eq!(store.read(tokens).await.expect("a page").items.len(), 1);
    }
    let mut request = PageRequest::first(1);
    for expected in [i64::MAX, 0, -1, i64::MIN] {
        let page = store.read(ListUsers::new().page(request.clone())).await;
        let page = page.expect("a page");
        assert_eq!(page.items[0].user_id, expected);
        let Some(next) = page.next else { break };
        request = request.after(next);
    }
}

#[tokio::test]
async fn a_request_costs_from_nothing_to_9_million_dollars_and_a_session_up_to_a_billion() {
    let store = populated().await;
    let session_id = "ada-1".to_owned();
    let interaction = |cost| SaveInteraction::new(ADA, session_id.clone(), "").cost(usd(cost));
    let message = |cost| SaveMessage::new(ADA, session_id.clone(), "").cost(usd(cost));
    let session =
        |total_cost| SaveSession::new(ADA, session_id.clone(), "/").total_cost(usd(total_cost));
    for cost in [
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1e-9,
        -5.0,
        1e9 * 1.000_001,
        f64::MAX,
    ] {
        let kind = ErrorKind::Invalid;
        refused(&store, interaction(cost), kind, "cost").await;
        refused(&store, message(cost), kind, "cost").await;
        refused(&store, AddCost::new(ADA, usd(cost)), kind, "cost").await;
        refused(&store, session(cost), kind, "total_cost").await;
    }
    // What rollups and counters would count as less.
    for cost in [9e6 + 1e-8, 1e7, 1e9] {
        let kind = ErrorKind::Invalid;
        refused(&store, interaction(cost), kind, "cost").await;
        refused(&store, message(cost), kind, "cost").await;
        refused(&store, AddCost::new(ADA, usd(cost)), kind, "cost").await;
        let usage = Usage::new("acme", "parrot").cost(usd(cost));
        let said = SaveInteraction::new(ADA, session_id.clone(), "").usage(usage);
        refused(&store, said, kind, "cost").await;
        store.write(session(cost)).await.expect("a session");
    }
    for cost in [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, 0.1 + 0.2, 9e6] {
        store.write(interaction(cost)).await.expect("a receipt");
        store.write(message(cost)).await.expect("an id");
        let day = AddCost::new(ADA, usd(cost));
        store.write(day).await.expect("a day");
        let saved = store.write(session(cost)).await.expect("a session");
        assert_eq!(saved.total_cost, usd(cost));
        let page = PageRequest::first(2);
        let kept = store.read(UserMessages::new(ADA).page(page)).await;
        assert!(
            kept.expect("a page")
                .items
                .iter()
                .all(|m| m.cost == usd(cost))
        );
    }
    // Each is counted with what it is: exchange, message and other request.
    let limit = SetLimit::new(Scope::EachUser, Per::Ever, Amount::Cost(usd(1e9)));
    store.write(limit).await.expect("a limit");
    let budget = store.read(UserBudget::new(ADA)).await.expect("a budget");
    let each = usd(9e6) + usd(0.1 + 0.2);
    assert_eq!(budget[0].spent, Amount::Cost(each + each + each));
}

#[tokio::test]
async fn any_span_of_time_will_do() {
    let store = populated().await;
    let save = SaveInteraction::new(ADA, "ada-1", "").idempotency_key("k");
    store.write(save).await.expect("a receipt");
    store.clock().advance(MICRO);
    let century = Duration::from_secs(100 * 366 * 24 * 3600);
    for span in [
        Duration::MAX,
        Duration::from_secs(i64::MAX as u64),
        century * 1_000,
        century * 30,
    ] {
        let expired = changes_nothing(&store, ExpireIdle::new(span)).await;
        let swept = changes_nothing(&store, SweepKeys::new(span)).await;
        assert_eq!((expired, swept), (0, 0));
        let page = PageRequest::default();
        let recent = RecentMessages::new(span).page(page.clone());
        assert_eq!(store.read(recent).await.expect("a page").items.len(), 1);
        let filter = EventFilter::last(span, store.now());
        let recent = RecentAuditLog::new().filter(filter).page(page);
        assert_eq!(store.read(recent).await.expect("a page").items.len(), 1);
    }
}

#[tokio::test]
async fn a_cursor_may_say_anything_and_the_list_stays_whole() {
    let store = populated().await;
    for text in [
        "",
        ".",
        ":",
        "1",
        "a.1",
        "1.",
        "1.a",
        "1.9223372036854775808",
        "9e9.1",
        "NaN:s",
        "1.1;",
        " 1.1",
    ] {
        let error = text.parse::<Cursor>().expect_err(text);
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("after"))
        );
        let json = json!({ "limit": 3, "after": text });
        assert!(
            serde_json::from_value::<PageRequest>(json).is_err(),
            "{text}"
        );
    }
    // Well-formed, of a time that no file has.
    for (text, rows) in [
        ("-99999999999999999.1", 0),
        ("0.0", 0),
        ("8000000000000000000.1", 2),
    ] {
        let page = PageRequest::first(3).after(text.parse().expect(text));
        let users = store
            .read(ListUsers::new().page(page))
            .await
            .expect("a page");
        assert_eq!(users.items.len(), rows, "{text}");
    }
}

#[tokio::test]
async fn an_id_that_is_empty_or_unknown_finds_nothing() {
    let store = populated().await;
    for session_id in ["", " ada-1", "ADA-1", "ada-1\u{0}", "ada-%"] {
        let (session_id, page) = (session_id.to_owned(), PageRequest::default());
        let messages = SessionMessages::new(ADA, session_id.clone()).page(page.clone());
        let error = store.read(messages).await.expect_err("no session");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let tools = SessionToolUse::new(ADA, session_id.clone()).page(page);
        let error = store.read(tools).await.expect_err("no session");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let get = GetSession::new(ADA, session_id.clone());
        assert_eq!(store.read(get).await.expect("a read"), None);
        let end = EndSession::new(ADA, session_id.clone());
        refused(&store, end, ErrorKind::NotFound, "session_id").await;
        let call = ToolCall::new("LS");
        let record = RecordToolUse::new(ADA, session_id, call);
        refused(&store, record, ErrorKind::NotFound, "session_id").await;
    }
}

#[tokio::test]
async fn an_error_never_tells_what_was_said() {
    const SAID: &str = "SAID-IN-CONFIDENCE";
    let store = populated().await;
    let said = || Some(SAID.to_owned());
    let save = |change: &dyn Fn(&mut SaveInteraction)| {
        let mut save = {
            let mut new = SaveInteraction::new(ADA, "ada-1", SAID.to_owned())
                .tool(ToolCall::new("T").input(json!(SAID)).failed(SAID));
            new.response = said();
            new.error = said();
            new
        };
        change(&mut save);
        save
    };
    let mut errors: Vec<Error> = Vec::new();
    for (kind, field, wrong) in [
        (
            ErrorKind::NotFound,
            "user_id",
            save(&|s| s.user_id = 404.into()),
        ),
        (
            ErrorKind::NotFound,
            "session_id",
            save(&|s| s.session_id = "bob-1".into()),
        ),
        (
            ErrorKind::Invalid,
            "session_id",
            save(&|s| s.session_id = "".into()),
        ),
        (ErrorKind::Invalid, "cost", save(&|s| s.cost = usd(-1.0))),
        (
            ErrorKind::Invalid,
            "duration_ms",
            save(&|s| s.duration_ms = Some(u64::MAX)),
        ),
        (
            ErrorKind::Invalid,
            "tool_name",
            save(&|s| s.tools[0].tool_name.clear()),
        ),
        (
            ErrorKind::Invalid,
            "idempotency_key",
            save(&|s| s.idempotency_key = Some(String::new())),
        ),
    ] {
        errors.push(refused(&store, wrong, kind, field).await);
    }
    let elsewhere = {
        let mut new = SaveMessage::new(BOB, "ada-1", SAID.to_owned());
        new.response = said();
        new.error = said();
        new
    };
    errors.push(refused(&store, elsewhere, ErrorKind::NotFound, "session_id").await);
    store.close().await.expect("closed");
    errors.push(store.write(save(&|_| ())).await.expect_err("closed"));
    for error in errors {
        let mut told = format!("{error} {error:?} {error:#?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            told += &format!(" {cause} {cause:?}");
            source = cause.source();
        }
        assert!(!told.contains("CONFIDENCE"), "{told}");
    }
}
