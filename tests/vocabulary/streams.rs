//! Lists the other way round, and from their first page to their last as streams.

use crate::support::{ADA, BOB, DAY, populated};
use botstore::audit::{RecentAuditLog, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::messages::{
    ChatMessage, DeleteMessage, RecentMessages, SaveMessage, SessionMessages, UserMessages,
};
use botstore::page::{Order, Page, PageRequest, Paged};
use botstore::prices::{Prices, SetPrice};
use botstore::sessions::{ActiveSessions, ProjectSessions, UserSessions};
use botstore::testing::{TestStore, usd};
use botstore::tokens::{IssueToken, UserTokens};
use botstore::tools::{SessionToolUse, ToolCall, UserToolUse};
use botstore::users::{AllowedUsers, ListUsers, SetAllowed};
use botstore::{ErrorKind, Items, Pages, Query, ReadTx, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Ada's and Bob's messages in turn, by a clock that goes astray; then many of Bob's, and one more of Ada's.
async fn talked() -> TestStore {
    let store = populated().await;
    let noon = store.now();
    let say = async |user_id: i64, session_id: &str| {
        let exchange = SaveInteraction::new(user_id, session_id, "p").tool(ToolCall::new("Read"));
        store.write(exchange).await.expect("saved");
    };
    for seconds in [0, 5, -3, 0, 900, -86_000, 1, 1, 2] {
        store
            .clock()
            .set(noon + chrono::TimeDelta::seconds(seconds));
        say(ADA, "ada-1").await;
        say(BOB, "bob-1").await;
    }
    for _ in 0..150 {
        say(BOB, "bob-1").await;
    }
    say(ADA, "ada-1").await;
    store.clock().set(noon + chrono::TimeDelta::hours(1));
    store
}

async fn all<Q: Paged>(store: &TestStore, query: Q) -> Vec<Q::Item> {
    let mut items = store.pages(query).items();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.expect("a row"));
    }
    all
}

fn ids(messages: &[ChatMessage]) -> Vec<i64> {
    messages.iter().map(|m| m.message_id.get()).collect()
}

#[tokio::test]
async fn oldest_first_is_newest_first_turned_round_by_pages_of_any_length() {
    let store = talked().await;
    type Ask = Box<dyn Fn(Order, PageRequest) -> Listed>;
    enum Listed {
        Session(SessionMessages),
        User(UserMessages),
        Recent(RecentMessages),
    }
    let lists: [Ask; 5] = [
        Box::new(|order, page| {
            Listed::Session(SessionMessages::new(ADA, "ada-1").order(order).page(page))
        }),
        Box::new(|order, page| Listed::User(UserMessages::new(ADA).order(order).page(page))),
        Box::new(|order, page| Listed::User(UserMessages::new(BOB).order(order).page(page))),
        Box::new(|order, page| Listed::Recent(RecentMessages::new(DAY).order(order).page(page))),
        // A part of them only, and not the last.
        Box::new(|order, page| {
            let within = Duration::from_secs(3_600);
            Listed::Recent(RecentMessages::new(within).order(order).page(page))
        }),
    ];
    for ask in lists {
        let mut walks = Vec::new();
        for length in [1, 2, 3, 7, 50, 1_000] {
            for order in [Order::NewestFirst, Order::OldestFirst] {
                let page = PageRequest::first(length);
                let mut walked = match ask(order, page) {
                    Listed::Session(query) => ids(&all(&store, query).await),
                    Listed::User(query) => ids(&all(&store, query).await),
                    Listed::Recent(query) => ids(&all(&store, query).await),
                };
                if order == Order::NewestFirst {
                    walked.reverse();
                }
                assert!(walked.is_sorted_by(|a, b| a < b), "{order:?}: {walked:?}");
                walks.push(walked);
            }
        }
        assert!(walks[0].len() > 7, "{:?}", walks[0]);
        assert!(walks.windows(2).all(|two| two[0] == two[1]), "{walks:?}");
    }
}

#[tokio::test]
async fn a_place_in_a_list_is_gone_on_from_in_either_order() {
    let store = talked().await;
    let list = |order, page| SessionMessages::new(ADA, "ada-1").order(order).page(page);
    let everything = ids(&all(&store, list(Order::OldestFirst, PageRequest::first(50))).await);
    let first = PageRequest::first(4);
    let page = store.read(list(Order::OldestFirst, first.clone())).await;
    let page = page.expect("a page");
    assert_eq!(ids(&page.items), everything[..4]);
    let back = first.after(page.next.expect("more"));
    let back = store.read(list(Order::NewestFirst, back)).await;
    let back = back.expect("a page");
    assert_eq!(
        ids(&back.items),
        [everything[2], everything[1], everything[0]]
    );
    assert_eq!(back.next, None);
}

