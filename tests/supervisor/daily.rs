//! Schedules at a time of day: once a day, in the day of the file, and late rather than never.

use crate::common::{Numbers, Probe, Put, probe_store};
use crate::{DAY, HOUR, at_no_risk, counting, runs, settled};
use botstore::testing::FixedClock;
use botstore::time::Clock;
use botstore::{Config, ErrorKind, Store};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn at(hour: u32, minute: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, minute, 0).unwrap()
}

/// The clock's own start is 15:30 UTC.
fn time(text: &str) -> DateTime<Utc> {
    botstore::time::parse(text).unwrap()
}

#[tokio::test]
async fn it_runs_at_that_time_of_the_stores_day_each_day() {
    // Behind and ahead of UTC, by more than half a day, over the turn of the day, and not in whole hours.
    for (zone, at, first) in [
        ("UTC", at(9, 0), "2026-03-11 09:00"),
        ("UTC", at(15, 30), "2026-03-11 15:30"),
        ("UTC", at(15, 31), "2026-03-10 15:31"),
        ("UTC", at(0, 0), "2026-03-11 00:00"),
        ("+05:45", at(9, 0), "2026-03-11 03:15"),
        ("+05:45", at(21, 14), "2026-03-11 15:29"),
        ("+05:45", at(21, 16), "2026-03-10 15:31"),
        ("-12:00", at(3, 0), "2026-03-11 15:00"),
        ("Pacific/Kiritimati", at(6, 0), "2026-03-10 16:00"),
    ] {
        let configure = |config: Config| config.time_zone(zone).daily_at(at, counting());
        let store = probe_store(configure).await;
        store.clock().advance_to(time(first) - SECOND);
        settled(&store).await;
        assert_eq!(runs(&store).await, 0, "{zone} {at}");
        for run in 1..=3 {
            store.clock().advance(SECOND);
            settled(&store).await;
            settled(&store).await;
            assert_eq!(runs(&store).await, run, "{zone} {at}");
            store.clock().advance(DAY - SECOND);
            settled(&store).await;
            assert_eq!(runs(&store).await, run, "{zone} {at}");
        }
    }
}

