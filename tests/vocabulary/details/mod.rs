//! What an interaction has beside its message: usage, system prompt, results of tools, files, feedback, metadata.

mod checked;
mod feedback;
mod gone;
mod prompts;
mod results;

use crate::support::{
    ADA, BOB, Run, STRANGER, changes_nothing, nested, picture, populated, refused, survives_json,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::interactions::SaveInteraction;
use botstore::messages::{
    Attachment, Details, Direction, GetMessage, MessageDetails, RateMessage, Rating,
};
use botstore::metadata::{GetMetadata, SetMetadata};
use botstore::page::MAX_LIMIT;
use botstore::sessions::{ShareSession, UnshareSession};
use botstore::testing::{TestStore, usd};
use botstore::tools::ToolCall;
use botstore::usage::{Chat, CostSource, SystemPrompt, Usage};
use serde_json::json;

/// The tables of this.
const TABLES: [&str; 8] = [
    "botstore_usage",
    "botstore_prompt",
    "botstore_tool_result",
    "botstore_attachment",
    "botstore_feedback",
    "botstore_message_metadata",
    "botstore_session_metadata",
    "botstore_user_metadata",
];

/// How many rows each of the tables has.
async fn rows(store: &TestStore) -> [usize; 8] {
    let picture = picture(store).await;
    TABLES.map(|table| picture[table].len())
}

async fn details(store: &TestStore, user_id: i64, message_id: i64) -> Option<Details> {
    let asked = store.read(MessageDetails::new(user_id, message_id)).await;
    asked.expect("a read")
}

fn prompt() -> SystemPrompt {
    SystemPrompt::new("Be brief.").name("support").version("7")
}

fn usage() -> Usage {
    Usage::new("openai", "gpt-5")
        .response_model("gpt-5-2026")
        .response_id("resp-1")
        .input_tokens(900)
        .cached_input_tokens(800)
        .cache_write_tokens(50)
        .output_tokens(80)
        .reasoning_tokens(30)
        .estimated_cost(usd(0.25))
        .finish_reason("stop")
        .first_token_ms(350)
        .chat(Chat::new("telegram", "-100"))
        .thread_id("7")
        .platform_message_id("41")
        .reply_to("40")
}

fn attachments() -> Vec<Attachment> {
    vec![
        Attachment::new("photo")
            .mime("image/jpeg")
            .name("receipt.jpg")
            .bytes(48_213)
            .sha256([0xab; 32])
            .platform_file_id("AgAC"),
        Attachment::new("voice").direction(Direction::Out),
    ]
}

/// An interaction with everything.
fn full(user_id: i64, session_id: &str) -> SaveInteraction {
    SaveInteraction::new(user_id, session_id, "Hello")
        .response("Hi!")
        .usage(usage().prompt(prompt()))
        .tool(
            ToolCall::new("Read")
                .input(json!({ "path": "a.rs" }))
                .call_id("call-1")
                .result("fn main() {}")
                .duration_ms(12),
        )
        .tool(ToolCall::new("Bash").failed("exit code 1"))
        .attachments(attachments())
        .metadata(json!({ "experiment": "b" }))
}

/// Ada's and Bob's session has Ada's message 1 with everything, and so have both and the session.
async fn lived() -> TestStore {
    let store = populated().await;
    let share = ShareSession::new(ADA, "ada-1", BOB);
    store.write(share).await.expect("shared");
    store.write(full(ADA, "ada-1")).await.expect("saved");
    for user_id in [ADA, BOB] {
        let rate = RateMessage::new(user_id, 1, Rating::Up).tag("good");
        store.write(rate).await.expect("rated");
        let set = SetMetadata::new(user_id, json!({ "language": "de" }));
        store.write(set).await.expect("set");
    }
    let set = SetMetadata::new(ADA, json!([1])).session_id("ada-1");
    store.write(set).await.expect("set");
    store
}

#[tokio::test]
async fn what_belongs_to_a_message_comes_back_as_it_was_saved() {
    let store = lived().await;
    assert_eq!(rows(&store).await, [1, 1, 1, 2, 2, 1, 1, 2]);
    let all = details(&store, ADA, 1).await.expect("a message");
    survives_json(&all);
    survives_json(&full(ADA, "ada-1"));
    let message = store.read(GetMessage::new(ADA, 1)).await.expect("a read");
    assert_eq!(Some(&all.message), message.as_ref());
    assert_eq!(all.message.cost, usd(0.25));
    assert_eq!(all.usage, Some(usage()));
    let prompt = all.system_prompt.expect("a prompt");
    assert_eq!(prompt.name.as_deref(), Some("support"));
    assert_eq!(prompt.version.as_deref(), Some("7"));
    let [read, bash] = &all.tools[..] else {
        panic!("{:?}", all.tools)
    };
    assert_eq!(read.tool.tool_name, "Read");
    let result = read.result.as_ref().expect("a result");
    assert_eq!(result.call_id.as_deref(), Some("call-1"));
    assert_eq!(result.result.as_deref(), Some("fn main() {}"));
    assert_eq!((result.bytes, result.truncated), (Some(12), false));
    assert_eq!(result.duration_ms, Some(12));
    assert_eq!((&*bash.tool.tool_name, &bash.result), ("Bash", &None));
    assert_eq!(all.attachments, attachments());
    let rated: Vec<_> = all.feedback.iter().map(|said| said.user_id.get()).collect();
    assert_eq!(rated, [ADA, BOB]);
    assert_eq!(all.metadata, Some(json!({ "experiment": "b" })));
    assert!(!all.shortened);
}

/// Who says what a request cost.
#[tokio::test]
async fn what_is_not_known_stays_unknown() {
    let store = populated().await;
    for (usage, cost, source) in [
        (Usage::new("p", "m"), None, CostSource::Provider),
        (
            Usage::new("p", "m").cost(usd(0.0)),
            Some(usd(0.0)),
            CostSource::Provider,
        ),
        (
            Usage::new("p", "m").estimated_cost(usd(0.5)),
            Some(usd(0.5)),
            CostSource::Estimate,
        ),
    ] {
        let save = SaveInteraction::new(ADA, "ada-1", "?").usage(usage.clone());
        let id = store.write(save).await.expect("saved").message_id;
        let all = details(&store, ADA, id.get()).await.expect("a message");
        assert_eq!(all.usage, Some(usage));
        let read = all.usage.map(|usage| (usage.cost, usage.cost_source));
        assert_eq!(read, Some((cost, source)));
        assert_eq!((all.system_prompt, all.metadata), (None, None));
    }
}

#[tokio::test]
async fn an_interaction_without_any_of_it_writes_no_row_of_it() {
    let store = populated().await;
    let plain = SaveInteraction::new(ADA, "ada-1", "Hello")
        .tool(ToolCall::new("Read").input(json!({})))
        .tool(ToolCall::new("Bash").failed("no"))
        .metadata(json!(null));
    let id = store.write(plain).await.expect("saved").message_id.get();
    assert_eq!(rows(&store).await, [0; 8]);
    let all = details(&store, ADA, id).await.expect("a message");
    let message = store.read(GetMessage::new(ADA, id)).await.expect("a read");
    let mut expected = Details::new(message.expect("a message"));
    expected.tools = all.tools.clone();
    assert_eq!(all, expected);
    assert_eq!(all.tools.len(), 2);
    assert!(all.tools.iter().all(|used| used.result.is_none()));
}

#[tokio::test]
async fn whoever_may_read_a_message_sees_what_belongs_to_it_and_nobody_else() {
    let store = lived().await;
    assert_eq!(details(&store, STRANGER, 1).await, None);
    assert_eq!(details(&store, ADA, 2).await, None);
    assert_eq!(details(&store, BOB, 1).await, details(&store, ADA, 1).await);
    let bobs = store.write(full(BOB, "ada-1")).await.expect("saved");
    let leave = UnshareSession::new(ADA, "ada-1", BOB);
    store.write(leave).await.expect("left");
    assert_eq!(details(&store, BOB, 1).await, None);
    let own = details(&store, BOB, bobs.message_id.get()).await;
    assert_eq!(own.expect("his own").attachments.len(), 2);
    for stranger in [BOB, STRANGER] {
        let rate = RateMessage::new(stranger, 1, Rating::Down);
        refused(&store, rate, NotFound, "message_id").await;
    }
}

#[tokio::test]
async fn an_update_that_comes_again_saves_nothing_twice() {
    let store = populated().await;
    let update = || full(ADA, "ada-1").idempotency_key("update-1");
    store.write(update()).await.expect("saved");
    let receipt = changes_nothing(&store, update()).await;
    assert!(receipt.repeated);
}

#[tokio::test]
async fn an_answer_is_as_large_as_answers_may_be_and_says_when_it_is_shortened() {
    const ROOM: usize = 20_000;
    let store = TestStore::open_with(|config| config.max_answer_bytes(ROOM)).await;
    let store = store.expect("a store");
    crate::support::populate(&store).await;
    let mut save = SaveInteraction::new(ADA, "ada-1", "Hello");
    for number in 0..20 {
        let result = number.to_string() + &"x".repeat(3_000);
        save = save.tool(ToolCall::new("Read").result(result));
    }
    let id = store.write(save).await.expect("saved").message_id.get();
    let all = details(&store, ADA, id).await.expect("a message");
    assert!(all.shortened);
    // The first, in their order.
    assert!((5..7).contains(&all.tools.len()), "{}", all.tools.len());
    for (at, used) in all.tools.iter().enumerate() {
        let result = used.result.as_ref().and_then(|kept| kept.result.as_ref());
        assert!(result.expect("a result").starts_with(&format!("{at}x")));
    }
    // One that fills the room by itself leaves a row of each list.
    let save = full(ADA, "ada-1")
        .response("x".repeat(2 * ROOM))
        .attachment(Attachment::new("third"));
    let id = store.write(save).await.expect("saved").message_id.get();
    let all = details(&store, ADA, id).await.expect("a message");
    assert!(all.shortened && all.usage.is_some() && all.metadata.is_some());
    assert_eq!((all.attachments.len(), all.tools.len()), (1, 1));
}

#[tokio::test]
async fn a_list_of_too_many_is_shortened_and_says_so() {
    let store = populated().await;
    for (more, shortened) in [(0, false), (1, true)] {
        let many = vec![Attachment::new("photo"); MAX_LIMIT as usize + more];
        let save = SaveInteraction::new(ADA, "ada-1", "Hello").attachments(many);
        let id = store.write(save).await.expect("saved").message_id.get();
        let all = details(&store, ADA, id).await.expect("a message");
        assert_eq!(all.attachments.len(), MAX_LIMIT as usize);
        assert_eq!(all.shortened, shortened, "{more} more");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name_and_changes_nothing() {
    let store = lived().await;
    let save = || SaveInteraction::new(ADA, "ada-1", "Hello");
    let used = |call| save().tool(ToolCall::new("Read")).tool(call);
    let with = |prompt| save().usage(usage().prompt(prompt));
    for (message, field) in [
        (save().attachment(Attachment::new("")), "kind"),
        (
            save().attachment(Attachment::new("photo").bytes(1 << 41)),
            "bytes",
        ),
        (save().metadata(nested(128)), "metadata"),
        (with(SystemPrompt::new("")), "body"),
        (with(prompt().name("")), "name"),
        (with(prompt().version("")), "version"),
        (
            used(ToolCall::new("Bash").duration_ms(1 << 41)),
            "duration_ms",
        ),
        (
            used(ToolCall::new("Bash").call_id("x".repeat(5_000))),
            "call_id",
        ),
    ] {
        refused(&store, message, Invalid, field).await;
    }
    for (message, field) in [
        (SetMetadata::new(STRANGER, json!(1)), "user_id"),
        // A member reads it, and does not replace it.
        (
            SetMetadata::new(BOB, json!(1)).session_id("ada-1"),
            "session_id",
        ),
        (
            SetMetadata::new(ADA, json!(1)).session_id("none"),
            "session_id",
        ),
    ] {
        refused(&store, message, NotFound, field).await;
    }
}

#[tokio::test]
async fn metadata_is_any_json_and_replaced_as_a_whole() {
    let store = lived().await;
    let of = |session: bool| {
        let (set, get) = (SetMetadata::new(ADA, json!(null)), GetMetadata::new(ADA));
        match session {
            true => (set.session_id("ada-1"), get.session_id("ada-1")),
            false => (set, get),
        }
    };
    for session in [false, true] {
        let (set, get) = of(session);
        for value in [
            json!({ "a": { "b": [null, true] } }),
            json!([]),
            json!("12"),
            json!(1.0),
            json!(-7),
            json!(u64::MAX),
            json!(true),
            json!(""),
            nested(126),
        ] {
            let mut set = set.clone();
            set.metadata = value.clone();
            survives_json(&set);
            store.write(set).await.expect("set");
            let read = store.read(get.clone()).await.expect("a read");
            assert_eq!(read, Some(value.clone()));
            let save = SaveInteraction::new(ADA, "ada-1", "?").metadata(value.clone());
            let id = store.write(save).await.expect("saved").message_id.get();
            let kept = details(&store, ADA, id).await.expect("a message").metadata;
            assert_eq!(kept, Some(value));
        }
        store.write(set).await.expect("removed");
        assert_eq!(store.read(get).await.expect("a read"), None);
    }
    // Bob's own is his own, and a member reads that of the session.
    assert_eq!(rows(&store).await[6..], [0, 1]);
    let set = SetMetadata::new(ADA, json!("theirs")).session_id("ada-1");
    store.write(set).await.expect("set");
    for (user_id, seen) in [(BOB, Some(json!("theirs"))), (STRANGER, None)] {
        let read = store.read(GetMetadata::new(user_id).session_id("ada-1"));
        assert_eq!(read.await.expect("a read"), seen);
    }
    let run = Run("DELETE FROM botstore_session_member".to_owned());
    store.write(run).await.expect("alone");
    let read = store.read(GetMetadata::new(BOB).session_id("ada-1"));
    assert_eq!(read.await.expect("a read"), None);
}
