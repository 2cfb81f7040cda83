//! A count by another zone that is broken off by a kill, or with which somebody has meddled.

use super::held::{hold, rank, release, until_held};
use super::{
    IN_MESSAGES, NOTHING, config, counted, exact, exact_report, looked_at, nothing_is_left, settle,
};
use crate::child::{self, Victim, again};
use crate::pieces::{at_piece, other};
use crate::support::counted_anew;
use botstore::Store;
use botstore::analytics::TimeZone;
use std::path::Path;

/// The child's part: opens the file with another zone, and may end at the so-manyth piece.
async fn open_up_to(path: &str, at: &str) {
    at_piece(at.parse().unwrap(), || std::process::abort());
    let config = config(Path::new(path)).time_zone("+05:30");
    let store = Store::open(config).await.unwrap();
    counted_anew(&store).await;
    nothing_is_left(store.path()).await;
    store.close().await.unwrap();
    println!("counted");
}

#[tokio::test]
async fn who_is_killed_between_any_two_pieces_goes_on_and_others_write_in_between() {
    if let Some([path, at]) = child::given() {
        return open_up_to(&path, &at).await;
    }
    let test = who_is_killed_between_any_two_pieces_goes_on_and_others_write_in_between;
    let (_folder, path) = counted();
    settle(&path).await;
    let (mut last, mut kills) = ([NOTHING; 2], 0_u64);
    let others = "
        INSERT INTO messages (session_id, user_id, timestamp, prompt, cost, duration_ms)
            VALUES ('s-1', 7, '2025-02-20 01:02:03', 'p', 0.25, 1);
        DELETE FROM messages WHERE message_id IN (SELECT message_id FROM messages ORDER BY random() LIMIT 2);
        UPDATE messages SET timestamp = '2025-03-05 22:00:00', user_id = 3 WHERE message_id % 97 = 5;
        DELETE FROM botstore_usage WHERE usage_id IN (SELECT usage_id FROM botstore_usage ORDER BY random() LIMIT 2);
        UPDATE botstore_usage SET cost_nanos = 5 WHERE usage_id % 89 = 7;";
    loop {
        let at = (1 + kills % 3).to_string();
        let mut child = Victim::start(again(&[], test, &[&path, Path::new(&at)]));
        if child.says("counted") {
            assert_eq!(child.ends(), Some(0));
            break;
        }
        child.kill();
        kills += 1;
        if let Some(now) = rank(&path) {
            assert!(now > last, "{now:?} comes after {last:?}");
            last = now;
            assert_eq!(looked_at(&path), "UTC");
        } else {
            assert_eq!(looked_at(&path), "+05:30");
        }
        other(&path).execute_batch(others).unwrap();
    }
    assert!(kills > 8, "{kills}");
    let store = Store::open(config(&path)).await.unwrap();
    exact(&store, 330, "killed between pieces").await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_somebody_did_to_counts_that_are_to_come_is_found_and_mended() {
    let (_folder, path) = counted();
    settle(&path).await;
    hold(&path, IN_MESSAGES);
    let store = Store::open(config(&path).time_zone("+05:30"))
        .await
        .unwrap();
    until_held(&path, IN_MESSAGES).await;
    let harm = "UPDATE botstore_day SET messages = messages + 5 WHERE generation = 1;
                UPDATE botstore_total SET users = 77 WHERE generation = 1;
                DELETE FROM botstore_user_day WHERE generation = 1 AND user_id = 3;
                INSERT INTO botstore_session_day VALUES (1, '2020-01-01', 1, 's', 1);";
    other(&path).execute_batch(harm).unwrap();
    let report = store.repair_rollups().await.unwrap();
    assert!(report.differences > 3, "{report:?}");
    exact_report(&store).await;
    store.close().await.unwrap();
    release(&path);
    let store = Store::open(config(&path)).await.unwrap();
    counted_anew(&store).await;
    exact(&store, 330, "mended").await;
    store.close().await.unwrap();
}

/// Somebody has deleted what says which counts there are, or how far they are: the file opens, and is counted.
#[tokio::test]
async fn a_file_opens_whatever_somebody_did_to_its_generations() {
    let (_folder, half) = counted();
    let few = "DELETE FROM messages WHERE message_id > 60; DELETE FROM tool_usage WHERE id > 60;
               DELETE FROM botstore_usage WHERE usage_id > 60";
    other(&half).execute_batch(few).unwrap();
    settle(&half).await;
    hold(&half, IN_MESSAGES);
    let store = Store::open(config(&half).time_zone("+05:30"))
        .await
        .unwrap();
    until_held(&half, IN_MESSAGES).await;
    store.close().await.unwrap();
    release(&half);
    for harm in [
        "DELETE FROM botstore_total",
        "DELETE FROM botstore_total WHERE generation = 0",
        "DELETE FROM botstore_total WHERE generation = 1",
        "DELETE FROM botstore_counted",
        "DELETE FROM botstore_counted WHERE generation = 1",
        "DELETE FROM botstore_usage_counted WHERE generation = 1",
        "DELETE FROM botstore_zone WHERE generation = 1",
        "DELETE FROM botstore_zone",
        "UPDATE botstore_total SET generation = 9223372036854775807 WHERE generation = 1",
        "UPDATE botstore_total SET generation = -9223372036854775808 WHERE generation = 1",
        "INSERT INTO botstore_total VALUES (7, 1, 1, 1), (8, 0, 0, 0)",
        "INSERT INTO botstore_day VALUES ('x', '2025-01-01', 1, 1, 1, 1, 1, 1)",
        "UPDATE botstore_counted SET generation = 'x' WHERE source = 'messages' AND generation = 0",
        "UPDATE botstore_counted SET generation = 9 WHERE generation = 1",
        "UPDATE botstore_counted SET generation = 3 WHERE source <> 'messages'",
        "UPDATE botstore_usage_counted SET last_id = 'x' WHERE generation = 1",
        "UPDATE botstore_zone SET generation = 5 WHERE generation = 0",
        "DROP TABLE botstore_total",
        "DROP TABLE botstore_zone",
        "DROP TABLE botstore_user_total",
        "DROP TABLE botstore_usage_counted",
        "DROP TABLE botstore_model_day",
        "DROP TRIGGER botstore_message_removed",
        "DROP TRIGGER botstore_usages_added",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        std::fs::copy(&half, &path).unwrap();
        other(&path).execute_batch(harm).unwrap();
        let store = Store::open(config(&path).time_zone("+05:30"))
            .await
            .expect(harm);
        counted_anew(&store).await;
        store.close().await.unwrap();
        // What was found to be gone on the way begins again.
        let store = Store::open(config(&path).time_zone("+05:30"))
            .await
            .expect(harm);
        counted_anew(&store).await;
        if harm.contains("INTO botstore_day") {
            // A row that is nobody's.
            let zone = store.read(TimeZone::new()).await.unwrap();
            assert_eq!(zone, "+05:30", "{harm}");
        } else {
            store.repair_rollups().await.expect(harm);
            exact(&store, 330, harm).await;
        }
        store.close().await.unwrap();
    }
}
