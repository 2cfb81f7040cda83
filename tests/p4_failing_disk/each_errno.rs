//! Every error number that Linux has, from every call that a disk is asked with: each has its kind and, where
//! there is something to do, its advice, whether SQLite made the call or this crate.

use crate::copy::keeps_its_log;
use crate::disk::{self, Call, Lasting};
use crate::trial::{answer, config, interaction, opened, prepare};
use botstore::backup::{Backups, TakeBackup};
use botstore::users::{EnsureUser, GetUser};
use botstore::{Error, ErrorKind, Store, StoreEvent};
use std::path::{Path, PathBuf};

/// From EPERM to EHWPOISON. Numbers between them without a name mean nothing and are tried as well.
const ALL: std::ops::RangeInclusive<i32> = 1..=libc::EHWPOISON;

/// What the number means, and a word of what to do about it. Not from this crate's table: as people read it.
fn expected(errno: i32) -> (ErrorKind, &'static str) {
    match errno {
        libc::ENOSPC => (ErrorKind::DiskFull, "make room"),
        libc::EDQUOT => (ErrorKind::DiskFull, "quota"),
        libc::EFBIG => (ErrorKind::DiskFull, "ulimit -f"),
        libc::EROFS => (ErrorKind::ReadOnly, "mount"),
        libc::EACCES | libc::EPERM => (ErrorKind::ReadOnly, "owner"),
        libc::EMFILE => (ErrorKind::TooManyFiles, "ulimit -n"),
        libc::ENFILE => (ErrorKind::TooManyFiles, "all processes"),
        libc::ENAMETOOLONG => (ErrorKind::Io, "shorter path"),
        libc::ELOOP => (ErrorKind::Io, "link"),
        libc::ENOENT | libc::ENOTDIR => (ErrorKind::Io, "path"),
        libc::EIO | libc::ENXIO | libc::ENODEV => (ErrorKind::Io, "system's log"),
        libc::ESTALE => (ErrorKind::Io, "share"),
        libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS | libc::ENOLCK => {
            (ErrorKind::Io, "file system")
        }
        libc::EBUSY => (ErrorKind::Io, "mount point"),
        _ => (ErrorKind::Io, ""),
    }
}

fn is_told(error: &Error, errno: i32, call: &str) {
    let (kind, word) = expected(errno);
    assert_eq!(error.kind(), kind, "{call}, errno {errno}: {error}");
    let advice = error.advice().unwrap_or_default();
    assert!(advice.contains(word), "{call}, errno {errno}: {error}");
    let transient = matches!(kind, ErrorKind::DiskFull | ErrorKind::TooManyFiles);
    assert_eq!(
        error.is_transient(),
        transient,
        "{call}, errno {errno}: {error}"
    );
}

async fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    (folder, path)
}

async fn messages(store: &Store) -> u64 {
    let user = answer(store.read(GetUser::new(7))).await.unwrap();
    user.unwrap().message_count
}

/// SQLite tells a full disk alone from the rest, and calls all others an I/O error.
#[tokio::test]
async fn what_a_write_or_a_sync_of_the_log_says_is_told_to_the_caller() {
    disk::begin();
    let (_folder, path) = place().await;
    // No checkpoint takes the failure upon itself.
    let store = opened(keeps_its_log(config(&path))).await;
    let mut saved = messages(&store).await;
    let mut next = saved;
    for call in [Call::Write, Call::Sync] {
        for errno in ALL {
            // What the store writes for itself, in a batch of its own, may be what meets it.
            let mut met_by_others = 0;
            loop {
                disk::breaks_now(call, Lasting::Once, errno);
                let answered = answer(store.write(interaction(next))).await;
                disk::heal();
                next += 1;
                match answered {
                    Err(error) => break is_told(&error, errno, &format!("{call:?}")),
                    Ok(_) => saved += 1,
                }
                // SQLite tries those again by itself.
                if errno == libc::EINTR {
                    break;
                }
                met_by_others += 1;
                assert!(met_by_others < 10, "{call:?}, errno {errno} was not told");
            }
            // It goes on as if nothing had been.
            answer(store.write(interaction(next))).await.unwrap();
            (saved, next) = (saved + 1, next + 1);
            assert_eq!(messages(&store).await, saved, "{call:?}, errno {errno}");
        }
    }
    answer(store.close()).await.unwrap();
}

/// A quota, a largest size and a disk that was mounted anew are told while they last, by health and an
/// event, and got over.
#[tokio::test]
async fn a_quota_a_largest_size_and_a_mount_to_read_only_are_told_and_got_over() {
    disk::begin();
    for errno in [libc::EDQUOT, libc::EFBIG, libc::EROFS] {
        let (kind, word) = expected(errno);
        let (_folder, path) = place().await;
        let store = opened(config(&path)).await;
        let mut events = store.events();
        disk::breaks_now(Call::Write, Lasting::UntilHealed, errno);
        for number in 1..20 {
            let refused = answer(store.write(interaction(number))).await.unwrap_err();
            is_told(&refused, errno, "a write");
        }
        assert_eq!(messages(&store).await, 1);
        let health = answer(store.health()).await.unwrap();
        assert!(!health.ok && health.damage.is_none(), "{health:?}");
        let said = health.writer.last_error.unwrap();
        assert!(said.contains(word), "{said}");
        let failing = loop {
            if let StoreEvent::Failing(error) = answer(events.recv()).await.unwrap() {
                break error;
            }
        };
        assert_eq!(failing.kind(), kind);
        disk::heal();
        while !matches!(answer(events.recv()).await.unwrap(), StoreEvent::Recovered) {}
        answer(store.write(interaction(1))).await.unwrap();
        assert_eq!(messages(&store).await, 2);
        answer(store.close()).await.unwrap();
    }
}

