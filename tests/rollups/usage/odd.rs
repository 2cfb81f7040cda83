//! What no bot of ours writes is counted all the same, and keeps nobody from opening, saving or asking.

use super::recount::compare_usage;
use super::{by_hand, config, said, store};
use botstore::Store;
use botstore::integrity::CheckFile;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::types::Value;
use botstore::usage::{ModelUsage, UsageByDay};

/// The columns that are counted.
const COLUMNS: [&str; 12] = [
    "user_id",
    "at",
    "provider_name",
    "request_model",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "cost_nanos",
    "platform",
    "chat_id",
];

const VALUES: [&str; 18] = [
    "NULL",
    "0",
    "7",
    "2.5",
    "1e18",
    "1e300",
    "9e999",
    "9223372036854775807",
    "''",
    "' 12 apples'",
    "'gpt'",
    "x''",
    "x'00ff'",
    "CAST(x'ff41' AS TEXT)",
    "'a' || char(0) || 'b'",
    "'2026-03-09 24:00:00'",
    "'2026-03-09T23:59:59.999999+00:00'",
    "'0000-01-01'",
];

/// Each value in each column: in rows that are counted when they change, and in rows that wait.
#[tokio::test]
async fn each_odd_value_of_each_column_is_counted_alike_by_triggers_and_by_counting() {
    let (_folder, path) = {
        let store = store().await;
        for number in 0..30 {
            store.write(said(number)).await.unwrap();
        }
        store.into_file().await.unwrap()
    };
    for column in COLUMNS {
        for (at, value) in VALUES.iter().enumerate() {
            let (counted, waits) = (1 + at, 10_000 + at);
            by_hand(
                &path,
                &format!(
                    "UPDATE botstore_usage SET {column} = {value} WHERE usage_id = {counted};
                     INSERT INTO botstore_usage (usage_id, user_id, at, request_model) VALUES ({waits}, 1, '2026-03-10', 'gpt');
                     UPDATE botstore_usage SET {column} = {value} WHERE usage_id = {waits};"
                ),
            );
        }
        let store = Store::open(config(&path)).await.unwrap();
        match column {
            // The plain count does not know which texts are times, and groups others as they are shown.
            "at" | "provider_name" | "request_model" => {
                store.read(ModelUsage::new(9)).await.unwrap();
                let report = store.read(ReconcileRollups::new()).await.unwrap();
                assert_eq!(report.differences, 0, "{column}: {:#?}", report.named);
            }
            _ => compare_usage(&store, 0, &column).await,
        }
        store.write(said(1)).await.unwrap();
        store.close().await.unwrap();
        // Once more, by the triggers alone, and to what they were.
        by_hand(
            &path,
            &format!(
                "UPDATE botstore_usage SET {column} = (SELECT {column} FROM botstore_usage WHERE usage_id = 30)"
            ),
        );
        let store = Store::open(config(&path)).await.unwrap();
        let report = store.read(ReconcileRollups::new()).await.unwrap();
        assert_eq!(report.differences, 0, "{column}: {:#?}", report.named);
        store.close().await.unwrap();
        by_hand(&path, "DELETE FROM botstore_usage WHERE usage_id >= 10000");
    }
}

/// A sum stays at the largest number.
#[tokio::test]
async fn sums_that_outgrow_their_integers_stop_there_and_refuse_nothing() {
    let (_folder, path) = store().await.into_file().await.unwrap();
    by_hand(
        &path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
         INSERT INTO botstore_usage (usage_id, user_id, at, request_model, cost_nanos)
             SELECT 1000 + i, 1, '2026-03-10', 'gpt', 9223372036854775807 FROM n;",
    );
    let store = Store::open(config(&path)).await.unwrap();
    let days = store.read(UsageByDay::new(9)).await.unwrap();
    assert_eq!(days[0].totals.cost.nanos(), i64::MAX);
    assert_eq!(days[0].totals.requests, 1_100);
    store.write(said(1)).await.unwrap();
    store.close().await.unwrap();
    let conn = super::open_plain(&path);
    let sql = "SELECT max(cost) FROM botstore_model_day";
    let cost: Value = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(cost, Value::Integer(i64::MAX));
}

