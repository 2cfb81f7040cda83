//! The names of backups, where somebody has put others into the folder, or the clock is wrong: each new
//! backup is found, and is the newest.

use crate::support::*;
use botstore::backup::{self, Backup, Backups, Manifest, Reason, Retention, TakeBackup};
use botstore::testing::{FixedClock, TestStore};
use botstore::{ErrorKind, Store, StoreEvent};
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use std::fs;
use std::path::Path;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn at(clock: &FixedClock, backups: &Path, every: Option<Duration>) -> TestStore {
    let all = Retention::default().last(1_000);
    let mut settings = Backups::default().folder(backups).retention(all);
    if let Some(every) = every {
        settings = settings.every(every);
    }
    filled(1, |config| config.clock(clock.clone()).backups(settings)).await
}

fn newest(folder: &Path) -> Backup {
    backup::list(folder).unwrap().backups.pop().unwrap()
}

/// Makes some, each of which is found, the newest, and nearly of its time.
async fn makes_some(store: &Store, folder: &Path, clock: &FixedClock) {
    let before = backup::list(folder).unwrap().backups.len();
    for number in 1..=3 {
        let made = back_up(store).await;
        assert_eq!(newest(folder), made);
        assert_eq!(backup::list(folder).unwrap().backups.len(), before + number);
        verify(&made).unwrap();
        assert_eq!(made.manifest.taken_at, botstore::time::Clock::now(clock));
        clock.advance(Duration::from_millis(1));
    }
}

/// The same backup under another name and with another time, as whoever may write there can forge one
/// that is in the clear.
fn forged(backup: &Backup, name: &str, taken_at: DateTime<Utc>) {
    use sha2::Digest;
    let folder = backup.path.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    fs::copy(backup.artefact(), folder.join("database.zst")).unwrap();
    let mut manifest: Manifest = backup.manifest.clone();
    manifest.name = name.to_owned();
    manifest.taken_at = taken_at;
    let mut text = serde_json::to_string_pretty(&manifest).unwrap();
    let at = text.rfind("\"checksum\": \"").unwrap() + "\"checksum\": \"".len();
    text.replace_range(at..at + 64, "");
    text.push('\n');
    let sum = sha2::Sha256::digest(&text);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    text.insert_str(at, &sum);
    fs::write(folder.join("manifest.json"), text).unwrap();
    verify(&Backup::at(folder).unwrap()).expect("the forger works");
}

