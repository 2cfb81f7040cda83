//! What requests cost that are no messages, by the days of the zone.

use super::{config, store};
use botstore::Store;
use botstore::analytics::{AdminDashboard, UserDashboard};
use botstore::costs::{AddCost, DailyCost, DayTotal};
use botstore::interactions::SaveInteraction;
use botstore::testing::usd;
use chrono::{DateTime, NaiveDate, Utc};
use std::path::Path;

fn at(text: &str) -> DateTime<Utc> {
    botstore::time::parse(text).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn said(user_id: i64, time: &str) -> SaveInteraction {
    let said = SaveInteraction::new(user_id, format!("s-{user_id}-{time}"), "?").creating("/");
    said.cost(usd(1.0)).at(at(time))
}

/// In Tokyo, each evening of UTC is the next day. Told while all rows wait, and when they are counted.
#[tokio::test]
async fn dashboards_of_another_zone_have_the_costs_of_other_requests_on_their_days() {
    let (_folder, path) = store().await.into_file().await.unwrap();
    let tokyo = |path: &Path| config(path).time_zone("Asia/Tokyo");
    let store = Store::open(tokyo(&path)).await.unwrap();
    for (user_id, time) in [
        (1, "2026-03-08 14:59:59"),
        (1, "2026-03-08 15:00"),
        (2, "2026-03-09 01:00"),
    ] {
        store.write(said(user_id, time)).await.unwrap();
    }
    for (user_id, time, cost) in [
        // With a message on the same day, without one, and on a day without any message.
        (1, "2026-03-08 15:00", 0.25),
        (3, "2026-03-08 15:00:01", 0.5),
        (3, "2026-03-09 14:59:59.999999", 0.125),
        (1, "2026-03-09 15:00", 2.0),
        // Too long ago.
        (1, "2026-01-09 15:00", 64.0),
    ] {
        store
            .write(AddCost::new(user_id, usd(cost)).at(at(time)))
            .await
            .unwrap();
    }
    let check = async |store: &Store| {
        let shown = store.read(AdminDashboard::new()).await.unwrap();
        let expected = [
            DayTotal::new(day("2026-03-10"), usd(2.0), 1, 1),
            DayTotal::new(day("2026-03-09"), usd(2.875), 5, 3),
            DayTotal::new(day("2026-03-08"), usd(1.0), 1, 1),
        ];
        assert_eq!(shown.total_costs, expected);
        let short = store.read(AdminDashboard::new().days(2)).await.unwrap();
        assert_eq!(short.total_costs, expected[..2]);
        let one = store.read(UserDashboard::new(1)).await.unwrap().unwrap();
        let expected = [
            DailyCost::new(day("2026-03-10"), usd(2.0), 1),
            DailyCost::new(day("2026-03-09"), usd(1.25), 2),
            DailyCost::new(day("2026-03-08"), usd(1.0), 1),
        ];
        assert_eq!(one.daily_costs, expected);
        let three = store.read(UserDashboard::new(3)).await.unwrap().unwrap();
        assert_eq!(
            three.daily_costs,
            [DailyCost::new(day("2026-03-09"), usd(0.625), 2)]
        );
    };
    check(&store).await;
    store.close().await.unwrap();
    let store = Store::open(tokyo(&path)).await.unwrap();
    check(&store).await;
    store.close().await.unwrap();
    // The days of UTC are those of the daily costs, as before.
    let store = Store::open(config(&path).time_zone("UTC")).await.unwrap();
    crate::support::counted_anew(&store).await;
    let one = store.read(UserDashboard::new(1)).await.unwrap().unwrap();
    let expected = [
        DailyCost::new(day("2026-03-09"), usd(2.0), 1),
        DailyCost::new(day("2026-03-08"), usd(2.25), 3),
    ];
    assert_eq!(one.daily_costs, expected);
    store.close().await.unwrap();
}