#[tokio::test]
async fn each_list_is_a_stream_of_all_its_rows() {
    let store = talked().await;
    for user_id in [ADA, BOB] {
        store
            .write(SetAllowed::allow(user_id))
            .await
            .expect("allowed");
        for _ in 0..3 {
            store.write(IssueToken::new(user_id)).await.expect("issued");
        }
    }
    for model in ["owl", "parrot", "tern"] {
        let price = SetPrice::new("acme", model, usd(3.0), usd(15.0));
        store.write(price).await.expect("a price");
    }
    let two = || PageRequest::first(2);
    let lengths = [
        all(&store, ActiveSessions::new().page(two())).await.len(),
        all(&store, AllowedUsers::new().page(PageRequest::first(1)))
            .await
            .len(),
        all(&store, ListUsers::new().page(PageRequest::first(1)))
            .await
            .len(),
        all(
            &store,
            ProjectSessions::new("/srv/project").page(PageRequest::first(1)),
        )
        .await
        .len(),
        all(&store, RecentAuditLog::new().page(two())).await.len(),
        all(&store, RecentMessages::new(DAY).page(two()))
            .await
            .len(),
        all(&store, SessionMessages::new(ADA, "ada-1").page(two()))
            .await
            .len(),
        all(&store, SessionToolUse::new(ADA, "ada-1").page(two()))
            .await
            .len(),
        all(&store, UserAuditLog::new(ADA).page(two())).await.len(),
        all(&store, UserMessages::new(BOB).page(two())).await.len(),
        all(&store, UserSessions::new(ADA).page(two())).await.len(),
        all(&store, UserTokens::new(ADA).page(two())).await.len(),
        all(&store, UserToolUse::new(BOB).page(two())).await.len(),
        all(&store, Prices::new().page(two())).await.len(),
    ];
    // Two messages are from more than a day ago. Of each user there are four events beside the messages'.
    assert_eq!(
        lengths,
        [2, 2, 2, 2, 177, 167, 10, 10, 14, 159, 1, 3, 159, 3]
    );
}

/// A host's list, which counts how often it is asked, and can fail.
#[derive(Clone)]
struct Counted {
    page: PageRequest,
    asked: Arc<AtomicUsize>,
    fails_at: usize,
}

impl Query for Counted {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        let asked = 1 + self.asked.fetch_add(1, Ordering::SeqCst);
        if asked == self.fails_at {
            return Err(botstore::Error::new(ErrorKind::Busy, "not now"));
        }
        tx.query(&UserMessages::new(BOB).page(self.page.clone()))
    }
}

impl Paged for Counted {
    type Item = ChatMessage;

    fn page_mut(&mut self) -> &mut PageRequest {
        &mut self.page
    }
}

fn counted(limit: u32, fails_at: usize) -> (Counted, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let query = Counted {
        page: PageRequest::first(limit),
        asked: Arc::clone(&asked),
        fails_at,
    };
    (query, asked)
}

#[tokio::test]
async fn a_page_is_read_when_it_is_wanted_and_no_earlier() {
    let store = talked().await;
    let (query, asked) = counted(10, 0);
    let mut items = store.pages(query).items();
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    for row in 1..=25 {
        items.next().await.expect("a row").expect("read");
        assert_eq!(asked.load(Ordering::SeqCst), (row - 1) / 10 + 1);
    }
    drop(items);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_future_that_is_dropped_loses_no_page() {
    let store = talked().await;
    let (query, _) = counted(10, 0);
    let mut pages = store.pages(query);
    let mut seen = 0;
    loop {
        // Polled once, and dropped; the page that it asked for is the next call's.
        let once = tokio::time::timeout(Duration::ZERO, pages.next()).await;
        let page = match once {
            Ok(page) => page,
            Err(_) => pages.next().await,
        };
        let Some(page) = page else { break };
        seen += page.expect("a page").items.len();
    }
    assert_eq!(seen, 159);
}

#[tokio::test]
async fn an_error_is_the_last_thing_that_a_stream_gives() {
    let store = talked().await;
    let (query, asked) = counted(10, 3);
    let mut pages = store.pages(query);
    for _ in 0..2 {
        pages.next().await.expect("a page").expect("read");
    }
    let error = pages.next().await.expect("an answer").expect_err("not now");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(pages.next().await.is_none());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // So does one that was never right.
    let mut items = store.pages(SessionMessages::new(ADA, "bob-1")).items();
    let error = items.next().await.expect("an answer").expect_err("theirs");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(items.next().await.is_none());
    // After the last row there is none, however often it is asked.
    let mut items = store.pages(UserSessions::new(ADA)).items();
    assert!(items.next().await.expect("a row").is_ok());
    assert!(items.next().await.is_none());
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn rows_that_come_and_go_in_between_shift_nothing() {
    let store = talked().await;
    let expected = ids(&all(&store, UserMessages::new(BOB)).await);
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let query = UserMessages::new(BOB)
            .order(order)
            .page(PageRequest::first(20));
        let mut items = store.pages(query).items();
        let mut seen = Vec::new();
        while let Some(message) = items.next().await {
            let id = message.expect("a row").message_id;
            if seen.len() == 20 {
                // What has been shown, even the row at which the page ended, may go.
                let shown = *seen.last().expect("shown");
                store
                    .write(DeleteMessage::new(BOB, shown))
                    .await
                    .expect("deleted");
                let late = SaveMessage::new(BOB, "bob-1", "late");
                store.write(late).await.expect("saved");
            }
            seen.push(id.get());
        }
        assert!(seen.windows(2).all(|two| two[0] != two[1]));
        assert!(
            seen.len() >= expected.len() - 1,
            "{order:?}: {}",
            seen.len()
        );
    }
}

#[tokio::test]
async fn pages_and_items_are_streams_that_any_task_may_hold() {
    fn is_stream<S: futures_core::Stream<Item = Result<T>> + Send + Unpin + 'static, T>(_: &S) {}
    let store = talked().await;
    let pages: Pages<UserMessages> = store.pages(UserMessages::new(BOB));
    is_stream(&pages);
    let items: Items<UserMessages> = pages.items();
    is_stream(&items);
    let counted = tokio::spawn(async move {
        let (mut items, mut count) = (items, 0);
        let mut stream = std::pin::pin!(&mut items);
        loop {
            let next = std::future::poll_fn(|context| {
                futures_core::Stream::poll_next(stream.as_mut(), context)
            });
            match next.await {
                Some(row) => count += usize::from(row.is_ok()),
                None => return count,
            }
        }
    });
    assert_eq!(counted.await.expect("a count"), 159);
}
