//! JSON that another program has written, read without loss.

use rusqlite::types::ValueRef;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// The document that a column holds; `None` for NULL. A text that a [`Value`] cannot hold without loss becomes
/// one string of the whole text: Python's NaN and infinities, halves of a surrogate pair, duplicate keys,
/// integers of more than 64 bits, more than 127 levels, and text that is no JSON at all. Bytes that are no UTF-8
/// become U+FFFD.
pub(crate) fn read(value: ValueRef<'_>) -> Option<Value> {
    Some(match value {
        ValueRef::Null => return None,
        // The seed declares these columns as JSON, which gives them SQLite's numeric affinity: a text that is
        // nothing but a number becomes that number.
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => match Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => Value::String(number.to_string()),
        },
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => exact(bytes)
            .unwrap_or_else(|| Value::String(String::from_utf8_lossy(bytes).into_owned())),
    })
}

/// Whether a text is JSON, or the superset of it that Python's `json` writes and reads.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    is_read(text) || is_read(&without_words(text))
}

/// Checks neither the size of numbers nor surrogate pairs: Python does not either.
fn is_read(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The document, if a [`Value`] holds it without loss.
fn exact(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let large = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Exact(&large).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    (!large.get() || !has_large_integer(text)).then_some(value)
}

/// Reads a value, refuses duplicate keys, and notes whether a number may be an integer that became a float.
struct Exact<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Exact<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Exact<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // An integer that is nearer to zero never becomes a float.
        if value.abs() >= 9_223_372_036_854_775_807.0 {
            self.0.set(true);
        }
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(Exact(self.0))? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Exact(self.0))?;
            if read.insert(name, value).is_some() {
                return Err(A::Error::custom("a key comes twice"));
            }
        }
        Ok(Value::Object(read))
    }
}

/// A piece of a JSON text.
enum Piece<'a> {
    /// A string with its quotes, or the rest of the text if the string does not end.
    String(&'a str),
    /// A number, or a word such as `true` or `NaN`.
    Word(&'a str),
    /// Punctuation or blanks.
    Other(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = *rest.as_bytes().first()?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let end = match first {
            b'"' => end_of_string(rest.as_bytes()),
            _ => {
                let same = |byte: &u8| *byte != b'"' && is_word(*byte) == is_word(first);
                rest.bytes().take_while(same).count()
            }
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(match first {
            b'"' => Piece::String(piece),
            _ if is_word(first) => Piece::Word(piece),
            _ => Piece::Other(piece),
        })
    })
}

/// The index after the closing quote.
fn end_of_string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn has_large_integer(text: &str) -> bool {
    pieces(text).any(|piece| match piece {
        Piece::Word(word) => {
            let digits = word.strip_prefix('-').unwrap_or(word);
            let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_integer && word.parse::<i64>().is_err() && word.parse::<u64>().is_err()
        }
        _ => false,
    })
}

/// The text with 0 in place of Python's words `NaN`, `Infinity` and `-Infinity`.
fn without_words(text: &str) -> String {
    let plain = pieces(text).map(|piece| match piece {
        Piece::Word("NaN" | "Infinity" | "-Infinity") => "0",
        Piece::String(other) | Piece::Word(other) | Piece::Other(other) => other,
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> Option<Value> {
        read(ValueRef::Text(text.as_bytes()))
    }

    #[test]
    fn what_a_value_holds_is_a_value() {
        for (written, value) in [
            (
                "{\"a\":[1,-2,3.5,true,null,\"x\"]}",
                json!({ "a": [1, -2, 3.5, true, null, "x"] }),
            ),
            ("1.0", json!(1.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1e20", json!(1e20)),
            ("\"123456789012345678901\"", json!("123456789012345678901")),
            ("\"\\ud83e\\udd16\"", json!("🤖")),
        ] {
            assert_eq!(text(written), Some(value), "{written}");
        }
    }

    #[test]
    fn what_a_value_would_not_hold_is_a_string_of_the_whole_text() {
        for (written, is_pythons) in [
            ("{\"path\": \"/srv\", \"score\": NaN}", true),
            ("[Infinity, -Infinity]", true),
            ("1e999", true),
            ("{\"a\": \"\\ud800\"}", true),
            ("{\"\\udfff\\\\\": \"\\\\ud800\"}", true),
            ("{\"a\": 1, \"a\": 2}", true),
            ("{\"a\": {\"b\": 1, \"b\": 1}}", true),
            ("18446744073709551616", true),
            ("[-9223372036854775809]", true),
            ("", false),
            ("nan", false),
            ("{\"a\": NaN", false),
            ("{'a': 1}", false),
            ("\"", false),
            ("\"\\", false),
            ("{} {}", false),
        ] {
            assert_eq!(text(written), Some(json!(written)), "{written}");
            assert_eq!(is_json(written.as_bytes()), is_pythons, "{written}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(text(&deep), Some(json!(deep)));
    }

    #[test]
    fn values_of_every_type_are_read() {
        assert_eq!(read(ValueRef::Null), None);
        assert_eq!(read(ValueRef::Integer(-1)), Some(json!(-1)));
        assert_eq!(read(ValueRef::Real(1.5)), Some(json!(1.5)));
        assert_eq!(read(ValueRef::Real(f64::INFINITY)), Some(json!("inf")));
        assert_eq!(read(ValueRef::Blob(b"1.0")), Some(json!(1.0)));
        assert_eq!(read(ValueRef::Blob(b"\xff{}")), Some(json!("\u{fffd}{}")));
    }
}
