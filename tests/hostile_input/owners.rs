//! Whose session it is, and what only an administrator should ask.

use crate::fields::{field, name, numbered, pointers};
use crate::sources::messages;
use crate::support::{Everything, populated};
use crate::vocabulary::{Answer, Way, vocabulary};
use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::TestStore;
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{Error, ErrorKind, Store};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// User 2's session, with everything in it that user 1's has.
const THEIRS: &str = "theirs";

async fn store_of_two() -> TestStore {
    let store = populated().await;
    let ensure = EnsureUser::new(2, Some("bob"));
    store.write(ensure).await.expect("a user");
    let create = CreateSession::new(2, THEIRS.to_owned(), "/srv");
    store.write(create).await.expect("a session");
    let save =
        SaveInteraction::new(2, THEIRS.to_owned(), "theirs alone").tool(ToolCall::new("Read"));
    store.write(save).await.expect("a receipt");
    store
}

/// The message as user 1 sends it about this session.
fn about(example: &Value, number: usize, session_id: &str) -> Value {
    let mut message = numbered(example, number);
    for pointer in pointers(example, |_| true) {
        let value: Value = match name(&pointer) {
            "session_id" => session_id.into(),
            "user_id" => 1.into(),
            _ => continue,
        };
        *field(&mut message, &pointer) = value;
    }
    message
}

fn why(error: &Error) -> String {
    error.to_string().replace(THEIRS, "nobody")
}

#[tokio::test]
async fn another_users_session_is_as_good_as_none_in_every_message() {
    let store = store_of_two().await;
    let mut asked = BTreeSet::new();
    let mut number = 0;
    for kind in vocabulary() {
        let pointers = pointers(&kind.example, |_| true);
        // One that names no user asks for nobody: it is for administrators, as the test below says.
        let names = |what| pointers.iter().any(|pointer| name(pointer) == what);
        if !names("session_id") || !names("user_id") {
            continue;
        }
        asked.insert(kind.name.to_owned());
        for way in Way::ALL {
            number += 1;
            let context = format!("{} by {way:?}", kind.name);
            let before = everything(&store).await;
            let message = about(&kind.example, number, THEIRS);
            let of_theirs = kind.send_by(way, &store, message).await;
            assert_eq!(everything(&store).await, before, "{context}");
            match &of_theirs {
                Answer::Refused(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{context}: {error}");
                    assert_eq!(error.field(), Some("session_id"), "{context}: {error}");
                }
                // A question that says `None` for what it does not find.
                Answer::Said(Value::Null) => {}
                other => panic!("{context}: {other:?}"),
            }
            let makes = ["Create", "Ensure", "Save"];
            if makes.iter().any(|begins| kind.name.starts_with(begins)) {
                continue;
            }
            // That there is one at all is not told.
            let message = about(&kind.example, number, "nobody");
            match (of_theirs, kind.send_by(way, &store, message).await) {
                (Answer::Refused(theirs), Answer::Refused(none)) => {
                    assert_eq!(why(&theirs), why(&none), "{context}");
                }
                (Answer::Said(theirs), Answer::Said(none)) => assert_eq!(theirs, none, "{context}"),
                other => panic!("{context}: {other:?}"),
            }
        }
    }
    let named = messages().into_iter();
    let named = named.filter(|m| m.has("session_id") && m.has("user_id"));
    let named: BTreeSet<_> = named.map(|message| message.name).collect();
    assert_eq!(asked, named);
}

async fn everything(store: &Store) -> Vec<String> {
    store.read(Everything).await.expect("all rows")
}

/// The names in the list of the guide.
fn listed() -> BTreeSet<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let guide = fs::read_to_string(guide).expect("the guide");
    let section = guide
        .split("\n## ")
        .find(|s| s.starts_with("Who may ask what"));
    let section = section.expect("a section");
    let items = section.lines().filter(|line| line.starts_with("- "));
    let names = items.flat_map(|line| line.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// How a message says whose it is about. That of a timer is the bot's own, and says so itself.
const OWNED_BY: [&str; 6] = [
    "user_id",
    "who",
    "external_id",
    "secret",
    "ticket",
    "message",
];

#[test]
fn what_asks_nobodys_name_is_marked_and_listed_as_for_administrators() {
    let listed = listed();
    let mut known = BTreeSet::new();
    for message in messages() {
        let is_owned = OWNED_BY.iter().any(|field| message.has(field));
        let is_listed = listed.contains(&message.name);
        let is_marked = message.documentation.contains("For administrators: ");
        assert!(is_owned || is_listed, "{}: whose is it?", message.name);
        // What changes who may do what names a user and is for administrators all the same.
        assert!(
            !is_owned || !is_listed || !message.is_query,
            "{}",
            message.name
        );
        assert_eq!(is_marked, is_listed, "{}: mark and list", message.name);
        known.insert(message.name);
    }
    let strange: Vec<_> = listed.difference(&known).collect();
    assert!(strange.is_empty(), "listed and not there: {strange:?}");
}

/// The module's page has one for all three.
const SHOWN_TOGETHER: [&str; 4] = ["After", "ClaimUpdate", "FinishUpdate", "ReleaseUpdate"];

#[test]
fn every_operation_has_an_example() {
    for message in messages() {
        let has = message.documentation.contains("```");
        assert!(
            has || SHOWN_TOGETHER.contains(&&*message.name),
            "{} has no example",
            message.name
        );
    }
}
