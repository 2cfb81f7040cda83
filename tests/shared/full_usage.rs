//! Everything that can be known of a request to a model.

use botstore::usage::{Chat, Usage};

/// Of exchange `number`: each user talks in a chat of their own, to one of three models.
pub fn full_usage(number: u64, user_id: i64) -> Usage {
    let model = ["gpt-5", "gpt-5-mini", "claude-sonnet-4-5"][(number % 3) as usize];
    Usage::new("openai", model)
        .response_model(format!("{model}-2026-03-01"))
        .response_id(format!("resp_{number:032x}"))
        .input_tokens(1_000 + number)
        .cached_input_tokens(512)
        .cache_write_tokens(128)
        .output_tokens(200)
        .reasoning_tokens(64)
        .finish_reason("stop")
        .first_token_ms(350)
        .chat(Chat::new("telegram", user_id.to_string()))
        .thread_id("1")
        .platform_message_id(number.to_string())
        .reply_to((number / 2).to_string())
}
