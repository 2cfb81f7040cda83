//! The fields of a message in JSON, by their JSON pointers.

use serde_json::Value;

/// Where the values are that have no fields of their own and that `is` says yes to.
pub(crate) fn pointers(value: &Value, is: fn(&Value) -> bool) -> Vec<String> {
    let below = |name: &str, value: &Value| {
        let inner = pointers(value, is).into_iter();
        inner
            .map(|rest| format!("/{name}{rest}"))
            .collect::<Vec<_>>()
    };
    match value {
        Value::Array(items) => (0..)
            .zip(items)
            .flat_map(|(at, item): (usize, _)| below(&at.to_string(), item))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| below(name, value))
            .collect(),
        leaf => is(leaf).then(String::new).into_iter().collect(),
    }
}

/// The example as message number `number`.
pub(crate) fn numbered(example: &Value, number: usize) -> Value {
    let mut message = example.clone();
    for pointer in pointers(example, Value::is_string) {
        let text = example
            .pointer(&pointer)
            .and_then(Value::as_str)
            .expect("a text");
        *field(&mut message, &pointer) = text.replace('#', &number.to_string()).into();
    }
    message
}

pub(crate) fn field<'a>(message: &'a mut Value, pointer: &str) -> &'a mut Value {
    message.pointer_mut(pointer).expect("a field")
}

/// The last part of a pointer that is a name.
pub(crate) fn name(pointer: &str) -> &str {
    let mut parts = pointer.rsplit('/');
    parts
        .find(|part| part.parse::<usize>().is_err())
        .expect("a name")
}

/// Whether there is a field of this name and value anywhere in it.
pub(crate) fn says(answer: &Value, key: &str, value: &Value) -> bool {
    match answer {
        Value::Array(items) => items.iter().any(|item| says(item, key, value)),
        Value::Object(fields) => {
            fields.get(key) == Some(value) || fields.values().any(|inner| says(inner, key, value))
        }
        _ => false,
    }
}
