//! Dashboards: many questions, one moment.

use crate::analytics::{history, of_everybody, of_user, say};
use crate::support::{
    ADA, MICRO, STRANGER, at, fill, not_answered, populated, survives_json, user,
};
use botstore::analytics::{AdminDashboard, SystemOverview, UserDashboard};
use botstore::audit::UserAuditLog;
use botstore::costs::{TotalCosts, UserDailyCosts};
use botstore::messages::UserMessages;
use botstore::page::PageRequest;
use botstore::sessions::{EndSession, SessionFilter, UserSessions};
use botstore::testing::TestStore;
use botstore::tools::ToolStats;
use botstore::users::ListUsers;

async fn admin(store: &TestStore) -> SystemOverview {
    let dashboard = store.read(AdminDashboard::default()).await;
    dashboard.expect("a dashboard")
}

#[tokio::test]
async fn a_users_dashboard_is_what_the_single_questions_answer() {
    let store = history().await;
    let end = EndSession::new(ADA, "ada-2");
    store.write(end).await.expect("an end");
    for _ in 0..25 {
        say(&store, "ada-1", 0.25, &[]).await;
    }
    let user_id = ADA;
    let shown = store.read(UserDashboard::new(user_id)).await;
    let shown = shown.expect("a read").expect("a dashboard");
    survives_json(&shown);
    assert_eq!(shown.user, user(&store, ADA).await);
    assert_eq!(shown.stats, of_user(&store, ADA).await);
    let which = SessionFilter::All;
    let page = PageRequest::first(10);
    let sessions = UserSessions::new(user_id).which(which).page(page.clone());
    let sessions = store.read(sessions).await.expect("a page");
    assert_eq!(shown.recent_sessions, sessions.items);
    assert_eq!(
        shown.recent_sessions.len(),
        3,
        "the one that ended included"
    );
    let messages = store.read(UserMessages::new(user_id).page(page)).await;
    assert_eq!(shown.recent_messages, messages.expect("a page").items);
    let audit = UserAuditLog::new(user_id).page(PageRequest::first(20));
    let audit = store.read(audit).await.expect("a page").items;
    assert_eq!(shown.recent_audit, audit);
    assert_eq!((shown.recent_messages.len(), audit.len()), (10, 20));
    let days = 30;
    let costs = store.read(UserDailyCosts::new(user_id, days)).await;
    assert_eq!(shown.daily_costs, costs.expect("costs"));
    let user_id = STRANGER;
    let nobody = store.read(UserDashboard::new(user_id)).await;
    assert_eq!(nobody.expect("a read"), None);
}

#[tokio::test]
async fn the_admins_dashboard_is_what_the_single_questions_answer() {
    let store = history().await;
    let shown = admin(&store).await;
    survives_json(&shown);
    assert_eq!(shown.stats, of_everybody());
    let users = store.read(ListUsers::default()).await.expect("a page");
    assert_eq!(shown.users, users);
    let costs = store.read(TotalCosts::new(30)).await;
    assert_eq!(shown.total_costs, costs.expect("costs"));
    let tools = store.read(ToolStats::new(100)).await;
    assert_eq!(shown.tool_stats, tools.expect("statistics"));
    // All five of the last 24 hours, which they leave one after the other.
    assert_eq!(shown.recent_audit.len(), 5);
    store.clock().set(at("2026-05-10T23:59:59.999999Z"));
    assert_eq!(admin(&store).await.recent_audit.len(), 3);
    store.clock().advance(MICRO);
    assert_eq!(admin(&store).await.recent_audit.len(), 0);
    let columns = "audit_log (user_id, event_type, timestamp)";
    fill(&store, columns, "1, 'x', '2026-05-10T' || substr(at, 12)").await;
    assert_eq!(admin(&store).await.recent_audit.len(), 100);
    // The users are given by the page.
    let page = PageRequest::first(1);
    let first = store.read(AdminDashboard::new().users(page.clone())).await;
    let first = first.expect("a dashboard").users;
    let page = page.after(first.next.expect("more"));
    let second = store.read(AdminDashboard::new().users(page)).await;
    let second = second.expect("a dashboard").users;
    assert_eq!([first.items, second.items].concat(), users.items);
    let page = PageRequest::first(0);
    not_answered(&store, AdminDashboard::new().users(page), "limit").await;
}

#[tokio::test]
async fn a_dashboard_sees_one_moment_while_interactions_are_saved() {
    let store = populated().await;
    let talk = async || {
        for _ in 0..200 {
            say(&store, "ada-1", 0.25, &["Read"]).await;
        }
    };
    let look = async || {
        let mut seen = Vec::new();
        while seen.last() != Some(&200) {
            let (all, one) = (admin(&store).await, UserDashboard::new(ADA));
            let ada = all.users.items.iter().find(|u| u.user_id == ADA);
            let counted = ada.expect("ada").message_count;
            let requests: u64 = all.total_costs.iter().map(|day| day.total_requests).sum();
            let used: u64 = all.tool_stats.iter().map(|tool| tool.usage_count).sum();
            let told = [all.stats.total_messages, requests, used];
            assert_eq!(told, [counted; 3], "after {seen:?}");
            assert_eq!(all.recent_audit.len() as u64, counted.min(100));
            let one = store.read(one).await.expect("a read").expect("a dashboard");
            let counted_later = one.user.message_count;
            assert!(counted_later >= counted);
            assert_eq!(one.stats.total_messages, counted_later);
            assert_eq!(one.stats.total_cost, one.user.total_cost);
            assert_eq!(one.recent_sessions[0].message_count, counted_later);
            seen.push(counted);
        }
        seen
    };
    let ((), seen) = tokio::join!(talk(), look());
    assert!(
        seen.iter().any(|&count| 0 < count && count < 200),
        "{seen:?}"
    );
}
