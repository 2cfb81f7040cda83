//! What was said, to the byte, and the lists that show it.

use crate::legacy::{Legacy, array, check_newest_first, instant, list, object, text};
use crate::statistics::sum_of_nothing_is_zero;
use botstore::analytics::{UserDashboard, UserStats};
use botstore::messages::{ChatMessage, SessionMessages, UserMessages};
use botstore::sessions::SessionHistory;
use botstore::users::GetUser;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The beginning of the SHA-256 of a text, as the expected answers have it.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn in_the_bot_s_words(message: &ChatMessage) -> Map<String, Value> {
    let response = message.response.as_deref();
    let fields = json!({
        "message_id": message.message_id,
        "session_id": message.session_id,
        "user_id": message.user_id,
        "timestamp": message.timestamp,
        "cost": message.cost,
        "duration_ms": message.duration_ms,
        "error": message.error,
        "prompt_bytes": message.prompt.len(),
        "prompt_sha256_16": hash(&message.prompt),
        "response_bytes": response.map(str::len),
        "response_sha256_16": response.map(hash),
    });
    object(&fields).clone()
}

#[tokio::test]
async fn every_prompt_and_response_is_there_to_the_byte() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let mut messages = BTreeMap::new();
        for (session_id, user_id) in legacy.sessions() {
            let said = list(&store, |page| {
                SessionMessages::new(user_id, session_id.to_owned()).page(page)
            })
            .await;
            messages.extend(said.into_iter().map(|said| (said.message_id, said)));
        }
        let columns = array(&legacy.expected["message_rows"]["columns"]);
        let rows = messages.values().map(|message| {
            let fields = in_the_bot_s_words(message);
            columns.iter().map(|c| fields[text(c)].clone()).collect()
        });
        let answer = Value::Array(rows.collect());
        legacy.check(
            "messages",
            &answer,
            &legacy.expected["message_rows"]["rows"],
        );

        let mut by_user = BTreeMap::new();
        for user_id in legacy.user_ids() {
            let said = list(&store, |page| UserMessages::new(user_id).page(page)).await;
            check_newest_first(said.iter().map(|said| said.message_id));
            by_user.extend(said.into_iter().map(|said| (said.message_id, said)));
        }
        assert_eq!(by_user, messages, "{}", legacy.name);
    }
}

#[tokio::test]
async fn the_history_of_a_session_is_the_bot_s_own() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for (session_id, expected) in object(legacy.timeless("histories")) {
            let user_id = expected["session"]["user_id"].as_i64().unwrap();
            let ask =
                |user_id, limit| SessionHistory::new(user_id, session_id.clone()).limit(limit);
            let history = store.read(ask(user_id, 1_000)).await.unwrap().unwrap();
            legacy.check("session", &json!(history.session), &expected["session"]);

            let messages: Vec<_> = history.messages.iter().map(in_the_bot_s_words).collect();
            legacy.check("messages", &json!(messages), &newest_first(expected));

            let mut tools = history.tools.clone();
            check_newest_first(tools.iter().map(|tool| tool.id));
            tools.sort_by_key(|tool| tool.id);
            legacy.check("tool uses", &json!(tools), &uses_by_id(expected));

            let newest = store.read(ask(user_id, 3)).await.unwrap().unwrap();
            let ids: Vec<_> = newest.messages.iter().map(|m| m.message_id).collect();
            legacy.check("newest", &json!(ids), &expected["newest_3_message_ids"]);

            let other = store.read(ask(user_id + 1, 3)).await.unwrap();
            assert_eq!(other, None, "{}", legacy.name);
        }
    }
}

/// The bot gives messages of the same time in any order; ours is by id.
fn newest_first(history: &Value) -> Value {
    let mut messages = array(&history["messages_newest_first"]).clone();
    messages.sort_by_key(|message| {
        let at = instant(text(&message["timestamp"]));
        Reverse((at, message["message_id"].as_i64()))
    });
    Value::Array(messages)
}

/// The expected file has the stored text of the input; an answer has what it means.
fn uses_by_id(history: &Value) -> Value {
    let mut tools = array(&history["tool_usage"]).clone();
    tools.sort_by_key(|tool| tool["id"].as_i64());
    for tool in &mut tools {
        if let Value::String(input) = &tool["tool_input"] {
            tool["tool_input"] = serde_json::from_str(input).unwrap_or_else(|_| json!({}));
        }
    }
    Value::Array(tools)
}

#[tokio::test]
async fn a_user_s_dashboard_shows_what_the_bot_s_showed() {
    for legacy in Legacy::all() {
        let store = legacy.open().await;
        for (user_id, expected) in object(legacy.timeless("dashboards")) {
            let user_id: i64 = user_id.parse().unwrap();
            let dashboard = store
                .read(UserDashboard::new(user_id))
                .await
                .unwrap()
                .unwrap();
            let answer = json!({
                "recent_sessions": ids(&dashboard.recent_sessions, "session_id"),
                "recent_message_ids": ids(&dashboard.recent_messages, "message_id"),
                "recent_audit_ids": ids(&dashboard.recent_audit, "id"),
            });
            legacy.check("dashboard", &answer, expected);

            // The other parts are what the questions of their own answer.
            let user = store.read(GetUser::new(user_id)).await.unwrap();
            assert_eq!(Some(dashboard.user), user);
            let stats = store.read(UserStats::new(user_id)).await.unwrap();
            assert_eq!(dashboard.stats, stats);
            let costs = dashboard.daily_costs.iter();
            let costs = costs.map(|cost| (cost.date, cost.daily_cost, cost.request_count));
            legacy.check(
                "costs",
                &json!(costs.collect::<Vec<_>>()),
                &legacy.windowed("daily_costs_30d")[user_id.to_string()],
            );
            let summary = &legacy.timeless("get_user_stats")[user_id.to_string()]["summary"];
            let total = &sum_of_nothing_is_zero(summary)["total_cost"];
            legacy.check("total", &json!(dashboard.stats.total_cost), total);
        }
    }
}

fn ids(rows: &impl serde::Serialize, id: &str) -> Value {
    let rows = json!(rows);
    array(&rows).iter().map(|row| row[id].clone()).collect()
}
