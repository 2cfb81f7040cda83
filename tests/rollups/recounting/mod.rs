//! Another zone is counted while the store is open: until that is done, answers come whole from the sums by the zone
//! before; then they come whole from the new ones.

mod any_sql;
mod broken;
mod held;

use crate::pieces::{one, other, with_all_steps};
use crate::support::{compare, counted_anew};
use crate::usage::recount::compare_usage;
use crate::wait::until;
use botstore::analytics::{Activity, Span, SystemStats, TimeZone};
use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Per, Scope, SetLimit, UserBudget};
use botstore::messages::DeleteMessage;
use botstore::rollups::ReconcileRollups;
use botstore::testing::{FixedClock, usd};
use botstore::{BeforeUpgrade, Config, Durability, Store, schema};
use chrono::NaiveDate;
use held::{Held, SOME_MESSAGES, generations, hold, left_over, rank, release, until_held};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tempfile::TempDir;

const NOTHING: i64 = i64::MIN;

const NOT_BEGUN: Held = Held {
    messages: NOTHING,
    requests: NOTHING,
};

/// After the first piece of messages.
const IN_MESSAGES: Held = Held {
    messages: SOME_MESSAGES,
    requests: NOTHING,
};

/// A file of 1,600 messages, most of them with a usage, and of some other requests, all counted by UTC.
fn counted() -> (TempDir, PathBuf) {
    let (folder, path) = with_all_steps();
    let sql = "INSERT INTO botstore_usage (usage_id, user_id, at, request_model, input_tokens, cost_nanos)
                   SELECT message_id, user_id, timestamp, 'm' || message_id % 3, message_id, 250000000
                   FROM messages WHERE message_id % 7 > 0;
               INSERT INTO botstore_usage (usage_id, user_id, at, cost_nanos)
                   SELECT -message_id, user_id, timestamp, 1000 FROM messages WHERE message_id <= 40;";
    other(&path).execute_batch(sql).unwrap();
    (folder, path)
}

fn config(path: &Path) -> Config {
    let config = Config::new(path).durability(Durability::Normal);
    let clock = FixedClock::at(botstore::time::parse("2025-04-15 12:00:00").unwrap());
    config.before_upgrade(BeforeUpgrade::Skip).clock(clock)
}

/// Opens and closes the file, so that all its rows are counted.
async fn settle(path: &Path) {
    let store = Store::open(config(path)).await.unwrap();
    store.close().await.unwrap();
}

async fn exact(store: &Store, offset: i64, what: &str) {
    compare(store, offset).await;
    compare_usage(store, offset, &what).await;
}

/// What a program that looks at the file beside the store, or without one, is told: by whose days.
#[track_caller]
fn looked_at(path: &Path) -> String {
    let looked = botstore::snapshot(config(path), |tx| {
        let report = tx.query(&ReconcileRollups::new())?;
        assert_eq!(report.differences, 0, "{:?}", report.named);
        Ok(tx.query(&SystemStats::new())?.time_zone)
    });
    looked.unwrap()
}

#[tokio::test]
async fn answers_come_whole_from_the_sums_of_before_until_all_rows_are_counted() {
    let (_folder, path) = counted();
    settle(&path).await;
    let all = one(&other(&path), "SELECT max(message_id) FROM messages");
    for held in [
        NOT_BEGUN,
        IN_MESSAGES,
        // The newest of the other requests are the first.
        Held {
            messages: all,
            requests: NOTHING,
        },
        Held {
            messages: all,
            requests: -25,
        },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("bot.db");
        std::fs::copy(&path, &copy).unwrap();
        hold(&copy, held);
        let store = Store::open(config(&copy).time_zone("+05:30"))
            .await
            .unwrap();
        until_held(&copy, held).await;
        assert_eq!(store.read(TimeZone::new()).await.unwrap(), "UTC");
        let health = store.health().await.unwrap();
        assert_eq!(health.next_time_zone.as_deref(), Some("+05:30"));
        assert!(health.ok);
        exact(&store, 0, "held").await;
        assert_eq!(looked_at(&copy), "UTC");
        // What is said, taken back and changed meanwhile is counted by both.
        for number in 0..20 {
            let said = SaveInteraction::new(number % 8, format!("n-{number}"), "?");
            let said = said.creating("/srv").cost(usd(0.125));
            store.write(said).await.unwrap();
        }
        for message in [1, 16, 17, 800, all + 3] {
            let sql = format!("SELECT user_id FROM messages WHERE message_id = {message}");
            let user = one(&other(&copy), &sql);
            store
                .write(DeleteMessage::new(user, message))
                .await
                .unwrap();
        }
        let moved = "UPDATE messages SET timestamp = '2025-03-01T20:00:00.000000+00:00'
                     WHERE message_id IN (2, 15, 18, 900);
                     UPDATE botstore_usage SET at = '2025-03-01T20:00:00.000000+00:00', request_model = 'x'
                     WHERE usage_id IN (-30, -20, 2, 900)";
        other(&copy).execute_batch(moved).unwrap();
        exact(&store, 0, "held, and changed").await;
        assert_eq!(store.read(TimeZone::new()).await.unwrap(), "UTC");
        store.close().await.unwrap();
        assert_eq!(looked_at(&copy), "UTC");
        // Nor do a tool's functions go on with it, or anything else.
        schema::apply(config(&copy)).unwrap();
        schema::apply(config(&copy).time_zone("Asia/Tokyo")).unwrap();
        assert_eq!(rank(&copy), Some([held.messages, held.requests]));
        release(&copy);
        let store = Store::open(config(&copy)).await.unwrap();
        counted_anew(&store).await;
        assert_eq!(store.read(TimeZone::new()).await.unwrap(), "+05:30");
        exact(&store, 330, "counted").await;
        assert_eq!(looked_at(&copy), "+05:30");
        nothing_is_left(&copy).await;
        store.close().await.unwrap();
    }
}

