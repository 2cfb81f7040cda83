//! What stands for a language model: no network, the same answer to the same words.

use crate::text::shorten;
use botstore::Usd;
use botstore::tools::ToolCall;

/// What the model came up with.
pub(crate) struct Thought {
    pub(crate) response: String,
    pub(crate) cost: Usd,
    pub(crate) tools: Vec<ToolCall>,
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
    // Three millionths of a dollar for a character of the prompt, and nine for one of the answer.
    let characters = prompt.chars().count() + 3 * response.chars().count();
    let cost = Usd::from_nanos(3_000 * characters as i64);
    Thought {
        response,
        cost,
        tools,
    }
}