/// Days on which clocks are set: by an hour, by half of one, at midnight, at the end of a day; and one that a zone
/// left out.
#[tokio::test]
async fn it_runs_once_on_each_day_of_a_zone_whose_clocks_are_set() {
    for (zone, at, from, ran) in [
        (
            "Europe/Berlin",
            at(2, 30),
            "2026-03-28 00:00",
            ["28 02:30 CET", "29 03:00 CEST", "30 02:30 CEST"],
        ),
        (
            "Europe/Berlin",
            at(2, 30),
            "2026-10-24 00:00",
            ["24 02:30 CEST", "25 02:30 CEST", "26 02:30 CET"],
        ),
        (
            "Australia/Lord_Howe",
            at(2, 0),
            "2026-10-02 12:00",
            ["03 02:00 +1030", "04 02:30 +11", "05 02:00 +11"],
        ),
        (
            "Australia/Lord_Howe",
            at(1, 30),
            "2026-04-03 16:00",
            ["05 01:30 +11", "06 01:30 +1030", "07 01:30 +1030"],
        ),
        (
            "Asia/Beirut",
            at(0, 0),
            "2026-03-27 23:00",
            ["29 01:00 EEST", "30 00:00 EEST", "31 00:00 EEST"],
        ),
        (
            "Asia/Beirut",
            at(23, 30),
            "2026-10-24 00:00",
            ["24 23:30 EEST", "25 23:30 EET", "26 23:30 EET"],
        ),
        (
            "America/St_Johns",
            at(0, 0),
            "2010-11-06 12:00",
            ["07 00:00 NDT", "08 00:00 NST", "09 00:00 NST"],
        ),
        (
            "Pacific/Apia",
            at(9, 0),
            "2011-12-28 20:00",
            ["29 09:00 -10", "31 09:00 +14", "01 09:00 +14"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let clock = FixedClock::at(time(from));
        let config = at_no_risk(&path, &clock).schema::<Probe>();
        let config = config.time_zone(zone).daily_at(at, counting());
        let store = Store::open(config).await.unwrap();
        settled(&store).await;
        let zoned: chrono_tz::Tz = zone.parse().unwrap();
        let mut told = Vec::new();
        while told.len() < ran.len() && clock.now() < time(from) + TimeDelta::days(6) {
            let before = runs(&store).await;
            clock.advance_to(clock.now() + TimeDelta::minutes(30));
            settled(&store).await;
            settled(&store).await;
            let now = clock.now().with_timezone(&zoned);
            for _ in before..runs(&store).await {
                told.push(now.format("%d %H:%M %Z").to_string());
            }
        }
        assert_eq!(told, ran, "{zone}");
        store.close().await.unwrap();
    }
}

async fn daily(path: &Path, clock: &FixedClock, time: NaiveTime, zone: Option<&str>) -> Store {
    let config = at_no_risk(path, clock).schema::<Probe>();
    let now = clock.now().timestamp();
    let config = config.daily_at_named("daily", time, move || Put::new(now));
    let store = Store::open(match zone {
        Some(zone) => config.time_zone(zone),
        None => config,
    });
    let store = store.await.unwrap();
    settled(&store).await;
    store
}

#[tokio::test]
async fn a_bot_that_restarts_runs_it_daily_and_what_was_missed_once_and_late_and_the_next_in_time()
{
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::at(time("2026-03-10 08:30"));
    let mut ran = Vec::new();
    // Down from 08:00 of the 12th to 13:00 of the 14th.
    for hour in (0..144).step_by(3) {
        let now = time("2026-03-10 08:30") + TimeDelta::hours(hour);
        clock.advance_to(now);
        if now > time("2026-03-12 08:00") && now < time("2026-03-14 13:00") {
            continue;
        }
        let store = daily(&path, &clock, at(9, 0), None).await;
        let numbers = store.read(Numbers).await.unwrap();
        if numbers.len() > ran.len() {
            ran.push(now.format("%d %H:%M").to_string());
        }
        assert_eq!(numbers.len(), ran.len(), "twice at {now}");
        store.close().await.unwrap();
    }
    assert_eq!(ran, ["10 11:30", "11 11:30", "14 14:30", "15 11:30"]);
}

#[tokio::test]
async fn the_day_is_the_files_where_the_settings_do_not_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::at(time("2026-03-10 05:00"));
    let there = Some("+03:00");
    daily(&path, &clock, at(9, 0), there)
        .await
        .close()
        .await
        .unwrap();
    for (now, expected) in [
        ("2026-03-10 05:59", 0),
        ("2026-03-10 06:00", 1),
        ("2026-03-10 09:00", 1),
    ] {
        clock.advance_to(time(now));
        let store = daily(&path, &clock, at(9, 0), None).await;
        assert_eq!(runs(&store).await, expected, "{now}");
        store.close().await.unwrap();
    }
    // Another time of day is from now on: later today, it runs today as well.
    clock.advance_to(time("2026-03-10 15:00"));
    let store = daily(&path, &clock, at(18, 0), None).await;
    assert_eq!(runs(&store).await, 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn one_that_fails_is_tried_again_after_a_minute_and_the_next_is_in_time() {
    // Two of one number: the second does not fit beside the first, until that is gone.
    let store = probe_store(|config| config.daily_at(at(16, 0), || Put::new(1))).await;
    store.write(Put::new(1)).await.unwrap();
    store.clock().advance_to(time("2026-03-10 16:00"));
    settled(&store).await;
    crate::plainly(store.path(), |conn| {
        conn.execute("DELETE FROM probe", []).unwrap();
    });
    store.clock().advance(59 * SECOND);
    settled(&store).await;
    assert_eq!(runs(&store).await, 0);
    store.clock().advance(SECOND);
    settled(&store).await;
    assert_eq!(runs(&store).await, 1);
    crate::plainly(store.path(), |conn| {
        conn.execute("DELETE FROM probe", []).unwrap();
    });
    store.clock().advance_to(time("2026-03-11 16:00"));
    settled(&store).await;
    assert_eq!(runs(&store).await, 1, "at its time, and not a minute later");
}

#[tokio::test]
async fn a_clock_that_was_set_does_not_put_it_off() {
    let store = probe_store(|config| config.daily_at(at(16, 0), counting())).await;
    let right = store.now();
    // Years ahead for a moment: it runs then, once.
    store.clock().set(right + TimeDelta::days(3_650));
    settled(&store).await;
    settled(&store).await;
    assert_eq!(runs(&store).await, 1);
    store.clock().set(right);
    settled(&store).await;
    assert_eq!(runs(&store).await, 1);
    for expected in [2, 3] {
        store.clock().advance(DAY);
        settled(&store).await;
        assert_eq!(runs(&store).await, expected);
    }
    // Years back.
    store.clock().set(right - TimeDelta::days(3_650));
    settled(&store).await;
    store.clock().advance(HOUR);
    settled(&store).await;
    assert_eq!(runs(&store).await, 4);
}

#[tokio::test]
async fn a_name_is_one_whether_it_is_daily_or_each_so_often() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path().join("bot.db")).schema::<Probe>();
    let config = config.every(HOUR, || Put::new(1));
    let error = Store::open(config.clone().daily_at(at(9, 0), || Put::new(2))).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("daily_at_named"), "{error}");
    let config = config.daily_at_named("daily", at(9, 0), || Put::new(2));
    Store::open(config).await.unwrap().close().await.unwrap();
}