/// Waits until the counts of before are removed.
async fn nothing_is_left(path: &Path) {
    let conn = other(path);
    until("they are gone", async || left_over(&conn) == 0).await;
    assert_eq!(generations(path).len(), 1);
}

/// The days on which the clocks are set have 23 and 25 hours, before and after.
#[tokio::test]
async fn the_days_of_each_zone_are_whole_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let times = [
        ("2025-03-29 22:59:59", ["2025-03-29", "2025-03-29"]),
        ("2025-03-29 23:00:00", ["2025-03-29", "2025-03-30"]),
        ("2025-03-30 21:59:59", ["2025-03-30", "2025-03-30"]),
        ("2025-03-30 22:00:00", ["2025-03-30", "2025-03-31"]),
        ("2024-10-26 21:59:59", ["2024-10-26", "2024-10-26"]),
        ("2024-10-26 22:00:00", ["2024-10-26", "2024-10-27"]),
        ("2024-10-27 22:59:59", ["2024-10-27", "2024-10-27"]),
        ("2024-10-27 23:00:00", ["2024-10-27", "2024-10-28"]),
    ];
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let expected = |of: usize| {
        let mut days = BTreeMap::new();
        for (_, due) in times {
            *days.entry(day(due[of])).or_insert(0) += 1;
        }
        days
    };
    let shown = async |store: &Store| {
        let (from, to) = (day("2024-01-01"), day("2025-12-31"));
        let days = store.read(Activity::new(Span::Between { from, to }));
        let days = days.await.unwrap();
        BTreeMap::from_iter(days.iter().map(|day| (day.from, day.messages)))
    };
    let store = Store::open(config(&path)).await.unwrap();
    for (at, _) in times {
        let at = botstore::time::parse(at).unwrap();
        store.write(crate::zones::said(at)).await.unwrap();
    }
    store.close().await.unwrap();
    for (zone, before, after) in [("Europe/Berlin", 0, 1), ("UTC", 1, 0)] {
        hold(&path, NOT_BEGUN);
        let store = Store::open(config(&path).time_zone(zone)).await.unwrap();
        assert_eq!(shown(&store).await, expected(before), "before {zone}");
        store.close().await.unwrap();
        release(&path);
        let store = Store::open(config(&path).time_zone(zone)).await.unwrap();
        counted_anew(&store).await;
        assert_eq!(shown(&store).await, expected(after), "{zone}");
        exact_report(&store).await;
        store.close().await.unwrap();
    }
}

async fn exact_report(store: &Store) {
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, 0, "{:?}", report.named);
}

#[tokio::test]
async fn yet_another_zone_begins_anew_and_the_old_one_ends_it() {
    let (_folder, path) = counted();
    settle(&path).await;
    hold(&path, IN_MESSAGES);
    let opened = async |zone| {
        let store = Store::open(config(&path).time_zone(zone)).await.unwrap();
        let next = store.health().await.unwrap().next_time_zone;
        (store, next)
    };
    for (zone, generation) in [("+05:30", 1), ("Asia/Tokyo", 2), ("-08:00", 3)] {
        let (store, next) = opened(zone).await;
        assert_eq!(next.as_deref(), Some(zone));
        until_held(&path, IN_MESSAGES).await;
        assert_eq!(generations(&path), [0, generation]);
        exact(&store, 0, zone).await;
        store.close().await.unwrap();
    }
    // Who opens it with the same goes on where it was.
    let (store, next) = opened("-08:00").await;
    assert_eq!(next.as_deref(), Some("-08:00"));
    assert_eq!(rank(&path), Some([SOME_MESSAGES, NOTHING]));
    store.close().await.unwrap();
    // The zone by which all is counted needs no count.
    let (store, next) = opened("UTC").await;
    assert_eq!(next, None);
    assert_eq!(generations(&path), [0]);
    exact(&store, 0, "back").await;
    nothing_is_left(&path).await;
    store.close().await.unwrap();
    release(&path);
    let (store, _) = opened("-08:00").await;
    counted_anew(&store).await;
    exact(&store, -480, "at last").await;
    nothing_is_left(&path).await;
    store.close().await.unwrap();
}

