//! How large a text may be: in every text of every message, by each way to the store.

use crate::fields::{field, name, numbered, pointers};
use crate::support::populated_with;
use crate::vocabulary::{Answer, Kind, Way, vocabulary};
use botstore::testing::TestStore;
use botstore::{Error, ErrorKind, MAX_NAME_BYTES};
use serde_json::{Value, json};

/// What the test's store lets a text have: more than a name, and a multiple of every character's size.
const MAX_TEXT_BYTES: usize = 8192;

/// Characters of one, two, three and four bytes.
const CHARACTERS: [&str; 4] = ["x", "é", "€", "🤖"];

/// Fields that may be as large as the configuration says; all others are names.
const TEXTS: [&str; 11] = [
    "after",
    "body",
    "comment",
    "error",
    "error_message",
    "event_data",
    "message",
    "metadata",
    "prompt",
    "response",
    "tool_input",
];

/// JSON values, which are bounded as a whole.
const VALUES: [&str; 4] = ["event_data", "message", "metadata", "tool_input"];

/// A text of a message.
struct Place {
    /// Where it is.
    pointer: String,
    /// The field that is bounded, and named when it is too large.
    field: String,
    /// How much of that field is something else.
    beside: usize,
    /// What stands before the text.
    prefix: &'static str,
}

impl Place {
    /// The text at this pointer; `None` if only certain words can be there.
    fn at(kind: &Kind, pointer: &str) -> Option<Self> {
        let value = |pointer: &str| kind.example.pointer(pointer).expect("a field").clone();
        let mut place = Self {
            pointer: pointer.to_owned(),
            field: name(pointer).to_owned(),
            beside: 0,
            prefix: "",
        };
        for json in VALUES {
            // The whole name of a field: others end with it.
            let Some(begin) = pointer.find(&format!("/{json}/")) else {
                continue;
            };
            place.field = json.to_owned();
            let whole = value(&pointer[..=begin + json.len()]).to_string().len();
            place.beside = whole - value(pointer).as_str().expect("a text").len();
        }
        match place.field.as_str() {
            // A cursor of two names may be as large as two, and a file of prices has to be one: the tests of prices
            // know both.
            "after" if kind.name == "Prices" => return None,
            "json" => return None,
            // A cursor with a session's id in it. One with a number has no room.
            "after" => match value(pointer).as_str().expect("a cursor").find(':') {
                Some(_) => place.prefix = "1773156600000000:",
                None => return None,
            },
            "at" | "by" | "cost_source" | "direction" | "from" | "gaps" | "into_ended"
            | "measure" | "order" | "per" | "rating" | "since" | "to" | "until" | "valid_from"
            | "which" | "whose" => {
                return None;
            }
            // Never too long: it is cut.
            "result" => return None,
            _ => {}
        }
        Some(place)
    }

    /// How many bytes the text may have.
    fn most(&self) -> usize {
        match TEXTS.contains(&self.field.as_str()) {
            true => MAX_TEXT_BYTES - self.beside,
            false => MAX_NAME_BYTES,
        }
    }

    fn filled(&self, kind: &Kind, number: usize, text: &str) -> Value {
        let mut message = numbered(&kind.example, number);
        *field(&mut message, &self.pointer) = format!("{}{text}", self.prefix).into();
        message
    }
}

fn places(kind: &Kind) -> Vec<Place> {
    let pointers = pointers(&kind.example, Value::is_string);
    let places = pointers
        .iter()
        .filter_map(|pointer| Place::at(kind, pointer));
    places.collect()
}

async fn small_store() -> TestStore {
    populated_with(|config| config.max_text_bytes(MAX_TEXT_BYTES)).await
}

/// As many of the character as fit behind the number, and one byte more than fits.
fn full_and_over(number: usize, most: usize, character: &str) -> (String, String) {
    let mut full = number.to_string();
    full += &character.repeat((most - full.len()) / character.len());
    full.extend(std::iter::repeat_n('-', most - full.len()));
    let over = full.clone() + "-";
    (full, over)
}

