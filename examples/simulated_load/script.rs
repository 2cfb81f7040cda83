//! What callers send, made from the seed alone, so that the verification can make it again.

use botstore::Usd;
use botstore::interactions::SaveInteraction;
use botstore::tools::ToolCall;

pub(crate) const PROMPT_BYTES: usize = 200;
pub(crate) const RESPONSE_BYTES: usize = 1_000;

const TOOLS: [&str; 6] = ["Read", "Bash", "Edit", "Grep", "Write", "WebFetch"];

pub(crate) fn user_id(user: u32) -> i64 {
    1_000_000 + i64::from(user)
}

pub(crate) fn session_id(user: u32) -> String {
    format!("session-{user:08}")
}

/// The number of the user that interaction `number` belongs to. Half of the traffic comes from a
/// tenth of the users.
pub(crate) fn user_of(seed: u64, number: u64, users: u32) -> u32 {
    let mut dice = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let few = (users / 10).max(1);
    if dice.bool() {
        dice.u32(..few)
    } else {
        dice.u32(..users)
    }
}

/// Interaction `number` of the run.
pub(crate) fn interaction(seed: u64, number: u64, users: u32) -> SaveInteraction {
    let user = user_of(seed, number, users);
    let mut dice = fastrand::Rng::with_seed(seed.wrapping_add(number));
    let failed = dice.u8(..) < 8;
    let mut tools = Vec::new();
    for _ in 0..2 {
        let call = ToolCall::new(TOOLS[dice.usize(..TOOLS.len())])
            .input(serde_json::json!({ "path": format!("src/{number}.rs"), "line": dice.u16(..) }));
        tools.push(if failed {
            call.failed("exit code 1")
        } else {
            call
        });
    }
    {
        let mut new = SaveInteraction::new(
            user_id(user),
            session_id(user),
            text(number, "What does this do? ", PROMPT_BYTES),
        )
        .cost(Usd::from_nanos(1_000 * i64::from(dice.u16(..))))
        .duration_ms(dice.u64(200..60_000))
        .turns(dice.u32(1..8))
        .tools(tools)
        .idempotency_key(format!("update-{number}"));
        new.response = (!failed).then(|| text(number, "It does the following. ", RESPONSE_BYTES));
        new.error = failed.then(|| "TimeoutError".to_owned());
        new
    }
}

fn text(number: u64, phrase: &str, bytes: usize) -> String {
    let mut text = format!("#{number} ");
    while text.len() < bytes {
        text.push_str(phrase);
    }
    text.truncate(bytes);
    text
}
