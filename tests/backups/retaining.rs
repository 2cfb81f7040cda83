//! Which backups stay. The model says the rules once more, in the plainest way.

use crate::child::rounds_or;
use crate::support::*;
use botstore::backup::{self, Backup, Backups, Retention, RetentionPlan};
use botstore::testing::{FixedClock, TestStore};
use botstore::{Config, ErrorKind, StoreEvent};
use chrono::{DateTime, Datelike, TimeDelta, TimeZone, Timelike, Utc};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn none_but(last: usize) -> Retention {
    Retention::default()
        .last(last)
        .before_upgrade(0)
        .hourly(0)
        .daily(0)
        .weekly(0)
        .monthly(0)
        .yearly(0)
}

/// Backups taken at these times, in this order.
async fn taken_at(times: &[DateTime<Utc>]) -> (TestStore, Vec<Backup>) {
    let clock = FixedClock::at(times[0]);
    let store = filled(1, |config| config.clock(clock.clone())).await;
    let mut made = Vec::new();
    for &time in times {
        clock.set(time);
        made.push(back_up(&store).await);
    }
    (store, made)
}

/// One rule of the model: the newest of each of the last `count` periods.
fn newest_of_each<P: Ord>(
    made: &[Backup],
    count: usize,
    period: impl Fn(DateTime<Utc>) -> P,
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut kept = BTreeSet::new();
    for backup in made.iter().rev() {
        if seen.len() < count && seen.insert(period(backup.manifest.taken_at)) {
            kept.insert(backup.manifest.name.clone());
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(rounds_or(10)))]

    #[test]
    fn what_any_rule_keeps_stays_and_the_rest_goes(
        hours in prop::collection::vec(-5_i64..3_000, 1..12),
        keep in prop::array::uniform6(0_usize..4),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let start = Utc.with_ymd_and_hms(2025, 11, 28, 21, 30, 0).unwrap();
        let mut time = start;
        // Forward in leaps of up to four months, and now and then back a little.
        let times: Vec<_> = hours
            .iter()
            .map(|&hours| {
                time += TimeDelta::hours(hours);
                time
            })
            .collect();
        let (store, made) = runtime.block_on(taken_at(&times));
        let [last, hourly, daily, weekly, monthly, yearly] = keep;
        let last = last + 1;
        let retention = none_but(last)
            .hourly(hourly)
            .daily(daily)
            .weekly(weekly)
            .monthly(monthly)
            .yearly(yearly);
        let mut expected: BTreeSet<_> =
            made.iter().rev().take(last).map(|b| b.manifest.name.clone()).collect();
        expected.extend(newest_of_each(&made, hourly, |t| (t.date_naive(), t.hour())));
        expected.extend(newest_of_each(&made, daily, |t| t.date_naive()));
        expected.extend(newest_of_each(&made, weekly, |t| t.iso_week()));
        expected.extend(newest_of_each(&made, monthly, |t| (t.year(), t.month())));
        expected.extend(newest_of_each(&made, yearly, |t| t.year()));

        let before = names(&folder(&store));
        let plan = RetentionPlan::of(folder(&store), retention).unwrap();
        prop_assert_eq!(names(&folder(&store)), before, "a plan changes nothing");
        let done = backup::prune(folder(&store), retention).unwrap();
        prop_assert_eq!(&plan, &done);
        let left: BTreeSet<_> = names(&folder(&store)).into_iter().collect();
        prop_assert_eq!(left, expected);
        for backup in &done.keep {
            verify(backup).unwrap();
        }
        runtime.block_on(store.close()).unwrap();
    }
}