/// However fast rows come: they are counted for the days of before, and the next zone has to catch up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_writes_all_the_time_gets_its_zone() {
    let (_folder, path) = counted();
    settle(&path).await;
    let store = Store::open(config(&path).time_zone("+05:30"))
        .await
        .unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let writing = (0..32).map(|task: i64| {
        let (store, ends) = (store.clone(), Arc::clone(&ends));
        tokio::spawn(async move {
            let mut saved = 0;
            while !ends.load(Relaxed) || saved < 60 {
                let said = SaveInteraction::new(task % 8, format!("task-{task}"), "?");
                let said = said.creating("/srv").cost(usd(0.5));
                store.write(said).await.unwrap();
                saved += 1;
            }
        })
    });
    let writing: Vec<_> = writing.collect();
    counted_anew(&store).await;
    ends.store(true, Relaxed);
    for task in writing {
        task.await.unwrap();
    }
    assert_eq!(store.read(TimeZone::new()).await.unwrap(), "+05:30");
    exact(&store, 330, "written meanwhile").await;
    store.close().await.unwrap();
}

/// A limit's day is that of the statistics.
#[tokio::test]
async fn limits_have_the_days_of_before_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let store = Store::open(config(&path)).await.unwrap();
    let limit = SetLimit::new(Scope::EachUser, Per::Day, Amount::Cost(usd(10.0)));
    store.write(limit).await.unwrap();
    // It is noon in UTC; 17:30 in Kolkata, whose day began at 18:30.
    for at in [
        "2025-04-14 18:29:00",
        "2025-04-14 18:31:00",
        "2025-04-15 00:01:00",
    ] {
        let at = botstore::time::parse(at).unwrap();
        store.write(crate::zones::said(at)).await.unwrap();
    }
    let left = async |store: &Store| {
        let budget = &store.read(UserBudget::new(1)).await.unwrap()[0];
        let resets = botstore::time::format(budget.resets_at.unwrap());
        (budget.spent, resets[..16].to_owned())
    };
    let in_utc = (Amount::Cost(usd(0.25)), "2025-04-16T00:00".to_owned());
    assert_eq!(left(&store).await, in_utc);
    store.close().await.unwrap();
    hold(&path, NOT_BEGUN);
    let store = Store::open(config(&path).time_zone("Asia/Kolkata"))
        .await
        .unwrap();
    assert_eq!(left(&store).await, in_utc);
    store.close().await.unwrap();
    release(&path);
    let store = Store::open(config(&path)).await.unwrap();
    counted_anew(&store).await;
    let there = (Amount::Cost(usd(0.5)), "2025-04-15T18:30".to_owned());
    assert_eq!(left(&store).await, there);
    exact_report(&store).await;
    store.close().await.unwrap();
}

/// Who opens a file for a moment leaves it to the bot to count, also by newer rules of the zone.
#[tokio::test]
async fn a_tool_takes_the_zones_rules_as_they_are() {
    let (_folder, path) = counted();
    let store = Store::open(config(&path).time_zone("Europe/Berlin"))
        .await
        .unwrap();
    counted_anew(&store).await;
    store.close().await.unwrap();
    let file = || {
        let conn = other(&path);
        let rows = "SELECT count(*) * 1000000 + sum(offset_seconds) / 60 FROM botstore_zone";
        (generations(&path), one(&conn, rows))
    };
    let right = file();
    // As a program with other rules has left it: no summer time in 2025.
    let older = "DELETE FROM botstore_zone WHERE since LIKE '2025-%'";
    other(&path).execute_batch(older).unwrap();
    let before = file();
    assert_ne!(before, right);
    let tool = || config(&path).before_upgrade(BeforeUpgrade::Refuse);
    let store = Store::open(tool()).await.unwrap();
    assert_eq!(store.health().await.unwrap().next_time_zone, None);
    store.close().await.unwrap();
    schema::apply(config(&path)).unwrap();
    schema::apply(config(&path).time_zone("Asia/Tokyo")).unwrap();
    assert_eq!(file(), before);
    // A bot that refuses upgrades says which zone is its own.
    let store = Store::open(tool().time_zone("Europe/Berlin"))
        .await
        .unwrap();
    counted_anew(&store).await;
    nothing_is_left(&path).await;
    store.close().await.unwrap();
    assert_eq!(file().1, right.1);
}
