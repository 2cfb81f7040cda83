use crate::support::{
    ADA, BOB, HOUR, STRANGER, create_session, fill, keeps_the_promises_of_a_list, nested,
    not_answered, picture, populated, refused, survives_json,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::messages::SaveMessage;
use botstore::page::PageRequest;
use botstore::testing::TestStore;
use botstore::tools::{
    RecordToolUse, SessionToolUse, ToolCall, ToolStat, ToolStats, ToolUse, UserToolUse,
};
use serde_json::{Value, json};

const TOOL_USAGE: &str = "tool_usage (session_id, tool_name, timestamp, success)";

fn record(session_id: &str, call: ToolCall) -> RecordToolUse {
    RecordToolUse::new(
        if session_id.starts_with("bob") {
            BOB
        } else {
            ADA
        },
        session_id.to_owned(),
        call,
    )
}

async fn of_session(store: &TestStore, session_id: &str) -> Vec<ToolUse> {
    let list = SessionToolUse::new(ADA, session_id.to_owned());
    store.read(list).await.expect("a page").items
}

async fn message_in(store: &TestStore, user_id: i64, session_id: &str) -> i64 {
    let message = SaveMessage::new(user_id, session_id.to_owned(), "");
    store.write(message).await.expect("an id").get()
}

#[tokio::test]
async fn the_use_of_a_tool_is_kept_with_its_input_and_its_failure() {
    let store = populated().await;
    let message_id = message_in(&store, ADA, "ada-1").await;
    let before = picture(&store).await;
    store.clock().advance(HOUR);
    let input = json!({ "path": "src/lib.rs", "deep": [1, 2.5, null, true, { "é": "\u{0}😀" }] });
    let read = {
        let mut new = record("ada-1", ToolCall::new("Read").input(input.clone()));
        new.message_id = Some(message_id.into());
        new
    };
    let first = store.write(read).await.expect("an id");
    let bash = ToolCall::new("Bash").failed("exit code 1");
    let second = store.write(record("ada-1", bash)).await.expect("an id");
    assert!(second > first);
    let expected = [
        {
            let mut new = ToolUse::new(second, "ada-1", "Bash", store.now());
            new.success = false;
            new.error_message = Some("exit code 1".to_owned());
            new
        },
        {
            let mut new = ToolUse::new(first, "ada-1", "Read", store.now());
            new.message_id = Some(message_id.into());
            new.tool_input = Some(input);
            new
        },
    ];
    assert_eq!(of_session(&store, "ada-1").await, expected);
    survives_json(&expected[0]);
    survives_json(&expected[1]);
    // Outside an interaction nothing is counted on anybody.
    let mut after = picture(&store).await;
    let of_tools = |table: &String| {
        ["tool_usage", "sqlite_sequence"].contains(&table.as_str()) || table.ends_with("_tool")
    };
    for (table, rows) in before.iter().filter(|(table, _)| of_tools(table)) {
        after.insert(table.clone(), rows.clone());
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn the_use_of_a_tool_that_cannot_be_recorded_leaves_no_trace() {
    let store = populated().await;
    create_session(&store, ADA, "ada-2").await;
    let elsewhere = message_in(&store, ADA, "ada-2").await;
    let of_bob = message_in(&store, BOB, "bob-1").await;
    for session_id in ["none", ""] {
        let nowhere = record(session_id, ToolCall::new("LS"));
        refused(&store, nowhere, NotFound, "session_id").await;
    }
    let bottomless = record("ada-1", ToolCall::new("T").input(nested(128)));
    refused(&store, bottomless, Invalid, "tool_input").await;
    let nameless = record("ada-1", ToolCall::new(""));
    refused(&store, nameless, Invalid, "tool_name").await;
    // A message of another session is no message of this one, whosever it is.
    for message_id in [elsewhere, of_bob, 999, 0, -1, i64::MIN, i64::MAX] {
        let wrong = {
            let mut new = record("ada-1", ToolCall::new("LS"));
            new.message_id = Some(message_id.into());
            new
        };
        refused(&store, wrong, NotFound, "message_id").await;
    }
}

#[tokio::test]
async fn tool_uses_are_listed_page_by_page_by_session_and_user() {
    let store = populated().await;
    create_session(&store, ADA, "ada-2").await;
    let key = |tool: &ToolUse| (tool.timestamp, tool.id);
    let arrives = async |session_id: &str| {
        let use_ = record(session_id, ToolCall::new("LS"));
        store.write(use_).await.expect("an id");
    };
    fill(&store, TOOL_USAGE, "'bob-1', 'LS', at, 1").await;
    // Ada's are spread over two sessions, so that one list has to merge them.
    let spread = "CASE i % 3 WHEN 0 THEN 'ada-1' ELSE 'ada-2' END, 'LS', at, 1";
    fill(&store, TOOL_USAGE, spread).await;
    let of_ada = |page| UserToolUse::new(ADA).page(page);
    keeps_the_promises_of_a_list(&store, of_ada, key, async || arrives("ada-1").await).await;
    let of_session = |page| SessionToolUse::new(BOB, "bob-1").page(page);
    keeps_the_promises_of_a_list(&store, of_session, key, async || arrives("bob-1").await).await;
    let unknown = UserToolUse::new(STRANGER);
    let page = store.read(unknown).await.expect("a page");
    assert!(page.items.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn statistics_tell_how_often_each_tool_worked_and_in_how_many_sessions() {
    let store = populated().await;
    let stats = async |limit| store.read(ToolStats::new(limit)).await.expect("statistics");
    assert_eq!(stats(10).await, []);
    for (session_id, call) in [
        ("ada-1", ToolCall::new("Read")),
        ("ada-1", ToolCall::new("Read")),
        ("bob-1", ToolCall::new("Read").failed("gone")),
        ("bob-1", ToolCall::new("LS")),
        ("bob-1", ToolCall::new("Bash").failed("1")),
    ] {
        let use_ = record(session_id, call);
        store.write(use_).await.expect("an id");
    }
    let stat = |name: &str, uses, sessions, worked, failed| {
        let mut new = ToolStat::new(name.to_owned(), uses);
        new.sessions_used = sessions;
        new.success_count = worked;
        new.error_count = failed;
        new
    };
    // Equally used ones by name.
    let expected = [
        stat("Read", 3, 2, 2, 1),
        stat("Bash", 1, 1, 0, 1),
        stat("LS", 1, 1, 1, 0),
    ];
    assert_eq!(stats(u32::MAX).await, expected);
    assert_eq!(stats(2).await, expected[..2]);
    survives_json(&expected[0]);
    not_answered(&store, ToolStats::new(0), "limit").await;
    fill(&store, TOOL_USAGE, "'ada-1', 'tool ' || i, at, 1").await;
    assert_eq!(stats(1_000_000).await.len(), 1_000);
}

#[tokio::test]
async fn tool_inputs_come_back_as_they_were() {
    let store = populated().await;
    // Every digit counts: a great many numbers that need seventeen of them.
    let floats: Vec<f64> = (1..2_000_u64)
        .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .map(|bits| f64::from_bits(bits >> 2))
        .collect();
    let inputs = [
        Value::Null,
        json!(0.1 + 0.2),
        json!(5e-324),
        json!(1.797_693_134_862_315_7e308),
        json!(0.487_369_215_904_236_1),
        json!([u64::MAX, 1.0, -0.0]),
        json!(floats),
        json!(i64::MIN),
        json!("\u{0}\u{1f}\"\\\u{2028}😀"),
        json!({ "": { "": [] }, "b": 1, "a": 2 }),
        nested(127),
    ];
    for input in &inputs {
        let call = ToolCall::new("T").input(input.clone());
        store.write(record("ada-1", call)).await.expect("an id");
    }
    let kept = of_session(&store, "ada-1").await;
    let kept: Vec<_> = kept.into_iter().rev().map(|tool| tool.tool_input).collect();
    for (kept, input) in kept.iter().zip(&inputs) {
        assert!(
            kept.as_ref() == Some(input),
            "{input} came back as {kept:?}"
        );
    }
    assert_eq!(kept.len(), inputs.len());
}

#[tokio::test]
async fn messages_about_tools_survive_json() {
    let call = ToolCall::new("Read")
        .input(json!({ "a": [1, "b"] }))
        .failed("why");
    survives_json(&call);
    survives_json(&record("s", call));
    survives_json(&{
        let mut new = record("s", ToolCall::new("LS"));
        new.message_id = Some(i64::MAX.into());
        new
    });
    let page = PageRequest::first(3);
    survives_json(&SessionToolUse::new(ADA, "s").page(page.clone()));
    survives_json(&UserToolUse::new(ADA).page(page));
    survives_json(&ToolStats::new(3));
}
