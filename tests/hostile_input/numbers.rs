//! Every number of every message, at both ends of what its type can hold and beyond.

use crate::fields::{field, name, numbered, pointers};
use crate::support::{everything_is_answered, is_told_why, populate, populated};
use crate::vocabulary::{Answer, vocabulary};
use botstore::messages::SaveMessage;
use botstore::testing::TestStore;
use botstore::testing::usd;
use botstore::{Config, ErrorKind, Store};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn extremes() -> [Value; 16] {
    [
        json!(i64::MIN),
        json!(i64::MIN + 1),
        json!(i32::MIN),
        json!(-1),
        json!(0),
        json!(1),
        json!(1_000_000_000),
        json!(i32::MAX),
        json!(u32::MAX),
        json!(i64::MAX - 1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(-0.0),
        json!(5e-324),
        json!(1.5),
        json!(f64::MAX),
    ]
}

#[tokio::test]
async fn a_number_at_the_end_of_its_type_is_taken_or_refused_by_name() {
    let store = populated().await;
    let mut number = 0;
    for kind in vocabulary() {
        for pointer in pointers(&kind.example, Value::is_number) {
            for extreme in extremes() {
                number += 1;
                let mut message = numbered(&kind.example, number);
                *field(&mut message, &pointer) = extreme.clone();
                let context = format!("{}{pointer} = {extreme}", kind.name);
                if let Answer::Refused(error) = kind.send(&store, message).await {
                    assert!(is_told_why(&error), "{context}: {error}");
                    let expected = match name(&pointer) {
                        // A span of time is one field, whose parts are seconds and nanoseconds.
                        "secs" | "nanos" if pointer.starts_with("/lease") => "lease",
                        "secs" | "nanos" if kind.name == "After" => "after",
                        "secs" | "nanos" => "expires_in",
                        // A limit and its warning are told by their own names.
                        _ if pointer.starts_with("/limit/max") => "max",
                        _ if pointer.starts_with("/limit/soft") => "soft",
                        name => name,
                    };
                    // Another user's session is looked for, and not found; nor is one that was deleted by somebody,
                    // who may be anybody.
                    let owner = ["user_id", "joining", "by"].contains(&expected);
                    let its_own = error.field() == Some("session_id") && owner;
                    let its_token = error.field() == Some("token_id") && expected == "user_id";
                    let its_message = error.field() == Some("message_id") && expected == "user_id";
                    let its_reserved =
                        error.field() == Some("reservation") && expected == "user_id";
                    // What is below its warning.
                    let its_soft = error.field() == Some("soft") && expected == "max";
                    assert!(
                        its_reserved
                            || its_soft
                            || its_own
                            || its_token
                            || its_message
                            || error.field() == Some(expected),
                        "{context}: {error}"
                    );
                }
            }
        }
    }
    everything_is_answered(&store, "all numbers").await;
}

/// A user for each id, with everything that a user has.
#[tokio::test]
async fn users_at_both_ends_of_their_ids_do_everything_that_others_do() {
    let store = populated().await;
    let ids = [i64::MIN, -1, 0, i64::MAX];
    for user_id in ids {
        let ensure = botstore::users::EnsureUser::new(user_id, None);
        store.write(ensure).await.expect("a user");
        let create =
            botstore::sessions::CreateSession::new(user_id, format!("of {user_id}"), "/srv");
        store.write(create).await.expect("a session");
    }
    for kind in vocabulary() {
        for user_id in ids {
            let mut message = numbered(&kind.example, user_id.unsigned_abs() as usize % 1_000);
            for pointer in pointers(&kind.example, |_| true) {
                let place = field(&mut message, &pointer);
                match name(&pointer) {
                    "user_id" => *place = user_id.into(),
                    "session_id" if *place == json!("s") => *place = json!(format!("of {user_id}")),
                    _ => {}
                }
            }
            let context = format!("{} of user {user_id}", kind.name);
            if let Answer::Refused(error) = kind.send(&store, message).await {
                // There is one session, message, token, price and reservation of each name.
                let fields = [
                    "session_id",
                    "message_id",
                    "token_id",
                    "model",
                    "reservation",
                ];
                let field = error.field().unwrap_or_default();
                assert!(
                    is_told_why(&error) && fields.contains(&field),
                    "{context}: {error}"
                );
            }
        }
    }
    everything_is_answered(&store, "users at both ends").await;
}

fn as_long_as_can_be() -> SaveMessage {
    SaveMessage::new(1, "s", "")
        .cost(usd(9e6))
        .duration_ms(i64::MAX as u64)
}

/// Saves the message twice, or has it refused by name.
async fn saved_twice(store: &TestStore, between: Duration) {
    populate(store).await;
    store.clock().advance(DAY);
    for _ in 0..2 {
        if let Err(error) = store.write(as_long_as_can_be()).await {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert_eq!(error.field(), Some("duration_ms"), "{error}");
        }
        store.clock().advance(between);
    }
}

#[tokio::test]
async fn the_longest_answers_of_one_day_have_a_sum() {
    let store = TestStore::open().await.expect("a store");
    saved_twice(&store, Duration::ZERO).await;
    everything_is_answered(&store, "two of the longest in a day").await;
}

#[tokio::test]
async fn the_longest_answers_of_two_days_have_a_sum() {
    let store = TestStore::open().await.expect("a store");
    saved_twice(&store, DAY).await;
    everything_is_answered(&store, "two of the longest in two days").await;
}

#[tokio::test]
async fn a_file_with_the_longest_answers_opens_where_the_day_is_another() {
    let store = TestStore::open().await.expect("a store");
    saved_twice(&store, Duration::ZERO).await;
    let (_folder, path) = store.into_file().await.expect("closed");
    let store = Store::open(Config::new(path).time_zone("+01:00")).await;
    store.expect("a store").close().await.expect("closed");
}
