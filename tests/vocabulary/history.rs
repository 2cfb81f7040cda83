//! History that a bot brings along, with its own times: as if the store had been there.

use crate::support::{
    ADA, BOB, HOUR, MICRO, Run, at, create_session, picture, populated, refused, show_the_same,
    survives_json, user,
};
use botstore::ErrorKind::{Conflict, Invalid, NotFound};
use botstore::audit::UserAuditLog;
use botstore::costs::{AddCost, UserDailyCosts};
use botstore::integrity::{CheckFile, CheckReport};
use botstore::interactions::SaveInteraction;
use botstore::messages::{SaveMessage, SessionMessages};
use botstore::rollups::ReconcileRollups;
use botstore::sessions::{
    CreateSession, EndSession, ExpireIdle, GetSession, Session, SessionMembers,
};
use botstore::testing::{TestStore, usd};
use botstore::tools::{SessionToolUse, ToolCall};
use botstore::users::EnsureUser;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

async fn session(store: &TestStore, user_id: i64, session_id: &str) -> Session {
    let session = store.read(GetSession::new(user_id, session_id)).await;
    session.expect("a read").expect("a session")
}

async fn agrees(store: &TestStore) {
    let report = store.read(ReconcileRollups::new()).await.expect("a report");
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert_eq!(report, CheckReport::default());
}

/// What there was, session by session, and when: over a turn of the year.
fn told() -> Vec<(i64, &'static str, DateTime<Utc>)> {
    let mut told = Vec::new();
    for (user_id, session_id, began, hours) in [
        (7, "a", "2023-12-30T10:00:00Z", 9),
        (7, "b", "2024-01-02T02:30:00Z", 7),
        (8, "c", "2024-02-28T12:00:00.000001Z", 13),
    ] {
        for number in 0..8 {
            let time = at(began) + TimeDelta::hours(hours * number);
            told.push((user_id, session_id, time));
        }
    }
    told
}

fn exchange(user_id: i64, session_id: &str, number: usize) -> SaveInteraction {
    SaveInteraction::new(user_id, session_id, format!("p{number}"))
        .response("r")
        .cost(usd(0.1))
        .duration_ms(number as u64)
        .turns(2)
        .tool(ToolCall::new("Read"))
}

#[tokio::test]
async fn history_that_is_brought_along_is_as_if_the_store_had_been_there() {
    // One store lives through it, by its clock, and another is told of it later.
    let lived = TestStore::open().await.expect("a store");
    let brought = TestStore::open().await.expect("a store");
    let now = at("2026-03-10T15:30:00Z");
    let mut known = Vec::new();
    for (number, (user_id, session_id, time)) in told().into_iter().enumerate() {
        lived.clock().set(time);
        if !known.contains(&session_id) {
            known.push(session_id);
            let name = if user_id == 7 { "grace" } else { "alan" };
            let ensure = EnsureUser::new(user_id, name);
            lived.write(ensure.clone()).await.expect("a user");
            brought.write(ensure.at(time)).await.expect("a user");
            let create = CreateSession::new(user_id, session_id, "/srv");
            lived.write(create.clone()).await.expect("a session");
            brought.write(create.at(time)).await.expect("a session");
        }
        let exchange = exchange(user_id, session_id, number);
        lived.write(exchange.clone()).await.expect("saved");
        let receipt = brought.write(exchange.at(time)).await.expect("saved");
        assert_eq!(receipt.recorded_at, now);
        let image = AddCost::new(user_id, usd(0.5));
        lived.write(image.clone()).await.expect("added");
        brought.write(image.at(time)).await.expect("added");
    }
    lived.clock().set(now);
    // Users, sessions, messages, tool uses, audit rows, costs, rollups.
    show_the_same(picture(&brought).await, picture(&lived).await, "brought");
    agrees(&brought).await;
    // And idle sessions are idle.
    let idle = || ExpireIdle::new(Duration::from_secs(3600));
    assert_eq!(brought.write(idle()).await.expect("expired"), 3);
}

