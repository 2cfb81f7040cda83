//! Money is exact to the billionth of a dollar, whatever another program has written.

use crate::kept::{filled, interaction};
use crate::support::all;
use botstore::analytics::{SystemStats, TopUsers};
use botstore::costs::TotalCosts;
use botstore::integrity::CheckFile;
use botstore::messages::GetMessage;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::{BeforeUpgrade, Config, Durability, MessageId, Store, Usd};

#[tokio::test]
async fn sums_are_exact_to_the_billionth_of_a_dollar() {
    let store = filled(0).await;
    let mut sum = 0;
    for number in 1..=900_u64 {
        let nanos = 100_000_007 * number as i64 % 1_000_000_013;
        sum += nanos;
        let said = interaction(number).cost(Usd::from_nanos(nanos));
        store.write(said).await.unwrap();
        if number % 300 == 0 {
            let stats = store.read(SystemStats::new()).await.unwrap();
            assert_eq!(stats.total_cost.nanos(), sum, "{number}");
            let costs = store.read(TotalCosts::new(0)).await.unwrap();
            assert_eq!(costs[0].total_cost.nanos(), sum, "{number}");
        }
    }
}

/// What no bot of ours writes: each is counted as the nearest, and a check names it.
#[tokio::test]
async fn costs_out_of_range_are_counted_as_the_nearest_and_named() {
    for (cost, dollars, shown_as, is_named) in [
        ("-0.5", 0.0, -0.5, true),
        ("9000000", 9e6, 9e6, false),
        ("9000000.5", 9e6, 9_000_000.5, true),
        ("3e8", 9e6, 3e8, true),
        ("9e999", 0.0, 0.0, true),
        ("-9e999", 0.0, 0.0, true),
        ("NULL", 0.0, 0.0, false),
        ("0.000000001", 1e-9, 1e-9, false),
    ] {
        let (_folder, path) = filled(3).await.into_file().await.unwrap();
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(&format!(
            "UPDATE messages SET cost = 0; UPDATE cost_tracking SET daily_cost = 0;
             UPDATE messages SET cost = {cost} WHERE message_id = 1;
             UPDATE cost_tracking SET daily_cost = {cost} WHERE user_id = 1;
             INSERT INTO messages (session_id, user_id, prompt, cost) VALUES ('s-1', 1, '?', {cost});"
        ))
        .unwrap();
        conn.close().unwrap();
        let clock = FixedClock::default();
        let store = Store::open(
            Config::new(&path)
                .before_upgrade(BeforeUpgrade::Skip)
                .durability(Durability::Normal)
                .clock(clock),
        )
        .await
        .unwrap();
        let due = Usd::from_dollars(dollars).unwrap();
        let stats = store.read(SystemStats::new()).await.unwrap();
        assert_eq!(stats.total_cost, due + due, "{cost}");
        let costs = store.read(TotalCosts::new(1)).await.unwrap();
        assert_eq!(costs[0].total_cost, due, "{cost}");
        let message = GetMessage::new(1, MessageId::new(1));
        let shown = store.read(message).await.unwrap().unwrap().cost;
        // Shown as it is, if it is an amount.
        assert_eq!(shown.dollars(), shown_as, "{cost}");
        let check = store.read(CheckFile::new()).await.unwrap();
        assert_eq!(
            check.odd_values.total,
            if is_named { 3 } else { 0 },
            "{cost}: {check:?}"
        );
        assert_eq!(
            store
                .read(ReconcileRollups::new())
                .await
                .unwrap()
                .differences,
            0
        );
        store.close().await.unwrap();
    }
}

/// More than 64 bits hold: the sum stays at its limit, no row is refused, and it is still an integer.
#[tokio::test]
async fn a_sum_that_no_integer_holds_stays_at_the_largest() {
    let store = filled(1).await;
    let conn = Connection::open(store.path()).unwrap();
    let add = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
               INSERT INTO messages (session_id, user_id, timestamp, prompt, cost)
               SELECT 's-1', 1, '2026-03-01T10:00:00.000000+00:00', '?', 1e17 FROM n";
    conn.execute_batch(add).unwrap();
    let most = Usd::from_nanos(i64::MAX);
    for counted in ["waits", "is counted"] {
        let stats = store.read(SystemStats::new()).await.unwrap();
        assert_eq!(stats.total_cost, most, "{counted}");
        let top = store.read(TopUsers::new(1)).await.unwrap();
        assert_eq!(top[0].total_cost, most, "{counted}");
        for number in 0..200 {
            store.write(interaction(number)).await.unwrap();
        }
    }
    conn.execute_batch(add).unwrap();
    conn.execute_batch("UPDATE messages SET cost = 3e17 WHERE message_id < 900; DELETE FROM messages WHERE message_id = 77")
        .unwrap();
    let types = "SELECT count(*) FROM botstore_day WHERE typeof(cost) <> 'integer'";
    assert_eq!(all(&conn, types, [], |row| row.get::<_, i64>(0)), [0]);
    store.repair_rollups().await.unwrap();
    assert_eq!(
        store
            .read(ReconcileRollups::new())
            .await
            .unwrap()
            .differences,
        0
    );
}
