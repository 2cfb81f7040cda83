use crate::support::{
    ADA, BOB, DAY, MICRO, STRANGER, at, fill, picture, populated, refused, survives_json, user,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::costs::{AddCost, DailyCost, DayTotal, TotalCosts, UserDailyCosts};
use botstore::messages::SaveMessage;
use botstore::testing::TestStore;
use botstore::testing::usd;
use chrono::NaiveDate;

async fn add(store: &TestStore, user_id: i64, cost: f64) {
    store
        .write(AddCost::new(user_id, usd(cost)))
        .await
        .expect("a day");
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn cost(day: &str, daily_cost: f64, request_count: u64) -> DailyCost {
    DailyCost::new(date(day), usd(daily_cost), request_count)
}

fn total(day: &str, total_cost: f64, total_requests: u64, active_users: u64) -> DayTotal {
    DayTotal::new(date(day), usd(total_cost), total_requests, active_users)
}

async fn of(store: &TestStore, user_id: i64, days: u32) -> Vec<DailyCost> {
    let ask = UserDailyCosts::new(user_id, days);
    store.read(ask).await.expect("costs")
}

async fn of_all(store: &TestStore, days: u32) -> Vec<DayTotal> {
    store.read(TotalCosts::new(days)).await.expect("costs")
}

#[tokio::test]
async fn a_cost_is_added_to_the_day_and_not_to_the_user() {
    let store = populated().await;
    let ada = user(&store, ADA).await;
    add(&store, ADA, 0.25).await;
    add(&store, ADA, 0.0).await;
    add(&store, ADA, 0.5).await;
    add(&store, BOB, 2.0).await;
    assert_eq!(of(&store, ADA, 0).await, [cost("2026-03-10", 0.75, 3)]);
    assert_eq!(of(&store, BOB, 0).await, [cost("2026-03-10", 2.0, 1)]);
    assert_eq!(of(&store, STRANGER, 0).await, []);
    let all = [total("2026-03-10", 2.75, 4, 2)];
    assert_eq!(of_all(&store, 0).await, all);
    assert_eq!(user(&store, ADA).await, ada);
    // Messages go to the same day.
    let message = SaveMessage::new(ADA, "ada-1", "").cost(usd(1.0));
    store.write(message).await.expect("an id");
    assert_eq!(of(&store, ADA, 0).await, [cost("2026-03-10", 1.75, 4)]);
}

#[tokio::test]
async fn a_cost_that_is_refused_leaves_no_trace() {
    let store = populated().await;
    add(&store, ADA, 0.25).await;
    let stranger = AddCost::new(STRANGER, usd(1.0));
    refused(&store, stranger, NotFound, "user_id").await;
    for cost in [-0.01, f64::NEG_INFINITY, 1e9 + 0.01, f64::INFINITY] {
        let (ada, nobody) = (ADA, STRANGER);
        for user_id in [ada, nobody] {
            let wrong = AddCost::new(user_id, usd(cost));
            refused(&store, wrong, Invalid, "cost").await;
        }
    }
}

#[tokio::test]
async fn a_day_begins_at_midnight_utc() {
    let store = populated().await;
    // The turns of a day, of a month, of a year, and of a leap day.
    for midnight in [
        "2026-03-11T00:00:00Z",
        "2026-04-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2028-03-01T00:00:00Z",
    ] {
        let midnight = at(midnight);
        store.clock().set(midnight - MICRO);
        add(&store, ADA, 0.5).await;
        store.clock().advance(MICRO);
        add(&store, ADA, 0.25).await;
        add(&store, ADA, 0.25).await;
        let costs = of(&store, ADA, 1).await;
        let day = |at: chrono::DateTime<chrono::Utc>| at.date_naive().to_string();
        let today = cost(&day(midnight), 0.5, 2);
        assert_eq!(costs[0], today);
        assert_eq!(costs[1].date.to_string(), day(midnight - DAY));
        assert_eq!(of(&store, ADA, 0).await, [today]);
    }
    // On 29 February 2028 came both the two of its midnight and the one before the next.
    let february = of(&store, ADA, 1).await;
    assert_eq!(february[1], cost("2028-02-29", 1.0, 3));
}

#[tokio::test]
async fn costs_are_those_of_today_and_so_many_days_before_newest_first() {
    let store = populated().await;
    // The 1st, 3rd and 5th of May; on the 3rd of both.
    for day in ["01T23:59:59", "03T12:00:00", "05T00:00:00"] {
        store.clock().set(at(&format!("2026-05-{day}Z")));
        add(&store, ADA, 1.0).await;
    }
    store.clock().set(at("2026-05-03T00:00:00Z"));
    add(&store, BOB, 0.5).await;
    store.clock().set(at("2026-05-05T18:00:00Z"));
    let days = [
        cost("2026-05-05", 1.0, 1),
        cost("2026-05-03", 1.0, 1),
        cost("2026-05-01", 1.0, 1),
    ];
    let totals = [
        total("2026-05-05", 1.0, 1, 1),
        total("2026-05-03", 1.5, 2, 2),
        total("2026-05-01", 1.0, 1, 1),
    ];
    for (back, expected) in [
        (0, 1),
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 3),
        (30, 3),
        (u32::MAX, 3),
    ] {
        assert_eq!(of(&store, ADA, back).await, days[..expected], "{back}");
        assert_eq!(of_all(&store, back).await, totals[..expected], "{back}");
    }
}

#[tokio::test]
async fn at_most_a_thousand_days_are_told() {
    let store = populated().await;
    let columns = "cost_tracking (user_id, date, daily_cost, request_count)";
    let days = "1, date('2026-03-10', printf('-%d days', i - 1)), 0.5, 1";
    fill(&store, columns, days).await;
    for days in [999, 1_000, u32::MAX] {
        let (ada, all) = (of(&store, ADA, days).await, of_all(&store, days).await);
        assert_eq!((ada.len(), all.len()), (1_000, 1_000), "{days}");
        assert_eq!(
            (ada[0].date, all[0].date),
            (date("2026-03-10"), date("2026-03-10"))
        );
        assert!(ada.is_sorted_by(|a, b| a.date > b.date));
    }
    assert_eq!(picture(&store).await["cost_tracking"].len(), 1_005);
}

#[tokio::test]
async fn costs_and_their_messages_survive_json() {
    survives_json(&cost("2026-05-05", 0.1 + 0.2, 3));
    survives_json(&total("2028-02-29", 1e9, u64::MAX, 2));
    // Whatever the amount: every digit of it.
    for i in 1..500_u32 {
        let cost = f64::from(i).sqrt() / 7.0;
        survives_json(&AddCost::new(ADA, usd(cost)));
    }
    survives_json(&UserDailyCosts::new(ADA, 30));
    survives_json(&TotalCosts::new(u32::MAX));
}