#[tokio::test]
async fn a_session_is_brought_along_oldest_first() {
    let store = populated().await;
    create_session(&store, ADA, "ada-2").await;
    let noon = at("2024-05-01T12:00:00Z");
    let say = |session_id: &str, time| SaveMessage::new(ADA, session_id, "p").at(time);
    store.write(say("ada-1", noon)).await.expect("saved");
    // At the same time is no earlier.
    store.write(say("ada-1", noon)).await.expect("saved");
    let micro = TimeDelta::microseconds(1);
    refused(&store, say("ada-1", noon - micro), Conflict, "at").await;
    let exchange = exchange(ADA, "ada-1", 1).at(noon - micro);
    refused(&store, exchange, Conflict, "at").await;
    store
        .write(say("ada-1", noon + micro))
        .await
        .expect("saved");
    // What is a part of a microsecond is not kept.
    let within = noon + micro + TimeDelta::nanoseconds(999);
    store.write(say("ada-1", within)).await.expect("saved");
    // Another session has an order of its own.
    store
        .write(say("ada-2", noon - micro))
        .await
        .expect("saved");
    // What is said now is newer than all of history.
    store
        .write(SaveMessage::new(ADA, "ada-2", "now"))
        .await
        .expect("saved");
    refused(&store, say("ada-2", store.now() - micro), Conflict, "at").await;
    store.write(say("ada-2", store.now())).await.expect("saved");
    let messages = store.read(SessionMessages::new(ADA, "ada-1")).await;
    let times: Vec<_> = messages
        .expect("a page")
        .items
        .iter()
        .map(|m| m.timestamp)
        .collect();
    assert_eq!(times, [noon + micro, noon + micro, noon, noon]);
    agrees(&store).await;
    // Another's session is none, whatever is in it.
    let theirs = SaveMessage::new(ADA, "bob-1", "p").at(noon);
    refused(&store, theirs, NotFound, "session_id").await;
}

#[tokio::test]
async fn a_time_is_from_1970_to_now() {
    let store = populated().await;
    let soon = store.now() + TimeDelta::microseconds(1);
    let never = DateTime::UNIX_EPOCH - TimeDelta::microseconds(1);
    for wrong in [
        soon,
        never,
        DateTime::<Utc>::MAX_UTC,
        DateTime::<Utc>::MIN_UTC,
    ] {
        let message = SaveMessage::new(ADA, "ada-1", "p").at(wrong);
        refused(&store, message, Invalid, "at").await;
        refused(&store, exchange(ADA, "ada-1", 1).at(wrong), Invalid, "at").await;
        let session = CreateSession::new(ADA, "ada-2", "/").at(wrong);
        refused(&store, session, Invalid, "at").await;
        refused(&store, EnsureUser::new(99, "x").at(wrong), Invalid, "at").await;
        refused(&store, AddCost::new(ADA, usd(1.0)).at(wrong), Invalid, "at").await;
    }
    let message = SaveMessage::new(ADA, "ada-1", "p").at(DateTime::UNIX_EPOCH);
    store.write(message).await.expect("saved");
    let message = SaveMessage::new(ADA, "ada-1", "p").at(store.now());
    store.write(message).await.expect("saved");
    agrees(&store).await;
}

#[tokio::test]
async fn what_is_known_of_user_and_session_is_only_made_earlier_and_later() {
    let store = populated().await;
    let (began, now) = (at("2024-05-01T12:00:00Z"), store.now());
    store.clock().advance(HOUR);
    // A session that began today, by what the store knew; and has ended.
    store
        .write(EndSession::new(ADA, "ada-1"))
        .await
        .expect("ended");
    let message = SaveMessage::new(ADA, "ada-1", "p").cost(usd(0.5)).at(began);
    store.write(message).await.expect("saved");
    let of_ada = session(&store, ADA, "ada-1").await;
    assert_eq!((of_ada.created_at, of_ada.last_used), (began, now));
    assert!(!of_ada.is_active, "history revives no session");
    let ada = user(&store, ADA).await;
    assert_eq!((ada.first_seen, ada.last_active), (began, now));
    // Later than all that was known, but not now.
    let late = now + TimeDelta::minutes(5);
    let message = SaveMessage::new(ADA, "ada-1", "p").at(late);
    store.write(message).await.expect("saved");
    let of_ada = session(&store, ADA, "ada-1").await;
    assert_eq!((of_ada.created_at, of_ada.last_used), (began, late));
    assert_eq!(user(&store, ADA).await.last_active, late);
    // On the days on which it was.
    let days = store
        .read(UserDailyCosts::new(ADA, 2_000))
        .await
        .expect("days");
    let days: Vec<_> = days
        .iter()
        .map(|d| (d.date.to_string(), d.daily_cost))
        .collect();
    let expected = [("2026-03-10", 0.0), ("2024-05-01", 0.5)];
    assert_eq!(
        days,
        expected.map(|(day, cost)| (day.to_owned(), usd(cost)))
    );
    // A name of then is no news; a session of then tells when its user was there.
    let earlier = began - TimeDelta::days(3);
    let named = EnsureUser::new(ADA, "ada of old").at(earlier);
    let ada = store.write(named).await.expect("a user");
    assert_eq!(
        (ada.username.as_deref(), ada.first_seen),
        (Some("ada"), earlier)
    );
    assert_eq!(ada.last_active, late);
    store.write(EnsureUser::new(9, None)).await.expect("a user");
    let named = store.write(EnsureUser::new(9, "nine").at(earlier)).await;
    assert_eq!(named.expect("a user").username.as_deref(), Some("nine"));
    let old = CreateSession::new(BOB, "bob-2", "/").at(earlier);
    store.write(old).await.expect("a session");
    assert_eq!(user(&store, BOB).await.first_seen, earlier);
    agrees(&store).await;
}

