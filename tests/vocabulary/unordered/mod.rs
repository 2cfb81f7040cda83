//! What holds where ids are not in the order of times, and where a time is none: after imports, under another
//! program, after a clock was set back.

mod sessions;

use crate::support::{ADA, BOB, HOUR, Run, at, create_session, populated, refused};
use botstore::ErrorKind::Conflict;
use botstore::analytics::UserStats;
use botstore::audit::{EventFilter, LogEvent, UserAuditLog};
use botstore::messages::{DeleteMessage, SaveMessage, SessionMessages, UserMessages};
use botstore::page::{Order, Page, PageRequest};
use botstore::sessions::{Session, SessionFilter, ShareSession, UserSessions, Whose};
use botstore::testing::TestStore;
use botstore::tools::{SessionToolUse, ToolCall};
use botstore::{Query, ReadTx, Result, interactions::SaveInteraction};
use chrono::{DateTime, TimeDelta, Utc};

/// Every item of a list, page by page.
async fn all<Q, T>(store: &TestStore, limit: u32, ask: impl Fn(PageRequest) -> Q) -> Vec<T>
where
    Q: Query<Output = Page<T>>,
    T: Send + 'static,
{
    let (mut items, mut request) = (Vec::new(), PageRequest::first(limit));
    loop {
        let page = store.read(ask(request.clone())).await.expect("a page");
        items.extend(page.items);
        let Some(next) = page.next else { return items };
        request = request.after(next);
    }
}

/// The first column of a host's statement, as text.
struct Texts(String);

impl Query for Texts {
    type Output = Vec<String>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<String>> {
        tx.all(&self.0, [], |row| Ok(row.get(0)?))
    }
}

async fn texts(store: &TestStore, sql: impl Into<String>) -> Vec<String> {
    store.read(Texts(sql.into())).await.expect("rows")
}

async fn run(store: &TestStore, sql: impl Into<String>) -> usize {
    store.write(Run(sql.into())).await.expect("done")
}

/// The hour of this number, of the year that is brought along.
fn hour(number: i64) -> DateTime<Utc> {
    at("2024-05-01T00:00:00Z") + TimeDelta::hours(number)
}

