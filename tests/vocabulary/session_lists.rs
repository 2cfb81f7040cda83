//! Which sessions go on, and lists of them.

use crate::sessions::{active, create, end, save};
use crate::support::{
    ADA, BOB, DAY, HOUR, MICRO, ROWS, at, create_session, fill, keeps_the_promises_of_a_list,
    populate, populated,
};
use botstore::messages::SaveMessage;
use botstore::page::PageRequest;
use botstore::sessions::{
    ActiveSessions, ExpireIdle, ProjectSessions, Session, SessionFilter, UserSessions,
};
use botstore::testing::TestStore;
use std::cell::Cell;
use std::time::Duration;

const SESSIONS: &str = "sessions (session_id, user_id, project_path, created_at, last_used,
                                  total_cost, total_turns, message_count, is_active)";

async fn expire(store: &TestStore, idle_for: Duration) -> usize {
    store
        .write(ExpireIdle::new(idle_for))
        .await
        .expect("a sweep")
}

#[tokio::test]
async fn a_session_expires_when_it_was_idle_for_longer_and_not_a_microsecond_sooner() {
    // In the afternoon; and where the limit, the last use, or now is at the turn of a day.
    for last_used in [
        "2026-03-10T15:30:00Z",
        "2026-03-10T23:59:59.999999Z",
        "2026-03-11T00:00:00Z",
        "2026-02-28T23:30:00.000001Z",
    ] {
        for idle_for in [MICRO, HOUR, HOUR / 2 - MICRO, DAY] {
            let store = TestStore::open().await.expect("a store");
            store.clock().advance_to(at(last_used));
            populate(&store).await;
            store.clock().advance(idle_for);
            assert_eq!(
                expire(&store, idle_for).await,
                0,
                "{last_used} {idle_for:?}"
            );
            assert_eq!(active(&store).await.len(), 2);
            store.clock().advance(MICRO);
            assert_eq!(
                expire(&store, idle_for).await,
                2,
                "{last_used} {idle_for:?}"
            );
            assert!(active(&store).await.is_empty());
            assert_eq!(expire(&store, idle_for).await, 0);
        }
    }
}

#[tokio::test]
async fn only_sessions_in_which_nothing_happened_expire() {
    let store = populated().await;
    create_session(&store, ADA, "ended").await;
    create_session(&store, ADA, "saved").await;
    create_session(&store, ADA, "idle").await;
    store.write(end("ended", ADA)).await.expect("an end");
    store.clock().advance(HOUR);
    let message = SaveMessage::new(ADA, "ada-1", "");
    store.write(message).await.expect("a message");
    store.write(save("saved", ADA)).await.expect("a session");
    store.clock().advance(MICRO);
    assert_eq!(expire(&store, HOUR).await, 2, "idle and bob-1");
    assert_eq!(active(&store).await, ["saved", "ada-1"]);
    assert_eq!(expire(&store, Duration::MAX).await, 0);
    assert_eq!(expire(&store, Duration::ZERO).await, 2);
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_by_user_project_and_activity() {
    let store = populated().await;
    // Both are of now; ended, they are on no list of active ones.
    store.write(end("ada-1", ADA)).await.expect("an end");
    store.write(end("bob-1", BOB)).await.expect("an end");
    let row = |id: &str, user: i64, path: &str, active: u8| {
        format!("{id} || i, {user}, '{path}', at, at, 0.5, 1, 1, {active}")
    };
    fill(&store, SESSIONS, &row("'a.b:'", ADA, "/ours", 1)).await;
    fill(&store, SESSIONS, &row("'ended-'", BOB, "/ours", 0)).await;
    fill(&store, SESSIONS, &row("'other-'", BOB, "/theirs", 0)).await;
    let arrivals = Cell::new(0);
    let arrives = async || {
        store.clock().advance(MICRO);
        arrivals.set(arrivals.get() + 1);
        let id = format!("new-{}", arrivals.get());
        let new = create(&id, ADA, "/ours");
        store.write(new).await.expect("a session");
    };
    let forget = async || {
        let id = format!("new-{}", arrivals.get());
        store.write(end(&id, ADA)).await.expect("an end");
    };
    let key = |s: &Session| (s.last_used, s.session_id.clone());
    let active_of_user = |page| UserSessions::new(ADA).page(page);
    keeps_the_promises_of_a_list(&store, active_of_user, key, arrives).await;
    forget().await;
    let active_of_project = |page| {
        ProjectSessions::new("/ours")
            .which(SessionFilter::Active)
            .page(page)
    };
    keeps_the_promises_of_a_list(&store, active_of_project, key, arrives).await;
    forget().await;
    keeps_the_promises_of_a_list(
        &store,
        |page| ActiveSessions::new().page(page),
        key,
        arrives,
    )
    .await;
    let theirs = |page| {
        ProjectSessions::new("/theirs")
            .which(SessionFilter::All)
            .page(page)
    };
    let arrives = async || {
        let new = create("their-new", ADA, "/theirs");
        store.write(new).await.expect("a session");
    };
    keeps_the_promises_of_a_list(&store, theirs, key, arrives).await;
    let all = UserSessions::new(BOB)
        .which(SessionFilter::All)
        .page(PageRequest::first(1_000));
    let first = store.read(all.clone()).await.expect("a page");
    let second = {
        let mut new = all.clone();
        new.page = all.page.after(first.next.expect("more"));
        new
    };
    let second = store.read(second).await.expect("a page");
    assert!(
        second.next.is_some(),
        "bob's ended sessions: {}",
        2 * ROWS + 1
    );
    assert!(first.items.iter().all(|s| s.user_id == BOB && !s.is_active));
}
