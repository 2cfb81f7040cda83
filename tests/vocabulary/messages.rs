use crate::support::{
    ADA, BOB, DAY, HOUR, MICRO, STRANGER, create_session, fill, keeps_the_promises_of_a_list,
    picture, populated, refused, survives_json, user,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::UserId;
use botstore::costs::UserDailyCosts;
use botstore::messages::{ChatMessage, RecentMessages, SaveMessage, SessionMessages, UserMessages};
use botstore::page::PageRequest;
use botstore::sessions::GetSession;
use botstore::testing::TestStore;
use botstore::testing::usd;
use std::time::Duration;

const MESSAGES: &str = "messages (session_id, user_id, timestamp, prompt, cost)";

fn message() -> SaveMessage {
    SaveMessage::new(ADA, "ada-1", "Hello")
        .response("Hi!")
        .cost(usd(0.25))
        .duration_ms(1_200)
}

async fn of_session(store: &TestStore, session_id: &str) -> Vec<ChatMessage> {
    let list = SessionMessages::new(ADA, session_id.to_owned());
    store.read(list).await.expect("a page").items
}

async fn recent(store: &TestStore, within: Duration) -> Vec<i64> {
    let page = PageRequest::default();
    let page = store.read(RecentMessages::new(within).page(page)).await;
    let items = page.expect("a page").items;
    items.into_iter().map(|m| m.message_id.get()).collect()
}

#[tokio::test]
async fn a_message_is_kept_and_counted_on_session_user_and_day() {
    let store = populated().await;
    let get_session = GetSession::new(ADA, "ada-1");
    let session = store.read(get_session.clone()).await.expect("a read");
    let ada = user(&store, ADA).await;
    let before = picture(&store).await;
    store.clock().advance(HOUR);
    let message_id = store.write(message()).await.expect("an id");
    let expected = {
        let mut new = ChatMessage::new(message_id, ADA, "ada-1", store.now(), "Hello");
        new.response = Some("Hi!".to_owned());
        new.cost = usd(0.25);
        new.duration_ms = Some(1_200);
        new
    };
    assert_eq!(of_session(&store, "ada-1").await, [expected]);
    store.write(message()).await.expect("an id");
    let expected = {
        let mut new = session.expect("a session");
        new.last_used = store.now();
        new.total_cost = usd(0.5);
        new.message_count = 2;
        new
    };
    let session = store.read(get_session).await.expect("a read");
    assert_eq!(session, Some(expected));
    let expected = {
        let mut new = ada;
        new.last_active = store.now();
        new.total_cost = usd(0.5);
        new.message_count = 2;
        new
    };
    assert_eq!(user(&store, ADA).await, expected);
    let (user_id, days) = (ADA, 0);
    let costs = store.read(UserDailyCosts::new(user_id, days)).await;
    let costs = costs.expect("costs");
    assert_eq!((costs[0].daily_cost, costs[0].request_count), (usd(0.5), 2));
    // It has neither tools nor an audit row, and is nobody else's.
    let after = picture(&store).await;
    assert_eq!(before["audit_log"], after["audit_log"]);
    assert_eq!(before["tool_usage"], after["tool_usage"]);
    assert_eq!(before["users"][1], after["users"][1]);
    assert_eq!(before["sessions"][1], after["sessions"][1]);
}

#[tokio::test]
async fn what_is_not_there_is_not_there_and_what_is_empty_is_empty() {
    let store = populated().await;
    let bare = SaveMessage::new(ADA, "ada-1", "");
    let full = {
        let mut new = bare.clone();
        new.response = Some(String::new());
        new.duration_ms = Some(0);
        new.error = Some(String::new());
        new
    };
    store.write(bare).await.expect("an id");
    store.write(full).await.expect("an id");
    let kept = of_session(&store, "ada-1").await;
    let optional = |m: &ChatMessage| (m.response.clone(), m.duration_ms, m.error.clone());
    let nothing = Some(String::new());
    assert_eq!(optional(&kept[0]), (nothing.clone(), Some(0), nothing));
    assert_eq!(optional(&kept[1]), (None, None, None));
    assert_eq!(kept[1].prompt, "");
    assert_eq!(kept[1].cost, usd(0.0));
}

#[tokio::test]
async fn a_message_that_is_refused_leaves_no_trace() {
    let store = populated().await;
    let with = |change: fn(&mut SaveMessage)| {
        let mut changed = message();
        change(&mut changed);
        changed
    };
    let stranger = with(|m| m.user_id = STRANGER.into());
    refused(&store, stranger, NotFound, "user_id").await;
    for session_id in ["bob-1", "none"] {
        let mut elsewhere = message();
        elsewhere.session_id = session_id.into();
        refused(&store, elsewhere, NotFound, "session_id").await;
    }
    let nowhere = with(|m| m.session_id = "".into());
    refused(&store, nowhere, Invalid, "session_id").await;
    let free = with(|m| m.cost = usd(-1.0));
    refused(&store, free, Invalid, "cost").await;
    let endless = with(|m| m.duration_ms = Some(u64::MAX));
    refused(&store, endless, Invalid, "duration_ms").await;
    // The number that a refused message might have had is the next one's.
    assert_eq!(store.write(message()).await.expect("an id"), 1);
}

#[tokio::test]
async fn messages_are_listed_page_by_page_by_session_user_and_time() {
    let store = populated().await;
    create_session(&store, ADA, "ada-2").await;
    fill(&store, MESSAGES, "'ada-1', 1, at, 'p' || i, 0.0").await;
    let arrives = async |session_id: &str, user_id| {
        let new = {
            let mut new = message();
            new.session_id = session_id.into();
            new.user_id = UserId::new(user_id);
            new
        };
        store.write(new).await.expect("an id");
    };
    let key = |m: &ChatMessage| (m.timestamp, m.message_id);
    let recent = |page| RecentMessages::new(DAY).page(page);
    keeps_the_promises_of_a_list(&store, recent, key, async || arrives("bob-1", BOB).await).await;
    fill(&store, MESSAGES, "'bob-1', 2, at, 'p' || i, 0.0").await;
    let of_ada = |page| UserMessages::new(ADA).page(page);
    keeps_the_promises_of_a_list(&store, of_ada, key, async || arrives("ada-2", ADA).await).await;
    let of_session = |page| SessionMessages::new(ADA, "ada-1").page(page);
    keeps_the_promises_of_a_list(&store, of_session, key, async || {
        arrives("ada-1", ADA).await;
    })
    .await;
    // Nothing of a user or a session that is not there.
    let unknown = UserMessages::new(STRANGER);
    let page = store.read(unknown).await.expect("a page");
    assert!(page.items.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn recent_messages_are_those_of_less_than_so_long_ago() {
    const NONE: [i64; 0] = [];
    let store = populated().await;
    store.write(message()).await.expect("an id");
    assert_eq!(recent(&store, Duration::ZERO).await, NONE);
    assert_eq!(recent(&store, MICRO).await, [1]);
    store.clock().advance(HOUR);
    assert_eq!(recent(&store, HOUR).await, NONE);
    assert_eq!(recent(&store, HOUR + MICRO).await, [1]);
    store.write(message()).await.expect("an id");
    assert_eq!(recent(&store, HOUR).await, [2]);
    assert_eq!(recent(&store, Duration::MAX).await, [2, 1]);
}

#[tokio::test]
async fn messages_survive_json() {
    let store = populated().await;
    store.write(message()).await.expect("an id");
    survives_json(&of_session(&store, "ada-1").await);
    survives_json(&message());
    survives_json(&SaveMessage::new(ADA, "ada-1", "Hi"));
    let page = PageRequest::default();
    survives_json(&SessionMessages::new(ADA, "ada-1").page(page.clone()));
    survives_json(&UserMessages::new(ADA).page(page.clone()));
    let within = Duration::new(5, 7);
    survives_json(&RecentMessages::new(within).page(page));
}
