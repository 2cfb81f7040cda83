use crate::support::{
    ADA, BOB, HOUR, MICRO, STRANGER, changes_nothing, not_answered, populated, refused,
    survives_json, user,
};
use botstore::ErrorKind::{Conflict, Invalid, NotFound};
use botstore::interactions::SaveInteraction;
use botstore::page::PageRequest;
use botstore::sessions::{
    ActiveSessions, CreateSession, EndSession, ExpireIdle, GetAnySession, GetSession,
    ProjectSessions, SaveSession, Session, SessionFilter, SessionHistory, SessionSummary,
    SessionTotals, UserSessions,
};
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::tools::ToolCall;

pub(crate) fn create(session_id: &str, user_id: i64, project_path: &str) -> CreateSession {
    CreateSession::new(user_id, session_id.to_owned(), project_path.to_owned())
}

pub(crate) fn save(session_id: &str, user_id: i64) -> SaveSession {
    SaveSession::new(user_id, session_id.to_owned(), "/srv/saved")
        .total_cost(usd(1.5))
        .total_turns(7)
        .message_count(3)
}

pub(crate) fn end(session_id: &str, user_id: i64) -> EndSession {
    EndSession::new(user_id, session_id.to_owned())
}

async fn get(store: &TestStore, session_id: &str, user_id: i64) -> Option<Session> {
    let session_id = session_id.to_owned();
    let get = GetSession::new(user_id, session_id);
    store.read(get).await.expect("a read")
}

pub(crate) async fn active(store: &TestStore) -> Vec<String> {
    let page = store.read(ActiveSessions::default()).await.expect("a page");
    page.items
        .into_iter()
        .map(|s| s.session_id.into())
        .collect()
}

#[tokio::test]
async fn a_new_session_is_active_and_counts_on_its_user() {
    let store = populated().await;
    let (ada, bob) = (user(&store, ADA).await, user(&store, BOB).await);
    assert_eq!(ada.session_count, 1);
    store.clock().advance(HOUR);
    let created = store.write(create("s", ADA, "/srv/api")).await;
    let expected = Session::new(ADA, "s", "/srv/api", store.now());
    assert_eq!(created.expect("a session"), expected);
    assert_eq!(get(&store, "s", ADA).await, Some(expected));
    let expected = {
        let mut new = ada;
        new.session_count = 2;
        new
    };
    assert_eq!(user(&store, ADA).await, expected);
    assert_eq!(user(&store, BOB).await, bob);
}

#[tokio::test]
async fn a_session_that_cannot_be_created_changes_nothing() {
    let store = populated().await;
    let id = "session_id";
    refused(&store, create("ada-1", ADA, "/x"), Conflict, id).await;
    // That another user has one is not told: the answer is that of all that is about another's.
    let of_bob = refused(&store, create("bob-1", ADA, "/x"), NotFound, id).await;
    let ended = refused(&store, end("bob-1", ADA), NotFound, id).await;
    let said = |error: &botstore::Error| {
        error
            .to_string()
            .split_once(": ")
            .map(|(_, why)| why.to_owned())
    };
    assert_eq!(said(&of_bob), said(&ended));
    refused(&store, create("s", STRANGER, "/x"), NotFound, "user_id").await;
    refused(&store, create("", ADA, "/x"), Invalid, id).await;
    refused(&store, create("s", ADA, ""), Invalid, "project_path").await;
    // One that has ended keeps its id.
    store.write(end("ada-1", ADA)).await.expect("an end");
    refused(&store, create("ada-1", ADA, "/x"), Conflict, id).await;
}

#[tokio::test]
async fn the_session_of_another_user_is_as_good_as_none() {
    let store = populated().await;
    assert!(get(&store, "bob-1", BOB).await.is_some());
    for id in ["bob-1", "none"] {
        assert_eq!(get(&store, id, ADA).await, None);
        refused(&store, end(id, ADA), NotFound, "session_id").await;
        let history = SessionHistory::new(ADA, id.to_owned()).limit(10);
        assert_eq!(store.read(history).await.expect("a read"), None);
    }
    let error = refused(&store, save("bob-1", ADA), NotFound, "session_id").await;
    let sentence = r#"SaveSession: there is no session "bob-1" of this user (not found)"#;
    assert_eq!(error.to_string(), sentence);
}

#[tokio::test]
async fn an_administrator_gets_any_session_and_its_owner() {
    let store = populated().await;
    for (session_id, owner) in [("ada-1", ADA), ("bob-1", BOB)] {
        let any = GetAnySession::new(session_id);
        survives_json(&any);
        // Before a change and after it, since the answer is kept.
        for _ in 0..2 {
            let found = store.read(any.clone()).await.expect("a read");
            assert_eq!(found, get(&store, session_id, owner).await);
            assert_eq!(found.expect("a session").user_id, owner);
            store.write(end(session_id, owner)).await.expect("ended");
        }
    }
    let none = store.read(GetAnySession::new("none")).await;
    assert_eq!(none.expect("a read"), None);
    not_answered(&store, GetAnySession::new("s".repeat(5_000)), "session_id").await;
}

