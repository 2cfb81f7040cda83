//! What was said, done and used is listed in the order in which it was saved, whatever the clock did.

use crate::support::{ADA, BOB, DAY, HOUR, at, picture, populated};
use botstore::analytics::UserDashboard;
use botstore::audit::{AuditEvent, EventFilter, LogEvent, RecentAuditLog, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::messages::{ChatMessage, RecentMessages, SessionMessages, UserMessages};
use botstore::page::{Page, PageRequest};
use botstore::sessions::SessionHistory;
use botstore::testing::TestStore;
use botstore::tokens::{IssueToken, UserToken, UserTokens};
use botstore::tools::{SessionToolUse, ToolCall, ToolUse, UserToolUse};
use botstore::{Mutation, Query, Result, WriteTx};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::Duration;

/// How far the clock is from noon with each exchange, in milliseconds: set back by NTP, a summer's hour, a
/// board that believed in another decade for a while, and twice the same instant.
const CLOCKS: [i64; 24] = [
    0,
    1_000,
    -1_500,
    -1_000,
    -1_000,
    3_600_000,
    1_500,
    315_360_000_000,
    315_360_001_000,
    2_000,
    -315_360_000_000,
    3_000,
    0,
    1_000,
    -1_500,
    -1_000,
    -1_000,
    3_600_000,
    1_500,
    315_360_000_000,
    315_360_001_000,
    2_000,
    -315_360_000_000,
    3_000,
];

const LENGTHS: [u32; 5] = [1, 2, 3, 7, 50];

/// Ada's and Bob's exchanges, in turn, each with a tool use, an event of its own and a token.
async fn lived() -> TestStore {
    let store = populated().await;
    for millis in CLOCKS {
        let noon = at("2026-03-10T12:00:00Z");
        store
            .clock()
            .set(noon + chrono::TimeDelta::milliseconds(millis));
        for (user_id, session_id) in [(ADA, "ada-1"), (BOB, "bob-1")] {
            let exchange =
                SaveInteraction::new(user_id, session_id, "p").tool(ToolCall::new("Read"));
            store.write(exchange).await.expect("saved");
            let login = LogEvent::new(user_id, "login");
            store.write(login).await.expect("saved");
            let expires_in = None;
            let token = {
                let mut new = IssueToken::new(user_id);
                new.expires_in = expires_in;
                new
            };
            store.write(token).await.expect("issued");
        }
    }
    store.clock().set(at("2026-03-10T12:01:00Z"));
    store
}

/// The ids of a list, by pages of each length: the same whatever the length.
async fn ids<Q, T>(
    store: &TestStore,
    ask: impl Fn(PageRequest) -> Q,
    id: impl Fn(&T) -> i64,
) -> Vec<i64>
where
    Q: Query<Output = Page<T>>,
{
    let mut walks = Vec::new();
    for length in LENGTHS {
        let mut request = PageRequest::first(length);
        let mut walked = Vec::new();
        loop {
            let page = store.read(ask(request.clone())).await.expect("a page");
            assert!(page.items.len() <= length as usize);
            walked.extend(page.items.iter().map(&id));
            let Some(next) = page.next else { break };
            // As a host keeps it; and that the time in it is another does not matter.
            let (_, kept) = next
                .to_string()
                .split_once('.')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .expect("an id");
            request = request.after(format!("0.{kept}").parse().expect("a cursor"));
        }
        walks.push(walked);
    }
    assert!(walks.windows(2).all(|two| two[0] == two[1]), "{walks:?}");
    walks.swap_remove(0)
}

/// These ids, the largest first.
fn newest_first(all: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut all: Vec<_> = all.collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all
}

fn message_id(message: &ChatMessage) -> i64 {
    message.message_id.get()
}

fn tool_id(tool: &ToolUse) -> i64 {
    tool.id
}

fn event_id(event: &AuditEvent) -> i64 {
    event.id
}

fn token_id(token: &UserToken) -> i64 {
    token.token_id.get()
}

const ALL: i64 = 2 * CLOCKS.len() as i64;

#[tokio::test]
async fn every_list_of_what_was_saved_is_in_the_order_of_saving_whatever_the_clock_did() {
    let store = lived().await;
    let of_ada = || newest_first((1..=ALL).step_by(2));
    let (user_id, session_id) = (ADA, "ada-1".to_owned());
    let session = |page| SessionMessages::new(user_id, session_id.clone()).page(page);
    assert_eq!(ids(&store, session, message_id).await, of_ada());
    let messages = |page| UserMessages::new(user_id).page(page);
    assert_eq!(ids(&store, messages, message_id).await, of_ada());
    let used = |page| SessionToolUse::new(user_id, session_id.clone()).page(page);
    assert_eq!(ids(&store, used, tool_id).await, of_ada());
    let used = |page| UserToolUse::new(user_id).page(page);
    assert_eq!(ids(&store, used, tool_id).await, of_ada());
    let tokens = |page| UserTokens::new(user_id).page(page);
    assert_eq!(ids(&store, tokens, token_id).await, of_ada());
    let century = 100 * 366 * DAY;
    let recent = |page| RecentMessages::new(century).page(page);
    assert_eq!(ids(&store, recent, message_id).await, newest_first(1..=ALL));

    // Of each of Ada's exchanges an interaction, a login and a token, then the same of Bob's.
    let filter = EventFilter::default;
    let events = |page| UserAuditLog::new(user_id).filter(filter()).page(page);
    let of_all = newest_first((1..=3 * ALL).filter(|id| (1..=3).contains(&(id % 6))));
    assert_eq!(ids(&store, events, event_id).await, of_all);
    let events = |page| RecentAuditLog::new().filter(filter()).page(page);
    assert_eq!(
        ids(&store, events, event_id).await,
        newest_first(1..=3 * ALL)
    );
    for (event_type, nth) in [("interaction", 1), ("login", 2), ("token_issued", 0)] {
        let filter = {
            let mut new = filter();
            new.event_type = Some(event_type.into());
            new
        };
        let events = |page| RecentAuditLog::new().filter(filter.clone()).page(page);
        let expected = newest_first((1..=3 * ALL).filter(|id| id % 3 == nth));
        assert_eq!(ids(&store, events, event_id).await, expected);
    }

    for limit in [1, 5, 100] {
        let ask = SessionHistory::new(user_id, session_id.clone()).limit(limit);
        let history = store
            .read(ask)
            .await
            .expect("an answer")
            .expect("a session");
        let newest = &of_ada()[..of_ada().len().min(limit as usize)];
        let messages: Vec<_> = history.messages.iter().map(message_id).collect();
        let tools: Vec<_> = history.tools.iter().map(tool_id).collect();
        assert_eq!((&messages[..], &tools[..]), (newest, newest));
    }
    let shown = store.read(UserDashboard::new(user_id)).await;
    let shown = shown.expect("an answer").expect("a user");
    let messages: Vec<_> = shown.recent_messages.iter().map(message_id).collect();
    assert_eq!(messages, of_ada()[..10]);
}

#[tokio::test]
async fn a_span_of_time_is_of_the_clock_and_its_pages_are_in_the_order_of_saving() {
    let store = lived().await;
    // By the clock, of what was saved with each of its readings.
    let saved = |since: i64, until: i64| {
        let exchanges = (0..).zip(CLOCKS);
        exchanges.filter(move |&(_, millis)| since <= millis && millis < until)
    };
    let time = |millis| at("2026-03-10T12:00:00Z") + chrono::TimeDelta::milliseconds(millis);
    // The store's clock is a minute past noon: the last so many milliseconds, and what is yet to come.
    for within in [500, 58_000, 59_000, 61_000, 62_500, 4_000_000_u32] {
        let recent = |page| RecentMessages::new(Duration::from_millis(within.into())).page(page);
        let since = 60_000 - i64::from(within) + 1;
        let expected = saved(since, i64::MAX).flat_map(|(n, _)| [2 * n + 1, 2 * n + 2]);
        assert_eq!(
            ids(&store, recent, message_id).await,
            newest_first(expected),
            "{within}"
        );
    }
    for (since, until) in [
        (-1_000, 1_000),
        (-1_000, 4_000_000),
        (1_000, i64::MAX),
        (i64::MIN, 0),
    ] {
        for event_type in [
            None,
            Some("interaction"),
            Some("login"),
            Some("token_issued"),
        ] {
            let filter = {
                let mut new = EventFilter::new();
                new.event_type = event_type.map(str::to_owned);
                new.since = (since > i64::MIN).then(|| time(since));
                new.until = (until < i64::MAX).then(|| time(until));
                new
            };
            let wanted = |id: &i64| match event_type {
                None => true,
                Some("interaction") => id % 3 == 1,
                Some("login") => id % 3 == 2,
                Some(_) => id % 3 == 0,
            };
            let everybodys = saved(since, until).flat_map(|(n, _)| (6 * n + 1..).take(6));
            let everybodys = newest_first(everybodys.filter(wanted));
            let events = |page| RecentAuditLog::new().filter(filter.clone()).page(page);
            let found = ids(&store, events, event_id).await;
            assert_eq!(found, everybodys, "{filter:?}");
            let of_bob = |page| UserAuditLog::new(BOB).filter(filter.clone()).page(page);
            let bobs = everybodys
                .into_iter()
                .filter(|id| !(1..=3).contains(&(id % 6)));
            let found = ids(&store, of_bob, event_id).await;
            assert_eq!(found, Vec::from_iter(bobs), "{filter:?}");
        }
    }
}

/// Turns the times of all messages round: the first is the last by the clock, as in a file that was merged.
struct TurnRound;

impl Mutation for TurnRound {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute(
            "UPDATE messages SET timestamp =
                 strftime('%Y-%m-%dT%H:%M:%S', '2026-03-10 12:00:00', -message_id || ' seconds')
                 || '.000000+00:00'",
            [],
        )?;
        Ok(())
    }
}

