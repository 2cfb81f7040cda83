//! JSON values that a caller has built: how deep they are, how large, and how they are dropped.
//!
//! A parser stops at 128 levels, but whoever builds a value by hand does not have to. Writing,
//! cloning and dropping one go down level by level, on a stack that ends: at some 20,000 levels on the
//! 2 MiB of a usual thread, which then takes the whole process with it.

mod reading;

pub(crate) use reading::{is_json, read};

use crate::error::{Error, Result};
use serde_json::Value;
use std::io;

/// As deep as can be read again: the reader gives up at 128 levels.
const MAX_LEVELS: u32 = 127;

pub(crate) fn too_deep(field: &'static str) -> Error {
    Error::invalid(field, "must be nested at most 127 levels deep")
}

/// Refuses a value that could not be read again.
pub(crate) fn check(field: &'static str, value: Option<&Value>) -> Result<()> {
    match value.is_none_or(|value| memory(value).is_some()) {
        true => Ok(()),
        false => Err(too_deep(field)),
    }
}

/// About how many bytes of memory a value holds; `None` if it is too deep, below which nobody looks.
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

/// How many bytes a value has as text. Of one that is not too deep.
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
    // It fails where the writer does, or a key is no text.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Drops the values that `take` takes out of a message, however deep they are, without going down into
/// them: a message that is refused for its depth may be on one of the store's threads by then.
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
