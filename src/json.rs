//! JSON values that a caller has built: how deep and how large they are, and how to drop them.
//!
//! A parser stops at 128 levels, but a value that is built by hand may be deeper. Writing, cloning and dropping
//! recurse level by level. On a thread's usual stack of 2 MiB, some 20,000 levels overflow it, which ends the
//! process.

mod reading;

pub(crate) use reading::{is_json, read};

use crate::error::{Error, Result};
use serde_json::Value;
use std::io;

/// The deepest value that can be read again: the reader refuses 128 levels.
const MAX_LEVELS: u32 = 127;

pub(crate) fn too_deep(field: &'static str) -> Error {
    Error::invalid(field, "must be nested at most 127 levels deep")
}

/// Refuses a value that is too deep to be read again.
pub(crate) fn check(field: &'static str, value: Option<&Value>) -> Result<()> {
    match value.is_none_or(|value| memory(value).is_some()) {
        true => Ok(()),
        false => Err(too_deep(field)),
    }
}

/// About how many bytes of memory a value holds; `None` if it is deeper than [`MAX_LEVELS`].
pub(crate) fn memory(value: &Value) -> Option<usize> {
    fn below(value: &Value, levels: u32) -> Option<usize> {
        let mut bytes = size_of::<Value>();
        match value {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => {
                let levels = levels.checked_sub(1)?;
                for item in items {
                    bytes += below(item, levels)?;
                }
            }
            Value::Object(fields) => {
                let levels = levels.checked_sub(1)?;
                for (name, value) in fields {
                    bytes += size_of::<String>() + name.len() + below(value, levels)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Some(bytes)
    }
    below(value, MAX_LEVELS)
}

/// The length of a value as text, in bytes. Recurses: only for a value that is not too deep.
pub(crate) fn written(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Fails only if the writer does, which counts, or if a key is no text, which is impossible here.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Drops the values that `take` takes out of a message without recursing, however deep they are. A message that
/// is refused for its depth may be dropped on one of the store's threads.
pub(crate) fn drop_flat(take: impl FnOnce(&mut Vec<Value>)) {
    let mut values = Vec::new();
    take(&mut values);
    while let Some(value) = values.pop() {
        match value {
            Value::Array(items) => values.extend(items),
            Value::Object(fields) => values.extend(fields.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}
