//! How a backup comes about.

use crate::support::*;
use crate::wait::{until, wait_until};
use botstore::backup::{self, Mode, Pace, Reason, Stage, TakeBackup};
use botstore::messages::SessionMessages;
use botstore::page::PageRequest;
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::users::GetUser;
use botstore::{ErrorKind, Store};
use chrono::{TimeDelta, TimeZone, Utc};
use std::fs;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn a_backup_holds_what_was_acknowledged_before_it() {
    let store = filled(20, |config| config).await;
    let backup = back_up(&store).await;
    let read = verify(&backup).unwrap();
    let contents = read.manifest.contents.unwrap();
    assert_eq!(contents.rows["messages"], 20);
    assert_eq!(contents.orphans, 0);
    assert_eq!(backup.manifest.reason, Reason::Manual);
    assert!(contents.schemas.iter().any(|s| s.schema == "botstore"));
    let restored = dump(&restored(&backup));
    let (_folder, path) = store.into_file().await.unwrap();
    assert_eq!(restored, dump(&path));
}

#[tokio::test]
async fn nothing_but_finished_backups_is_left_in_the_folder() {
    let store = filled(3, |config| config).await;
    let first = back_up(&store).await;
    let second = back_up(&store).await;
    let expected = [first.manifest.name.clone(), second.manifest.name.clone()];
    assert_eq!(names(&folder(&store)), expected);
    assert_eq!(names(&first.path), ["database.zst", "manifest.json"]);
    let listing = backup::list(folder(&store)).unwrap();
    assert_eq!(listing.backups, [first, second]);
    assert!(listing.unusable.is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let store = filled(1, |config| config).await;
    let backup = back_up(&store).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder(&store)), 0o700);
    assert_eq!(mode(&backup.path), 0o700);
    assert_eq!(mode(&backup.artefact()), 0o600);
    assert_eq!(mode(&backup.path.join("manifest.json")), 0o600);
    assert_eq!(mode(&restored(&backup)), 0o600);
}

#[tokio::test]
async fn a_compact_backup_has_the_rows_and_nothing_deleted() {
    let store = filled(50, |config| config).await;
    store.close().await.unwrap();
    let conn = Connection::open(store.path()).unwrap();
    let secret = "a secret that was deleted";
    let sql = "UPDATE messages SET response = ?1 WHERE message_id = 7";
    conn.execute(sql, [secret.repeat(100)]).unwrap();
    conn.execute(
        "UPDATE messages SET response = 'gone' WHERE message_id = 7",
        [],
    )
    .unwrap();
    drop(conn);
    let store = Store::open(store.path()).await.unwrap();
    let holds = |path: &std::path::Path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
    };
    let pages = restored(&back_up(&store).await);
    assert!(holds(&pages), "the test tests nothing");
    let request = TakeBackup::default().mode(Mode::Compact);
    let compact = store.back_up(request).await.unwrap();
    assert_eq!(compact.manifest.mode, Mode::Compact);
    let compact = restored(&compact);
    assert!(!holds(&compact));
    assert_eq!(dump(&pages), dump(&compact));
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_full_load_is_a_prefix_of_what_was_acknowledged() {
    let store = filled(200, |config| config).await;
    let over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(200));
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let (store, over) = (Store::clone(&store), Arc::clone(&over));
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    store.write(interaction(0)).await.unwrap();
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    until("they all write", async || {
        acknowledged.load(Ordering::SeqCst) > 200 + 64
    })
    .await;
    let before = acknowledged.load(Ordering::SeqCst);
    // In the middle of it, it waits until somebody is acknowledged.
    let mut once = Some(Arc::clone(&acknowledged));
    let request = TakeBackup::default().on_progress(move |_| {
        if let Some(acknowledged) = once.take() {
            let so_far = acknowledged.load(Ordering::SeqCst);
            let more = || acknowledged.load(Ordering::SeqCst) > so_far;
            wait_until("somebody is acknowledged", more);
        }
        ControlFlow::Continue(())
    });
    let backup = store.back_up(request).await.unwrap();
    let after = acknowledged.load(Ordering::SeqCst);
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(after > before, "nobody wrote meanwhile");

    let restored = dump(&restored(&backup));
    let count = restored["messages"].len() as u64;
    // What was acknowledged before it began is in it; what came after its end cannot be. Between
    // commit and acknowledgement stands a caller each.
    assert!(
        (before..=after + 64).contains(&count),
        "{before} {count} {after}"
    );
    store.close().await.unwrap();
    let all = dump(store.path());
    for table in ["messages", "audit_log"] {
        let rows = &restored[table];
        assert_eq!(rows[..], all[table][..rows.len()], "{table} is no prefix");
    }
}

