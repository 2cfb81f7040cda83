//! How a backup takes a file's place.

use crate::child::rounds_or;
use crate::copy::with;
use crate::support::*;
use botstore::backup::{self, IfExists, Mode, RunDrill, TakeBackup, VerifyOptions};
use botstore::rusqlite::Connection;
use botstore::testing::FixedClock;
use botstore::users::{EnsureUser, GetUser};
use botstore::{Config, ErrorKind, Store};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test]
async fn a_restored_file_opens_as_the_store_was_and_goes_on() {
    let store = filled(10, |config| config).await;
    let backup = back_up(&store).await;
    store.write(EnsureUser::new(2, Some("eve"))).await.unwrap();
    let (_folder, path) = store.into_file().await.unwrap();
    let reading = VerifyOptions::default();
    let done = backup::restore(&path, &backup.path, IfExists::MoveAside, reading).unwrap();
    assert_eq!(done.path, path.canonicalize().unwrap());
    assert_eq!(done.backup.manifest, backup.manifest);

    let store = Store::open(&path).await.unwrap();
    assert!(store.read(GetUser::new(1)).await.unwrap().is_some());
    assert!(store.read(GetUser::new(2)).await.unwrap().is_none());
    store.write(interaction(11)).await.unwrap();
    store.close().await.unwrap();

    // What was replaced is a store of its own.
    let old = done.replaced.unwrap().join(path.file_name().unwrap());
    let old = Store::open(old).await.unwrap();
    let eve = old.read(GetUser::new(2)).await.unwrap();
    assert_eq!(eve.unwrap().username.as_deref(), Some("eve"));
    old.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_there_is_not_replaced_unless_that_is_asked_for() {
    let store = filled(1, |config| config).await;
    let backup = back_up(&store).await;
    let open = backup::restore(
        store.path(),
        &backup.path,
        IfExists::MoveAside,
        VerifyOptions::default(),
    );
    assert_eq!(kind(open), ErrorKind::AlreadyOpen);
    let (folder, path) = store.into_file().await.unwrap();
    let before = (fs::read(&path).unwrap(), names(folder.path()));
    let refused = backup::restore(
        &path,
        &backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    );
    assert_eq!(kind(refused), ErrorKind::Conflict);
    assert!(before == (fs::read(&path).unwrap(), names(folder.path())));
}

#[tokio::test]
async fn the_log_of_the_replaced_file_goes_with_it() {
    let store = filled(5, |config| config).await;
    let backup = back_up(&store).await;
    store.write(EnsureUser::new(2, Some("eve"))).await.unwrap();
    // As a killed process leaves them: the file, and a WAL that holds the last of it.
    let killed = store.folder().join("killed");
    fs::create_dir(&killed).unwrap();
    let path = killed.join("bot.db");
    fs::copy(store.path(), &path).unwrap();
    let log = |path: &std::path::Path| format!("{}-wal", path.display());
    fs::copy(log(store.path()), log(&path)).unwrap();
    let reading = VerifyOptions::default();
    let done = backup::restore(&path, &backup.path, IfExists::MoveAside, reading).unwrap();
    assert_eq!(dump(&path), dump(&restored(&backup)));
    let aside = done.replaced.unwrap();
    assert!(names(&aside).contains(&"bot.db-wal".to_owned()));
    let old = Store::open(aside.join("bot.db")).await.unwrap();
    assert!(old.read(GetUser::new(2)).await.unwrap().is_some());
    old.close().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_restore_can_be_stopped_and_then_nothing_has_changed() {
    let store = filled(20, |config| config).await;
    let backup = back_up(&store).await;
    let (folder, path) = store.into_file().await.unwrap();
    let before = (fs::read(&path).unwrap(), names(folder.path()));
    let reading = VerifyOptions::default().on_progress(|_| ControlFlow::Break(()));
    let stopped = backup::restore(&path, &backup.path, IfExists::MoveAside, reading);
    assert_eq!(kind(stopped), ErrorKind::Cancelled);
    assert!(before == (fs::read(&path).unwrap(), names(folder.path())));
}

#[tokio::test]
async fn a_backup_is_verified_wherever_it_was_moved_to_under_its_name() {
    let store = filled(3, |config| config).await;
    let backup = back_up(&store).await;
    let elsewhere = store.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join(&backup.manifest.name);
    fs::rename(&backup.path, &moved).unwrap();
    backup::verify(&moved, VerifyOptions::default()).unwrap();
    let renamed = elsewhere.join("the-one-from-monday");
    fs::rename(&moved, &renamed).unwrap();
    let refused = backup::verify(&renamed, VerifyOptions::default());
    assert_eq!(kind(refused), ErrorKind::BadBackup);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_drill_proves_the_newest_backup_and_leaves_nothing_behind() {
    let store = filled(10, |config| config).await;
    assert_eq!(kind(store.drill().await), ErrorKind::NotFound);
    back_up(&store).await;
    let newest = store
        .back_up(TakeBackup::default().mode(Mode::Compact))
        .await;
    let newest = newest.unwrap();
    let before = names(&folder(&store));
    let report = store.drill().await.unwrap();
    assert_eq!(report.backup, newest.manifest.name);
    let rows: u64 = newest.manifest.contents.unwrap().rows.values().sum();
    assert_eq!(report.rows, rows);
    assert_eq!(names(&folder(&store)), before);
    // As a message, too.
    let again = store.backup_actor().send(RunDrill).await.unwrap().unwrap();
    assert_eq!(again.backup, report.backup);

    let artefact = folder(&store).join(&report.backup).join("database.zst");
    let mut bytes = fs::read(&artefact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&artefact, bytes).unwrap();
    assert_eq!(kind(store.drill().await), ErrorKind::BadBackup);
    assert_eq!(names(&folder(&store)), before);
    store.close().await.unwrap();
}

#[tokio::test]
async fn scheduled_backups_and_drills_come_when_they_are_due_also_after_a_restart() {
    const HOUR: Duration = Duration::from_secs(3600);
    let clock = FixedClock::default();
    let folder = tempfile::tempdir().unwrap();
    let config = || {
        let backups = backup::Backups::default().every(HOUR).drill_every(3 * HOUR);
        Config::new(folder.path().join("bot.db"))
            .clock(clock.clone())
            .backups(backups)
    };
    let made = || names(&folder.path().join("bot.db.backups")).len();
    let store = Store::open(config()).await.unwrap();
    // Whether the supervisor's own first look was faster does not matter.
    store.run_due().await.unwrap();
    assert_eq!(made(), 1, "the first comes at once");
    let drilled = store.health().await.unwrap().last_drill;
    assert!(drilled.is_some(), "so does the first drill");
    clock.advance(HOUR / 2);
    store.run_due().await.unwrap();
    assert_eq!(made(), 1);
    store.close().await.unwrap();

    let store = Store::open(config()).await.unwrap();
    store.run_due().await.unwrap();
    assert_eq!(made(), 1, "half an hour is no hour, whoever counts it");
    assert!(store.health().await.unwrap().last_drill.is_none());
    clock.advance(HOUR / 2);
    store.run_due().await.unwrap();
    assert_eq!(made(), 2);
    clock.advance(2 * HOUR);
    store.run_due().await.unwrap();
    assert_eq!(made(), 3);
    assert!(store.health().await.unwrap().last_drill.is_some());
    store.close().await.unwrap();
}

#[tokio::test]
async fn whoever_only_looks_leaves_a_restore_that_was_cut_short_alone() {
    let store = filled(3, |config| config).await;
    let backup = back_up(&store).await;
    let (folder, path) = store.into_file().await.unwrap();
    // Between moving the old file out and the new one in.
    fs::rename(&path, path.with_file_name("test.db.restoring.db")).unwrap();
    fs::write(path.with_file_name("test.db.restoring"), ".replaced-x").unwrap();
    let before = names(folder.path());
    assert_eq!(kind(botstore::schema::plan(&path)), ErrorKind::Busy);
    assert_eq!(kind(botstore::status(&path)), ErrorKind::Busy);
    assert_eq!(kind(botstore::snapshot(&path, |_| Ok(()))), ErrorKind::Busy);
    assert_eq!(names(folder.path()), before);
    // A backup takes the file's lock, and so finishes it.
    let taken = backup::take(&path, TakeBackup::default()).unwrap();
    assert_eq!(dump(&restored(&taken)), dump(&restored(&backup)));
}

/// The last program to close a file in WAL mode removes its logs: also in the moment in which the file has been moved
/// and they have not.
#[tokio::test]
async fn a_file_whose_logs_go_meanwhile_is_replaced_all_the_same() {
    let restores = rounds_or(20) as usize;
    let store = filled(10, |config| config).await;
    let backup = back_up(&store).await;
    let (folder, path) = store.into_file().await.unwrap();
    let logs = ["-wal", "-shm"].map(|suffix| with(&path, suffix));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let restored = scope.spawn(|| {
            for _ in 0..restores {
                logs.iter().for_each(|log| fs::write(log, "").unwrap());
                let reading = VerifyOptions::default();
                backup::restore(&path, &backup.path, IfExists::MoveAside, reading).unwrap();
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                if !path.exists() {
                    logs.iter().for_each(|log| drop(fs::remove_file(log)));
                }
            }
        });
        let restored = restored.join();
        done.store(true, Ordering::SeqCst);
        restored.unwrap();
    });
    let is_whole = |path: &Path| {
        let conn = Connection::open(path).unwrap();
        let sql =
            "SELECT (SELECT count(*) FROM messages) || (SELECT * FROM pragma_integrity_check)";
        let said: String = conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(said, "10ok", "{}", path.display());
    };
    is_whole(&path);
    let replaced = names(folder.path()).into_iter();
    let replaced = replaced.filter(|name| name.contains(".replaced-"));
    let replaced = Vec::from_iter(replaced);
    assert_eq!(replaced.len(), restores);
    for name in replaced {
        is_whole(&folder.path().join(name).join(path.file_name().unwrap()));
    }
}
