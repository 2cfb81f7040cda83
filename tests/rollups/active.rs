//! Users who were active in the last so many hours, and the last so many days that were active: as a plain count of
//! the messages says, in zones whose days have 23, 24 and 25 hours, and others.

use crate::support::{all, open_plain};
use crate::zones::time;
use botstore::analytics::{
    ActiveUsers, Activity, Bucket, Fill, MAX_DAYS, Span, SystemStats, UserActivity, UserStats,
};
use botstore::messages::{DeleteMessage, SaveMessage};
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::users::EnsureUser;
use botstore::{Config, Durability, ErrorKind, Store};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const USERS: i64 = 12;
const HOUR: Duration = Duration::from_secs(3600);

/// Each with a moment at which its clocks are set in a way of its own.
const ZONES: [(&str, &str); 9] = [
    ("UTC", "2026-03-20 00:00"),
    ("Europe/Berlin", "2026-03-29 01:00"),
    ("Europe/Berlin", "2026-10-25 01:00"),
    ("America/Sao_Paulo", "2018-02-18 02:00"),
    ("Asia/Beirut", "2026-03-28 22:00"),
    ("America/St_Johns", "2010-11-07 02:31"),
    ("Pacific/Apia", "2011-12-30 10:00"),
    ("Australia/Lord_Howe", "2026-04-04 15:00"),
    ("Pacific/Kiritimati", "2026-04-04 15:00"),
];

fn config(path: &Path, clock: &FixedClock, zone: &str) -> Config {
    let config = Config::new(path).clock(clock.clone()).time_zone(zone);
    config.durability(Durability::Normal)
}

/// Messages of all users at random times around this one, a part of them deleted.
async fn live(store: &Store, random: &mut fastrand::Rng, around: DateTime<Utc>, messages: u32) {
    for user_id in 1..=USERS {
        store.write(EnsureUser::new(user_id, None)).await.unwrap();
    }
    for _ in 0..messages {
        // A few hours around it are many times, and users come and go for days.
        let span = if random.bool() {
            4 * 3_600
        } else {
            20 * 86_400
        };
        let at = around + TimeDelta::seconds(random.i64(-span..=span)) + micros(random);
        let user_id = random.i64(1..=USERS).min(random.i64(1..=USERS));
        let session = format!("s-{}", random.u64(..));
        let save = SaveMessage::new(user_id, session, "?")
            .creating("/srv")
            .at(at);
        let saved = store.write(save).await.unwrap();
        if random.u8(0..8) == 0 {
            let delete = DeleteMessage::new(user_id, saved);
            store.write(delete).await.unwrap();
        }
    }
}

fn micros(random: &mut fastrand::Rng) -> TimeDelta {
    // Among them the last and the first of a second.
    TimeDelta::microseconds([0, 999_999, random.i64(0..1_000_000)][random.usize(0..3)])
}

/// How many users have a message after this moment, by a plain count.
fn counted(conn: &Connection, after: DateTime<Utc>) -> u64 {
    let sql = "SELECT count(DISTINCT user_id) FROM messages WHERE timestamp > ?1";
    let after = botstore::time::format(after);
    let count: i64 = conn.query_row(sql, [after], |row| row.get(0)).unwrap();
    count as u64
}

async fn compare_active(
    store: &Store,
    random: &mut fastrand::Rng,
    clock: &FixedClock,
    around: DateTime<Utc>,
) {
    let conn = open_plain(store.path());
    for n in 0..24 {
        // The span begins close to where the clocks are set, and anywhere.
        let spread = if n % 4 == 0 { 20 * 86_400 } else { 30 * 3_600 };
        let since = around + TimeDelta::seconds(random.i64(-spread..=spread)) + micros(random);
        let within = TimeDelta::seconds(random.i64(1..400 * 3_600));
        let (since, within) = match n % 2 {
            0 => (since, TimeDelta::hours(168)),
            _ => (since, within),
        };
        clock.set(since + within);
        let expected = counted(&conn, since);
        let ask = ActiveUsers::new(within.to_std().unwrap());
        let found = store.read(ask).await.unwrap();
        assert_eq!(found, expected, "{within} since {since}");
        if n % 2 == 0 {
            let stats = store.read(SystemStats::new()).await.unwrap();
            assert_eq!(stats.active_users_7d, expected, "since {since}");
        }
    }
}