#[tokio::test]
async fn what_only_has_the_name_of_a_backup_has_no_say_in_the_next_ones() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::default();
    let store = at(&clock, folder.path(), None).await;
    let planted = [
        "99991231T235959.999999Z-manual",
        "99991231T235959.999999Z-scheduled",
        "99991231T235959.999999Z-999999-manual",
        "+100000101T000000.000000Z-manual",
        "+2621421231T235959.999999Z-manual",
        "20991231T235959.999999Z-before-upgrade",
    ];
    for name in planted {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for name in [
        "99991231T235959.999998Z-manual",
        "99991231T235959.999997Z-manual",
    ] {
        fs::write(folder.path().join(name), "no folder").unwrap();
    }
    // One that nobody can read, as far as its manifest goes.
    let damaged = folder.path().join("99991231T000000.000000Z-manual");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("manifest.json"), "{}").unwrap();
    makes_some(&store, folder.path(), &clock).await;
    for name in planted {
        assert!(folder.path().join(name).is_dir(), "{name}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn names_that_are_taken_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::default();
    let store = at(&clock, folder.path(), None).await;
    let first = back_up(&store).await;
    // The clock stands, so what is next is no secret.
    let stamp = &first.manifest.name[..22];
    assert!(stamp.ends_with("000000"), "{stamp}");
    for number in 1..=500 {
        let name = format!("{}{number:06}Z-manual", &stamp[..16]);
        fs::create_dir(folder.path().join(&name)).unwrap();
        fs::write(folder.path().join(&name).join("mine"), "mine").unwrap();
    }
    makes_some(&store, folder.path(), &clock).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_forged_backup_of_the_far_future_is_followed_by_the_next_one_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::default();
    let store = at(&clock, folder.path(), Some(HOUR)).await;
    store.run_due().await.unwrap();
    let made = newest(folder.path());
    assert_eq!(made.manifest.reason, Reason::Scheduled);
    let last = Utc.with_ymd_and_hms(9999, 12, 31, 23, 59, 59).unwrap();
    for name in [
        "99991231T235959.000000Z-scheduled",
        "99991231T235959.999999Z-scheduled",
        "99991231T235959.999999Z-7-scheduled",
    ] {
        forged(&made, name, last);
        makes_some(&store, folder.path(), &clock).await;
    }
    // Neither does it keep the schedule, which knows when its last was made.
    assert_eq!(store.health().await.unwrap().backup_due_since, None);
    let all = Retention::default().last(1_000);
    let settings = Backups::default().folder(folder.path()).retention(all);
    let settings = settings.every(HOUR);
    let (_place, path) = store.into_file().await.unwrap();
    let before = backup::list(folder.path()).unwrap().backups.len();
    let config = botstore::Config::new(&path).clock(clock.clone());
    let store = Store::open(config.backups(settings)).await.unwrap();
    store.run_due().await.unwrap();
    let listed = || backup::list(folder.path()).unwrap().backups.len();
    assert_eq!(listed(), before, "none is due within the hour");
    clock.advance(HOUR);
    store.run_due().await.unwrap();
    assert_eq!(listed(), before + 1);
    assert_eq!(newest(folder.path()).manifest.taken_at, store.now());
    store.drill().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_was_set_back_by_years_costs_neither_the_order_nor_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::at(Utc.with_ymd_and_hms(2099, 1, 1, 0, 0, 0).unwrap());
    let store = at(&clock, folder.path(), None).await;
    let mut made = Vec::new();
    for year in [2099, 2026, 2060, 2026, 1999] {
        clock.set(Utc.with_ymd_and_hms(year, 3, 10, 12, 0, 0).unwrap());
        for _ in 0..2 {
            made.push(back_up(&store).await);
        }
    }
    assert_eq!(backup::list(folder.path()).unwrap().backups, made);
    let retention = Retention::default()
        .last(2)
        .before_upgrade(0)
        .hourly(0)
        .daily(0)
        .weekly(0)
        .monthly(0)
        .yearly(0);
    let plan = backup::prune(folder.path(), retention).unwrap();
    assert_eq!(plan.keep, made[8..]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_that_could_not_be_found_again_is_not_made_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::default();
    let store = at(&clock, folder.path(), None).await;
    let first = back_up(&store).await;
    let mut events = store.events();
    let end = "99991231T235959.999999Z-999999-manual";
    forged(&first, end, first.manifest.taken_at);
    let refused = store.back_up(TakeBackup::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let told = loop {
        if let StoreEvent::BackupFailed(error) = events.recv().await.unwrap() {
            break error;
        }
    };
    assert_eq!(told.to_string(), refused.to_string());
    let left = names(folder.path());
    assert_eq!(left, [first.manifest.name.clone(), end.to_owned()]);
    fs::remove_dir_all(folder.path().join(end)).unwrap();
    // And by a clock whose year has five digits.
    let far = Utc.with_ymd_and_hms(10_000, 1, 1, 0, 0, 0).unwrap();
    clock.set(far);
    let refused = store.back_up(TakeBackup::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert_eq!(names(folder.path()), [first.manifest.name.as_str()]);
    clock.set(first.manifest.taken_at + TimeDelta::hours(1));
    makes_some(&store, folder.path(), &clock).await;
    store.close().await.unwrap();
}

/// No drill has failed; that the disk is nearly full is another matter.
fn nobody_is_alarmed(events: &mut tokio::sync::broadcast::Receiver<StoreEvent>) {
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, StoreEvent::DrillFailed(_)), "{event:?}");
    }
}

#[tokio::test]
async fn a_store_without_backups_has_no_drill_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::default();
    let store = filled(1, |config| {
        let settings = Backups::default().folder(folder.path()).drill_every(HOUR);
        config.clock(clock.clone()).backups(settings)
    })
    .await;
    let mut events = store.events();
    for _ in 0..4 {
        store.run_due().await.unwrap();
        clock.advance(HOUR / 2);
    }
    assert!(store.health().await.unwrap().last_drill.is_none());
    nobody_is_alarmed(&mut events);
    // Another store's is none of this one's.
    let other = filled(1, |c| c.backups(Backups::default().folder(folder.path()))).await;
    back_up(&other).await;
    clock.advance(HOUR / 2);
    store.run_due().await.unwrap();
    nobody_is_alarmed(&mut events);
    // As soon as there is one, it is tried out.
    let made = back_up(&store).await;
    store.run_due().await.unwrap();
    let drilled = store.health().await.unwrap().last_drill;
    let Some(botstore::LastRun::Done(report)) = drilled else {
        panic!("{drilled:?}");
    };
    assert_eq!(report.backup, made.manifest.name);
    store.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn health_says_since_when_a_backup_has_been_due() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::default();
    let place = folder.path().join("backups");
    let store = at(&clock, &place, Some(HOUR)).await;
    let due = async || store.health().await.unwrap().backup_due_since;
    store.run_due().await.unwrap();
    assert_eq!(due().await, None);
    // Now it cannot be made, for hours.
    fs::rename(&place, folder.path().join("moved")).unwrap();
    fs::write(&place, "in the way").unwrap();
    clock.advance(HOUR);
    let since = store.now();
    for _ in 0..3 {
        store.run_due().await.unwrap();
        assert_eq!(due().await, Some(since));
        clock.advance(HOUR);
    }
    fs::remove_file(&place).unwrap();
    store.run_due().await.unwrap();
    assert_eq!(due().await, None);
    // One that is asked for is not the one that is due.
    clock.advance(HOUR + HOUR / 2);
    let since = store.now() - HOUR / 2;
    back_up(&store).await;
    let now_due = due().await;
    assert!(now_due.is_none_or(|at| at == since), "{now_due:?}");
    store.close().await.unwrap();
}
