use crate::support::{
    ADA, BOB, DAY, HOUR, MICRO, ROWS, STRANGER, at, fill, keeps_the_promises_of_a_list, nested,
    picture, populated, refused, survives_json, user,
};
use botstore::ErrorKind::Invalid;
use botstore::audit::{
    AuditEvent, EventFilter, INTERACTION, LogEvent, RecentAuditLog, UserAuditLog,
};
use botstore::page::PageRequest;
use botstore::testing::TestStore;
use botstore::users::{AllowedUsers, IsAllowed, User};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;

const AUDIT_LOG: &str = "audit_log (user_id, event_type, success, timestamp)";

fn event(user_id: i64, event_type: &str) -> LogEvent {
    LogEvent::new(user_id, event_type.to_owned())
}

fn of_type(event_type: &str) -> EventFilter {
    EventFilter::new().event_type(event_type.to_owned())
}

async fn recent(store: &TestStore, filter: EventFilter) -> Vec<AuditEvent> {
    let page = PageRequest::first(1_000);
    let page = store
        .read(RecentAuditLog::new().filter(filter).page(page))
        .await;
    page.expect("a page").items
}

async fn of_user(store: &TestStore, user_id: i64, filter: EventFilter) -> Vec<AuditEvent> {
    let ask = UserAuditLog::new(user_id)
        .filter(filter)
        .page(PageRequest::first(1_000));
    store.read(ask).await.expect("a page").items
}

#[tokio::test]
async fn an_event_is_kept_as_it_was_told() {
    let store = populated().await;
    let before = picture(&store).await;
    store.clock().advance(HOUR);
    let data = json!({ "reason": "unknown command", "depth": [1, [2.5, null]] });
    let told = {
        let mut new = event(ADA, "command");
        new.event_data = Some(data.clone());
        new.success = false;
        new.ip_address = Some("192.0.2.7".to_owned());
        new
    };
    let id = store.write(told).await.expect("an id");
    let expected = {
        let mut new = AuditEvent::new(id, ADA, "command", store.now());
        new.event_data = Some(data);
        new.success = false;
        new.ip_address = Some("192.0.2.7".to_owned());
        new
    };
    assert_eq!(recent(&store, EventFilter::default()).await, [expected]);
    assert_eq!(picture(&store).await["users"], before["users"]);
    let next = store.write(event(ADA, "command")).await.expect("an id");
    assert!(next > id);
    let bare = recent(&store, EventFilter::default()).await.remove(0);
    assert!(bare.success && bare.event_data.is_none() && bare.ip_address.is_none());
}

#[tokio::test]
async fn the_event_of_a_stranger_is_on_record_and_the_stranger_may_not_use_the_bot() {
    let store = populated().await;
    let login = {
        let mut new = event(STRANGER, "authentication_failure");
        new.success = false;
        new
    };
    store.write(login.clone()).await.expect("an id");
    let expected = User::new(STRANGER, store.now());
    assert_eq!(user(&store, STRANGER).await, expected);
    store.clock().advance(HOUR);
    store.write(login).await.expect("an id");
    assert_eq!(user(&store, STRANGER).await, expected);
    assert_eq!(
        of_user(&store, STRANGER, EventFilter::default())
            .await
            .len(),
        2
    );
    let user_id = STRANGER;
    assert!(!store.read(IsAllowed::new(user_id)).await.expect("a read"));
    let allowed = store.read(AllowedUsers::default()).await.expect("a page");
    assert!(allowed.items.is_empty());
}

#[tokio::test]
async fn an_event_that_is_refused_leaves_no_trace_not_even_a_stranger() {
    let store = populated().await;
    refused(&store, event(STRANGER, ""), Invalid, "event_type").await;
    let bottomless = {
        let mut new = event(STRANGER, "deep");
        new.event_data = Some(nested(128));
        new
    };
    refused(&store, bottomless, Invalid, "event_data").await;
}

#[tokio::test]
async fn details_come_back_as_they_were_whatever_json_they_are() {
    let store = populated().await;
    // A number by itself is what the column would rather keep as a number.
    let details = [
        Value::Null,
        json!(true),
        json!(7),
        json!(-0.75),
        json!(i64::MAX),
        json!("12"),
        json!(""),
        json!([0.1, u64::MAX]),
        nested(127),
    ];
    for data in &details {
        let told = {
            let mut new = event(ADA, "odd");
            new.event_data = Some(data.clone());
            new
        };
        store.write(told).await.expect("an id");
    }
    let kept = recent(&store, EventFilter::default()).await;
    let kept: Vec<_> = kept.into_iter().rev().map(|e| e.event_data).collect();
    assert_eq!(kept, details.map(Some));
}