/// What does not fit into a quota does not keep out what does.
#[tokio::test]
async fn a_small_change_is_saved_beside_a_large_one_that_a_quota_refuses() {
    disk::begin();
    let (_folder, path) = place().await;
    let store = opened(keeps_its_log(config(&path))).await;
    for errno in [libc::ENOSPC, libc::EDQUOT, libc::EFBIG] {
        disk::breaks_now(Call::Write, Lasting::Once, errno);
        // Both in one batch, or the first in one of its own: one of them meets it, and not both.
        let (large, small) = (interaction(100 + errno as u64), EnsureUser::new(9, None));
        let (large, small) = tokio::join!(answer(store.write(large)), answer(store.write(small)));
        let refused = [large.map(drop), small.map(drop)]
            .into_iter()
            .filter_map(Result::err);
        let refused: Vec<_> = refused.collect();
        assert!(refused.len() <= 1, "errno {errno}: {refused:?}");
        refused
            .iter()
            .for_each(|error| is_told(error, errno, "a write"));
        disk::heal();
    }
    answer(store.close()).await.unwrap();
}

/// By SQLite, of the database itself.
#[tokio::test]
async fn what_opening_a_file_says_is_told() {
    disk::begin();
    let (_folder, path) = place().await;
    for errno in ALL {
        // It is tried again for ever, by SQLite and by the standard library.
        if errno == libc::EINTR {
            continue;
        }
        for open in [open_store, look] {
            disk::breaks_opening(&path, errno);
            let refused = on_a_thread(open, &path);
            disk::heal();
            let refused = refused.expect_err("nothing was opened");
            is_told(&refused, errno, "open");
        }
    }
    // Nothing has come of all that.
    let store = opened(config(&path)).await;
    assert_eq!(messages(&store).await, 1);
    answer(store.close()).await.unwrap();
}

type Open = fn(PathBuf) -> Result<(), Error>;

fn open_store(path: PathBuf) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { answer(Store::open(config(&path))).await.map(drop) })
}

fn look(path: PathBuf) -> Result<(), Error> {
    botstore::status(&path).map(drop)
}

/// The test's own thread is spared.
fn on_a_thread(open: Open, path: &Path) -> Result<(), Error> {
    let path = path.to_owned();
    std::thread::spawn(move || open(path)).join().unwrap()
}

/// Where a file system cannot sync a folder it says EINVAL or ENOTSUP, and a backup there is as good as
/// one can be. Any other number is a failure, and so are these of a file.
#[tokio::test]
async fn of_a_folders_sync_two_numbers_are_no_failure_and_all_others_are() {
    disk::begin();
    let (folder, path) = place().await;
    let share = folder.path().join("share");
    let store = opened(config(&path).backups(Backups::default().folder(&share))).await;
    let mut kept = 0;
    for errno in ALL {
        disk::breaks_now(Call::SyncFolder, Lasting::UntilHealed, errno);
        // The standard library tries that again for ever.
        if errno == libc::EINTR {
            continue;
        }
        let made = answer(store.back_up(TakeBackup::default())).await;
        assert!(disk::has_failed(), "no folder was synced");
        disk::heal();
        match errno {
            libc::EINVAL | libc::EOPNOTSUPP => {
                let made = made.unwrap_or_else(|error| panic!("errno {errno}: {error}"));
                botstore::backup::verify(made.path, Default::default()).unwrap();
                kept += 1;
            }
            _ => is_told(&made.expect_err("it was synced"), errno, "sync of a folder"),
        }
    }
    assert_eq!(kept, 2);
    for errno in [libc::EINVAL, libc::EOPNOTSUPP] {
        disk::breaks_now(Call::Sync, Lasting::UntilHealed, errno);
        let refused = answer(store.back_up(TakeBackup::default()))
            .await
            .unwrap_err();
        disk::heal();
        is_told(&refused, errno, "sync of a file");
    }
    answer(store.close()).await.unwrap();
    // Nor does it keep a restore from being done.
    let backups = botstore::backup::list(&share).unwrap().backups;
    let to = folder.path().join("restored.db");
    let newest = backups.last().unwrap().path.clone();
    disk::breaks_now(Call::SyncFolder, Lasting::UntilHealed, libc::EINVAL);
    let restored = std::thread::spawn(move || {
        use botstore::backup::{IfExists, restore};
        restore(to, newest, IfExists::MoveAside, Default::default())
    });
    let restored = restored.join().unwrap();
    assert!(disk::has_failed(), "no folder was synced");
    disk::heal();
    restored.unwrap();
}

/// By this crate's own writing: a backup.
#[tokio::test]
async fn what_the_disk_of_the_backups_says_is_told() {
    disk::begin();
    let (folder, path) = place().await;
    let share = folder.path().join("share");
    let store = opened(config(&path).backups(Backups::default().folder(&share))).await;
    for errno in ALL {
        if errno == libc::EINTR {
            continue;
        }
        disk::breaks_now(Call::Write, Lasting::UntilHealed, errno);
        let refused = answer(store.back_up(TakeBackup::default())).await;
        disk::heal();
        is_told(&refused.expect_err("it was written"), errno, "a backup");
    }
    assert!(botstore::backup::list(&share).unwrap().backups.is_empty());
    answer(store.back_up(TakeBackup::default())).await.unwrap();
    answer(store.close()).await.unwrap();
}
