//! What stands for a language model: no network, the same answer to the same words.

use crate::text::shorten;
use botstore::Usd;
use botstore::tools::ToolCall;
use botstore::usage::Usage;

/// Its name, by which limits and usage go.
pub(crate) const MODEL: &str = "parrot-1";

/// What the model came up with.
pub(crate) struct Thought {
    pub(crate) response: String,
    pub(crate) usage: Usage,
    pub(crate) cost: Usd,
    pub(crate) tools: Vec<ToolCall>,
}

/// What an answer may come to.
pub(crate) struct Estimate {
    pub(crate) cost: Usd,
    pub(crate) tokens: u64,
}

/// What the answer to this costs and has of tokens at most: a bot knows how long its prompt is, and how long it lets the
/// answer become.
pub(crate) fn estimate(prompt: &str) -> Estimate {
    let read = prompt.chars().count();
    // An answer may quote all of it.
    let written = read + 80;
    Estimate {
        cost: cost(read, written),
        tokens: tokens(read) + tokens(written),
    }
}

/// Three millionths of a dollar for a character of the prompt, and nine for one of the answer.
fn cost(read: usize, written: usize) -> Usd {
    Usd::from_nanos(3_000 * (read + 3 * written) as i64)
}

/// About as many as real models make of characters.
fn tokens(characters: usize) -> u64 {
    characters.div_ceil(4) as u64
}

/// Stands for a language model: no network, the same answer to the same words.
pub(crate) fn model(prompt: &str) -> Thought {
    let mut tools = Vec::new();
    let said = prompt.trim_end_matches(['.', '!', '?']);
    let after = |opening: &str| {
        let start = said.get(..opening.len())?;
        start
            .eq_ignore_ascii_case(opening)
            .then(|| said[opening.len()..].trim())
    };
    let response = if ["hi", "hello"].iter().any(|word| after(word) == Some("")) {
        "Hello! What is on your mind?".to_owned()
    } else if let Some(state) = after("I am ").or(after("I'm ")) {
        format!("How long have you been {state}?")
    } else if let Some(wish) = after("I want ").or(after("I need ")) {
        format!("What would it mean to you to get {wish}?")
    } else if let Some(thing) = after("my ") {
        format!("Your {thing}? Tell me more.")
    } else if prompt.ends_with('?') {
        tools.push(ToolCall::new("Search").input(serde_json::json!({ "query": prompt })));
        "I looked it up, and found that others ask it too. What do you think?".to_owned()
    } else {
        format!("\"{}\": please go on.", shorten(said, 60))
    };
    let (read, written) = (prompt.chars().count(), response.chars().count());
    let cost = cost(read, written);
    let usage = Usage::new("example", MODEL)
        .input_tokens(tokens(read))
        .output_tokens(tokens(written))
        .cost(cost)
        .finish_reason("stop");
    Thought {
        response,
        usage,
        cost,
        tools,
    }
}