fn spelled(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

fn told(number: i64) -> SaveMessage {
    SaveMessage::new(ADA, "ada-1", "p").at(hour(number))
}

async fn set_time(store: &TestStore, message_id: i64, text: &str) {
    let sql = format!("UPDATE messages SET timestamp = '{text}' WHERE message_id = {message_id}");
    assert_eq!(run(store, sql).await, 1);
}

#[tokio::test]
async fn history_is_compared_with_all_of_its_session_wherever_that_stands() {
    // So few that each is compared, and so many that most have been.
    for many in [20, 63, 64, 65, 200] {
        let store = populated().await;
        for number in 1..=many {
            store.write(told(number)).await.expect("saved");
        }
        // Another program puts a later time to the oldest.
        set_time(&store, 1, &spelled(hour(many + 10))).await;
        refused(&store, told(many + 5), Conflict, "at").await;
        store.write(told(many + 10)).await.expect("not older");
        // And takes it back: what was said meanwhile remains.
        set_time(&store, 1, &spelled(hour(1))).await;
        refused(&store, told(many + 5), Conflict, "at").await;
        // Until it is deleted.
        let last = store.write(told(many + 10)).await.expect("saved");
        for message_id in [last.get() - 1, last.get()] {
            let delete = DeleteMessage::new(ADA, message_id);
            store.write(delete).await.expect("deleted");
        }
        store.write(told(many + 5)).await.expect("saved");
        // A word, bytes and a number are no later time.
        for value in ["'word'", "x'ff'", "17", "NULL"] {
            let sql = format!("UPDATE messages SET timestamp = {value} WHERE message_id = 2");
            run(&store, sql).await;
            store.write(told(many + 5)).await.expect("saved");
        }
        // A later message with an id among those that were compared.
        let delete = DeleteMessage::new(ADA, 3);
        store.write(delete).await.expect("deleted");
        let inserted = "INSERT INTO messages (message_id, session_id, user_id, timestamp, prompt)
                        VALUES (3, 'ada-1', 1, '{time}', 'p')";
        let time = spelled(hour(many + 20));
        run(&store, inserted.replace("{time}", &time)).await;
        refused(&store, told(many + 15), Conflict, "at").await;
        run(&store, "DELETE FROM messages WHERE message_id = 3").await;
        store.write(told(many + 15)).await.expect("saved");
        // In another session, it is none of this one's, until it is moved there.
        create_session(&store, ADA, "ada-2").await;
        let elsewhere = SaveMessage::new(ADA, "ada-2", "p").at(hour(many + 30));
        let elsewhere = store.write(elsewhere).await.expect("saved");
        for number in 0..many {
            let told = told(many + 15 + i64::from(number > 70));
            store.write(told).await.expect("saved");
        }
        let moved =
            format!("UPDATE messages SET session_id = 'ada-1' WHERE message_id = {elsewhere}");
        run(&store, moved).await;
        refused(&store, told(many + 25), Conflict, "at").await;
        store.write(told(many + 30)).await.expect("saved");
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_hide_what_is_later() {
    let store = populated().await;
    let noon = at("2026-03-10T12:00:00Z");
    for hours in [1, 0] {
        store.clock().set(noon + TimeDelta::hours(hours));
        let said = SaveMessage::new(ADA, "ada-1", "p");
        store.write(said).await.expect("saved");
    }
    store.clock().set(noon + TimeDelta::hours(2));
    let told = |minutes| SaveMessage::new(ADA, "ada-1", "p").at(noon + TimeDelta::minutes(minutes));
    refused(&store, told(30), Conflict, "at").await;
    store.write(told(60)).await.expect("saved");
}

#[tokio::test]
async fn a_users_messages_are_listed_in_the_order_of_saving_beside_others() {
    let store = populated().await;
    for number in 0..60 {
        let (user, session) = match number % 3 {
            0 => (ADA, "ada-1"),
            _ => (BOB, "bob-1"),
        };
        store
            .clock()
            .set(at("2026-03-10T12:00:00Z") - TimeDelta::hours((number * 7) % 11));
        let said = SaveMessage::new(user, session, number.to_string());
        store.write(said).await.expect("saved");
    }
    let prompts: Vec<String> = (0..60).step_by(3).map(|n: i32| n.to_string()).collect();
    for limit in [1, 7, 50] {
        let oldest = |page| UserMessages::new(ADA).order(Order::OldestFirst).page(page);
        let newest = |page| UserMessages::new(ADA).page(page);
        let in_session = |page| SessionMessages::new(ADA, "ada-1").page(page);
        let forth = all(&store, limit, oldest).await;
        assert!(forth.iter().map(|m| &m.prompt).eq(&prompts), "{forth:?}");
        let back = all(&store, limit, newest).await;
        assert!(
            back.iter().map(|m| &m.prompt).eq(prompts.iter().rev()),
            "{back:?}"
        );
        assert_eq!(all(&store, limit, in_session).await, back);
    }
}

/// The time of each event, from the first on: forth, back to the years before, and forth again.
fn wandering(number: i64) -> DateTime<Utc> {
    let days = (number * number * 7919) % 400;
    at("2026-03-10T12:00:00Z") - TimeDelta::days(days)
}

#[tokio::test]
async fn a_users_events_of_a_span_are_complete_and_in_order_beside_many_of_others() {
    let store = populated().await;
    for number in 0..40 {
        store.clock().set(wandering(number));
        let kind = if number % 3 == 0 { "login" } else { "command" };
        store.write(LogEvent::new(ADA, kind)).await.expect("saved");
        // So many of another's that the span is not worth to be looked through, once Ada has few events left.
        for _ in 0..(number % 7) * 8 {
            store
                .write(LogEvent::new(BOB, "login"))
                .await
                .expect("saved");
        }
    }
    store.clock().set(at("2026-03-11T12:00:00Z"));
    let everything = all(&store, 50, |page| UserAuditLog::new(ADA).page(page)).await;
    assert_eq!(everything.len(), 40);
    assert!(everything.is_sorted_by(|a, b| a.id > b.id));
    for (since, until) in [
        (Some(10), None),
        (None, Some(390)),
        (Some(200), Some(100)),
        (Some(399), Some(398)),
        (Some(30), Some(0)),
        (Some(500), Some(450)),
        (None, Some(-1)),
        (Some(500), None),
    ] {
        for event_type in [None, Some("login"), Some("none")] {
            let day = |days| at("2026-03-10T12:00:00Z") - TimeDelta::days(days);
            let mut filter = EventFilter::new();
            filter.since = since.map(day);
            filter.until = until.map(day);
            filter.event_type = event_type.map(str::to_owned);
            let expected: Vec<_> = everything
                .iter()
                .filter(|event| filter.since.is_none_or(|since| event.timestamp >= since))
                .filter(|event| filter.until.is_none_or(|until| event.timestamp < until))
                .filter(|event| event_type.is_none_or(|kind| event.event_type == kind))
                .cloned()
                .collect();
            for limit in [1, 3, 10] {
                let ask = |page| UserAuditLog::new(ADA).filter(filter.clone()).page(page);
                assert_eq!(
                    all(&store, limit, ask).await,
                    expected,
                    "{filter:?} by {limit}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_users_last_activity_is_the_latest_by_the_clock_wherever_it_stands() {
    let latest = "SELECT coalesce(max(timestamp), '') FROM messages NOT INDEXED WHERE user_id = 1";
    let agrees = async |store: &TestStore, context: &str| {
        let stats = store.read(UserStats::new(ADA)).await.expect("statistics");
        let expected = texts(store, latest).await;
        let is = stats.last_activity.map(spelled).unwrap_or_default();
        assert_eq!(is, expected[0], "{context}");
    };
    let store = populated().await;
    agrees(&store, "nothing said").await;
    let said = |number: i64| {
        // Ada and Bob, on few days, each in any order.
        let time = at("2026-03-10T23:00:00Z") - TimeDelta::hours((number * number * 31) % 90);
        format!(
            "({}, '{}-1', '{}', 'p')",
            1 + number % 2,
            ["ada", "bob"][number as usize % 2],
            spelled(time)
        )
    };
    for rows in [1, 3, 20, 700] {
        let values: Vec<_> = (0..rows).map(said).collect();
        let sql = format!(
            "INSERT INTO messages (user_id, session_id, timestamp, prompt) VALUES {}",
            values.join(", ")
        );
        run(&store, sql).await;
        agrees(&store, &format!("{rows} rows")).await;
        // What stands latest goes, and another moves there.
        let last =
            "(SELECT message_id FROM messages WHERE user_id = 1 ORDER BY timestamp DESC LIMIT 1)";
        run(
            &store,
            format!("DELETE FROM messages WHERE message_id = {last}"),
        )
        .await;
        agrees(&store, "the latest deleted").await;
        run(
            &store,
            format!("UPDATE messages SET user_id = 2 WHERE message_id = {last}"),
        )
        .await;
        agrees(&store, "the latest moved").await;
        run(
            &store,
            "UPDATE messages SET timestamp = '2026-03-10T23:30:00.000000+00:00'
             WHERE message_id = (SELECT min(message_id) FROM messages WHERE user_id = 1)",
        )
        .await;
        agrees(&store, "the oldest is the latest").await;
    }
    let many = "INSERT INTO messages (user_id, session_id, timestamp, prompt)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
                SELECT 1, 'ada-1', printf('2026-03-10T23:45:00.%06d+00:00', (i * 7919) % 600), 'p' FROM n";
    run(&store, many).await;
    agrees(&store, "hundreds on the last day").await;
}

#[tokio::test]
async fn any_number_of_tools_is_saved_in_its_order() {
    let store = populated().await;
    for number in 0..=11 {
        let session = format!("of-{number}");
        create_session(&store, ADA, &session).await;
        let call = |n: usize| {
            let call = ToolCall::new(format!("tool {n}"));
            match n % 3 {
                0 => call.failed("no"),
                1 => call.input(serde_json::json!({ "n": n })),
                _ => call,
            }
        };
        let calls: Vec<_> = (0..number).map(call).collect();
        let said = SaveInteraction::new(ADA, session.as_str(), "p").tools(calls.clone());
        let receipt = store.write(said).await.expect("saved");
        let uses = store.read(SessionToolUse::new(ADA, session.as_str())).await;
        let uses = uses.expect("a page").items;
        assert_eq!(uses.len(), number);
        for (used, call) in uses.iter().rev().zip(&calls) {
            assert_eq!(used.tool_name, call.tool_name);
            assert_eq!(used.tool_input, call.tool_input);
            assert_eq!(used.success, call.success);
            assert_eq!(used.error_message, call.error_message);
            assert_eq!(used.message_id, Some(receipt.message_id));
        }
    }
}