#[tokio::test]
async fn saving_a_session_that_is_new_creates_it_and_counts_it_once() {
    let store = populated().await;
    let saved = store.write(save("s", ADA)).await.expect("a session");
    let expected = {
        let mut new = Session::new(ADA, "s", "/srv/saved", store.now());
        new.total_cost = usd(1.5);
        new.total_turns = 7;
        new.message_count = 3;
        new
    };
    assert_eq!(saved, expected);
    assert_eq!(get(&store, "s", ADA).await, Some(expected));
    assert_eq!(user(&store, ADA).await.session_count, 2);
    changes_nothing(&store, save("s", ADA)).await;
}

#[tokio::test]
async fn saving_a_session_replaces_its_totals_and_wakes_it() {
    let store = populated().await;
    let before = get(&store, "ada-1", ADA).await.expect("a session");
    let ada = user(&store, ADA).await;
    store.write(save("ada-1", ADA)).await.expect("a session");
    store.write(end("ada-1", ADA)).await.expect("an end");
    store.clock().advance(HOUR);
    let mut second = save("ada-1", ADA);
    // Replaced, not added; they may even go down.
    (second.total_cost, second.total_turns, second.message_count) = (usd(0.25), 2, 1);
    let saved = store.write(second).await.expect("a session");
    let expected = {
        let mut new = before;
        new.last_used = store.now();
        new.total_cost = usd(0.25);
        new.total_turns = 2;
        new.message_count = 1;
        new.is_active = true;
        new
    };
    assert_eq!(saved, expected);
    assert_eq!(get(&store, "ada-1", ADA).await, Some(expected));
    assert_eq!(user(&store, ADA).await, ada);
}

#[tokio::test]
async fn a_session_that_cannot_be_saved_changes_nothing() {
    let store = populated().await;
    for (id, user_id) in [("s", STRANGER), ("ada-1", STRANGER)] {
        refused(&store, save(id, user_id), NotFound, "user_id").await;
    }
    refused(&store, save("", ADA), Invalid, "session_id").await;
    let mut pathless = save("ada-1", ADA);
    pathless.project_path.clear();
    refused(&store, pathless, Invalid, "project_path").await;
    for total_cost in [-0.01, f64::INFINITY] {
        let mut wrong = save("ada-1", ADA);
        wrong.total_cost = usd(total_cost);
        refused(&store, wrong, Invalid, "total_cost").await;
    }
    for total in [u64::MAX, i64::MAX as u64] {
        let mut wrong = save("ada-1", ADA);
        wrong.total_turns = total;
        refused(&store, wrong, Invalid, "total_turns").await;
        let mut wrong = save("s", ADA);
        wrong.message_count = total;
        refused(&store, wrong, Invalid, "message_count").await;
    }
}

#[tokio::test]
async fn the_greatest_totals_can_still_be_counted_on() {
    let store = populated().await;
    for id in ["ada-1", "s", "t"] {
        let mut great = save(id, ADA);
        great.total_turns = 1_000_000_000_000;
        great.message_count = 1_000_000_000_000;
        store.write(great).await.expect("a session");
    }
    let message = SaveInteraction::new(ADA, "s", "").turns(u32::MAX);
    store.write(message).await.expect("a message");
    let session = get(&store, "s", ADA).await.expect("a session");
    assert_eq!(session.message_count, 1_000_000_000_001);
    assert_eq!(session.total_turns, 1_000_000_000_000 + 4_294_967_295);
    let totals = store.read(SessionSummary::new(ADA)).await;
    assert_eq!(totals.expect("totals").total_messages, 3_000_000_000_001);
}

#[tokio::test]
async fn ending_a_session_again_changes_nothing() {
    let store = populated().await;
    let before = get(&store, "ada-1", ADA).await.expect("a session");
    store.clock().advance(HOUR);
    store.write(end("ada-1", ADA)).await.expect("an end");
    let expected = {
        let mut new = before;
        new.is_active = false;
        new
    };
    assert_eq!(get(&store, "ada-1", ADA).await, Some(expected));
    store.clock().advance(HOUR);
    changes_nothing(&store, end("ada-1", ADA)).await;
    assert_eq!(active(&store).await, ["bob-1"]);
}

