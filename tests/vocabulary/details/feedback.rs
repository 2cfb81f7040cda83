//! What users think of answers: the last word of each.

use super::{details, lived, rows};
use crate::support::{ADA, BOB, HOUR, Run, STRANGER, refused, survives_json};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::messages::{Feedback, RateMessage, Rating};
use botstore::time::Clock;

#[tokio::test]
async fn the_last_word_of_each_user_counts() {
    let store = lived().await;
    let words = [
        RateMessage::new(ADA, 1, Rating::Down)
            .tag("wrong")
            .comment("It is 4."),
        RateMessage::new(BOB, 1, Rating::Neutral),
        RateMessage::new(ADA, 1, Rating::Up).comment("I was wrong."),
        RateMessage::new(BOB, 1, Rating::Down).tag(""),
    ];
    for said in words {
        survives_json(&said);
        store.clock().advance(HOUR);
        store.write(said.clone()).await.expect("rated");
        let all = details(&store, ADA, 1).await.expect("a message").feedback;
        assert_eq!(all.len(), 2);
        let kept = all.iter().find(|kept| kept.user_id == said.user_id);
        // Nothing of what was said before is left.
        let mut expected = Feedback::new(said.user_id, said.rating, store.clock().now());
        (expected.tag, expected.comment) = (said.tag, said.comment);
        assert_eq!(kept, Some(&expected));
    }
    assert!(Rating::Down < Rating::Neutral && Rating::Neutral < Rating::Up);
}

#[tokio::test]
async fn who_is_not_there_or_may_not_read_a_message_does_not_rate_it() {
    let store = lived().await;
    let rate = |user_id: i64, message_id: i64| RateMessage::new(user_id, message_id, Rating::Up);
    refused(&store, rate(STRANGER, 1), NotFound, "message_id").await;
    refused(&store, rate(ADA, 404), NotFound, "message_id").await;
    refused(&store, rate(ADA, 1).tag("x".repeat(4_097)), Invalid, "tag").await;
    let long = rate(ADA, 1).comment("x".repeat((16 << 20) + 1));
    refused(&store, long, Invalid, "comment").await;
    assert_eq!(rows(&store).await[4], 2);
    // A message that another program left without its user, who may read it.
    let other = botstore::rusqlite::Connection::open(store.path()).expect("a connection");
    let sql = format!("PRAGMA foreign_keys = OFF; UPDATE messages SET user_id = {STRANGER}");
    other.execute_batch(&sql).expect("a message of nobody's");
    refused(&store, rate(STRANGER, 1), NotFound, "user_id").await;
    let run = Run(format!("UPDATE messages SET user_id = {ADA}"));
    store.write(run).await.expect("hers again");
    store.write(rate(ADA, 1)).await.expect("rated");
}