#[tokio::test]
async fn a_text_of_the_largest_size_is_taken_and_one_byte_more_is_refused_by_name() {
    let (store, mut number, mut tried) = (small_store().await, 0, 0);
    for kind in vocabulary() {
        for place in places(&kind) {
            for character in CHARACTERS {
                for way in Way::ALL {
                    (number, tried) = (number + 2, tried + 1);
                    let (full, over) = full_and_over(number, place.most(), character);
                    let context =
                        format!("{}{} of {character:?} by {way:?}", kind.name, place.pointer);
                    let message = place.filled(&kind, number, &full);
                    if let Answer::Refused(error) = kind.send_by(way, &store, message).await {
                        // What it names is not there.
                        assert_eq!(error.kind(), ErrorKind::NotFound, "{context}: {error}");
                    }
                    let message = place.filled(&kind, number + 1, &over);
                    match kind.send_by(way, &store, message).await {
                        Answer::Refused(error) => {
                            assert_eq!(error.kind(), ErrorKind::Invalid, "{context}: {error}");
                            assert_eq!(error.field(), Some(&*place.field), "{context}: {error}");
                        }
                        other => panic!("{context}: {other:?}"),
                    }
                }
            }
        }
    }
    assert!(tried >= 16 * 25, "{tried} tried");
    let health = store.health().await.expect("health");
    assert_eq!(health.writer.in_flight, 0);
}

/// A question may look for a name that is as large as a text, and never for less than a name.
#[tokio::test]
async fn names_may_have_what_they_may_have_where_texts_may_have_less() {
    let store = populated_with(|config| config.max_text_bytes(1024)).await;
    for kind in vocabulary() {
        for place in places(&kind) {
            if TEXTS.contains(&place.field.as_str()) && place.field != "after" {
                continue;
            }
            let message = place.filled(&kind, 1, &"n".repeat(MAX_NAME_BYTES));
            if let Answer::Refused(error) = kind.send(&store, message).await {
                let is_known = [ErrorKind::NotFound, ErrorKind::Conflict].contains(&error.kind());
                assert!(is_known, "{}{}: {error}", kind.name, place.pointer);
            }
        }
    }
}

/// The audit row has the names of all tools in one text.
#[tokio::test]
async fn many_names_of_tools_are_one_text() {
    let store = small_store().await;
    let kinds = vocabulary();
    let kind = kinds.iter().find(|kind| kind.name == "SaveInteraction");
    let kind = kind.expect("a message");
    for (names, is_taken) in [(2, true), (3, false)] {
        let mut message = numbered(&kind.example, names);
        let tool = json!({
            "tool_name": "t".repeat(MAX_NAME_BYTES), "tool_input": null, "success": true,
            "error_message": null,
        });
        message["tools"] = vec![tool; names].into();
        match kind.send(&store, message).await {
            Answer::Made => assert!(is_taken, "{names} names"),
            Answer::Refused(error) => {
                assert!(!is_taken, "{names} names: {error}");
                assert_eq!(error.field(), Some("tools"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What a WAL gets of an error, its causes included.
fn told(error: &Error) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told += &format!(" {cause}");
        source = cause.source();
    }
    told
}

/// Of a text that is far too large, and of one that is not and so leads nowhere.
#[tokio::test]
async fn an_error_shows_little_of_a_text_however_large_it_is() {
    let store = small_store().await;
    let large = "x".repeat(100 * MAX_TEXT_BYTES);
    let small = ["x", "\u{1b}", "\u{e0001}", "\""].map(|c| (c, c.repeat(4_000 / c.len())));
    let mut number = 0;
    for kind in vocabulary() {
        for place in places(&kind) {
            let texts = small
                .iter()
                .map(|(c, text)| (*c, text))
                .chain([("x", &large)]);
            for (character, text) in texts {
                number += 1;
                let context = format!("{}{} of {} bytes", kind.name, place.pointer, text.len());
                let message = place.filled(&kind, number, text);
                if let Answer::Refused(error) = kind.send(&store, message).await {
                    assert!(error.to_string().len() < 1_024, "{context}: {error}");
                    assert!(format!("{error:?}").len() < 1_024, "{context}: {error:?}");
                    let escaped = character.escape_debug().to_string();
                    assert!(!told(&error).contains(&escaped.repeat(65)), "{context}");
                } else {
                    assert!(text.len() < large.len(), "{context} was taken");
                }
            }
        }
    }
}