#[tokio::test]
async fn a_summary_adds_up_the_sessions_of_one_user() {
    let store = populated().await;
    for (id, path) in [("s", "/b"), ("t", "/a"), ("u", "/b")] {
        let session = {
            let mut new = save(id, ADA);
            new.project_path = path.to_owned();
            new
        };
        store.write(session).await.expect("a session");
    }
    store.write(end("t", ADA)).await.expect("an end");
    let summary = async |user_id| {
        store
            .read(SessionSummary::new(user_id))
            .await
            .expect("totals")
    };
    let expected = {
        let mut new = SessionTotals::default();
        new.total_sessions = 4;
        new.active_sessions = 3;
        new.total_cost = usd(4.5);
        new.total_messages = 9;
        new.projects = ["/a", "/b", "/srv/project"].map(str::to_owned).to_vec();
        new
    };
    assert_eq!(summary(ADA).await, expected);
    survives_json(&expected);
    assert_eq!(summary(STRANGER).await, SessionTotals::default());
}

#[tokio::test]
async fn a_history_is_the_session_with_its_newest_messages_and_tool_uses() {
    let store = populated().await;
    for prompt in ["one", "two", "three"] {
        for (user_id, session_id) in [(ADA, "ada-1"), (BOB, "bob-1")] {
            let exchange =
                SaveInteraction::new(user_id, session_id.to_owned(), prompt.to_owned()).tools(
                    vec![ToolCall::new(format!("{prompt} a")), ToolCall::new(prompt)],
                );
            store.write(exchange).await.expect("a receipt");
        }
    }
    let ask = |limit| SessionHistory::new(ADA, "ada-1").limit(limit);
    let history = store.read(ask(2)).await.expect("a read").expect("one");
    assert_eq!(
        Some(&history.session),
        get(&store, "ada-1", ADA).await.as_ref()
    );
    let prompts: Vec<_> = history.messages.iter().map(|m| m.prompt.as_str()).collect();
    assert_eq!(prompts, ["three", "two"]);
    let tools: Vec<_> = history.tools.iter().map(|t| t.tool_name.as_str()).collect();
    assert_eq!(tools, ["three", "three a"]);
    survives_json(&history);
    let whole = store
        .read(ask(u32::MAX))
        .await
        .expect("a read")
        .expect("one");
    assert_eq!((whole.messages.len(), whole.tools.len()), (3, 6));
    not_answered(&store, ask(0), "limit").await;
}

#[tokio::test]
async fn messages_about_sessions_survive_json() {
    let page = PageRequest::first(5).after("1773156600000000:s.1:2".parse().expect("a cursor"));
    survives_json(&create("s", ADA, "/srv"));
    survives_json(&save("s", ADA));
    survives_json(&end("s", ADA));
    survives_json(&ExpireIdle::new(HOUR + MICRO));
    survives_json(&SessionSummary::new(ADA));
    survives_json(&ActiveSessions::new().page(page.clone()));
    let user_sessions = UserSessions::new(ADA)
        .which(SessionFilter::All)
        .page(page.clone());
    survives_json(&user_sessions);
    let json = serde_json::to_value(&user_sessions).expect("JSON");
    assert_eq!(json["which"], "all");
    assert_eq!(json["page"]["after"], "1773156600000000:s.1:2");
    survives_json(
        &ProjectSessions::new("/srv")
            .which(SessionFilter::Active)
            .page(page),
    );
    let session_id = "s".to_owned();
    survives_json(&GetSession::new(ADA, session_id.clone()));
    survives_json(&SessionHistory::new(ADA, session_id).limit(3));
}

#[tokio::test]
async fn a_message_into_a_session_that_has_ended_or_expired_makes_it_active_again() {
    let store = populated().await;
    store
        .write(create("s-back", ADA, "/srv/a"))
        .await
        .expect("created");
    let says = || SaveInteraction::new(ADA, "s-back", "Are you there?");
    for ends in [true, false] {
        match ends {
            true => store.write(end("s-back", ADA)).await.expect("ended"),
            false => {
                store.clock().advance(HOUR * 2);
                store.write(ExpireIdle::new(HOUR)).await.expect("expired");
            }
        }
        assert!(!active(&store).await.contains(&"s-back".to_owned()));
        store.write(says()).await.expect("saved");
        assert!(active(&store).await.contains(&"s-back".to_owned()));
        assert!(
            get(&store, "s-back", ADA)
                .await
                .expect("a session")
                .is_active
        );
    }
    // It is idle again only when it has not been used for as long.
    let ended = store.write(ExpireIdle::new(HOUR)).await.expect("expired");
    assert_eq!(ended, 0);
    // A message that is refused, or another user's, wakes nothing.
    store.write(end("s-back", ADA)).await.expect("ended");
    let bobs = {
        let mut new = says();
        new.user_id = BOB.into();
        new
    };
    assert!(store.write(bobs).await.is_err());
    assert!(
        !get(&store, "s-back", ADA)
            .await
            .expect("a session")
            .is_active
    );
}
