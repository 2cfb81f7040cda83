//! Backups that go to a share which does not answer: whoever asks is told so, and nobody else notices.

use crate::disk::{self, Silence};
use crate::trial::{Told, answer, config, holds, interaction, prepare};
use botstore::backup::{Backups, Pace, TakeBackup};
use botstore::users::GetUser;
use botstore::{ErrorKind, LastRun, Store, StoreEvent};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

const SECOND: Duration = Duration::from_secs(1);

/// A file, and the folder of its backups, which is a share.
async fn place() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    let share = folder.path().join("share");
    std::fs::create_dir(&share).unwrap();
    (folder, path, share)
}

fn on(share: &Path) -> Backups {
    Backups::default()
        .folder(share)
        .pace(Pace::Fast)
        .stall_deadline(SECOND)
}

async fn is_waited_for(share: &Path) {
    while !disk::is_waited_for(share) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next event of backups or drills.
async fn told(events: &mut Receiver<StoreEvent>) -> StoreEvent {
    loop {
        let event = answer(events.recv()).await.unwrap();
        use StoreEvent::{BackupDone, BackupFailed, DrillDone, DrillFailed};
        if matches!(
            event,
            BackupDone(_) | BackupFailed(_) | DrillDone(_) | DrillFailed(_)
        ) {
            return event;
        }
    }
}

async fn is_well(store: &Store, number: u64) {
    answer(store.write(interaction(number))).await.unwrap();
    let user = answer(store.read(GetUser::new(7))).await.unwrap();
    assert_eq!(user.unwrap().message_count, number + 1);
    assert!(answer(store.health()).await.unwrap().ok);
}

async fn is_told_of_and_goes_on(silence: Silence) {
    let (_folder, path, share) = place().await;
    disk::does_not_answer(&share, silence);
    let settings = on(&share).every(SECOND);
    let before = chrono::Utc::now();
    let store = Store::open(config(&path).backups(settings)).await.unwrap();
    let mut events = store.events();
    let StoreEvent::BackupFailed(error) = told(&mut events).await else {
        panic!("{silence:?}: a backup that does not end was done");
    };
    assert_eq!(error.kind(), ErrorKind::Deadline, "{silence:?}: {error}");
    let health = answer(store.health()).await.unwrap();
    let due = health.backup_due_since.expect("since when it is due");
    assert!(due >= before && due <= store.now(), "{silence:?}");
    assert!(matches!(health.last_backup, Some(LastRun::Failed { .. })));
    // Whoever asks for one is told at once, and everybody else goes on.
    let refused = answer(store.back_up(TakeBackup::default())).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Deadline);
    let refused = answer(store.drill()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Deadline);
    is_well(&store, 1).await;
    disk::answers(&share);
    // What was given up may be told of as done, if it was nearly; and is tried again otherwise.
    let made = loop {
        if let StoreEvent::BackupDone(report) = told(&mut events).await {
            break report;
        }
    };
    assert!(share.join(made.name).is_dir());
    answer(store.close()).await.unwrap();
}

#[tokio::test]
async fn a_scheduled_backup_that_gets_no_further_is_told_of_and_the_schedule_goes_on() {
    disk::begin();
    tokio::join!(
        is_told_of_and_goes_on(Silence::Listing),
        is_told_of_and_goes_on(Silence::Writing),
        is_told_of_and_goes_on(Silence::Syncing),
    );
}

#[tokio::test]
async fn a_drill_that_gets_no_further_is_told_of_as_one() {
    disk::begin();
    let (_folder, path, share) = place().await;
    let config = config(&path).backups(on(&share));
    botstore::backup::take(config.clone(), TakeBackup::default()).unwrap();
    let store = Store::open(config).await.unwrap();
    let mut events = store.events();
    // Behind what opening does on the share, which would be told as a backup's.
    answer(store.drill()).await.unwrap();
    let event = told(&mut events).await;
    assert!(matches!(event, StoreEvent::DrillDone(_)), "{event:?}");
    disk::does_not_answer(&share, Silence::Listing);
    let error = answer(store.drill()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    let event = told(&mut events).await;
    assert!(matches!(event, StoreEvent::DrillFailed(_)), "{event:?}");
    let health = answer(store.health()).await.unwrap();
    assert_eq!(health.backup_due_since, None, "none is scheduled");
    disk::answers(&share);
    answer(store.close()).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_behind_a_backup_that_gets_no_further_is_answered() {
    disk::begin();
    let (_folder, path, share) = place().await;
    let store = Store::open(config(&path).backups(on(&share)))
        .await
        .unwrap();
    disk::does_not_answer(&share, Silence::Writing);
    let all = [(); 3].map(|()| {
        let store = store.clone();
        tokio::spawn(async move { store.back_up(TakeBackup::default()).await })
    });
    for one in all {
        let refused = answer(one).await.unwrap();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Deadline);
    }
    disk::answers(&share);
    answer(store.close()).await.unwrap();
    // Those who were refused have none made for them afterwards.
    let made = botstore::backup::list(&share).unwrap().backups.len();
    assert!(made <= 1, "{made}");
}

/// Closes, or drops the last handle, while a backup waits for the share; and opens again.
async fn lets_go(silence: Silence, close: impl AsyncFnOnce(Store)) {
    let (folder, path, share) = place().await;
    let settings = on(&share).stall_deadline(3_600 * SECOND);
    let config = config(&path).close_deadline(SECOND / 5).backups(settings);
    let store = Store::open(config.clone()).await.unwrap();
    answer(store.write(interaction(1))).await.unwrap();
    let asking = store.clone();
    disk::does_not_answer(&share, silence);
    let asked = tokio::spawn(async move {
        let asked = asking.backup_actor().send(TakeBackup::default());
        drop(asking);
        asked.await
    });
    answer(is_waited_for(&share)).await;
    close(store).await;
    // Whoever had asked for it has an answer.
    assert!(!matches!(answer(asked).await.unwrap(), Ok(Ok(_))));
    let again = Store::open(config).await.unwrap();
    is_well(&again, 2).await;
    answer(again.close()).await.ok();
    drop(again);
    disk::answers(&share);
    // What was left behind ends by itself, before the next test's disk is its own.
    while disk::threads().contains(&"botstore-backup".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = Told {
        saved: vec![0, 1, 2],
        refused: Vec::new(),
    };
    holds(&path, &told);
    drop(folder);
}

async fn closes(store: Store) {
    match answer(store.close()).await {
        Ok(()) => {}
        // Its snapshot holds the WAL, which stays.
        Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
    }
}

#[tokio::test]
async fn closing_does_not_wait_for_a_backup_that_gets_no_further() {
    disk::begin();
    tokio::join!(
        lets_go(Silence::Listing, closes),
        lets_go(Silence::Writing, closes),
        lets_go(Silence::Syncing, closes),
    );
}

async fn goes(store: Store) {
    let gone = tokio::task::spawn_blocking(move || drop(store));
    answer(gone).await.unwrap();
}

#[tokio::test]
async fn the_last_handle_that_goes_does_not_wait_for_a_backup_that_gets_no_further() {
    disk::begin();
    tokio::join!(
        lets_go(Silence::Listing, goes),
        lets_go(Silence::Writing, goes),
    );
}
