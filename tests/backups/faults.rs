//! Backups where the folder or the disk does not do as it should.

use crate::child::{self, again, succeed, succeed_on_a_small_disk, works};
use crate::support::*;
use botstore::backup::{self, Backups, IfExists, Mode, Pace, Stage, TakeBackup, VerifyOptions};
use botstore::testing::TestStore;
use botstore::users::{EnsureUser, GetUser};
use botstore::{Error, ErrorKind, Store};
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A store that takes more than one step of the copying, and hardly compresses; its backups go into
/// this folder.
async fn large(backups: &Path) -> TestStore {
    let store = filled(0, |config| {
        config.backups(Backups::default().folder(backups).pace(Pace::Fast))
    })
    .await;
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..9 {
        let mut large = interaction(number);
        large.response = Some((0..120_000).map(|_| random.alphanumeric()).collect());
        store.write(large).await.unwrap();
    }
    store
}

/// A request that does something, once, when the stage begins; or, for the last one, when it ends.
fn at(stage: Stage, act: impl FnOnce() + Send + 'static) -> TakeBackup {
    let mut act = Some(act);
    TakeBackup::default().on_progress(move |p| {
        if p.stage == stage && (stage != Stage::Check || p.done == p.total) {
            act.take().into_iter().for_each(|act| act());
        }
        ControlFlow::Continue(())
    })
}

const STAGES: [Stage; 4] = [Stage::Copy, Stage::Pack, Stage::Unpack, Stage::Check];

fn error<T>(result: botstore::Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error,
    }
}

