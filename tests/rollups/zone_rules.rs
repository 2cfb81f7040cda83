//! Zones whose rules change, that this program does not know, and that are none.

use crate::support::{all, counted_anew, open_plain};
use crate::zones::{by_hand, config, is_exact, said, time};
use botstore::analytics::{SystemStats, TimeZone};
use botstore::rusqlite::Row;
use botstore::rusqlite::types::Value;
use botstore::{Config, ErrorKind, Store};

/// What another version of the database says of a zone, and what somebody has made of the rows.
#[tokio::test]
async fn new_rules_are_taken_and_only_days_that_they_change_are_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let config = || config(&path, "2026-07-20 12:00");
    let store = Store::open(config().time_zone("Europe/Berlin"))
        .await
        .unwrap();
    store.write(said(time("2026-07-10 22:30"))).await.unwrap();
    store.close().await.unwrap();
    let rows = "SELECT group_concat(since || offset_seconds || zone) FROM botstore_zone";
    let counted = "SELECT messages FROM botstore_day
                   WHERE generation = (SELECT min(generation) FROM botstore_total)";
    let one = |sql: &str| {
        let conn = open_plain(&path);
        let read = |row: &Row<'_>| row.get::<_, Value>(0);
        all(&conn, sql, [], read)
    };
    let right = one(rows);
    for (made_of_it, is_counted) in [
        // Summer time is done away with: then, now, or was.
        ("DELETE FROM botstore_zone WHERE since > '2026-10'", false),
        ("DELETE FROM botstore_zone WHERE since > '2026-08'", false),
        (
            "DELETE FROM botstore_zone WHERE since BETWEEN '2026-03' AND '2026-04'",
            true,
        ),
        ("DELETE FROM botstore_zone WHERE since > '1980'", true),
        (
            "INSERT INTO botstore_zone
             SELECT min(generation), '2027-01-01 00:00:00', 0, 'Europe/Berlin' FROM botstore_total",
            false,
        ),
        (
            "INSERT INTO botstore_zone
             SELECT min(generation), '2026-07-10 22:29:59', -3600, 'Europe/Berlin' FROM botstore_total",
            true,
        ),
        (
            "UPDATE botstore_zone SET offset_seconds = 'x' WHERE since > '2027'",
            false,
        ),
        (
            "UPDATE botstore_zone SET zone = 'CET' WHERE since < '1990'",
            false,
        ),
        (
            "UPDATE botstore_zone SET since = x'ff' WHERE since = (SELECT max(since) FROM botstore_zone)",
            true,
        ),
        (
            "UPDATE botstore_zone SET since = CAST(x'ff' AS TEXT)
          WHERE since = (SELECT max(since) FROM botstore_zone)",
            false,
        ),
        (
            "INSERT INTO botstore_zone
             SELECT min(generation), 'yesterday', 0, 'Europe/Berlin' FROM botstore_total",
            true,
        ),
    ] {
        // A count that only a full count corrects.
        by_hand(
            &path,
            &format!("{made_of_it}; UPDATE botstore_day SET messages = 7"),
        );
        for zone in [None, Some("Europe/Berlin")] {
            let config = config();
            let store = Store::open(match zone {
                Some(zone) => config.time_zone(zone),
                None => config,
            });
            let store = store.await.unwrap();
            counted_anew(&store).await;
            store.close().await.unwrap();
            assert_eq!(one(rows), right, "{made_of_it}");
        }
        let messages = if is_counted { 1 } else { 7 };
        assert_eq!(one(counted), [i64::from(messages).into()], "{made_of_it}");
    }
}

#[tokio::test]
async fn a_file_in_an_unknown_zone_opens_with_its_offsets() {
    for name in ["'Mars/Olympus'", "CAST(x'ff' AS TEXT)", "7", "''", "x'00'"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let config = || config(&path, "2026-07-20 12:00");
        let store = Store::open(config().time_zone("Asia/Kolkata"))
            .await
            .unwrap();
        store.close().await.unwrap();
        by_hand(&path, &format!("UPDATE botstore_zone SET zone = {name}"));
        let store = Store::open(config()).await.unwrap();
        store.write(said(time("2026-07-10 18:30"))).await.unwrap();
        let stats = store.read(SystemStats::new()).await.unwrap();
        assert_eq!(stats.time_zone, "+05:30", "{name}");
        assert_eq!(stats.daily_activity[0].date.to_string(), "2026-07-11");
        is_exact(&store, name).await;
        store.close().await.unwrap();
        // Who knows better, says so.
        let store = Store::open(config().time_zone("Asia/Kolkata"))
            .await
            .unwrap();
        let zone = store.read(TimeZone::new()).await.unwrap();
        assert_eq!(zone, "Asia/Kolkata", "{name}");
        store.close().await.unwrap();
    }
    // Nor does one without a row keep it from opening.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    Store::open(&path).await.unwrap().close().await.unwrap();
    for sql in ["DELETE FROM botstore_zone", "DROP TABLE botstore_zone"] {
        by_hand(&path, sql);
        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.read(TimeZone::new()).await.unwrap(), "UTC", "{sql}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_before_there_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    for (name, near) in [
        ("Europe/Berln", Some("Europe/Berlin")),
        ("berlin", Some("Europe/Berlin")),
        ("EUROPE/BERLIN", Some("Europe/Berlin")),
        ("New York", Some("America/New_York")),
        ("Kiev ", Some("Europe/Kiev")),
        ("", None),
        ("+24:00", None),
        ("+5", None),
        ("UTC+2", None),
        ("Mars/Olympus_Mons", None),
        ("Europe/Berlin\0", Some("Europe/Berlin")),
        ("'; DROP TABLE users; --", None),
    ] {
        let error = Store::open(Config::new(&path).time_zone(name))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        assert_eq!(error.field(), Some("time_zone"), "{name}");
        let told = error.to_string();
        if let Some(near) = near {
            assert!(told.contains(near), "{told}");
        }
        assert!(!path.exists(), "{name}");
    }
}