#[tokio::test]
async fn users_are_active_to_the_microsecond_in_days_of_any_length() {
    for (seed, (zone, around)) in (1..).zip(ZONES) {
        let mut random = fastrand::Rng::with_seed(seed);
        let around = time(around);
        let clock = FixedClock::at(around + TimeDelta::days(60));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let store = Store::open(config(&path, &clock, zone)).await.unwrap();
        live(&store, &mut random, around, 120).await;
        // None is counted; then all are; then some are.
        compare_active(&store, &mut random, &clock, around).await;
        clock.set(around + TimeDelta::days(60));
        store.close().await.unwrap();
        let store = Store::open(config(&path, &clock, zone)).await.unwrap();
        compare_active(&store, &mut random, &clock, around).await;
        clock.set(around + TimeDelta::days(60));
        live(&store, &mut random, around, 40).await;
        compare_active(&store, &mut random, &clock, around).await;
        store.close().await.unwrap();
    }
}

/// Where the clock is set back at 00:01 to the day before, so that the 7th is a minute, then the 6th an hour, and then
/// the 7th again.
#[tokio::test]
async fn a_day_that_is_interrupted_is_no_whole_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    let config = || config(&path, &clock, "America/St_Johns");
    let mut store = Store::open(config()).await.unwrap();
    let said = ["02:29:50", "02:30:20", "02:45", "03:29:50", "03:30:10"];
    for (user_id, at) in (1..).zip(said) {
        let save = SaveMessage::new(user_id, format!("s-{user_id}"), "?").creating("/srv");
        let at = time(&format!("2010-11-07 {at}"));
        store.write(save.at(at)).await.unwrap();
    }
    for what in ["waiting", "counted"] {
        for (since, users) in [
            ("2010-11-06 12:00", 5),
            ("2010-11-07 02:29:40", 5),
            ("2010-11-07 02:29:55", 4),
            ("2010-11-07 02:30:10", 4),
            ("2010-11-07 02:30:30", 3),
            ("2010-11-07 02:40", 3),
            ("2010-11-07 02:50", 2),
            ("2010-11-07 03:29:55", 1),
            ("2010-11-07 03:30:20", 0),
        ] {
            clock.set(time(since) + 168 * HOUR);
            let found = store.read(ActiveUsers::new(168 * HOUR)).await.unwrap();
            assert_eq!(found, users, "{what}, since {since}");
        }
        store.close().await.unwrap();
        store = Store::open(config()).await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn spans_at_the_ends_of_the_calendar_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    let store = Store::open(config(&path, &clock, "Europe/Berlin"))
        .await
        .unwrap();
    let save = SaveMessage::new(1, "s", "?").creating("/srv");
    store.write(save).await.unwrap();
    let active = async |within| store.read(ActiveUsers::new(within)).await.unwrap();
    assert_eq!(active(Duration::ZERO).await, 0);
    // To the year 1, and before the calendar.
    for years in [2_024, 2_026, 2_030, 100_000] {
        assert_eq!(active(years * 365 * 24 * HOUR).await, 1, "{years}");
    }
    assert_eq!(active(Duration::MAX).await, 1);
    for (users, last) in [(1, "9999-12-30 12:00"), (2, "9999-12-31 23:59:59.999999")] {
        let last = time(last);
        clock.set(last);
        assert_eq!(active(10 * HOUR).await, 0, "{last}");
        assert_eq!(active(24 * 365 * 9_000 * HOUR).await, users, "{last}");
        let save = SaveMessage::new(2, format!("s-{last}"), "?").creating("/srv");
        store.write(save).await.unwrap();
        assert_eq!(active(HOUR).await, 1, "{last}");
    }
    store.close().await.unwrap();
}

/// The days with a message up to today, newest first: of all, or of one user.
fn active_days(
    conn: &Connection,
    zone: Tz,
    today: NaiveDate,
    user_id: Option<i64>,
) -> Vec<NaiveDate> {
    let sql = "SELECT timestamp FROM messages WHERE ?1 IS NULL OR user_id = ?1";
    let times: Vec<String> = all(conn, sql, [user_id], |row| row.get(0));
    let days = times
        .iter()
        .map(|at| time(at).with_timezone(&zone).date_naive());
    let days: BTreeSet<_> = days.filter(|day| *day <= today).collect();
    days.into_iter().rev().collect()
}