/// Another program may have left one, or lost the message.
#[tokio::test]
async fn a_row_that_belongs_to_no_message_gives_way_to_that_of_the_next() {
    let (_folder, path) = store().await.into_file().await.unwrap();
    let row = "INSERT INTO botstore_usage (usage_id, user_id, at, request_model) VALUES (1, 3, '2026-03-10', 'old');
        INSERT INTO botstore_usage (usage_id, user_id, at, request_model) VALUES (2, 3, '2026-03-10', 'old');";
    by_hand(&path, row);
    // The first time they wait, and the second time they are counted.
    let store = Store::open(config(&path)).await.unwrap();
    store.write(said(1)).await.unwrap();
    compare_usage(&store, 0, &"the first").await;
    store.close().await.unwrap();
    let store = Store::open(config(&path)).await.unwrap();
    store.write(said(2)).await.unwrap();
    compare_usage(&store, 0, &"the second").await;
    let models = store.read(ModelUsage::new(9)).await.unwrap();
    assert!(
        models.iter().all(|of| of.model.as_deref() != Some("old")),
        "{models:?}"
    );
    store.close().await.unwrap();
}

/// What the check names as odd is shown as what the repair writes, and counted as that afterwards.
#[tokio::test]
async fn odd_values_of_usage_are_named_and_set_right() {
    let (_folder, path) = {
        let store = store().await;
        for number in 0..9 {
            store.write(said(number)).await.unwrap();
        }
        store.into_file().await.unwrap()
    };
    by_hand(
        &path,
        "UPDATE botstore_usage SET output_tokens = '12 apples', cost_nanos = 'free' WHERE usage_id = 1;
         UPDATE botstore_usage SET cost_nanos = -5, request_model = x'ff' WHERE usage_id = 2;
         UPDATE botstore_usage SET input_tokens = 1e300, chat_id = x'00fe', platform = 'p' WHERE usage_id = 3;",
    );
    let store = Store::open(config(&path)).await.unwrap();
    let odd = store.read(CheckFile::new()).await.unwrap().odd_values;
    assert!(odd.total >= 6, "{odd:?}");
    let repaired = store.repair_values(|_| Ok(())).await.unwrap();
    assert_eq!((repaired.written, repaired.left), (odd.total, 0), "{odd:?}");
    compare_usage(&store, 0, &"set right").await;
    let left = store.read(CheckFile::new()).await.unwrap().odd_values;
    assert_eq!(left.total, 0, "{left:?}");
    store.close().await.unwrap();
}

/// By another program, whose triggers are not recursive: what `REPLACE` removes would stay counted. And an `OR` of the
/// statement holds for what its triggers do.
#[tokio::test]
async fn a_row_that_belongs_to_no_message_gives_way_to_that_of_a_message_that_gets_its_id() {
    for moves in [
        "UPDATE",
        "UPDATE OR IGNORE",
        "UPDATE OR REPLACE",
        "UPDATE OR FAIL",
    ] {
        let (_folder, path) = {
            let store = store().await;
            for number in 0..4 {
                store.write(said(number)).await.unwrap();
            }
            store.into_file().await.unwrap()
        };
        let orphan = "INSERT INTO botstore_usage (usage_id, user_id, at, request_model) VALUES (50, 3, '2026-03-10', 'old')";
        by_hand(&path, orphan);
        // Closing counts it.
        let store = Store::open(config(&path)).await.unwrap();
        store.close().await.unwrap();
        by_hand(
            &path,
            &format!("{moves} messages SET message_id = 50 WHERE message_id = 3"),
        );
        let store = Store::open(config(&path)).await.unwrap();
        compare_usage(&store, 0, &moves).await;
        let models = store.read(ModelUsage::new(9)).await.unwrap();
        let requests: u64 = models.iter().map(|of| of.totals.requests).sum();
        assert_eq!(requests, 4, "{moves}: {models:?}");
        store.close().await.unwrap();
    }
}
