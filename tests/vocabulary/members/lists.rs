//! Lists of shared sessions, and of who shares one.

use super::{is_hidden, sessions, share, shared};
use crate::support::{
    ADA, BOB, HOUR, Run, create_session, fill, keeps_the_promises_of_a_list, populated,
};
use botstore::page::PageRequest;
use botstore::sessions::{
    EndSession, Member, Session, SessionFilter, SessionMembers, UserSessions, Whose,
};
use std::cell::Cell;

#[tokio::test]
async fn a_list_of_sessions_has_ones_own_unless_others_are_asked_for() {
    let store = shared().await;
    assert_eq!(sessions(&store, BOB, Whose::Own).await, ["bob-1"]);
    assert_eq!(sessions(&store, BOB, Whose::Shared).await, ["ada-1"]);
    assert_eq!(sessions(&store, BOB, Whose::Both).await, ["bob-1", "ada-1"]);
    assert_eq!(sessions(&store, ADA, Whose::Both).await, ["ada-1"]);
    let default = store.read(UserSessions::new(BOB)).await.expect("a page");
    assert_eq!(default.items[0].session_id, "bob-1");
    // An owner whom another program has made a member has the session once, as an own one.
    let row = "INSERT INTO botstore_session_member (session_id, user_id, joined_at) VALUES ('ada-1', 1, '')";
    store.write(Run(row.to_owned())).await.expect("a row");
    assert_eq!(sessions(&store, ADA, Whose::Both).await, ["ada-1"]);
    assert!(sessions(&store, ADA, Whose::Shared).await.is_empty());
    // One that has ended is in the list of all.
    let end = EndSession::new(ADA, "ada-1");
    store.write(end).await.expect("ended");
    assert!(sessions(&store, BOB, Whose::Shared).await.is_empty());
    assert_eq!(sessions(&store, BOB, Whose::Both).await, ["bob-1"]);
    let all = UserSessions::new(BOB)
        .which(SessionFilter::All)
        .whose(Whose::Shared);
    assert_eq!(store.read(all).await.expect("a page").items.len(), 1);
}

#[tokio::test]
async fn shared_sessions_and_members_are_listed_page_by_page() {
    let store = populated().await;
    let columns = "sessions (session_id, user_id, project_path, created_at, last_used,
                             total_cost, total_turns, message_count, is_active)";
    fill(
        &store,
        columns,
        "'of-bob-' || i, 2, '/', at, at, 0.0, 0, 0, 1",
    )
    .await;
    let columns = "botstore_session_member (session_id, user_id, joined_at)";
    fill(&store, columns, "'of-bob-' || i, 1, at").await;
    let end = EndSession::new(ADA, "ada-1");
    store.write(end).await.expect("ended");
    let arrivals = Cell::new(0);
    let arrives = async || {
        store.clock().advance(HOUR);
        arrivals.set(arrivals.get() + 1);
        let id = format!("new-{}", arrivals.get());
        create_session(&store, BOB, &id).await;
        share(&store, &id, BOB, ADA).await;
    };
    let key = |s: &Session| (s.last_used, s.session_id.clone());
    for whose in [Whose::Shared, Whose::Both] {
        let list = |page| UserSessions::new(ADA).whose(whose).page(page);
        keeps_the_promises_of_a_list(&store, list, key, arrives).await;
        let end = EndSession::new(BOB, format!("new-{}", arrivals.get()));
        store.write(end).await.expect("ended");
    }

    let columns = "users (user_id, first_seen, last_active)";
    fill(&store, columns, "i + 1000, at, at").await;
    create_session(&store, ADA, "group").await;
    let columns = "botstore_session_member (session_id, user_id, joined_at)";
    fill(&store, columns, "'group', i + 1000, at").await;
    let list = |page| SessionMembers::new(ADA, "group").page(page);
    let key = |member: &Member| (member.joined_at, member.user_id);
    let arrives = async || share(&store, "group", ADA, BOB).await;
    keeps_the_promises_of_a_list(&store, list, key, arrives).await;
    let hidden = SessionMembers::new(1_000, "group").page(PageRequest::first(1));
    assert!(is_hidden(store.read(hidden).await));
}