#[tokio::test]
async fn the_last_active_days_are_those_that_have_a_message() {
    for (seed, (name, around)) in (1..).zip(ZONES) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (zone, around): (Tz, _) = (name.parse().unwrap(), time(around));
        let clock = FixedClock::at(around + TimeDelta::days(60));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let mut store = Store::open(config(&path, &clock, name)).await.unwrap();
        for waiting in [true, false, true] {
            if waiting {
                clock.set(around + TimeDelta::days(60));
                live(&store, &mut random, around, 40).await;
            } else {
                store.close().await.unwrap();
                store = Store::open(config(&path, &clock, name)).await.unwrap();
            }
            let conn = open_plain(&path);
            for (days, ago) in [
                (1, 0),
                (3, 0),
                (30, 60),
                (30, 58),
                (7, 63),
                (5, 90),
                (MAX_DAYS, 0),
            ] {
                let now = around + TimeDelta::days(60 - ago);
                clock.set(now);
                let today = now.with_timezone(&zone).date_naive();
                let last = |user_id| {
                    let all = active_days(&conn, zone, today, user_id);
                    all.into_iter().take(days as usize).collect::<Vec<_>>()
                };
                let what = format!("{days} until {now} in {name}");
                let span = Span::LastActiveDays(days);
                let found = store.read(Activity::new(span)).await.unwrap();
                let found: Vec<_> = found.iter().rev().map(|day| day.from).collect();
                assert_eq!(found, last(None), "{what}");
                for user_id in [1, 5, USERS, 404] {
                    let expected = last(Some(user_id));
                    let activity = store.read(UserActivity::new(user_id, span)).await.unwrap();
                    let found: Vec<_> = activity.iter().rev().map(|day| day.from).collect();
                    assert_eq!(found, expected, "{what}: user {user_id}");
                    let stats = UserStats::new(user_id).span(span);
                    let stats = store.read(stats).await.unwrap();
                    let found: Vec<_> = stats.daily_usage.iter().map(|day| day.date).collect();
                    assert_eq!(found, expected, "{what}: user {user_id}");
                }
            }
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn active_days_go_back_as_far_as_there_are_any_and_are_filled_for_ten_years() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    let store = Store::open(config(&path, &clock, "UTC")).await.unwrap();
    for (n, at) in ["1970-01-02 00:00", "1990-07-01 12:00", "2026-03-10 12:00"]
        .iter()
        .enumerate()
    {
        let save = SaveMessage::new(1, format!("s-{n}"), "?").creating("/srv");
        store.write(save.at(time(at))).await.unwrap();
    }
    let ask = async |days, by, gaps| {
        let span = Span::LastActiveDays(days);
        let all = store.read(Activity::new(span).by(by).gaps(gaps)).await;
        let one = UserActivity::new(1, span).by(by).gaps(gaps);
        let one = store.read(one).await;
        assert_eq!(all.is_ok(), one.is_ok());
        all.map(|days| {
            assert_eq!(days, one.unwrap());
            days.iter()
                .map(|day| day.from.to_string())
                .collect::<Vec<_>>()
        })
    };
    let days = ask(30, Bucket::Day, Fill::Omit).await.unwrap();
    assert_eq!(days, ["1970-01-02", "1990-07-01", "2026-03-10"]);
    assert_eq!(ask(2, Bucket::Day, Fill::Omit).await.unwrap(), days[1..]);
    let weeks = ask(2, Bucket::Week, Fill::Omit).await.unwrap();
    assert_eq!(weeks, ["1990-07-01", "2026-03-09"]);
    assert_eq!(ask(1, Bucket::Day, Fill::Fill).await.unwrap(), days[2..]);
    for (days, gaps) in [(0, Fill::Omit), (MAX_DAYS + 1, Fill::Omit), (2, Fill::Fill)] {
        let error = ask(days, Bucket::Day, gaps).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("span"))
        );
    }
    let stats = UserStats::new(1).span(Span::LastActiveDays(0));
    let error = store.read(stats).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Invalid, Some("span"))
    );
    store.close().await.unwrap();
}
