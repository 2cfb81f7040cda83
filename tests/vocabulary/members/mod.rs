//! Sessions that several users share.

mod lists;
mod speaking;

use crate::support::{
    ADA, BOB, HOUR, Run, STRANGER, changes_nothing, create_session, not_answered, picture,
    populated, refused, survives_json, user,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::analytics::UserStats;
use botstore::integrity::CheckFile;
use botstore::interactions::SaveInteraction;
use botstore::messages::{SaveMessage, SessionMessages, UserMessages};
use botstore::page::PageRequest;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::sessions::{
    CreateSession, EndSession, GetSession, Member, SaveSession, SessionHistory, SessionMembers,
    SessionSummary, ShareSession, UnshareSession, UserSessions, Whose,
};
use botstore::testing::{TestStore, usd};
use botstore::tools::{RecordToolUse, SessionToolUse, ToolCall, UserToolUse};
use botstore::users::EnsureUser;
use botstore::{Error, Query, Result, Store, UserId};
use std::fmt::Debug;

/// A member of Ada's session, beside Bob.
const EVE: i64 = 3;

/// With Eve; Ada's session is shared with Bob.
async fn shared() -> TestStore {
    let store = populated().await;
    let eve = EnsureUser::new(EVE, "eve");
    store.write(eve).await.expect("a user");
    share(&store, "ada-1", ADA, BOB).await;
    store
}

async fn share(store: &Store, session_id: &str, owner: i64, with: i64) {
    let share = ShareSession::new(owner, session_id, with);
    store.write(share).await.expect("shared");
}

async fn members(store: &Store, user_id: i64, session_id: &str) -> Vec<UserId> {
    let members = SessionMembers::new(user_id, session_id);
    let members = store.read(members).await.expect("a page").items;
    members.into_iter().map(|member| member.user_id).collect()
}

async fn sessions(store: &Store, user_id: i64, whose: Whose) -> Vec<String> {
    let list = UserSessions::new(user_id).whose(whose);
    let page = store.read(list).await.expect("a page");
    let ids = page.items.into_iter().map(|s| s.session_id.into());
    ids.collect()
}

/// What everybody is told who may use no such session.
fn is_hidden<T: Debug>(told: Result<T>) -> bool {
    let is_not_found = |error: &Error| error.kind() == NotFound;
    told.is_err_and(|error| is_not_found(&error) && error.field() == Some("session_id"))
}

async fn is_told<Q: Query<Output: Debug>>(store: &Store, query: Q) -> bool {
    match store.read(query).await {
        Ok(_) => true,
        hidden => {
            assert!(is_hidden(hidden));
            false
        }
    }
}

/// Whether the user may read the session: every question about it gives the same word.
async fn may_read(store: &Store, user_id: i64, session_id: &str) -> bool {
    let get = GetSession::new(user_id, session_id);
    let history = SessionHistory::new(user_id, session_id);
    let told = [
        store.read(get).await.expect("a read").is_some(),
        store.read(history).await.expect("a read").is_some(),
        is_told(store, SessionMessages::new(user_id, session_id)).await,
        is_told(store, SessionToolUse::new(user_id, session_id)).await,
        is_told(store, SessionMembers::new(user_id, session_id)).await,
    ];
    assert!(told == [told[0]; 5], "{user_id}: {told:?}");
    told[0]
}

/// Whether the user may save into the session.
async fn may_save(store: &Store, user_id: i64, session_id: &str) -> bool {
    let call = ToolCall::new("Read");
    let message = SaveMessage::new(user_id, session_id, "p");
    let exchange = SaveInteraction::new(user_id, session_id, "p").tool(call.clone());
    let told = [
        store.write(message).await.map(drop),
        store.write(exchange).await.map(drop),
        store
            .write(RecordToolUse::new(user_id, session_id, call))
            .await
            .map(drop),
    ];
    let oks: Vec<_> = told.iter().map(Result::is_ok).collect();
    assert!(oks.iter().all(|ok| *ok == oks[0]), "{user_id}: {told:?}");
    assert!(oks[0] || told.into_iter().all(is_hidden));
    oks[0]
}

/// What only owners do. Whoever is refused changes nothing.
async fn may_rule(store: &TestStore, user_id: i64, session_id: &str) -> bool {
    let before = picture(store).await;
    let told = [
        store
            .write(ShareSession::new(user_id, session_id, EVE))
            .await,
        store
            .write(UnshareSession::new(user_id, session_id, EVE))
            .await,
        store.write(EndSession::new(user_id, session_id)).await,
        store
            .write(SaveSession::new(user_id, session_id, "/srv").message_count(7))
            .await
            .map(drop),
    ];
    let oks: Vec<_> = told.iter().map(Result::is_ok).collect();
    assert!(oks.iter().all(|ok| *ok == oks[0]), "{user_id}: {told:?}");
    assert!(oks[0] || told.into_iter().all(is_hidden));
    assert!(oks[0] || picture(store).await == before);
    oks[0]
}

#[tokio::test]
async fn owners_rule_members_read_and_save_and_strangers_find_nothing() {
    let store = shared().await;
    for (user_id, reads, saves, rules) in [
        (ADA, true, true, true),
        (BOB, true, true, false),
        (EVE, false, false, false),
    ] {
        assert_eq!(may_read(&store, user_id, "ada-1").await, reads, "{user_id}");
        assert_eq!(may_save(&store, user_id, "ada-1").await, saves, "{user_id}");
        assert_eq!(may_rule(&store, user_id, "ada-1").await, rules, "{user_id}");
        // Bob's own is nobody else's.
        assert_eq!(may_read(&store, user_id, "bob-1").await, user_id == BOB);
    }
    // Who is a member no more is a stranger.
    let unshare = UnshareSession::new(ADA, "ada-1", BOB);
    store.write(unshare).await.expect("unshared");
    assert!(!may_read(&store, BOB, "ada-1").await);
    assert!(!may_save(&store, BOB, "ada-1").await);
    assert!(!may_rule(&store, BOB, "ada-1").await);
    assert!(may_read(&store, ADA, "ada-1").await);
}

#[tokio::test]
async fn what_a_member_says_counts_for_the_member_and_the_session_and_is_everybodys_to_read() {
    let store = shared().await;
    let (ada, bob) = (user(&store, ADA).await, user(&store, BOB).await);
    store.clock().advance(HOUR);
    let said = SaveInteraction::new(BOB, "ada-1", "Hello")
        .response("Hi!")
        .cost(usd(0.25))
        .turns(2)
        .tool(ToolCall::new("Read"));
    store.write(said).await.expect("a receipt");
    assert_eq!(user(&store, ADA).await, ada);
    let expected = {
        let mut new = bob;
        new.message_count += 1;
        new.total_cost = usd(0.25);
        new.last_active = store.now();
        new
    };
    assert_eq!(user(&store, BOB).await, expected);
    let history = SessionHistory::new(ADA, "ada-1");
    let history = store.read(history).await.expect("a read").expect("one");
    assert_eq!(history.session.user_id, ADA);
    assert_eq!(history.session.message_count, 1);
    assert_eq!(history.session.total_turns, 2);
    assert_eq!(history.session.total_cost, usd(0.25));
    assert_eq!(history.messages[0].user_id, BOB);
    for user_id in [ADA, BOB] {
        let same = store.read(SessionHistory::new(user_id, "ada-1")).await;
        assert_eq!(same.expect("a read"), Some(history.clone()));
    }
    let of_bob = store.read(UserMessages::new(BOB)).await.expect("a page");
    assert_eq!(of_bob.items, history.messages);
    // A tool use is the owner's.
    for (user_id, uses) in [(ADA, 1), (BOB, 0)] {
        let used = store.read(UserToolUse::new(user_id)).await;
        assert_eq!(used.expect("a page").items.len(), uses);
        let stats = store.read(UserStats::new(user_id)).await.expect("numbers");
        assert_eq!(stats.top_tools.len(), uses, "{stats:?}");
        assert_eq!(stats.total_messages, 1 - uses as u64, "{stats:?}");
    }
    let totals = store.read(SessionSummary::new(BOB)).await;
    assert_eq!(totals.expect("totals").total_sessions, 1);
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert!(!report.differs(), "{report:?}");
    let report = store.read(ReconcileRollups::new()).await.expect("numbers");
    assert_eq!(report.differences, 0, "{report:?}");
}

#[tokio::test]
async fn sharing_again_and_with_oneself_changes_nothing_and_with_nobody_is_refused() {
    let store = shared().await;
    store.clock().advance(HOUR);
    changes_nothing(&store, ShareSession::new(ADA, "ada-1", BOB)).await;
    changes_nothing(&store, ShareSession::new(ADA, "ada-1", ADA)).await;
    changes_nothing(&store, UnshareSession::new(ADA, "ada-1", ADA)).await;
    changes_nothing(&store, UnshareSession::new(ADA, "ada-1", EVE)).await;
    changes_nothing(&store, UnshareSession::new(ADA, "ada-1", STRANGER)).await;
    let nobody = ShareSession::new(ADA, "ada-1", STRANGER);
    let error = refused(&store, nobody, NotFound, "with_user").await;
    let sentence = "ShareSession: there is no user 404 (not found)";
    assert_eq!(error.to_string(), sentence);
    // Whose the session is, is looked at first.
    for session_id in ["bob-1", "none"] {
        let share = ShareSession::new(ADA, session_id, STRANGER);
        refused(&store, share, NotFound, "session_id").await;
        let unshare = UnshareSession::new(ADA, session_id, BOB);
        refused(&store, unshare, NotFound, "session_id").await;
    }
    assert_eq!(members(&store, ADA, "ada-1").await, [BOB]);
}

#[tokio::test]
async fn a_member_leaves_alone_and_sends_nobody_away() {
    let store = shared().await;
    share(&store, "ada-1", ADA, EVE).await;
    assert_eq!(members(&store, BOB, "ada-1").await, [EVE, BOB]);
    let sent_away = UnshareSession::new(BOB, "ada-1", EVE);
    refused(&store, sent_away, NotFound, "session_id").await;
    let leave = UnshareSession::new(BOB, "ada-1", BOB);
    store.write(leave.clone()).await.expect("left");
    assert_eq!(members(&store, ADA, "ada-1").await, [EVE]);
    refused(&store, leave, NotFound, "session_id").await;
}

#[tokio::test]
async fn membership_goes_with_its_user_and_its_session_and_follows_a_new_id() {
    let store = shared().await;
    share(&store, "ada-1", ADA, EVE).await;
    let run = async |sql: &str| store.write(Run(sql.to_owned())).await.expect("a change");
    run("UPDATE sessions SET session_id = 'renamed' WHERE session_id = 'ada-1'").await;
    assert_eq!(members(&store, ADA, "renamed").await, [EVE, BOB]);
    // By a host that knows what refers to its users.
    run("DELETE FROM audit_log WHERE user_id = 3").await;
    run("DELETE FROM users WHERE user_id = 3").await;
    assert_eq!(members(&store, ADA, "renamed").await, [BOB]);
    run("DELETE FROM sessions WHERE session_id = 'renamed'").await;
    assert!(picture(&store).await["botstore_session_member"].is_empty());
    // A new one of the old id is shared with nobody.
    create_session(&store, ADA, "renamed").await;
    assert!(!may_read(&store, BOB, "renamed").await);
}

#[tokio::test]
async fn what_another_program_leaves_among_the_members_fails_nothing() {
    let store = shared().await;
    let other = Connection::open(store.path()).expect("a connection");
    let odd = "'x'; x'ff'; 1.5; CAST(x'c328' AS TEXT); ''; 9223372036854775807";
    other
        .execute_batch("PRAGMA foreign_keys = OFF")
        .expect("off");
    for (user_id, value) in (100..).zip(odd.split("; ")) {
        other
            .execute_batch(&format!(
                "INSERT INTO botstore_session_member (session_id, user_id, joined_at)
                 VALUES ({value}, 2, '2026-03-10T12:00:00.000000+00:00');
                 INSERT INTO botstore_session_member (session_id, user_id, joined_at)
                 VALUES ('ada-1', {value}, '2026-03-10T12:00:00.000000+00:00');
                 INSERT INTO users (user_id) VALUES ({user_id});
                 INSERT INTO botstore_session_member (session_id, user_id, joined_at)
                 VALUES ('ada-1', {user_id}, {value})"
            ))
            .expect("rows");
    }
    for user_id in [ADA, BOB] {
        assert!(may_read(&store, user_id, "ada-1").await);
        assert!(may_save(&store, user_id, "ada-1").await);
        sessions(&store, user_id, Whose::Both).await;
    }
    // Bob, a number that is a user's id, and one of each time.
    let shown = members(&store, ADA, "ada-1").await.len();
    assert_eq!(shown, 1 + 1 + odd.split("; ").count());
    let report = store.read(CheckFile::new()).await.expect("a report");
    assert!(report.odd_values.total > 8, "{report:?}");
    let repaired = store.repair_values(|_| Ok(())).await.expect("a repair");
    assert!(repaired.written > 0 && repaired.left == 0, "{repaired:?}");
    let report = store.read(CheckFile::new()).await.expect("a report");
    let kept = report.odd_values.first.iter();
    assert!(kept.clone().count() > 0);
    assert!(
        kept.into_iter().all(|odd| odd.becomes.is_none()),
        "{report:?}"
    );
}

#[tokio::test]
async fn members_and_their_messages_survive_json() {
    survives_json(&ShareSession::new(ADA, "s", BOB));
    survives_json(&UnshareSession::new(ADA, "s", BOB));
    survives_json(&SessionMembers::new(ADA, "s").page(PageRequest::first(7)));
    survives_json(&UserSessions::new(ADA).whose(Whose::Both));
    survives_json(&SaveInteraction::new(ADA, "s", "p").joining(BOB));
    // A caller who knows of no shared sessions leaves the field out.
    let list = r#"{"user_id":1,"which":"active","page":{}}"#;
    let list: UserSessions = serde_json::from_str(list).expect("a message");
    assert_eq!(list, UserSessions::new(ADA));
    let store = shared().await;
    let zero = SessionMembers::new(ADA, "ada-1").page(PageRequest::first(0));
    not_answered(&store, zero, "limit").await;
    let taken = CreateSession::new(BOB, "ada-1", "/x");
    refused(&store, taken, NotFound, "session_id").await;
}

#[tokio::test]
async fn members_of_a_session_that_is_gone_are_none_of_the_next_with_its_id() {
    let store = shared().await;
    let other = Connection::open(store.path()).unwrap();
    other.pragma_update(None, "foreign_keys", false).unwrap();
    other
        .execute_batch("DELETE FROM sessions; DELETE FROM botstore_session_member WHERE session_id NOT IN ('ada-1');")
        .unwrap();
    let create = CreateSession::new(STRANGER, "ada-1", "/srv");
    store.write(EnsureUser::new(STRANGER, None)).await.unwrap();
    store.write(create).await.unwrap();
    assert!(!may_read(&store, BOB, "ada-1").await);
}