#[tokio::test]
async fn what_it_did_not_make_is_left_alone() {
    let start = Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap();
    let times: Vec<_> = (0..4).map(|hour| start + TimeDelta::hours(hour)).collect();
    let (store, made) = taken_at(&times).await;
    let at = folder(&store);
    // A file of somebody's, a folder of somebody's, one with a backup's name, and a file that was put
    // into a backup.
    fs::write(at.join("notes.txt"), "mine").unwrap();
    fs::create_dir(at.join("photos")).unwrap();
    let named = at.join("20200101T000000.000000Z-manual");
    fs::create_dir(&named).unwrap();
    fs::write(named.join("mine.txt"), "mine").unwrap();
    fs::write(made[1].path.join("mine.txt"), "mine").unwrap();
    // Another store's backups, older than all.
    let clock = FixedClock::at(start - TimeDelta::days(400));
    let others = Backups::default().folder(&at);
    let other = filled(1, |config| config.clock(clock.clone()).backups(others)).await;
    // Its names come after ours, because names sort in the order of making.
    let foreign = back_up(&other).await;
    let newest = back_up(&store).await;

    let done = backup::prune(&at, none_but(1)).unwrap();
    let gone: Vec<_> = done
        .remove
        .iter()
        .map(|b| b.manifest.name.clone())
        .collect();
    let own: Vec<_> = made.iter().map(|b| b.manifest.name.clone()).collect();
    assert_eq!(gone, own);
    let left = names(&at);
    for name in [
        "notes.txt",
        "photos",
        "20200101T000000.000000Z-manual",
        made[1].manifest.name.as_str(),
        foreign.manifest.name.as_str(),
        newest.manifest.name.as_str(),
    ] {
        assert!(left.iter().any(|l| l == name), "{name} is gone");
    }
    assert_eq!(left.len(), 6, "{left:?}");
    assert_eq!(names(&named), ["mine.txt"]);
    store.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_newest_backup_does_not_cost_the_good_one_before_it() {
    let start = Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap();
    let times: Vec<_> = (0..3).map(|hour| start + TimeDelta::hours(hour)).collect();
    let (store, made) = taken_at(&times).await;
    fs::write(made[2].path.join("manifest.json"), "{}").unwrap();
    backup::prune(folder(&store), none_but(1)).unwrap();
    let listing = backup::list(folder(&store)).unwrap();
    assert_eq!(listing.backups, [made[1].clone()]);
    assert_eq!(listing.unusable.len(), 1);
    verify(&made[1]).unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_last_good_backup_stays_where_those_after_it_are_damaged() {
    let start = Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap();
    let times: Vec<_> = (0..4).map(|hour| start + TimeDelta::hours(hour)).collect();
    let (store, made) = taken_at(&times).await;
    for damaged in &made[2..] {
        let mut bytes = fs::read(damaged.artefact()).unwrap();
        bytes[100] ^= 1;
        fs::write(damaged.artefact(), bytes).unwrap();
    }
    let done = backup::prune(folder(&store), none_but(1)).unwrap();
    assert_eq!(done.keep, [made[1].clone(), made[3].clone()]);
    verify(&made[1]).unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_schedule_keeps_what_the_retention_says_and_backups_from_before_upgrades() {
    let clock = FixedClock::default();
    let store = filled(1, |config| {
        let backups = Backups::default()
            .every(HOUR)
            .retention(none_but(2).before_upgrade(1));
        config.clock(clock.clone()).backups(backups)
    })
    .await;
    for _ in 0..5 {
        store.run_due().await.unwrap();
        clock.advance(HOUR);
    }
    let listing = backup::list(folder(&store)).unwrap();
    assert_eq!(listing.backups.len(), 2, "{listing:?}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn keeping_none_is_refused() {
    let wrong = none_but(0);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        kind(backup::prune(folder.path(), wrong)),
        ErrorKind::Invalid
    );
    let config = Config::new(folder.path().join("bot.db"));
    let config = config.backups(Backups::default().retention(wrong));
    assert_eq!(
        kind(botstore::Store::open(config).await),
        ErrorKind::Invalid
    );
}

/// What file servers, desktops and file systems leave in a folder; a slash at the end is for a folder.
const NOBODYS: [&str; 20] = [
    "@eaDir/",
    "@SynoResource",
    ".@__thumb/",
    ".DS_Store",
    "._database.zst",
    "._.DS_Store",
    ".Spotlight-V100/",
    ".Trashes/",
    ".fseventsd/",
    ".localized",
    "Icon\r",
    "Thumbs.db",
    "THUMBS.DB",
    "ehthumbs.db",
    "desktop.ini",
    ".directory",
    ".nfs000000000001a2b3",
    ".fuse_hidden0000001200000001",
    ".~lock.manifest.json#",
    "lost+found/",
];

/// What somebody may miss.
const SOMEBODYS: [&str; 8] = [
    "notes.txt",
    "database.zst.bak",
    "database.zst.age",
    ".hidden",
    "Thumbs.db.txt",
    "photos/",
    "manifest.json.~1~",
    "bot.db",
];

fn put(folder: &Path, name: &str) {
    match name.strip_suffix('/') {
        Some(name) => {
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("inside"), "x").unwrap();
        }
        None => fs::write(folder.join(name), "x").unwrap(),
    }
}

#[tokio::test]
async fn what_file_servers_and_desktops_leave_keeps_no_backup_from_anything() {
    let start = Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap();
    let times: Vec<_> = (0..4).map(|hour| start + TimeDelta::hours(hour)).collect();
    let (store, made) = taken_at(&times).await;
    let at = folder(&store);
    for name in NOBODYS {
        put(&at, name);
        for backup in &made {
            put(&backup.path, name);
        }
    }
    let listing = backup::list(&at).unwrap();
    assert!(listing.unusable.is_empty(), "{:?}", listing.unusable);
    assert_eq!(listing.backups.len(), made.len());
    let done = backup::prune(&at, none_but(1)).unwrap();
    assert_eq!(done.not_removed, []);
    assert_eq!(backup::list(&at).unwrap().backups.len(), 1);
    let newest = made.last().unwrap();
    verify(newest).unwrap();
    restored(newest);
    // The next one is made, and tried out, beside all that.
    let next = back_up(&store).await;
    assert_eq!(store.drill().await.unwrap().backup, next.manifest.name);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_with_somebodys_file_in_it_stays_whole_and_is_named() {
    let start = Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap();
    let times = 0..=SOMEBODYS.len() as i64;
    let times: Vec<_> = times.map(|hour| start + TimeDelta::hours(hour)).collect();
    let (store, made) = taken_at(&times).await;
    for (backup, name) in made.iter().zip(SOMEBODYS) {
        put(&backup.path, name);
        put(&backup.path, "@eaDir/");
    }
    let done = backup::prune(folder(&store), none_but(1)).unwrap();
    assert_eq!(done.not_removed.len(), SOMEBODYS.len());
    for ((stays, backup), name) in done.not_removed.iter().zip(&made).zip(SOMEBODYS) {
        assert_eq!(
            (&stays.path, stays.kind),
            (&backup.path, ErrorKind::ForeignFile)
        );
        assert!(
            stays.why.contains(name.trim_end_matches('/')),
            "{}",
            stays.why
        );
        assert!(backup.path.join(name).exists() && backup.path.join("@eaDir").exists());
        verify(backup).unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_store_tells_of_backups_that_it_could_not_remove() {
    let clock = FixedClock::at(Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap());
    let settings = Backups::default().every(HOUR).retention(none_but(1));
    let store = filled(1, |config| config.clock(clock.clone()).backups(settings)).await;
    store.run_due().await.unwrap();
    let first = backup::list(folder(&store)).unwrap().backups.remove(0);
    put(&first.path, "notes.txt");
    let mut events = store.events();
    let mut told = Vec::new();
    for _ in 0..2 {
        clock.advance(HOUR);
        store.run_due().await.unwrap();
        while let Ok(event) = events.try_recv() {
            if let StoreEvent::BackupsNotRemoved { backups, .. } = event {
                told.push(backups);
            }
        }
    }
    // After each backup, as long as it is so. What it could remove is gone.
    for told in &told {
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].path, first.path);
    }
    assert_eq!(told.len(), 2);
    assert_eq!(backup::list(folder(&store)).unwrap().backups.len(), 2);
    fs::remove_file(first.path.join("notes.txt")).unwrap();
    clock.advance(HOUR);
    store.run_due().await.unwrap();
    assert_eq!(backup::list(folder(&store)).unwrap().backups.len(), 1);
    while let Ok(event) = events.try_recv() {
        assert!(
            !matches!(event, StoreEvent::BackupsNotRemoved { .. }),
            "{event:?}"
        );
    }
    store.close().await.unwrap();
}

/// Such as the other half of a file that somebody still has open on a file server.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_was_cut_short_and_cannot_be_removed_keeps_no_backup_from_being_made() {
    use crate::child::works;
    let store = filled(1, |config| config).await;
    let first = back_up(&store).await;
    let stays = first
        .path
        .with_file_name("20200101T000000.000000Z-manual.partial");
    fs::create_dir(&stays).unwrap();
    let held = stays.join(".nfs000000000001a2b3");
    fs::write(&held, "x").unwrap();
    let attribute = |change: &str| works(&["chattr", change, held.to_str().unwrap()]);
    if !attribute("+i") {
        eprintln!("skipped: nobody like us can make a file here that cannot be removed");
        return;
    }
    let mut events = store.events();
    let made = store.back_up(backup::TakeBackup::default()).await;
    assert!(attribute("-i"));
    made.unwrap();
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let told = told.filter_map(|event| match event {
        StoreEvent::BackupsNotRemoved { backups, .. } => Some(backups),
        _ => None,
    });
    let told: Vec<_> = told.flatten().map(|stays| stays.path).collect();
    assert_eq!(told, std::slice::from_ref(&stays));
    back_up(&store).await;
    assert!(!stays.exists());
    store.close().await.unwrap();
}