#[tokio::test]
async fn tools_and_the_audit_row_have_the_time_of_their_exchange() {
    let store = populated().await;
    let time = at("2024-05-01T12:00:00Z");
    store
        .write(exchange(ADA, "ada-1", 1).at(time))
        .await
        .expect("saved");
    let tools = store.read(SessionToolUse::new(ADA, "ada-1")).await;
    assert_eq!(tools.expect("a page").items[0].timestamp, time);
    let audit = store.read(UserAuditLog::new(ADA)).await.expect("a page");
    assert_eq!(audit.items[0].timestamp, time);
    store.clock().advance(MICRO);
    store.write(exchange(ADA, "ada-1", 2)).await.expect("saved");
    let tools = store.read(SessionToolUse::new(ADA, "ada-1")).await;
    assert_eq!(tools.expect("a page").items[0].timestamp, store.now());
}

#[tokio::test]
async fn a_word_for_a_time_holds_up_no_history() {
    let store = populated().await;
    for wrong in ["yesterday", "", "~"] {
        let sql = format!(
            "INSERT INTO messages (session_id, user_id, timestamp, prompt)
             VALUES ('ada-1', {ADA}, '{wrong}', 'p')"
        );
        store.write(Run(sql)).await.expect("a row");
    }
    let message = SaveMessage::new(ADA, "ada-1", "p").at(at("2024-05-01T12:00:00Z"));
    store.write(message).await.expect("saved");
}

#[tokio::test]
async fn messages_of_history_survive_json() {
    let time = at("2024-05-01T12:00:00Z");
    survives_json(&SaveMessage::new(ADA, "ada-1", "p").at(time));
    survives_json(&exchange(ADA, "ada-1", 1).at(time));
    survives_json(&CreateSession::new(ADA, "ada-1", "/").at(time));
    survives_json(&EnsureUser::new(ADA, "ada").at(time));
    survives_json(&AddCost::new(ADA, usd(1.0)).at(time));
    // As those from before it have it.
    let message = r#"{"user_id": 1, "session_id": "ada-1", "prompt": "p"}"#;
    let message: SaveMessage = serde_json::from_str(message).expect("a message");
    assert_eq!(message, SaveMessage::new(ADA, "ada-1", "p"));
}

#[tokio::test]
async fn history_makes_its_session_and_a_name_of_then_replaces_none() {
    let then = at("2019-05-01T09:00:00Z");
    let message = |id| SaveMessage::new(7, id, "Hello").creating("/old").at(then);
    let exchange = |id| {
        SaveInteraction::new(7, id, "Hello")
            .creating("/old")
            .at(then)
    };
    let store = TestStore::open().await.expect("a store");
    store
        .write(message("one").username("ada"))
        .await
        .expect("an id");
    store
        .write(exchange("two").username("lovelace"))
        .await
        .expect("a receipt");
    let joins = exchange("group").joining(-100);
    store.write(joins).await.expect("a receipt");
    let seven = user(&store, 7).await;
    assert_eq!(
        (seven.username.as_deref(), seven.first_seen),
        (Some("ada"), then)
    );
    for (owner, id) in [(7, "one"), (7, "two"), (-100, "group")] {
        let made = session(&store, owner, id).await;
        assert_eq!((made.created_at, made.last_used), (then, then), "{id}");
        assert_eq!(made.project_path, "/old");
    }
    let members = store
        .read(SessionMembers::new(-100, "group"))
        .await
        .expect("a page");
    assert_eq!(members.items[0].joined_at, then);
    store
        .write(SaveMessage::new(7, "one", "now").username("countess"))
        .await
        .expect("an id");
    assert_eq!(user(&store, 7).await.username.as_deref(), Some("countess"));
    agrees(&store).await;
}
