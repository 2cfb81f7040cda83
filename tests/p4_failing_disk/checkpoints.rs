//! Syncs that fail or last where it matters later: what a checkpoint has copied may be on no disk, whatever can be
//! read of it, and what commits that failed have left in the WAL must not be taken for damage.

use crate::common::{WhoWrites, until};
use crate::copy::{copy, keeps_its_log};
use crate::disk::{self, By, Call, Lasting};
use crate::trial::{
    Told, answer, config, copied, holds, interaction, opened, prepare, with_log_of,
};
use botstore::users::{EnsureUser, GetUser};
use botstore::{ErrorKind, Store};

#[tokio::test]
async fn after_a_checkpoint_that_could_not_sync_the_log_has_everything_until_it_is_copied_anew() {
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    // What is left of the file if nothing of what is copied into it from here on arrives.
    let old_folder = tempfile::tempdir().unwrap();
    let old = old_folder.path().join("old.db");
    copy(&path, &old);
    let store = opened(config(&path)).await;
    let mut told = Told::default();
    told.saved.push(0);
    disk::breaks_at_the_next_checkpoint(By::Anybody);
    let mut numbers = 1..;
    let mut write = async || {
        let number = numbers.next().unwrap();
        answer(store.write(interaction(number))).await.unwrap();
        told.saved.push(number);
    };
    until("a checkpoint that fails", async || {
        write().await;
        disk::has_failed()
    })
    .await;
    disk::heal();
    until("the failure is noted", async || {
        !store.health().await.unwrap().ok
    })
    .await;
    // Much more than it takes for the next.
    for _ in 0..200 {
        write().await;
    }
    let (_folder, only_the_log) = with_log_of(&old, &path);
    holds(&only_the_log, &told);

    let error = answer(store.close()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    drop(store);
    let (_folder, only_the_log) = with_log_of(&old, &path);
    holds(&only_the_log, &told);
    let again = Store::open(config(&path)).await.unwrap();
    assert!(again.health().await.unwrap().ok);
    again.close().await.unwrap();
    holds(&path, &told);
}

#[tokio::test]
async fn what_two_commits_that_could_not_sync_have_left_is_not_taken_for_damage() {
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    // No checkpoint's sync fails instead.
    let store = opened(keeps_its_log(config(&path))).await;
    store.write(EnsureUser::new(8, None)).await.unwrap();
    disk::breaks_now(Call::Sync, Lasting::Once, libc::EIO);
    let error = answer(store.write(interaction(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    // Smaller, so that the end of the one before stays behind its own.
    disk::breaks_now(Call::Sync, Lasting::Once, libc::EIO);
    let error = answer(store.write(EnsureUser::new(9, None)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let (_folder, copy) = copied(&path);
    let as_killed = Store::open(config(&copy)).await.unwrap();
    as_killed.close().await.unwrap();
    let told = Told {
        saved: vec![0],
        refused: vec![(1, error)],
    };
    holds(&copy, &told);
    store.close().await.unwrap();
}

#[tokio::test]
async fn nobody_who_reads_waits_for_the_disk_while_the_log_is_to_start_over() {
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    let store = opened(config(&path)).await;
    let writer = store.write(WhoWrites).await.unwrap();
    disk::holds_up_syncs_of_the_database_by(writer);
    let writes = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 1.. {
                store.write(interaction(number)).await.unwrap();
                if disk::is_holding_up() {
                    return number;
                }
            }
            0
        }
    });
    while !disk::is_holding_up() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        let user = answer(store.read(GetUser::new(7))).await.unwrap();
        assert!(user.unwrap().message_count > 1);
    }
    disk::heal();
    let last = answer(writes).await.unwrap();
    let user = store.read(GetUser::new(7)).await.unwrap();
    assert_eq!(user.unwrap().message_count, last + 1);
    store.close().await.unwrap();
}
