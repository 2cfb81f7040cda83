//! A cost without end, as another program may leave it (`9e999`), neither shows in a sum nor keeps anybody from
//! opening the file, saving, or setting it right.

use crate::kept::{filled, interaction};
use botstore::analytics::{DailyActivity, SystemStats, TopUsers, UserStats};
use botstore::costs::{AddCost, TotalCosts, UserDailyCosts};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::testing::usd;
use botstore::{BeforeUpgrade, Config, Durability, Store, schema};
use std::path::Path;

const ENDLESS: [&str; 5] = ["9e999", "-9e999", "1e308", "-1e308", "1e18"];

fn alter(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
}

fn config(path: &Path) -> Config {
    let config = Config::new(path).clock(FixedClock::default());
    let config = config.durability(Durability::Normal).row_cache_answers(0);
    config.before_upgrade(BeforeUpgrade::Skip)
}

async fn open(path: &Path) -> Store {
    Store::open(config(path)).await.unwrap()
}

/// Each sum of the costs of nine messages of 10 cents, of which one is not counted.
async fn sums_are_of_the_others(store: &Store, context: &str) {
    let near = |what: &str, sum: f64, messages: u32| {
        let expected = f64::from(messages) / 10.0;
        assert!(
            (sum - expected).abs() < 1e-9,
            "{context}: {what} is {sum}, not {expected}"
        );
    };
    let stats = store.read(SystemStats::new()).await.unwrap();
    near("the total", stats.total_cost.dollars(), 8);
    assert_eq!(stats.total_messages, 9, "{context}");
    near(
        "a user's",
        store
            .read(UserStats::new(1))
            .await
            .unwrap()
            .total_cost
            .dollars(),
        2,
    );
    near(
        "another's",
        store
            .read(UserStats::new(2))
            .await
            .unwrap()
            .total_cost
            .dollars(),
        3,
    );
    near(
        "today's",
        store.read(DailyActivity::new(1)).await.unwrap()[0]
            .total_cost
            .dollars(),
        8,
    );
    near(
        "the day's",
        store.read(TotalCosts::new(1)).await.unwrap()[0]
            .total_cost
            .dollars(),
        6,
    );
    let days = store.read(UserDailyCosts::new(1, 1)).await.unwrap();
    near("a user's day", days[0].daily_cost.dollars(), 0);
    assert!(
        store
            .read(TopUsers::new(3))
            .await
            .unwrap()
            .iter()
            .all(|top| top.total_cost < usd(1.0))
    );
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, 0, "{context}: {:#?}", report.named);
}

#[tokio::test]
async fn a_cost_without_end_is_left_out_of_every_sum_after_opening() {
    for endless in ENDLESS {
        let (_folder, path) = filled(9).await.into_file().await.unwrap();
        alter(
            &path,
            &format!(
                "UPDATE messages SET cost = {endless} WHERE message_id = 1;
                 UPDATE cost_tracking SET daily_cost = {endless} WHERE user_id = 1;"
            ),
        );
        let store = open(&path).await;
        sums_are_of_the_others(&store, endless).await;
        store.close().await.unwrap();
        // Filled for the first time, it is the same.
        schema::rollback(config(&path), "botstore", 6).unwrap();
        let store = open(&path).await;
        sums_are_of_the_others(&store, endless).await;
        let mut gone = Vec::new();
        let repaired = store.repair_values(|values| {
            gone.extend(values.to_vec());
            Ok(())
        });
        assert_eq!(repaired.await.unwrap().written, 2, "{endless}");
        store.repair_rollups().await.unwrap();
        sums_are_of_the_others(&store, &format!("{endless}, set right")).await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_cost_without_end_beside_an_open_store_keeps_nobody_from_saving() {
    for endless in ENDLESS {
        for column in ["daily_cost", "request_count"] {
            let (_folder, path) = filled(9).await.into_file().await.unwrap();
            let store = open(&path).await;
            alter(
                &path,
                &format!("UPDATE cost_tracking SET {column} = {endless}"),
            );
            for number in 0..6 {
                store.write(interaction(number)).await.unwrap();
                let cost = AddCost::new(1, usd(0.5));
                store.write(cost).await.unwrap();
            }
            let today = store.read(UserDailyCosts::new(1, 1)).await.unwrap();
            let (cost, requests) = (today[0].daily_cost, today[0].request_count);
            match column {
                "daily_cost" => assert!(
                    (cost.dollars() - 3.2).abs() < 1e-9 && requests == 11,
                    "{endless}: {today:?}"
                ),
                _ => assert!(
                    requests == 8 && (cost.dollars() - 3.5).abs() < 1e-9,
                    "{endless}: {today:?}"
                ),
            }
            store.repair_rollups().await.unwrap();
            store.close().await.unwrap();
        }
    }
}

/// A time that opening puts right is a change of the row, which the triggers take from the sums.
#[tokio::test]
async fn a_file_opens_whose_endless_costs_have_times_of_another_spelling() {
    for endless in ENDLESS {
        let (_folder, path) = filled(9).await.into_file().await.unwrap();
        alter(
            &path,
            &format!(
                "INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
                 VALUES ('s-1', 1, '2026-03-10 15:00:00', '?', {endless}),
                     ('s-1', 1, 1773156600, '?', {endless}), ('s-1', 1, '', '?', {endless});"
            ),
        );
        let store = open(&path).await;
        let stats = store.read(SystemStats::new()).await.unwrap();
        assert!(
            (stats.total_cost.dollars() - 0.9).abs() < 1e-9,
            "{endless}: {}",
            stats.total_cost
        );
        let repaired = store.repair_values(|_| Ok(())).await.unwrap();
        assert_eq!((repaired.written, repaired.left), (4, 0), "{endless}");
        store.close().await.unwrap();
        let store = open(&path).await;
        let report = store.repair_rollups().await.unwrap();
        assert_eq!(
            store
                .read(ReconcileRollups::new())
                .await
                .unwrap()
                .differences,
            0,
            "{report:?}"
        );
        store.close().await.unwrap();
    }
}
