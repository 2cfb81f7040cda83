use crate::support::{
    ADA, BOB, DAY, MICRO, ROWS, STRANGER, at, create_session, fill, not_answered, populated,
    survives_json, user,
};
use botstore::analytics::{
    AdminDashboard, DailyActivity, DayActivity, SystemStatistics, SystemStats, ToolCount, TopUser,
    TopUsers, UserDashboard, UserDay, UserStatistics, UserStats,
};
use botstore::audit::LogEvent;
use botstore::costs::{AddCost, TotalCosts, UserDailyCosts};
use botstore::interactions::SaveInteraction;
use botstore::page::PageRequest;
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::tools::{ToolCall, ToolStat, ToolStats};
use botstore::users::ListUsers;
use botstore::{Lane, Query};
use chrono::{DurationRound, NaiveDate, TimeDelta};

pub(crate) async fn say(store: &TestStore, session_id: &str, cost: f64, tools: &[&str]) {
    let exchange = {
        let mut new = SaveInteraction::new(
            if session_id.starts_with("ada") {
                ADA
            } else {
                BOB
            },
            session_id.to_owned(),
            "",
        )
        .cost(usd(cost))
        .tools(tools.iter().copied().map(ToolCall::new).collect());
        new.duration_ms = (cost > 0.0).then_some((cost * 1_000.0) as u64);
        new
    };
    store.write(exchange).await.expect("a receipt");
}

pub(crate) async fn of_user(store: &TestStore, user_id: i64) -> UserStatistics {
    store
        .read(UserStats::new(user_id))
        .await
        .expect("statistics")
}

