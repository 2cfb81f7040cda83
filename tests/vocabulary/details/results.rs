//! What tools returned: as much of it as is kept.

use super::details;
use crate::support::{ADA, BOB, STRANGER, populate, populated, refused};
use botstore::ErrorKind::Invalid;
use botstore::interactions::SaveInteraction;
use botstore::sessions::ShareSession;
use botstore::testing::TestStore;
use botstore::tools::{GetToolResult, RecordToolUse, ToolCall, ToolResult};
use botstore::{Config, Store};

async fn with(configure: impl FnOnce(Config) -> Config) -> TestStore {
    let store = TestStore::open_with(configure).await.expect("a store");
    populate(&store).await;
    store
}

/// Records a result; gives what is kept of it.
async fn kept(store: &TestStore, result: &str) -> ToolResult {
    let call = ToolCall::new("Read").result(result);
    let record = RecordToolUse::new(ADA, "ada-1", call);
    let id = store.write(record).await.expect("recorded");
    let kept = store.read(GetToolResult::new(ADA, id)).await;
    kept.expect("a read").expect("a result")
}

#[tokio::test]
async fn a_long_result_is_cut_at_a_character_and_marked_and_its_length_is_known() {
    for most in [0, 1, 2, 3, 4, 5, 100] {
        let store = with(|config| config.max_tool_result_bytes(most)).await;
        for character in ["x", "é", "€", "🤖"] {
            for (before, characters) in [("", 0), ("", 1), ("", 2), ("-", 1), ("", 50), ("--", 101)]
            {
                let whole = before.to_owned() + &character.repeat(characters);
                let context = format!("{most} of {whole}");
                let kept = kept(&store, &whole).await;
                let text = kept.result.expect("a text");
                assert!(whole.starts_with(&text), "{context}: {text}");
                assert!(text.len() <= most, "{context}: {text}");
                let is_cut = whole.len() > most;
                assert!(
                    !is_cut || text.len() + character.len() > most,
                    "{context}: {text}"
                );
                assert!(is_cut || text == whole, "{context}");
                assert_eq!(kept.truncated, is_cut, "{context}");
                assert_eq!(kept.bytes, Some(whole.len() as u64), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn by_default_64_kib_are_kept_and_a_result_is_never_too_long_to_be_saved() {
    let store = with(|config| config.max_text_bytes(1024).max_in_flight_bytes(1024)).await;
    for (bytes, whole) in [
        (65_535, true),
        (65_536, true),
        (65_537, false),
        (3 << 20, false),
    ] {
        let kept = kept(&store, &"x".repeat(bytes)).await;
        assert_eq!(kept.result.expect("a text").len(), bytes.min(65_536));
        assert_eq!((kept.truncated, kept.bytes), (!whole, Some(bytes as u64)));
    }
    // As every text, what is said of it is not.
    let call = ToolCall::new("Read").failed("x".repeat(1_025));
    let record = RecordToolUse::new(ADA, "ada-1", call);
    refused(&store, record, Invalid, "error_message").await;
}

#[tokio::test]
async fn how_much_of_a_result_is_kept_has_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config::new(folder.path().join("bot.db"));
    let too_much = Store::open(config().max_tool_result_bytes((256 << 20) + 1)).await;
    let error = too_much.expect_err("a refusal");
    assert_eq!(
        (error.kind(), error.field()),
        (Invalid, Some("max_tool_result_bytes"))
    );
    let most = Store::open(config().max_tool_result_bytes(256 << 20)).await;
    most.expect("a store").close().await.expect("closed");
}

/// Whether they are saved one by one or together.
#[tokio::test]
async fn each_result_is_that_of_its_use() {
    let store = populated().await;
    for pattern in 0..1_u32 << 5 {
        let has = |at: u32| pattern & (1 << at) != 0;
        let mut save = SaveInteraction::new(ADA, "ada-1", "Hello");
        for at in 0..5 {
            let call = ToolCall::new(format!("tool-{at}"));
            save = save.tool(match (has(at), at % 3) {
                (false, _) => call,
                (true, 0) => call.result(at.to_string()),
                (true, 1) => call.call_id(at.to_string()),
                (true, _) => call.duration_ms(at.into()),
            });
        }
        let id = store.write(save).await.expect("saved").message_id.get();
        let all = details(&store, ADA, id).await.expect("a message");
        assert_eq!(all.tools.len(), 5);
        for (at, used) in (0..5).zip(all.tools) {
            assert_eq!(used.tool.tool_name, format!("tool-{at}"));
            let own = Some(at.to_string());
            let mut expected = ToolResult::new();
            match at % 3 {
                0 => (expected.result, expected.bytes) = (own, Some(1)),
                1 => expected.call_id = own,
                _ => expected.duration_ms = Some(at.into()),
            }
            assert_eq!(
                used.result,
                has(at).then_some(expected),
                "{pattern:b}: {at}"
            );
        }
    }
}

#[tokio::test]
async fn a_result_is_for_those_who_may_use_the_session() {
    let store = populated().await;
    let call = ToolCall::new("Read").result("secret");
    let id = store.write(RecordToolUse::new(ADA, "ada-1", call)).await;
    let id = id.expect("recorded");
    let none = RecordToolUse::new(ADA, "ada-1", ToolCall::new("Read"));
    let none = store.write(none).await.expect("recorded");
    let get = async |user_id: i64, id: i64| {
        let read = store.read(GetToolResult::new(user_id, id)).await;
        read.expect("a read").and_then(|kept| kept.result)
    };
    assert_eq!(get(ADA, id).await.as_deref(), Some("secret"));
    assert_eq!(get(ADA, none).await, None);
    for stranger in [BOB, STRANGER] {
        assert_eq!(get(stranger, id).await, None);
    }
    let share = ShareSession::new(ADA, "ada-1", BOB);
    store.write(share).await.expect("shared");
    assert_eq!(get(BOB, id).await.as_deref(), Some("secret"));
}
