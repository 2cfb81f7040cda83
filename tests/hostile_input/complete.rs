//! The vocabulary is complete: it has every message of the sources, and an example that leaves a field out, or empty, is
//! refused.

use crate::sources::messages;
use crate::vocabulary::vocabulary;
use serde_json::Value;
use std::collections::BTreeSet;

/// Messages of which one example cannot have all fields: they are listed twice.
const TWO_SHAPES: [&str; 1] = ["EnsureUser"];

#[test]
fn no_message_is_forgotten() {
    let sources: BTreeSet<_> = messages().into_iter().map(|source| source.name).collect();
    let listed: Vec<_> = vocabulary()
        .iter()
        .map(|kind| kind.name.to_owned())
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), sources);
    let twice = TWO_SHAPES.len();
    assert_eq!(listed.len(), sources.len() + twice, "listed too often");
}

fn has_nothing_empty(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty() && items.iter().all(has_nothing_empty),
        Value::Object(fields) => fields.values().all(has_nothing_empty),
        _ => true,
    }
}

#[test]
fn no_field_is_forgotten() {
    for kind in vocabulary() {
        let again = (kind.again)(&kind.example);
        assert!(
            kind.example.is_null() || has_nothing_empty(&again),
            "{}: {again}",
            kind.name
        );
        assert_eq!(leaves(&again), leaves(&kind.example), "{}", kind.name);
    }
}

fn leaves(example: &Value) -> Vec<String> {
    crate::fields::pointers(example, |_| true)
}