async fn of_all(store: &TestStore) -> SystemStatistics {
    store.read(SystemStats::new()).await.expect("statistics")
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn used(tool: &str, usage_count: u64) -> ToolCount {
    ToolCount::new(tool.to_owned(), usage_count)
}

fn stat(tool: &str, usage_count: u64, sessions_used: u64) -> ToolStat {
    {
        let mut new = ToolStat::new(tool.to_owned(), usage_count);
        new.sessions_used = sessions_used;
        new
    }
}

/// Two days of Ada in three sessions, and of Bob in one:
///
/// | day    | ada-1          | ada-2     | ada-3 | bob-1 |
/// |--------|----------------|-----------|-------|-------|
/// | 9 May  | 1.0 Read, Bash |           |       | 0.5   |
/// | 10 May | 2.0 Read       | 4.0, 0.0  |       |       |
pub(crate) async fn history() -> TestStore {
    let store = populated().await;
    for session_id in ["ada-2", "ada-3"] {
        create_session(&store, ADA, session_id).await;
    }
    store.clock().set(at("2026-05-09T23:59:59.999999Z"));
    say(&store, "ada-1", 1.0, &["Read", "Bash"]).await;
    say(&store, "bob-1", 0.5, &["LS"]).await;
    store.clock().advance(MICRO);
    say(&store, "ada-1", 2.0, &["Read"]).await;
    say(&store, "ada-2", 4.0, &["Read", "LS"]).await;
    say(&store, "ada-2", 0.0, &[]).await;
    store.clock().set(at("2026-05-10T12:00:00Z"));
    store
}

fn of_ada() -> UserStatistics {
    let day =
        |day, messages, cost, sessions| UserDay::new(date(day), messages, usd(cost), sessions);
    {
        let mut new = UserStatistics::default();
        // The third has no message.
        new.total_sessions = 2;
        new.total_messages = 4;
        // Once for each message, not once for each of her sessions, as the seed's view has it.
        new.total_cost = usd(7.0);
        new.avg_cost = Some(usd(1.75));
        new.last_activity = Some(at("2026-05-10T00:00:00Z"));
        new.avg_duration_ms = Some(7_000.0 / 3.0);
        new.top_tools = vec![used("Read", 3), used("Bash", 1), used("LS", 1)];
        new.daily_usage = vec![day("2026-05-10", 3, 6.0, 2), day("2026-05-09", 1, 1.0, 1)];
        new
    }
}

pub(crate) fn of_everybody() -> SystemStatistics {
    let day = |day, active_users, total_messages, total_cost| {
        DayActivity::new(date(day), active_users, total_messages, usd(total_cost))
    };
    let top = |user_id, name: &str, total_cost, total_messages| {
        let mut new = TopUser::new(user_id, usd(total_cost), total_messages);
        new.username = Some(name.to_owned());
        new
    };
    {
        let mut new = SystemStatistics::default();
        new.total_users = 2;
        new.total_sessions = 3;
        new.total_messages = 5;
        new.total_cost = usd(7.5);
        new.avg_duration_ms = Some(7_500.0 / 4.0);
        new.active_users_7d = 2;
        new.top_users = vec![top(ADA, "ada", 7.0, 4), top(BOB, "bob", 0.5, 1)];
        new.tools = vec![stat("Read", 3, 2), stat("LS", 2, 2), stat("Bash", 1, 1)];
        new.daily_activity = vec![day("2026-05-10", 1, 3, 6.0), day("2026-05-09", 2, 2, 1.5)];
        new
    }
}

#[tokio::test]
async fn the_statistics_of_a_user_are_those_of_the_users_messages_each_counted_once() {
    let store = history().await;
    assert_eq!(of_user(&store, ADA).await, of_ada());
    survives_json(&of_ada());
    // The same money wherever one asks.
    assert_eq!(user(&store, ADA).await.total_cost, usd(7.0));
    let (user_id, days) = (ADA, 30);
    let costs = store.read(UserDailyCosts::new(user_id, days)).await;
    assert_eq!(
        costs
            .expect("costs")
            .iter()
            .map(|c| c.daily_cost.dollars())
            .sum::<f64>(),
        7.0
    );
    // What was never said counts nothing.
    for user_id in [STRANGER, i64::MIN] {
        assert_eq!(of_user(&store, user_id).await, UserStatistics::default());
    }
}

#[tokio::test]
async fn the_statistics_of_everybody_count_each_message_once() {
    let store = history().await;
    assert_eq!(of_all(&store).await, of_everybody());
    survives_json(&of_everybody());
    let empty = populated().await;
    assert_eq!(of_all(&empty).await, SystemStatistics::default());
}

#[tokio::test]
async fn more_sessions_and_tools_do_not_multiply_a_cost() {
    let store = populated().await;
    say(&store, "ada-1", 1.0, &["Read"; 20]).await;
    let before = (of_user(&store, ADA).await, of_all(&store).await);
    for i in 2..12 {
        create_session(&store, ADA, &format!("ada-{i}")).await;
    }
    let add = AddCost::new(ADA, usd(100.0));
    store.write(add).await.expect("a day");
    let event = LogEvent::new(ADA, "x");
    store.write(event).await.expect("an id");
    let after = (of_user(&store, ADA).await, of_all(&store).await);
    assert_eq!(after, before);
    assert_eq!(
        (after.0.total_cost, after.1.total_cost),
        (usd(1.0), usd(1.0))
    );
    assert_eq!(after.0.total_messages, 1);
}

#[tokio::test]
async fn a_user_is_active_for_168_hours_to_the_microsecond() {
    let store = populated().await;
    let said = store.now();
    say(&store, "ada-1", 1.0, &[]).await;
    store.clock().set(said + 7 * DAY - MICRO);
    assert_eq!(of_all(&store).await.active_users_7d, 1);
    store.clock().advance(MICRO);
    assert_eq!(of_all(&store).await.active_users_7d, 0);
}

#[tokio::test]
async fn windows_of_time_reach_back_to_the_beginning_of_a_day() {
    let store = populated().await;
    let said = store.now();
    say(&store, "ada-1", 1.0, &[]).await;
    let day = async |days| {
        let activity = store.read(DailyActivity::new(days)).await;
        activity.expect("days").len()
    };
    let midnight = said.duration_trunc(TimeDelta::days(1)).expect("a day");
    store.clock().set(midnight + 8 * DAY - MICRO);
    assert_eq!(day(7).await, 1);
    store.clock().advance(MICRO);
    assert_eq!(day(7).await, 0);
    store.clock().set(midnight + 31 * DAY - MICRO);
    assert_eq!(of_user(&store, ADA).await.daily_usage.len(), 1);
    assert_eq!(of_all(&store).await.daily_activity.len(), 1);
    store.clock().advance(MICRO);
    let (ada, all) = (of_user(&store, ADA).await, of_all(&store).await);
    assert_eq!((ada.daily_usage.len(), all.daily_activity.len()), (0, 0));
    // The totals are of all time.
    assert_eq!((ada.total_messages, all.total_messages), (1, 1));
    assert_eq!((day(0).await, day(30).await, day(31).await), (0, 0, 1));
    assert_eq!(day(u32::MAX).await, 1);
}

#[tokio::test]
async fn the_first_day_of_a_window_is_a_whole_one() {
    let store = populated().await;
    store.clock().set(at("2026-05-09T12:00:00Z"));
    say(&store, "ada-1", 1.0, &[]).await;
    store.clock().advance(MICRO);
    say(&store, "ada-1", 2.0, &[]).await;
    store.clock().set(at("2026-05-10T12:00:00Z"));
    let days = store.read(DailyActivity::new(1)).await.expect("days");
    let ninth = DayActivity::new(date("2026-05-09"), 1, 2, usd(3.0));
    assert_eq!(days, [ninth]);
}

#[tokio::test]
async fn top_lists_have_their_length_and_the_equal_ones_in_a_fixed_order() {
    let store = populated().await;
    let top = async |limit| store.read(TopUsers::new(limit)).await.expect("users");
    for session_id in ["bob-1", "ada-1"] {
        say(
            &store,
            session_id,
            0.5,
            &["a", "b", "c", "d", "e", "f", "g"],
        )
        .await;
    }
    say(&store, "ada-1", 0.0, &["g", "h", "i", "j", "k", "l"]).await;
    let ids = |users: &[TopUser]| users.iter().map(|u| u.user_id).collect::<Vec<_>>();
    assert_eq!(ids(&top(10).await), [ADA, BOB]);
    assert_eq!(ids(&top(1).await), [ADA]);
    let tools = of_user(&store, ADA).await.top_tools;
    let names: Vec<_> = tools.iter().map(|t| t.tool_name.as_str()).collect();
    assert_eq!(names, ["g", "a", "b", "c", "d", "e", "f", "h", "i", "j"]);
    assert_eq!(of_all(&store).await.tools.len(), 10);
    not_answered(&store, TopUsers::new(0), "limit").await;
    let columns = "users (user_id, first_seen, last_active)";
    fill(&store, columns, "i + 10, at, at").await;
    let columns = "messages (session_id, user_id, timestamp, prompt, cost)";
    fill(&store, columns, "'ada-1', i + 10, at, '', 1.0").await;
    assert_eq!(top(u32::MAX).await.len(), 1_000);
    assert_eq!(of_all(&store).await.top_users.len(), 10);
    assert_eq!(of_all(&store).await.total_users as usize, ROWS + 2);
}

#[test]
fn statistics_have_a_lane_of_their_own() {
    let lanes = [
        UserStats::LANE,
        SystemStats::LANE,
        DailyActivity::LANE,
        TopUsers::LANE,
        UserDashboard::LANE,
        AdminDashboard::LANE,
        ToolStats::LANE,
        TotalCosts::LANE,
    ];
    assert_eq!(lanes, [Lane::Analytics; 8]);
    assert_eq!(ListUsers::LANE, Lane::Interactive);
}

#[test]
fn messages_about_statistics_survive_json() {
    let user_id = ADA;
    survives_json(&UserStats::new(user_id));
    survives_json(&SystemStats::new());
    survives_json(&DailyActivity::new(7));
    survives_json(&TopUsers::new(7));
    survives_json(&UserDashboard::new(user_id));
    let users = PageRequest::first(7);
    survives_json(&AdminDashboard::new().users(users));
    let empty: AdminDashboard = serde_json::from_str("{}").expect("a message");
    assert_eq!(empty, AdminDashboard::default());
}
