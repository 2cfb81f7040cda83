//! System prompts are in the file once, as long as a request has them.

use super::{details, rows};
use crate::support::{ADA, BOB, Run, populated, survives_json};
use botstore::interactions::SaveInteraction;
use botstore::messages::DeleteMessage;
use botstore::testing::TestStore;
use botstore::usage::{PromptText, SystemPrompt, Usage};
use botstore::users::DeleteUser;
use botstore::{costs::AddCost, testing::usd};

async fn say(store: &TestStore, user_id: i64, session_id: &str, prompt: &SystemPrompt) -> i64 {
    let usage = Usage::new("openai", "gpt-5").prompt(prompt.clone());
    let save = SaveInteraction::new(user_id, session_id, "Hello").usage(usage);
    store.write(save).await.expect("saved").message_id.get()
}

async fn id_of(store: &TestStore, user_id: i64, message_id: i64) -> i64 {
    let all = details(store, user_id, message_id).await;
    let prompt = all.expect("a message").system_prompt;
    prompt.expect("a prompt").prompt_id
}

#[tokio::test]
async fn the_same_prompt_is_there_once_and_another_by_itself() {
    let store = populated().await;
    let large = "Be brief. ".repeat(50_000);
    let plain = SystemPrompt::new(large.as_str());
    let prompts = [
        plain.clone(),
        plain.clone().name("support"),
        plain.clone().version("support"),
        plain.clone().name("support").version("2"),
        SystemPrompt::new(large.clone() + "!"),
    ];
    let mut ids = Vec::new();
    for _ in 0..3 {
        for (at, prompt) in prompts.iter().enumerate() {
            for (user_id, session_id) in [(ADA, "ada-1"), (BOB, "bob-1")] {
                // One that is made anew is the same.
                let json = serde_json::to_string(prompt).expect("JSON");
                let again: SystemPrompt = serde_json::from_str(&json).expect("a prompt");
                assert_eq!(&again, prompt);
                let message_id = say(&store, user_id, session_id, &again).await;
                let id = id_of(&store, user_id, message_id).await;
                match ids.get(at) {
                    Some(known) => assert_eq!(&id, known),
                    None => ids.push(id),
                }
            }
        }
    }
    assert_eq!(rows(&store).await[..2], [30, prompts.len()]);
    for (id, prompt) in ids.into_iter().zip(prompts) {
        let read = store.read(PromptText::new(id)).await.expect("a read");
        assert_eq!(read, Some(prompt));
    }
    let none = store.read(PromptText::new(77)).await.expect("a read");
    assert_eq!(none, None);
}

#[test]
fn a_prompt_says_its_sha_256_and_no_json_says_another() {
    let abc = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22,
        0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00,
        0x15, 0xad,
    ];
    let prompt = SystemPrompt::new("abc").name("letters");
    assert_eq!((prompt.body(), prompt.sha256()), ("abc", abc));
    survives_json(&prompt);
    let forged = serde_json::json!({ "body": "abc", "sha256": [0, 1] });
    let forged: SystemPrompt = serde_json::from_value(forged).expect("a prompt");
    assert_eq!(forged.sha256(), abc);
}

#[tokio::test]
async fn a_prompt_goes_with_the_last_request_that_had_it() {
    let store = populated().await;
    let prompt = SystemPrompt::new("You talk with Ada, who lives in London.");
    let other = SystemPrompt::new("Another.");
    let last = async |goes: &str| {
        assert_eq!(rows(&store).await[1], 1, "before {goes}");
    };
    say(&store, BOB, "bob-1", &other).await;
    for way in 0..6 {
        let first = say(&store, ADA, "ada-1", &prompt).await;
        let second = say(&store, ADA, "ada-1", &prompt).await;
        let delete = DeleteMessage::new(ADA, first);
        store.write(delete).await.expect("deleted");
        assert_eq!(rows(&store).await[1], 2, "another request has it");
        let id = id_of(&store, ADA, second).await;
        let sql = match way {
            0 => format!("DELETE FROM messages WHERE message_id = {second}"),
            1 => format!("UPDATE botstore_usage SET prompt_id = NULL WHERE usage_id = {second}"),
            2 => format!("DELETE FROM botstore_usage WHERE prompt_id = {id}"),
            3 => format!(
                "REPLACE INTO messages (message_id, session_id, user_id, prompt, timestamp)
                 VALUES ({second}, 'ada-1', {ADA}, '', '2026-03-10T15:30:00.000000+00:00')"
            ),
            4 => format!(
                "UPDATE OR REPLACE messages SET message_id = {second} WHERE user_id = {BOB}"
            ),
            _ => {
                store.write(DeleteUser::new(ADA)).await.expect("forgotten");
                String::new()
            }
        };
        if !sql.is_empty() {
            store.write(Run(sql)).await.expect("a change");
        }
        last(&format!("way {way}")).await;
        let text = store.read(PromptText::new(id)).await.expect("a read");
        assert_eq!(text, None, "way {way}");
    }
}

/// An image has no message, and may have had a prompt.
#[tokio::test]
async fn a_request_that_is_no_message_keeps_its_prompt_as_well() {
    let store = populated().await;
    let usage = Usage::new("openai", "gpt-image").prompt(SystemPrompt::new("Draw."));
    let cost = AddCost::new(ADA, usd(0.04)).usage(usage);
    store.write(cost).await.expect("added");
    assert_eq!(rows(&store).await[..2], [1, 1]);
    store.write(DeleteUser::new(ADA)).await.expect("forgotten");
    assert_eq!(rows(&store).await[..2], [0, 0]);
}
