//! Answers about a span of time that ends now, which the bot got wrong where spellings differ.

use crate::legacy::{Legacy, array, check_newest_first, list, object, open_plain, text};
use botstore::analytics::{AdminDashboard, DailyActivity, SystemStats, UserStats};
use botstore::audit::{EventFilter, RecentAuditLog};
use botstore::costs::{TotalCosts, UserDailyCosts};
use botstore::messages::RecentMessages;
use botstore::page::PageRequest;
use botstore::sessions::{ActiveSessions, ExpireIdle};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn sorted(ids: impl Iterator<Item = i64>) -> Value {
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    json!(ids)
}

#[tokio::test]
async fn recent_means_so_many_hours_to_the_second() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for (hours, expected) in object(legacy.windowed("recent_message_ids")) {
            let within = HOUR * hours.parse().unwrap();
            let recent = list(&store, |page| RecentMessages::new(within).page(page)).await;
            check_newest_first(recent.iter().map(|said| said.message_id.get()));
            let ids = sorted(recent.iter().map(|said| said.message_id.get()));
            legacy.check(&format!("messages of {hours} hours"), &ids, expected);
        }
        for (hours, expected) in object(legacy.windowed("recent_audit_ids")) {
            let within = HOUR * hours.parse().unwrap();
            let filter = EventFilter::last(within, store.now());
            let recent = list(&store, |page| {
                RecentAuditLog::new().filter(filter.clone()).page(page)
            })
            .await;
            check_newest_first(recent.iter().map(|event| event.id));
            let ids = sorted(recent.iter().map(|event| event.id));
            legacy.check(&format!("events of {hours} hours"), &ids, expected);
        }
    }
}

#[tokio::test]
async fn activity_by_day_counts_what_the_span_holds() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let stats = store.read(SystemStats::new()).await.unwrap();
        // The bot meant 168 hours, and compared times of different spellings.
        let active = legacy.windowed("active_users_7d");
        legacy.check("active users", &json!(stats.active_users_7d), active);
        // Our spans begin with a day; the bot's began in the middle of it.
        let since = |days: i64| (legacy.as_of() - TimeDelta::days(days)).date_naive();
        let whole = |days: &Value| {
            let mut days = days.as_array().unwrap().clone();
            days.retain(|day| text(&day["date"]) > since(30).to_string().as_str());
            Value::Array(days)
        };
        let expected = whole(legacy.windowed("daily_activity_30d"));
        let activity = whole(&json!(stats.daily_activity));
        legacy.check("activity", &activity, &expected);
        let activity = store.read(DailyActivity::new(30)).await.unwrap();
        assert_eq!(activity, stats.daily_activity, "{}", legacy.name);

        for (user_id, expected) in object(legacy.windowed("get_user_stats_daily_usage")) {
            let user_id: i64 = user_id.parse().unwrap();
            let stats = store.read(UserStats::new(user_id)).await.unwrap();
            let usage = whole(&json!(stats.daily_usage));
            legacy.check("usage of the user", &usage, &whole(expected));
        }
    }
}

#[tokio::test]
async fn activity_of_all_days_is_what_the_bot_s_view_says() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        // The view comes with schema 2.
        let views = [
            &legacy.expected["views"],
            &legacy.expected["after_upgrade"]["views"],
        ];
        let view = views.iter().find_map(|v| v["daily_stats"].as_array());
        let mut expected = view.unwrap().clone();
        expected.reverse();
        for day in &mut expected {
            day.as_object_mut().unwrap().remove("avg_duration");
        }
        let ever = DailyActivity::new(u32::MAX);
        let activity = store.read(ever).await.unwrap();
        legacy.check("activity", &json!(activity), &Value::Array(expected));
    }
}

#[tokio::test]
async fn costs_of_thirty_days_and_today_are_the_bot_s_own() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for (user_id, expected) in object(legacy.windowed("daily_costs_30d")) {
            let user_id: i64 = user_id.parse().unwrap();
            let costs = store.read(UserDailyCosts::new(user_id, 30));
            let costs = costs.await.unwrap();
            let costs = costs
                .iter()
                .map(|c| (c.date, c.daily_cost, c.request_count));
            let answer = json!(costs.collect::<Vec<_>>());
            legacy.check("costs of the user", &answer, expected);
        }
        let totals = store.read(TotalCosts::new(30)).await.unwrap();
        let expected = legacy.windowed("total_costs_30d");
        legacy.check("costs", &json!(totals), expected);
    }
}

#[tokio::test]
async fn the_admin_s_dashboard_is_as_long_as_it_should_be() {
    for legacy in Legacy::all() {
        let store = legacy.open().await;
        let users = PageRequest::first(1_000);
        let dashboard = store
            .read(AdminDashboard::new().users(users))
            .await
            .unwrap();
        let expected = legacy.windowed("admin_dashboard_sizes");
        for (what, size) in [
            ("users", dashboard.users.items.len()),
            ("total_costs", dashboard.total_costs.len()),
            ("tool_stats", dashboard.tool_stats.len()),
        ] {
            legacy.check(what, &json!(size), &expected[what]);
        }
        // The bot's size is that of its own, too wide, span.
        let ids = sorted(dashboard.recent_audit.iter().map(|event| event.id));
        let expected = &legacy.windowed("recent_audit_ids")["24"];
        legacy.check("recent_audit", &ids, expected);
        let stats = store.read(SystemStats::new()).await.unwrap();
        assert_eq!(dashboard.stats, stats, "{}", legacy.name);
    }
}

#[tokio::test]
async fn idle_sessions_expire_to_the_second_and_no_others() {
    for (idle_for, what) in [
        (30 * DAY, "cleanup_old_sessions_30d"),
        (DAY, "cleanup_expired_sessions_24h"),
    ] {
        for legacy in Legacy::all_taken_over().await {
            let store = legacy.open().await;
            let before = list(&store, |page| ActiveSessions::new().page(page)).await;
            let expired = store.write(ExpireIdle::new(idle_for)).await.unwrap();
            let after = list(&store, |page| ActiveSessions::new().page(page)).await;
            store.close().await.unwrap();

            let before: BTreeSet<_> = before.into_iter().map(|s| s.session_id).collect();
            let after: BTreeSet<_> = after.into_iter().map(|s| s.session_id).collect();
            let ended: Vec<_> = before.difference(&after).collect();
            let expected = legacy.windowed(what);
            legacy.check(what, &json!(ended), expected);
            assert_eq!(expired, ended.len(), "{}", legacy.name);
            assert!(after.is_subset(&before), "{}", legacy.name);

            // In the file, too.
            let conn = open_plain(&legacy.path);
            for session_id in array(expected).iter().map(text) {
                let sql = "SELECT is_active FROM sessions WHERE session_id = ?1";
                let active: i64 = conn.query_row(sql, [session_id], |row| row.get(0)).unwrap();
                assert_eq!(active, 0, "{}: {session_id}", legacy.name);
            }
        }
    }
}
