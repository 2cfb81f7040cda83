//! What it all comes to, as far as that does not depend on the time: totals, tools, costs by day.

use crate::legacy::{Legacy, array, object, text};
use botstore::analytics::{SystemStats, ToolCount, TopUser, UserStats};
use botstore::costs::{TotalCosts, UserDailyCosts};
use botstore::sessions::SessionSummary;
use botstore::tools::ToolStats;
use serde_json::{Value, json};

/// More days than any file holds.
const EVER: u32 = 36_500;

#[tokio::test]
async fn statistics_of_a_user_are_the_bot_s_own() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for (user_id, expected) in object(legacy.timeless("get_user_stats")) {
            let user_id: i64 = user_id.parse().unwrap();
            let stats = store.read(UserStats::new(user_id)).await.unwrap();
            let answer = json!({
                "total_sessions": stats.total_sessions,
                "total_messages": stats.total_messages,
                "total_cost": stats.total_cost,
                "avg_cost": stats.avg_cost,
                "last_activity": stats.last_activity,
                "avg_duration": stats.avg_duration_ms,
            });
            let expected_summary = sum_of_nothing_is_zero(&expected["summary"]);
            legacy.check("summary", &answer, &expected_summary);
            let cut = expected["top_tools_tie_at_limit"].as_bool().unwrap();
            let uses = |tool: &ToolCount| tool.usage_count as f64;
            let name = |tool: &ToolCount| json!(tool.tool_name);
            assert!(stats.top_tools.is_sorted_by(|a, b| uses(a) >= uses(b)));
            legacy.check(
                "tools",
                &ranking(stats.top_tools.iter().map(|t| (uses(t), name(t))), cut),
                &ranking(
                    expected_ranking(&expected["top_tools"], "usage_count", "tool_name"),
                    cut,
                ),
            );
        }
        for (user_id, expected) in object(&legacy.expected["true"]["user_totals"]) {
            let user_id: i64 = user_id.parse().unwrap();
            let stats = store.read(UserStats::new(user_id)).await.unwrap();
            let sessions = store.read(SessionSummary::new(user_id)).await.unwrap();
            let answer = json!({
                "sessions": sessions.total_sessions,
                "messages": stats.total_messages,
                "cost": stats.total_cost,
                "last_activity": stats.last_activity,
            });
            legacy.check("totals of the user", &answer, expected);
        }
    }
}

/// Where the bot answers NULL for the cost of no messages, we answer 0.
pub(crate) fn sum_of_nothing_is_zero(summary: &Value) -> Value {
    let mut summary = summary.clone();
    if summary["total_cost"].is_null() {
        summary["total_cost"] = json!(0.0);
    }
    summary
}

fn expected_ranking<'a>(
    list: &'a Value,
    rank: &'a str,
    key: &'a str,
) -> impl Iterator<Item = (f64, Value)> + 'a {
    let rows = array(list).iter();
    rows.map(move |row| (row[rank].as_f64().unwrap(), row[key].clone()))
}

/// A list by rank, in an order that does not depend on how ties were broken. If it was `cut` inside
/// a tie, the last rank has no names: any of several would be right.
fn ranking(rows: impl Iterator<Item = (f64, Value)>, cut: bool) -> Value {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|(a, a_name), (b, b_name)| {
        let by_name = || a_name.to_string().cmp(&b_name.to_string());
        b.total_cmp(a).then_with(by_name)
    });
    let last = rows.last().map(|(rank, _)| *rank).filter(|_| cut);
    let rows = rows.into_iter().map(|(rank, name)| {
        if last == Some(rank) {
            json!([rank, null])
        } else {
            json!([rank, name])
        }
    });
    Value::Array(rows.collect())
}

#[tokio::test]
async fn statistics_of_everybody_are_the_bot_s_own() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let expected = legacy.timeless("get_system_stats");
        let stats = store.read(SystemStats::new()).await.unwrap();
        let answer = json!({
            "total_users": stats.total_users,
            "total_sessions": stats.total_sessions,
            "total_messages": stats.total_messages,
            "total_cost": stats.total_cost,
            "avg_duration": stats.avg_duration_ms,
        });
        legacy.check("overall", &answer, &expected["overall"]);

        let cut = expected["top_users_tie_at_limit"].as_bool().unwrap();
        assert!(
            stats
                .top_users
                .is_sorted_by(|a, b| a.total_cost >= b.total_cost)
        );
        let user = |user: &TopUser| {
            let name = json!([user.user_id, user.username, user.total_messages]);
            (user.total_cost.dollars(), name)
        };
        let expected_users = array(&expected["top_users"]).iter().map(|user| {
            let name = json!([
                user["user_id"],
                user["telegram_username"],
                user["total_messages"]
            ]);
            (user["total_cost"].as_f64().unwrap(), name)
        });
        legacy.check(
            "top users",
            &ranking(stats.top_users.iter().map(user), cut),
            &ranking(expected_users, cut),
        );

        let cut = expected["tool_stats_tie_at_limit"].as_bool().unwrap();
        let tools = stats.tools.iter().map(|tool| {
            let name = json!([tool.tool_name, tool.sessions_used]);
            (tool.usage_count as f64, name)
        });
        let expected_tools = array(&expected["tool_stats"]).iter().map(|tool| {
            let name = json!([tool["tool_name"], tool["sessions_used"]]);
            (tool["usage_count"].as_f64().unwrap(), name)
        });
        legacy.check("tools", &ranking(tools, cut), &ranking(expected_tools, cut));

        let all = store.read(ToolStats::new(1_000)).await.unwrap();
        // Those that a tie at the limit may have replaced are right all the same.
        assert!(all.starts_with(&stats.tools), "{}", legacy.name);
        let mut expected = array(legacy.timeless("get_tool_stats")).clone();
        expected.sort_by_key(|tool| {
            let uses = tool["usage_count"].as_i64().unwrap();
            (-uses, text(&tool["tool_name"]).to_owned())
        });
        legacy.check("all tools", &json!(all), &Value::Array(expected));
    }
}

#[tokio::test]
async fn costs_of_every_day_there_ever_was_are_kept() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for (user_id, expected) in object(legacy.timeless("daily_costs_ever")) {
            let user_id: i64 = user_id.parse().unwrap();
            let days = UserDailyCosts::new(user_id, EVER);
            let costs = store.read(days).await.unwrap();
            let costs = costs
                .iter()
                .map(|c| (c.date, c.daily_cost, c.request_count));
            let answer = json!(costs.collect::<Vec<_>>());
            legacy.check("costs of the user", &answer, expected);
        }
        let totals = store.read(TotalCosts::new(EVER)).await.unwrap();
        let expected = legacy.timeless("total_costs_ever");
        legacy.check("costs", &json!(totals), expected);
    }
}
