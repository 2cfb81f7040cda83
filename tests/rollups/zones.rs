//! Days of a named zone: with 23 and 25 hours, beginning at 01:00, left out.

use crate::histories::histories;
use crate::support::counted_anew;
use botstore::analytics::{
    Activity, AdminDashboard, DailyActivity, Span, SystemStats, UserDashboard,
};
use botstore::interactions::SaveInteraction;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::Connection;
use botstore::testing::{FixedClock, usd};
use botstore::{Config, Durability, Store};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    botstore::time::parse(text).unwrap()
}

pub(crate) fn config(path: &Path, now: &str) -> Config {
    let config = Config::new(path).clock(FixedClock::at(time(now)));
    config.durability(Durability::Normal)
}

/// In a session of its own: one brings its messages along in their order.
pub(crate) fn said(at: DateTime<Utc>) -> SaveInteraction {
    let session = format!("s-{}", at.timestamp_micros());
    let said = SaveInteraction::new(1, session, "?").creating("/srv");
    said.cost(usd(0.25)).at(at)
}

/// The days from first to last, with their messages.
async fn days(store: &Store, from: NaiveDate, to: NaiveDate) -> BTreeMap<NaiveDate, u64> {
    let span = Span::Between { from, to };
    let days = store.read(Activity::new(span)).await.unwrap();
    days.iter().map(|day| (day.from, day.messages)).collect()
}

pub(crate) async fn is_exact(store: &Store, what: &str) {
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, 0, "{what}: {:?}", report.named);
}