#[tokio::test]
async fn events_are_listed_page_by_page_whatever_the_filter() {
    let store = populated().await;
    let key = |e: &AuditEvent| (e.timestamp, e.id);
    fill(&store, AUDIT_LOG, "1, 'interaction', 1, at").await;
    let arrives = async |user_id, event_type: &str| {
        let new = event(user_id, event_type);
        store.write(new).await.expect("an id");
    };
    let recent = |filter: &EventFilter| {
        let filter = filter.clone();
        move |page| RecentAuditLog::new().filter(filter.clone()).page(page)
    };
    let everything = recent(&EventFilter::default());
    keeps_the_promises_of_a_list(&store, everything, key, async || arrives(BOB, "x").await).await;
    fill(&store, AUDIT_LOG, "2, 'login', i % 2, at").await;
    for event_type in [INTERACTION, "login"] {
        let list = recent(&of_type(event_type));
        let arrives = async || arrives(BOB, event_type).await;
        keeps_the_promises_of_a_list(&store, list, key, arrives).await;
    }
    // Of Bob, whose events are nearly all logins, and of Ada, who has as many interactions.
    fill(&store, AUDIT_LOG, "1, 'command', 1, at").await;
    for event_type in [INTERACTION, "command"] {
        let list = |page| {
            UserAuditLog::new(ADA)
                .filter(of_type(event_type))
                .page(page)
        };
        let arrives = async || arrives(ADA, event_type).await;
        keeps_the_promises_of_a_list(&store, list, key, arrives).await;
    }
    // With both ends of the time set, over what arrives after it.
    let bounded = {
        let mut new = of_type("login");
        new.since = Some(at("2026-03-10T12:00:00Z"));
        new.until = Some(at("2026-03-10T12:00:00.000100Z"));
        new
    };
    let page = PageRequest::first(3);
    let mut ask = RecentAuditLog::new().filter(bounded).page(page);
    let mut found = Vec::new();
    loop {
        let page = store.read(ask.clone()).await.expect("a page");
        found.extend(page.items.into_iter().map(|e| e.id));
        let Some(next) = page.next else { break };
        ask.page = ask.page.after(next);
    }
    // `i / 7` below 100: `i` from 1 to 699.
    assert_eq!(found.len(), 699);
    assert!(found.is_sorted_by(|a, b| a > b));
    let unknown = of_user(&store, STRANGER, EventFilter::default()).await;
    assert!(unknown.is_empty());
    assert_eq!(of_user(&store, ADA, of_type("login")).await, []);
    assert_eq!(picture(&store).await["audit_log"].len(), 3 * ROWS + 5);
}

#[tokio::test]
async fn a_span_of_time_has_its_beginning_and_not_its_end() {
    let store = populated().await;
    let first = store.now();
    for event_type in [INTERACTION, "login", INTERACTION, "login"] {
        store.write(event(ADA, event_type)).await.expect("an id");
        store.clock().advance(MICRO);
    }
    let times = |filter: &EventFilter, events: Vec<AuditEvent>| -> Vec<i64> {
        assert!(events.iter().all(|e| e.user_id == ADA), "{filter:?}");
        events.into_iter().map(|e| e.id).collect()
    };
    let cases: [(Option<i64>, Option<i64>, &[i64]); 7] = [
        (None, None, &[4, 3, 2, 1]),
        (Some(1), None, &[4, 3, 2]),
        (None, Some(1), &[1]),
        (Some(1), Some(3), &[3, 2]),
        (Some(3), Some(3), &[]),
        (Some(0), Some(4), &[4, 3, 2, 1]),
        (Some(3), Some(1), &[]),
    ];
    let moment = |micros: i64| first + chrono::TimeDelta::microseconds(micros);
    for (since, until, expected) in cases {
        for event_type in [None, Some(INTERACTION), Some("login")] {
            let filter = {
                let mut new = EventFilter::new();
                new.event_type = event_type.map(str::to_owned);
                new.since = since.map(moment);
                new.until = until.map(moment);
                new
            };
            let expected: Vec<i64> = expected
                .iter()
                .copied()
                .filter(|id| match event_type {
                    None => true,
                    Some(event_type) => (event_type == INTERACTION) == (id % 2 == 1),
                })
                .collect();
            let everybodys = recent(&store, filter.clone()).await;
            assert_eq!(times(&filter, everybodys), expected, "{filter:?}");
            let adas = of_user(&store, ADA, filter.clone()).await;
            assert_eq!(times(&filter, adas), expected, "{filter:?}");
        }
    }
    // Any time that can be written down will do.
    let always = EventFilter::new()
        .since(DateTime::<Utc>::MIN_UTC)
        .until(DateTime::<Utc>::MAX_UTC);
    assert_eq!(recent(&store, always).await.len(), 4);
}

#[tokio::test]
async fn the_last_so_much_time_is_less_than_that_long_ago() {
    let store = populated().await;
    store.write(event(ADA, "x")).await.expect("an id");
    let last = async |within| {
        let filter = EventFilter::last(within, store.now());
        recent(&store, filter).await.len()
    };
    assert_eq!(last(MICRO).await, 1);
    assert_eq!(last(Duration::ZERO).await, 0);
    store.clock().advance(DAY);
    assert_eq!(last(DAY + MICRO).await, 1);
    assert_eq!(last(DAY).await, 0);
    assert_eq!(last(Duration::MAX).await, 1);
}

#[tokio::test]
async fn events_and_their_messages_survive_json() {
    let store = populated().await;
    let told = {
        let mut new = event(ADA, "x");
        new.event_data = Some(json!({ "a": 0.1 }));
        new
    };
    survives_json(&told);
    store.write(told).await.expect("an id");
    survives_json(&recent(&store, EventFilter::default()).await);
    let filter = {
        let mut new = EventFilter::last(DAY, store.now());
        new.until = Some(store.now());
        new
    };
    let page = PageRequest::first(3);
    survives_json(
        &UserAuditLog::new(ADA)
            .filter(filter.clone())
            .page(page.clone()),
    );
    survives_json(&RecentAuditLog::new().filter(filter).page(page));
    let empty: RecentAuditLog = serde_json::from_str("{}").expect("a message");
    assert_eq!(empty, RecentAuditLog::default());
}
