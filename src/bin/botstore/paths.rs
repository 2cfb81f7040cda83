//! Paths in JSON, whose strings cannot represent every file name.

use serde_json::{Value, json};
use std::path::Path;

/// Adds a path to an answer, as text under its name. JSON strings must be UTF-8. A path that is not
/// UTF-8 is shown with U+FFFD in the wrong places, and `NAME_hex` has all of its bytes.
///
/// One field that is a text or an object was turned down: a program that has only met the text would
/// fail on the first such path.
pub(crate) fn with(mut answer: Value, name: &str, path: &Path) -> Value {
    answer[name] = crate::text::path(path).into();
    if let Some(hex) = hex(path) {
        answer[format!("{name}_hex")] = hex.into();
    }
    answer
}

/// Does the same for an optional path.
pub(crate) fn with_maybe(answer: Value, name: &str, path: Option<&Path>) -> Value {
    match path {
        Some(path) => with(answer, name, path),
        None => {
            let mut answer = answer;
            answer[name] = Value::Null;
            answer
        }
    }
}

/// Does the same for a list of paths. `NAME_hex` then has an entry for each: null for one that is
/// UTF-8.
pub(crate) fn with_all<P: AsRef<Path>>(mut answer: Value, name: &str, paths: &[P]) -> Value {
    let texts = paths.iter().map(|path| crate::text::path(path.as_ref()));
    answer[name] = json!(texts.collect::<Vec<_>>());
    let bytes: Vec<_> = paths.iter().map(|path| hex(path.as_ref())).collect();
    if bytes.iter().any(Option::is_some) {
        answer[format!("{name}_hex")] = json!(bytes);
    }
    answer
}

fn hex(path: &Path) -> Option<String> {
    if path.to_str().is_some() {
        return None;
    }
    let bytes = path.as_os_str().as_encoded_bytes();
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