#[tokio::test]
async fn progress_is_told_in_order_and_can_stop_the_work() {
    let store = filled(50, |config| config).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&seen);
    let request = TakeBackup::default()
        .pace(Pace::Fast)
        .on_progress(move |p| {
            tell.lock().unwrap().push(p);
            ControlFlow::Continue(())
        });
    store.back_up(request).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.iter().all(|p| p.done <= p.total), "{seen:?}");
    let mut stages: Vec<_> = seen.iter().map(|p| p.stage).collect();
    stages.dedup();
    let all = [Stage::Copy, Stage::Pack, Stage::Unpack, Stage::Check];
    assert_eq!(stages, all);
    for last in all {
        let of_it = seen.iter().rfind(|p| p.stage == last).unwrap();
        assert_eq!(of_it.done, of_it.total, "{last:?}");
    }

    let before = names(&folder(&store));
    for stage in all {
        let request = TakeBackup::default().on_progress(move |p| match p.stage == stage {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        assert_eq!(
            kind(store.back_up(request).await),
            ErrorKind::Cancelled,
            "{stage:?}"
        );
        assert_eq!(names(&folder(&store)), before, "{stage:?}");
    }
    back_up(&store).await;
}

#[tokio::test]
async fn a_panic_in_the_progress_hook_is_an_error_and_the_next_backup_works() {
    let store = filled(1, |config| config).await;
    let request = TakeBackup::default().on_progress(|_| panic!("this panic is part of a test"));
    assert_eq!(kind(store.back_up(request).await), ErrorKind::Panicked);
    assert!(names(&folder(&store)).is_empty());
    back_up(&store).await;
}

#[tokio::test]
async fn closing_the_store_ends_a_backup_and_leaves_nothing_of_it() {
    let store = filled(50, |config| config).await;
    let (tell, mut started) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, told_to) = std::sync::mpsc::channel::<()>();
    let request = TakeBackup::default().on_progress(move |_| {
        let _ = tell.send(());
        // Until the other end is dropped.
        let _ = told_to.recv();
        ControlFlow::Continue(())
    });
    let backing_up = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.back_up(request).await }
    });
    started.recv().await.unwrap();
    let closing = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.close().await }
    });
    until("it closes", async || {
        let refused = store.read(GetUser::new(1)).await.err();
        refused.is_some_and(|error| error.kind() == ErrorKind::Closed)
    })
    .await;
    drop(go_on);
    closing.await.unwrap().unwrap();
    assert_eq!(kind(backing_up.await.unwrap()), ErrorKind::Cancelled);
    assert!(names(&folder(&store)).is_empty());
    assert_eq!(
        kind(store.back_up(TakeBackup::default()).await),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn names_sort_in_the_order_of_making_also_when_the_clock_stands_or_is_set_back() {
    let start = Utc.with_ymd_and_hms(2026, 3, 10, 12, 0, 0).unwrap();
    let clock = FixedClock::at(start);
    let store = filled(1, |config| config.clock(clock.clone())).await;
    let mut made = Vec::new();
    for hours in [0, 0, 0, 5, -3, -3, 6] {
        clock.set(start + TimeDelta::hours(hours));
        made.push(back_up(&store).await);
    }
    let names: Vec<_> = made.iter().map(|b| b.manifest.name.clone()).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(names, sorted);
    let listed = backup::list(folder(&store)).unwrap().backups;
    assert_eq!(listed, made);
    // What the clock said is in the manifest all the same.
    assert_eq!(made[4].manifest.taken_at, start - TimeDelta::hours(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_at_once_are_made_one_after_the_other() {
    let store = filled(10, |config| config).await;
    let (one, two) = tokio::join!(
        store.back_up(TakeBackup::default()),
        store.back_up(TakeBackup::default())
    );
    assert_ne!(one.unwrap().manifest.name, two.unwrap().manifest.name);
    assert_eq!(backup::list(folder(&store)).unwrap().backups.len(), 2);
}

#[tokio::test]
async fn another_program_s_backup_into_the_same_folder_is_waited_for_by_being_refused() {
    let store = filled(1, |config| config).await;
    back_up(&store).await;
    let lock = fs::File::open(folder(&store).join(".lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        kind(store.back_up(TakeBackup::default()).await),
        ErrorKind::Busy
    );
    // Closing it is not enough: a process that another test is just starting may hold a copy.
    lock.unlock().unwrap();
    back_up(&store).await;
}

#[tokio::test]
async fn a_file_is_backed_up_as_it_is_whether_a_store_has_it_open_or_not() {
    let store = filled(5, |config| config).await;
    let beside = backup::take(store.path(), TakeBackup::default()).unwrap();
    store.write(interaction(6)).await.unwrap();
    assert_eq!(dump(&restored(&beside))["messages"].len(), 5);
    let (_folder, path) = store.into_file().await.unwrap();
    let before = fs::read(&path).unwrap();
    let backup = backup::take(&path, TakeBackup::default()).unwrap();
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(dump(&restored(&backup)), dump(&path));
    let missing = path.with_file_name("missing.db");
    assert_eq!(
        kind(backup::take(&missing, TakeBackup::default())),
        ErrorKind::NotFound
    );
    assert!(!missing.exists());
}

#[tokio::test]
async fn the_log_that_a_backup_held_up_is_short_again_afterwards() {
    let ceiling = 1 << 20;
    let store = filled(100, |config| {
        config
            .wal_ceiling_bytes(ceiling)
            .checkpoint_at_bytes(256 << 10)
    })
    .await;
    let (tell, mut started) = tokio::sync::mpsc::unbounded_channel();
    let go_on = Arc::new(AtomicBool::new(false));
    let wait = Arc::clone(&go_on);
    let request = TakeBackup::default().on_progress(move |p| {
        // In the middle of the copy: its snapshot holds the WAL.
        if p.stage == Stage::Copy {
            let _ = tell.send(());
            while !wait.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        ControlFlow::Continue(())
    });
    let backing_up = tokio::spawn({
        let store = Store::clone(&store);
        async move { store.back_up(request).await }
    });
    started.recv().await.unwrap();
    while store.health().await.unwrap().wal_bytes < 2 * ceiling {
        store.write(interaction(1)).await.unwrap();
    }
    go_on.store(true, Ordering::Relaxed);
    backing_up.await.unwrap().unwrap();
    let mut written = 0;
    while store.health().await.unwrap().wal_bytes > ceiling {
        store.write(interaction(1)).await.unwrap();
        written += 1;
        assert!(written < 20_000, "the log stays over its ceiling");
    }
    assert!(store.read(GetUser::new(1)).await.unwrap().is_some());
    let page = PageRequest::first(1);
    let session_id = "s".to_owned();
    let last = store
        .read(SessionMessages::new(1, session_id).page(page))
        .await
        .unwrap();
    assert_eq!(last.items.len(), 1);
}
