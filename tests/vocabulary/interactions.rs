use crate::support::{
    ADA, BOB, HOUR, MICRO, STRANGER, nested, picture, populated, refused, survives_json, user,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::audit::{AuditEvent, INTERACTION, RecentAuditLog};
use botstore::costs::{DailyCost, UserDailyCosts};
use botstore::interactions::{Receipt, SaveInteraction, SweepKeys};
use botstore::messages::ChatMessage;
use botstore::sessions::{History, SessionHistory};
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::tools::{ToolCall, ToolUse};
use serde_json::json;

const PROMPT: &str = "What is in the PROMPT?";

/// An interaction of Ada's with everything in it.
fn exchange() -> SaveInteraction {
    SaveInteraction::new(ADA, "ada-1", PROMPT.to_owned())
        .response("The RESPONSE.")
        .cost(usd(0.125))
        .duration_ms(2_000)
        .turns(3)
        .tools(vec![
            ToolCall::new("LS").input(json!({ "path": "/srv" })),
            ToolCall::new("Read").failed("gone"),
            ToolCall::new("LS"),
        ])
        .ip_address("2001:db8::1")
}

fn keyed(key: &str) -> SaveInteraction {
    {
        let mut new = exchange();
        new.idempotency_key = Some(key.to_owned());
        new
    }
}

async fn save(store: &TestStore, exchange: SaveInteraction) -> Receipt {
    store.write(exchange).await.expect("a receipt")
}

async fn history(store: &TestStore) -> History {
    let ask = SessionHistory::new(ADA, "ada-1").limit(1_000);
    store.read(ask).await.expect("a read").expect("a session")
}

async fn events(store: &TestStore) -> Vec<AuditEvent> {
    let page = store.read(RecentAuditLog::default()).await.expect("a page");
    page.items
}

#[tokio::test]
async fn an_interaction_is_kept_with_everything_that_belongs_to_it() {
    let store = populated().await;
    let (ada, bob) = (user(&store, ADA).await, user(&store, BOB).await);
    let session = history(&store).await.session;
    store.clock().advance(HOUR);
    let receipt = save(&store, exchange()).await;
    let (message_id, now) = (receipt.message_id, store.now());
    assert_eq!(receipt.recorded_at, now);

    let kept = history(&store).await;
    let message = {
        let mut new = ChatMessage::new(message_id, ADA, "ada-1", now, PROMPT.to_owned());
        new.response = Some("The RESPONSE.".to_owned());
        new.cost = usd(0.125);
        new.duration_ms = Some(2_000);
        new
    };
    assert_eq!(kept.messages, [message]);
    let tool = |id, call: &ToolCall| {
        let mut new = ToolUse::new(id, "ada-1", call.tool_name.clone(), now);
        new.message_id = Some(message_id);
        new.tool_input = call.tool_input.clone();
        new.success = call.success;
        new.error_message = call.error_message.clone();
        new
    };
    // In the order in which they were used; the list has the newest first.
    let mut tools: Vec<_> = (1..)
        .zip(&exchange().tools)
        .map(|(i, t)| tool(i, t))
        .collect();
    tools.reverse();
    assert_eq!(kept.tools, tools);
    let expected = {
        let mut new = session;
        new.last_used = now;
        new.total_cost = usd(0.125);
        new.total_turns = 3;
        new.message_count = 1;
        new
    };
    assert_eq!(kept.session, expected);
    let expected = {
        let mut new = ada;
        new.last_active = now;
        new.total_cost = usd(0.125);
        new.message_count = 1;
        new
    };
    assert_eq!(user(&store, ADA).await, expected);
    assert_eq!(user(&store, BOB).await, bob);
    let (user_id, days) = (ADA, 30);
    let costs = store.read(UserDailyCosts::new(user_id, days)).await;
    let today = DailyCost::new(now.date_naive(), usd(0.125), 1);
    assert_eq!(costs.expect("costs"), [today]);
    let event = {
        let mut new = AuditEvent::new(1, ADA, INTERACTION.to_owned(), now);
        new.event_data = Some(json!({
            "session_id": "ada-1",
            "message_id": message_id,
            "cost": 0.125,
            "duration_ms": 2_000,
            "num_turns": 3,
            "is_error": false,
            "tools_used": ["LS", "Read", "LS"],
        }));
        new.ip_address = Some("2001:db8::1".to_owned());
        new
    };
    assert_eq!(events(&store).await, [event]);
    // What was said is in the message and nowhere else.
    for (table, rows) in picture(&store).await {
        let text = format!("{rows:?}");
        let said = text.contains("PROMPT") || text.contains("RESPONSE");
        assert_eq!(said, table == "messages", "{table}");
    }
}

#[tokio::test]
async fn counters_are_the_sums_of_the_interactions() {
    let store = populated().await;
    for turns in 1..=10 {
        let cost = f64::from(turns) / 64.0;
        save(&store, {
            let mut new = exchange();
            new.turns = turns;
            new.cost = usd(cost);
            new
        })
        .await;
        store.clock().advance(MICRO);
    }
    let session = history(&store).await.session;
    let totals = (
        session.total_turns,
        session.message_count,
        session.total_cost,
    );
    assert_eq!(totals, (55, 10, usd(55.0 / 64.0)));
    let ada = user(&store, ADA).await;
    assert_eq!((ada.message_count, ada.total_cost), (10, usd(55.0 / 64.0)));
    assert_eq!(ada.session_count, 1);
}

#[tokio::test]
async fn an_interaction_that_went_wrong_is_audited_as_a_failure() {
    let store = populated().await;
    let failed = {
        let mut new = exchange();
        new.response = None;
        new.duration_ms = None;
        new.error = Some("the model is overloaded".to_owned());
        new.tools = Vec::new();
        new.ip_address = None;
        new
    };
    save(&store, failed).await;
    let event = events(&store).await.remove(0);
    let data = event.event_data.expect("details");
    assert!(!event.success);
    assert_eq!(event.ip_address, None);
    assert_eq!(data["is_error"], true);
    assert_eq!(data["duration_ms"], json!(null));
    assert_eq!(data["tools_used"], json!([]));
    let message = history(&store).await.messages.remove(0);
    assert_eq!(message.error.as_deref(), Some("the model is overloaded"));
    assert_eq!(message.response, None);
    // A tool that failed is not an interaction that failed.
    save(&store, exchange()).await;
    assert!(events(&store).await[0].success);
}

#[tokio::test]
async fn an_interaction_that_is_refused_leaves_no_trace() {
    let store = populated().await;
    save(&store, exchange()).await;
    let with = |change: &dyn Fn(&mut SaveInteraction)| {
        let mut changed = keyed("k");
        change(&mut changed);
        changed
    };
    let stranger = with(&|e| e.user_id = STRANGER.into());
    refused(&store, stranger, NotFound, "user_id").await;
    for id in ["bob-1", "none"] {
        let elsewhere = with(&|e| e.session_id = id.into());
        refused(&store, elsewhere, NotFound, "session_id").await;
    }
    let nowhere = with(&|e| e.session_id = "".into());
    refused(&store, nowhere, Invalid, "session_id").await;
    for cost in [f64::NEG_INFINITY, -1e-9, 1e9 + 1.0] {
        refused(&store, with(&|e| e.cost = usd(cost)), Invalid, "cost").await;
    }
    let endless = with(&|e| e.duration_ms = Some(u64::MAX));
    refused(&store, endless, Invalid, "duration_ms").await;
    let nameless = with(&|e| e.tools[2].tool_name.clear());
    refused(&store, nameless, Invalid, "tool_name").await;
    let bottomless = with(&|e| e.tools[1].tool_input = Some(nested(128)));
    refused(&store, bottomless, Invalid, "tool_input").await;
    refused(&store, keyed(""), Invalid, "idempotency_key").await;
    // None of them used up the key or a number.
    assert_eq!(save(&store, keyed("k")).await.message_id, 2);
    assert_eq!(history(&store).await.messages.len(), 2);
}

#[tokio::test]
async fn texts_come_back_byte_for_byte_however_long_and_whatever_is_in_them() {
    let store = populated().await;
    let long = "0123456789😀abcdef".repeat(10_000_000 / 20);
    let odd = "\u{0}a\u{0}'\"\\--\u{feff}\u{202e}👩‍👩‍👧‍👦e\u{301}\r\n\t\u{10ffff}\u{0}";
    for prompt in [long.as_str(), odd] {
        let sent = {
            let mut new = exchange();
            new.prompt = prompt.to_owned();
            new.response = Some(format!("{prompt}."));
            new.error = Some(odd.to_owned());
            new.tools = vec![ToolCall::new(odd).input(json!({ odd: odd })).failed(odd)];
            new.ip_address = Some(odd.to_owned());
            new.idempotency_key = Some(odd.to_owned() + &prompt[..1]);
            new
        };
        let receipt = save(&store, sent.clone()).await;
        let kept = history(&store).await;
        let message = &kept.messages[0];
        assert!(message.prompt == sent.prompt && message.response == sent.response);
        assert_eq!(message.error, sent.error);
        let (tool, call) = (&kept.tools[0], &sent.tools[0]);
        assert_eq!(tool.tool_name, call.tool_name);
        assert_eq!(tool.tool_input, call.tool_input);
        assert_eq!(tool.error_message, call.error_message);
        let event = &events(&store).await[0];
        assert_eq!(event.ip_address, sent.ip_address);
        assert_eq!(
            event.event_data.as_ref().expect("details")["tools_used"],
            json!([odd])
        );
        assert_eq!(save(&store, sent).await, receipt.repeated());
    }
}

#[tokio::test]
async fn interactions_survive_json_and_need_only_what_has_no_default() {
    let store = populated().await;
    survives_json(&save(&store, exchange()).await);
    survives_json(&history(&store).await);
    survives_json(&keyed("k"));
    survives_json(&SaveInteraction::new(ADA, "ada-1", "Hi"));
    survives_json(&SweepKeys::new(HOUR));
    let little = r#"{"user_id":1,"session_id":"ada-1","prompt":"Hello"}"#;
    let little: SaveInteraction = serde_json::from_str(little).expect("a message");
    assert_eq!((little.cost, little.turns), (usd(0.0), 0));
    assert_eq!(save(&store, little).await.message_id, 2);
}