/// Runs SQL in a file that no store has open.
pub(crate) fn by_hand(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn each_message_is_counted_on_the_day_that_its_zone_had_then() {
    for (zone, messages) in [
        (
            "Europe/Berlin",
            &[
                // Winter and summer, and the days on which the clocks are set.
                ("2026-03-27 22:59:59.999999", "2026-03-27"),
                ("2026-03-27 23:00", "2026-03-28"),
                ("2026-03-28 23:00", "2026-03-29"),
                ("2026-03-29 21:59:59.999999", "2026-03-29"),
                // 00:30 on the 30th, in summer time.
                ("2026-03-29 22:30", "2026-03-30"),
                ("2026-10-24 22:00", "2026-10-25"),
                ("2026-10-25 22:59:59.999999", "2026-10-25"),
                ("2026-10-25 23:00", "2026-10-26"),
            ][..],
        ),
        (
            "America/Sao_Paulo",
            &[
                // The 4th of November 2018 began at 01:00; the 17th of February had 23:00 twice.
                ("2018-11-04 02:59:59", "2018-11-03"),
                ("2018-11-04 03:00", "2018-11-04"),
                ("2018-02-18 01:30", "2018-02-17"),
                ("2018-02-18 02:30", "2018-02-17"),
                ("2018-02-18 03:00", "2018-02-18"),
            ],
        ),
        (
            "Asia/Beirut",
            &[
                ("2026-03-28 21:59:59", "2026-03-28"),
                ("2026-03-28 22:00", "2026-03-29"),
                ("2026-10-24 21:00", "2026-10-24"),
                ("2026-10-24 22:00", "2026-10-25"),
            ],
        ),
        // No 30th of December.
        (
            "Pacific/Apia",
            &[
                ("2011-12-30 09:59:59", "2011-12-29"),
                ("2011-12-30 10:00", "2011-12-31"),
            ],
        ),
        // Set back at 00:01 to the day before.
        (
            "America/St_Johns",
            &[
                ("2010-11-07 02:30", "2010-11-07"),
                ("2010-11-07 02:31", "2010-11-06"),
                ("2010-11-07 03:30", "2010-11-07"),
            ],
        ),
        (
            "Australia/Lord_Howe",
            &[
                ("2026-10-03 13:29:59", "2026-10-03"),
                ("2026-10-03 13:30", "2026-10-04"),
                ("2026-10-04 12:59:59", "2026-10-04"),
                ("2026-10-04 13:00", "2026-10-05"),
            ],
        ),
        // 44 minutes and 30 seconds behind UTC, until 1972.
        (
            "Africa/Monrovia",
            &[
                ("1971-06-01 00:44:29", "1971-05-31"),
                ("1971-06-01 00:44:30", "1971-06-01"),
                ("1973-06-01 00:00", "1973-06-01"),
            ],
        ),
        (
            "+05:45",
            &[
                ("2026-03-10 18:14", "2026-03-10"),
                ("2026-03-10 18:15", "2026-03-11"),
            ],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let config = || config(&path, "2026-11-26 12:00").time_zone(zone);
        let store = Store::open(config()).await.unwrap();
        let mut expected = BTreeMap::new();
        for (at, day) in messages {
            store.write(said(time(at))).await.unwrap();
            *expected
                .entry(day.parse::<NaiveDate>().unwrap())
                .or_insert(0) += 1;
        }
        let span = (
            *expected.keys().min().unwrap(),
            *expected.keys().max().unwrap(),
        );
        assert_eq!(
            days(&store, span.0, span.1).await,
            expected,
            "{zone}, waiting"
        );
        store.close().await.unwrap();
        let store = Store::open(config()).await.unwrap();
        assert_eq!(
            days(&store, span.0, span.1).await,
            expected,
            "{zone}, counted"
        );
        is_exact(&store, zone).await;
        // Each is taken away where it was counted, by another program too.
        by_hand(
            &path,
            "DELETE FROM messages WHERE message_id = 1; UPDATE messages SET cost = 1",
        );
        is_exact(&store, zone).await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_days_around_now_and_those_of_a_dashboard_are_of_one_zone() {
    for (zone, now, today) in [
        ("UTC", "2026-07-10 23:30", "2026-07-10"),
        ("Europe/Berlin", "2026-07-10 22:30", "2026-07-11"),
        ("Europe/Berlin", "2026-12-10 22:30", "2026-12-10"),
        ("+02:00", "2026-12-10 23:30", "2026-12-11"),
        ("America/New_York", "2026-07-11 03:30", "2026-07-10"),
        ("Pacific/Kiritimati", "2026-07-10 10:00", "2026-07-11"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("bot.db"), now).time_zone(zone);
        let store = Store::open(config).await.unwrap();
        let said = SaveInteraction::new(1, "s", "?").creating("/srv");
        store.write(said.cost(usd(0.25))).await.unwrap();
        let today: NaiveDate = today.parse().unwrap();
        let activity = store.read(DailyActivity::new(0)).await.unwrap();
        assert_eq!(activity.len(), 1, "{zone}");
        assert_eq!(activity[0].date, today, "{zone}");
        let admin = store.read(AdminDashboard::new()).await.unwrap();
        assert_eq!(admin.stats.time_zone, zone);
        assert_eq!(admin.stats.daily_activity[0].date, today, "{zone}");
        assert_eq!(admin.total_costs.len(), 1, "{zone}");
        let cost = &admin.total_costs[0];
        assert_eq!((cost.date, cost.total_cost), (today, usd(0.25)), "{zone}");
        assert_eq!((cost.total_requests, cost.active_users), (1, 1), "{zone}");
        let user = store.read(UserDashboard::new(1)).await.unwrap().unwrap();
        assert_eq!(user.stats.time_zone, zone);
        assert_eq!(user.stats.daily_usage[0].date, today, "{zone}");
        assert_eq!(user.daily_costs.len(), 1, "{zone}");
        let cost = &user.daily_costs[0];
        assert_eq!((cost.date, cost.daily_cost), (today, usd(0.25)), "{zone}");
        assert_eq!(cost.request_count, 1, "{zone}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn another_zone_counts_anew_and_the_file_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let now = "2026-07-20 12:00";
    let store = Store::open(config(&path, now)).await.unwrap();
    for at in ["2026-01-10 23:30", "2026-07-10 22:30", "2026-07-10 12:00"] {
        store.write(said(time(at))).await.unwrap();
    }
    store.close().await.unwrap();
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let (from, to) = (day("2026-01-01"), day("2026-12-31"));
    for (zone, kept, expected) in [
        (None, "UTC", ["2026-01-10", "2026-07-10", "2026-07-10"]),
        (
            Some("Europe/Berlin"),
            "Europe/Berlin",
            ["2026-01-11", "2026-07-11", "2026-07-10"],
        ),
        (
            None,
            "Europe/Berlin",
            ["2026-01-11", "2026-07-11", "2026-07-10"],
        ),
        // Another name of the same zone.
        (
            Some("Arctic/Longyearbyen"),
            "Arctic/Longyearbyen",
            ["2026-01-11", "2026-07-11", "2026-07-10"],
        ),
        (
            Some("+01:00"),
            "+01:00",
            ["2026-01-11", "2026-07-10", "2026-07-10"],
        ),
        (None, "+01:00", ["2026-01-11", "2026-07-10", "2026-07-10"]),
        (
            Some("UTC"),
            "UTC",
            ["2026-01-10", "2026-07-10", "2026-07-10"],
        ),
    ] {
        let config = config(&path, now);
        let store = Store::open(match zone {
            Some(zone) => config.time_zone(zone),
            None => config,
        });
        let store = store.await.unwrap();
        counted_anew(&store).await;
        let mut counts = BTreeMap::new();
        for due in expected {
            *counts.entry(day(due)).or_insert(0) += 1;
        }
        assert_eq!(days(&store, from, to).await, counts, "{zone:?}");
        let stats = store.read(SystemStats::new()).await.unwrap();
        assert_eq!(stats.time_zone, kept);
        is_exact(&store, kept).await;
        store.close().await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(10)))]
    /// The file's rows mean what the zone's own clock shows, whichever zone and time.
    #[test]
    fn the_day_of_any_time_is_that_of_the_zones_clock(
        zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
        start in 0_i64..3_800_000_000,
        later in prop::collection::vec((0_i64..300_000_000, any::<bool>()), 1..40),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("bot.db");
            let now = DateTime::from_timestamp(start + 310_000_000, 0).unwrap();
            let config = Config::new(&path).clock(FixedClock::at(now)).durability(Durability::Normal);
            let store = Store::open(config.clone().time_zone(zone.name())).await.unwrap();
            let mut expected = BTreeMap::new();
            for (later, by_hand) in later {
                let mut at = DateTime::from_timestamp(start + later, 0).unwrap();
                if by_hand {
                    // A second before midnight, there.
                    at = before_midnight(at, zone);
                }
                if at >= DateTime::UNIX_EPOCH {
                    store.write(said(at)).await.unwrap();
                    *expected.entry(at.with_timezone(&zone).date_naive()).or_insert(0) += 1;
                }
            }
            let (from, to) = (expected.keys().min().copied(), expected.keys().max().copied());
            if let (Some(from), Some(to)) = (from, to) {
                assert_eq!(days(&store, from, to).await, expected, "{zone}");
                store.close().await.unwrap();
                let store = Store::open(config).await.unwrap();
                assert_eq!(days(&store, from, to).await, expected, "{zone}, counted");
                is_exact(&store, zone.name()).await;
                store.close().await.unwrap();
            }
        });
    }
}

/// The last second of the day before, or near it.
fn before_midnight(at: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    use chrono::{TimeDelta, Timelike};
    let shown = at.with_timezone(&zone);
    assert!(shown.year() >= 1969);
    at - TimeDelta::seconds(i64::from(shown.num_seconds_from_midnight()) + 1)
}
