//! A user's totals, where an operator corrects them.

use crate::support::{ADA, BOB, HOUR, STRANGER, picture, populated, refused, survives_json, user};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::analytics::{SystemStats, UserStats};
use botstore::integrity::CheckFile;
use botstore::interactions::SaveInteraction;
use botstore::messages::DeleteMessage;
use botstore::testing::{TestStore, usd};
use botstore::users::{CorrectUserTotals, EnsureUser, RecountUserTotals};
use botstore::{Store, Usd};

async fn totals(store: &TestStore, user_id: i64) -> (Usd, u64, u64) {
    let user = user(store, user_id).await;
    (user.total_cost, user.message_count, user.session_count)
}

/// How many counters differ from their rows.
async fn differences(store: &Store) -> u64 {
    let report = store.read(CheckFile::new()).await.expect("a report");
    report.differences.total
}

#[tokio::test]
async fn each_total_is_corrected_alone_and_the_answer_is_the_user() {
    let store = populated().await;
    let save = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.5));
    store.write(save).await.expect("saved");
    let mut expected = (usd(0.5), 1, 1);
    assert_eq!(totals(&store, ADA).await, expected);
    let bob = totals(&store, BOB).await;
    let stats = (
        store.read(UserStats::new(ADA)).await.expect("statistics"),
        store.read(SystemStats::new()).await.expect("statistics"),
    );
    let none = CorrectUserTotals::new(ADA);
    survives_json(&none);
    for (correct, now) in [
        (none.clone(), expected),
        (none.clone().total_cost(usd(12.5)), (usd(12.5), 1, 1)),
        (none.clone().message_count(9), (usd(12.5), 9, 1)),
        (none.clone().session_count(0), (usd(12.5), 9, 0)),
        (
            none.clone()
                .total_cost(usd(0.25))
                .message_count(2)
                .session_count(3),
            (usd(0.25), 2, 3),
        ),
    ] {
        survives_json(&correct);
        let answer = store.write(correct.clone()).await.expect("corrected");
        assert_eq!(answer, user(&store, ADA).await);
        assert_eq!(totals(&store, ADA).await, now);
        let before = picture(&store).await;
        store.write(correct).await.expect("the same again");
        assert_eq!(picture(&store).await, before);
        expected = now;
    }
    assert_eq!(totals(&store, BOB).await, bob);
    // Counting goes on from there, and statistics are of rows.
    store.clock().advance(HOUR);
    let again = (
        store.read(UserStats::new(ADA)).await.expect("statistics"),
        store.read(SystemStats::new()).await.expect("statistics"),
    );
    assert_eq!(again, stats);
    let save = SaveInteraction::new(ADA, "ada-1", "Hello").cost(usd(0.5));
    store.write(save).await.expect("saved");
    assert_eq!(totals(&store, ADA).await, (expected.0 + usd(0.5), 3, 3));
}

#[tokio::test]
async fn totals_that_no_user_can_have_are_refused() {
    let store = populated().await;
    let correct = || CorrectUserTotals::new(ADA);
    for (message, kind, field) in [
        (correct().total_cost(usd(-0.5)), Invalid, "total_cost"),
        (
            correct().total_cost(Usd::from_nanos(i64::MAX)),
            Invalid,
            "total_cost",
        ),
        (
            correct().message_count(1_000_000_000_001),
            Invalid,
            "message_count",
        ),
        (correct().session_count(u64::MAX), Invalid, "session_count"),
        (
            CorrectUserTotals::new(STRANGER).session_count(1),
            NotFound,
            "user_id",
        ),
    ] {
        refused(&store, message, kind, field).await;
    }
    refused(
        &store,
        RecountUserTotals::new(STRANGER),
        NotFound,
        "user_id",
    )
    .await;
}

#[tokio::test]
async fn totals_are_recounted_from_rows_that_are_counted_and_from_those_that_wait() {
    let store = populated().await;
    // More than are counted at once, so that some are counted and some wait.
    for n in 0..1_000_u32 {
        let (user_id, session) = if n % 3 == 0 {
            (BOB, "bob-1")
        } else {
            (ADA, "ada-1")
        };
        let save = SaveInteraction::new(user_id, session, "p").cost(usd(f64::from(n) / 1e6));
        store.write(save).await.expect("saved");
    }
    store
        .write(DeleteMessage::new(ADA, 2))
        .await
        .expect("deleted");
    let right = [totals(&store, ADA).await, totals(&store, BOB).await];
    assert_eq!(
        store
            .write(RecountUserTotals::everyone())
            .await
            .expect("counted"),
        0
    );
    let spoil = "UPDATE users SET total_cost = total_cost + 1, message_count = NULL,
                                  session_count = 'many'";
    for recount in [RecountUserTotals::everyone(), RecountUserTotals::new(ADA)] {
        survives_json(&recount);
        let done = store.transact("spoil", move |tx| tx.execute(spoil, []));
        assert_eq!(done.await.expect("spoilt"), 2);
        assert!(differences(&store).await > 0);
        let all = recount.user_id.is_none();
        let changed = store.write(recount.clone()).await.expect("counted");
        assert_eq!(changed, if all { 2 } else { 1 });
        assert_eq!(totals(&store, ADA).await, right[0]);
        assert_eq!(totals(&store, BOB).await == right[1], all);
        assert_eq!(store.write(recount).await.expect("counted"), 0);
    }
    let rest = store.write(RecountUserTotals::new(BOB)).await;
    assert_eq!(rest.expect("counted"), 1);
    assert_eq!(differences(&store).await, 0);
}

/// More than one piece, and the first and last ids that there are.
#[tokio::test]
async fn everyone_is_everyone() {
    let store = populated().await;
    let make = store.transact("make", |tx| {
        for user_id in (1_000..2_300).chain([i64::MIN, -5, 0, i64::MAX]) {
            tx.apply(&EnsureUser::new(user_id, None))?;
        }
        tx.execute("UPDATE users SET message_count = 7", [])
    });
    let users = make.await.expect("users");
    assert_eq!(users, 1_306);
    let counted = store.write(RecountUserTotals::everyone().by(ADA)).await;
    assert_eq!(counted.expect("counted"), users);
    assert_eq!(differences(&store).await, 0);
    let again = store.write(RecountUserTotals::everyone()).await;
    assert_eq!(again.expect("counted"), 0);
}