#[tokio::test]
async fn a_file_whose_ids_run_against_its_times_is_listed_by_ids_and_each_message_once() {
    let store = lived().await;
    store.write(TurnRound).await.expect("times");
    let user_id = ADA;
    let messages = |page| UserMessages::new(user_id).page(page);
    let expected = newest_first((1..=ALL).step_by(2));
    assert_eq!(ids(&store, messages, message_id).await, expected);
    let recent = |page| RecentMessages::new(HOUR).page(page);
    assert_eq!(ids(&store, recent, message_id).await, newest_first(1..=ALL));
    // The last 65.000001 seconds: five of them.
    let recent =
        |page| RecentMessages::new(Duration::from_secs(65) + Duration::from_micros(1)).page(page);
    assert_eq!(ids(&store, recent, message_id).await, newest_first(1..=5));
    assert_eq!(picture(&store).await["messages"].len() as i64, ALL);
}

/// Sends it, and does not wait for the answer.
async fn sent<F: Future>(mut future: Pin<&mut F>) {
    let send = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()));
    assert!(send.await, "it was answered at once");
}

#[tokio::test]
async fn what_joins_others_that_are_being_saved_has_no_time_from_before_it_was_said() {
    let store = populated().await;
    let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let inside = (Arc::clone(&entered), Arc::clone(&leave));
    let first = store.transact("first", move |tx| {
        tx.execute("UPDATE users SET telegram_username = 'ada'", [])?;
        inside.0.wait();
        inside.1.wait();
        Ok(())
    });
    let mut first = pin!(first.into_future());
    sent(first.as_mut()).await;
    entered.wait();
    store.clock().advance(HOUR);
    let second = store.write(SaveInteraction::new(ADA, "ada-1", "p"));
    let mut second = pin!(second.into_future());
    sent(second.as_mut()).await;
    leave.wait();
    first.await.expect("saved");
    let receipt = second.await.expect("saved");
    assert_eq!(receipt.recorded_at, store.now());
}