async fn goes_on(store: &Store) {
    store.write(EnsureUser::new(3, Some("eve"))).await.unwrap();
    assert!(store.read(GetUser::new(3)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_missing_folder_is_made_and_a_file_in_its_place_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("not/there/yet");
    let store = filled(1, |config| config.backups(Backups::default().folder(&deep))).await;
    assert!(backup::list(&deep).unwrap().backups.is_empty());
    let backup = back_up(&store).await;
    assert_eq!(backup.path.parent().unwrap(), deep);
    fs::remove_dir_all(&deep).unwrap();
    fs::write(&deep, "my notes").unwrap();
    let error = error(store.back_up(TakeBackup::default()).await);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("not/there/yet"), "{error}");
    assert_eq!(fs::read(&deep).unwrap(), b"my notes");
    goes_on(&store).await;
    fs::remove_file(&deep).unwrap();
    back_up(&store).await;
}

#[tokio::test]
async fn a_missing_folder_to_restore_to_is_made() {
    let store = filled(1, |config| config).await;
    let backup = back_up(&store).await;
    let to = store.folder().join("not/there/yet/bot.db");
    let nothing = store.folder().join("no-backup");
    let refused = backup::restore(&to, &nothing, IfExists::Refuse, VerifyOptions::default());
    assert_eq!(kind(refused), ErrorKind::NotFound);
    assert!(!store.folder().join("not").exists());
    backup::restore(
        &to,
        &backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    )
    .unwrap();
    assert_eq!(dump(&to), dump(&restored(&backup)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_goes_while_a_backup_is_made_costs_that_backup_only() {
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    let store = large(&backups).await;
    for stage in STAGES {
        let gone = backups.clone();
        let request = at(stage, move || fs::remove_dir_all(gone).unwrap());
        let error = error(store.back_up(request).await);
        let expected = [ErrorKind::Io, ErrorKind::ReadOnly];
        assert!(expected.contains(&error.kind()), "{stage:?}: {error}");
        assert!(!backups.exists(), "{stage:?}");
        goes_on(&store).await;
        let backup = back_up(&store).await;
        verify(&backup).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_to_be_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    fs::set_permissions(&backups, fs::Permissions::from_mode(0o500)).unwrap();
    if File::create(backups.join("probe")).is_ok() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let store = filled(1, |c| c.backups(Backups::default().folder(&backups))).await;
    let refused = store.back_up(TakeBackup::default()).await;
    assert_eq!(kind(refused), ErrorKind::ReadOnly);
    goes_on(&store).await;
    fs::set_permissions(&backups, fs::Permissions::from_mode(0o700)).unwrap();
    back_up(&store).await;
}

#[tokio::test]
async fn a_disk_that_became_read_only_still_gives_its_backups() {
    if let Some([disk]) = child::given() {
        return sees_its_disk_become_read_only(disk.as_ref()).await;
    }
    succeed_on_a_small_disk(a_disk_that_became_read_only_still_gives_its_backups, 16);
}

/// The child, on its disk.
async fn sees_its_disk_become_read_only(disk: &Path) {
    let store = filled(1, |c| c.backups(Backups::default().folder(disk))).await;
    let backup = back_up(&store).await;
    let remount = |how: &str| {
        let mount = std::process::Command::new("mount")
            .args(["-o", &format!("remount,bind,{how}")])
            .arg(disk)
            .status();
        assert!(mount.unwrap().success());
    };
    remount("ro");
    let refused = store.back_up(TakeBackup::default()).await;
    assert_eq!(kind(refused), ErrorKind::ReadOnly);
    goes_on(&store).await;
    assert_eq!(
        backup::list(disk).unwrap().backups,
        std::slice::from_ref(&backup)
    );
    verify(&backup).unwrap();
    let to = store.folder().join("restored.db");
    backup::restore(
        &to,
        &backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    )
    .unwrap();
    let onto = disk.join("restored.db");
    let refused = backup::restore(
        &onto,
        &backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    );
    assert_eq!(kind(refused), ErrorKind::ReadOnly);
    remount("rw");
    back_up(&store).await;
}

/// Writes until nothing goes on the disk any more, but for `spare` bytes.
fn fill(disk: &Path, spare: usize) {
    let mut file = File::create(filler(disk)).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(spare as u64)).unwrap();
}

fn filler(disk: &Path) -> PathBuf {
    disk.join("what-somebody-else-keeps-here")
}

fn make_room(disk: &Path) {
    fs::remove_file(filler(disk)).unwrap();
}

#[tokio::test]
async fn a_full_disk_costs_a_backup_and_nothing_else() {
    if let Some([disk]) = child::given() {
        return backs_up_to_a_full_disk(disk.as_ref()).await;
    }
    succeed_on_a_small_disk(a_full_disk_costs_a_backup_and_nothing_else, 16);
}

/// The child, on its disk.
async fn backs_up_to_a_full_disk(disk: &Path) {
    let backups = disk.join("backups");
    let store = large(&backups).await;
    let first = back_up(&store).await;
    let size = fs::metadata(restored(&first)).unwrap().len() as usize;

    // Seen before anything is written.
    let told = Arc::new(Mutex::new(0));
    let tell = Arc::clone(&told);
    fill(disk, 2 * size - 64 * 1024);
    let request = TakeBackup::default().on_progress(move |_| {
        *tell.lock().unwrap() += 1;
        ControlFlow::Continue(())
    });
    let error = error(store.back_up(request).await);
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(error.to_string().contains("MiB are free"), "{error}");
    assert_eq!(*told.lock().unwrap(), 0);
    make_room(disk);

    // Filled by somebody else in the middle of it.
    for stage in [Stage::Copy, Stage::Pack, Stage::Unpack] {
        let full = disk.to_owned();
        let result = store.back_up(at(stage, move || fill(&full, 0))).await;
        assert_eq!(kind(result), ErrorKind::DiskFull, "{stage:?}");
        assert_eq!(names(&backups), [first.manifest.name.as_str()]);
        goes_on(&store).await;
        make_room(disk);
    }
    let second = back_up(&store).await;
    verify(&second).unwrap();
    assert_eq!(backup::list(&backups).unwrap().backups, [first, second]);
}

#[tokio::test]
async fn a_full_disk_costs_a_restore_and_nothing_else() {
    if let Some([disk]) = child::given() {
        return restores_to_a_full_disk(disk.as_ref()).await;
    }
    succeed_on_a_small_disk(a_full_disk_costs_a_restore_and_nothing_else, 16);
}

/// The child, on its disk.
async fn restores_to_a_full_disk(disk: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    let store = large(&elsewhere.path().join("backups")).await;
    let backup = back_up(&store).await;
    let whole = restored(&backup);
    let size = fs::metadata(&whole).unwrap().len() as usize;
    let old = filled(2, |config| config).await;
    let (_folder, old) = old.into_file().await.unwrap();
    let path = disk.join("bot.db");
    fs::copy(&old, &path).unwrap();
    // The lock file stays.
    Store::open(&path).await.unwrap().close().await.unwrap();
    let before = snapshot(disk);

    let restore = |reading| backup::restore(&path, &backup.path, IfExists::MoveAside, reading);
    fill(disk, size - 64 * 1024);
    let refused = restore(VerifyOptions::default());
    make_room(disk);
    assert_eq!(kind(refused), ErrorKind::DiskFull);
    assert!(snapshot(disk) == before);
    for stage in [Stage::Unpack, Stage::Check] {
        let full = disk.to_owned();
        let mut once = Some(move || fill(&full, 0));
        let refused = restore(VerifyOptions::default().on_progress(move |p| {
            if p.stage == stage && (stage == Stage::Unpack || p.done == p.total) {
                once.take().into_iter().for_each(|fill| fill());
            }
            ControlFlow::Continue(())
        }));
        make_room(disk);
        assert_eq!(kind(refused), ErrorKind::DiskFull, "{stage:?}");
        assert!(snapshot(disk) == before, "{stage:?}: {:?}", names(disk));
    }
    let done = restore(VerifyOptions::default()).unwrap();
    assert_eq!(dump(&path), dump(&whole));
    let aside = done.replaced.unwrap();
    assert_eq!(dump(&aside.join("bot.db")), dump(&old));
}

#[tokio::test]
async fn a_file_that_may_not_grow_costs_a_backup_and_nothing_else() {
    if let Some([folder]) = child::given() {
        return makes_backups_that_may_not_grow(folder.as_ref()).await;
    }
    if !works(&["prlimit", "--version"]) {
        eprintln!("skipped: there is no prlimit to forbid files to grow with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // So that a write fails with an error instead of killing the process.
    let before = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let test = a_file_that_may_not_grow_costs_a_backup_and_nothing_else;
    succeed(again(&before, test, &[folder.path()]));
}

/// The child.
async fn makes_backups_that_may_not_grow(folder: &Path) {
    let backups = folder.join("backups");
    let store = large(&backups).await;
    let first = back_up(&store).await;
    let size = first.manifest.artefact.bytes;
    let whole = fs::metadata(restored(&first)).unwrap().len();
    // The copy grows to the whole, the rest to less.
    let copying = [0, 1, 4096, 200_000, 1 << 20, (1 << 20) + 100_000, whole - 1];
    let copying = copying.map(|limit| (Stage::Copy, Some(limit)));
    let later = [
        (Stage::Pack, Some(0)),
        (Stage::Pack, Some(size / 2)),
        (Stage::Pack, Some(size - 1)),
        (Stage::Unpack, Some(size)),
        (Stage::Unpack, Some(whole - 1)),
        (Stage::Check, Some(0)),
        (Stage::Check, Some(100)),
    ];
    for (stage, limit) in copying.into_iter().chain(later) {
        let result = match stage {
            Stage::Copy => {
                may_grow_to(limit);
                store.back_up(TakeBackup::default()).await
            }
            _ => store.back_up(at(stage, move || may_grow_to(limit))).await,
        };
        may_grow_to(None);
        let error = error(result);
        is_clear(&error, stage, &backups);
        assert_eq!(names(&backups), [first.manifest.name.as_str()]);
        goes_on(&store).await;
    }
    let compact = TakeBackup::default().mode(Mode::Compact);
    may_grow_to(Some(whole / 2));
    let error = error(store.back_up(compact).await);
    may_grow_to(None);
    is_clear(&error, Stage::Copy, &backups);
    let second = back_up(&store).await;
    verify(&second).unwrap();
    assert_eq!(backup::list(&backups).unwrap().backups, [first, second]);
}

/// SQLite does not tell this failure from others: the system does. And of SQLite's it says where it was.
fn is_clear(error: &Error, stage: Stage, backups: &Path) {
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{stage:?}: {error}");
    let advice = error.advice().unwrap_or_default();
    assert!(advice.contains("ulimit -f"), "{stage:?}: {error}");
    let text = error.to_string();
    let place = backups.to_str().unwrap();
    assert!(stage != Stage::Copy || text.contains(place), "{text}");
}

/// How long the files of this process may get, in bytes.
fn may_grow_to(limit: Option<u64>) {
    let limit = limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let pid = std::process::id().to_string();
    let size = format!("--fsize={limit}:");
    assert!(works(&["prlimit", "--pid", &pid, &size]));
}

#[tokio::test]
async fn a_disk_that_garbles_what_it_is_given_gets_no_backup_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = large(folder.path()).await;
    for from_the_end in [1, 1_000, 100_000] {
        let backups = folder.path().to_owned();
        // The first bytes have been read back by then.
        let request = at(Stage::Unpack, move || {
            let artefact = backups.join(&names(&backups)[0]).join("database.zst");
            let mut bytes = fs::read(&artefact).unwrap();
            let at = bytes.len() - from_the_end;
            bytes[at] ^= 4;
            fs::write(&artefact, bytes).unwrap();
        });
        let error = error(store.back_up(request).await);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(names(folder.path()).is_empty());
    }
    back_up(&store).await;
}
