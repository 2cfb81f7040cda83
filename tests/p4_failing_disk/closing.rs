//! Closing after the disk has failed.

use crate::common::{hold_reader, until};
use crate::copy::{keeps_its_log, with};
use crate::disk::{self, By, Call, Lasting};
use crate::trial::{Told, answer, config, holds, interaction, opened, prepare};
use botstore::ErrorKind;
use botstore::analytics::SystemStats;
use botstore::rusqlite::Connection;
use std::time::Duration;

/// A sync that fails takes with it what earlier checkpoints have copied and none has synced. SQLite counts
/// that as copied, and would not copy it again when the connection is closed, but remove the WAL.
#[tokio::test]
async fn closing_keeps_the_log_when_the_file_cannot_be_synced() {
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    disk::watches(folder.path());
    let store = opened(keeps_its_log(config(&path))).await;
    let mut told = Told::default();
    told.saved.extend(0..=40);
    for number in 1..=20 {
        store.write(interaction(number)).await.unwrap();
    }
    // A checkpoint beside a reader copies what that does not need, and syncs when it has copied all.
    let reader = Connection::open(&path).unwrap();
    let count = "BEGIN; SELECT count(*) FROM messages";
    reader.execute_batch(count).unwrap();
    for number in 21..=40 {
        store.write(interaction(number)).await.unwrap();
    }
    let other = Connection::open(&path).unwrap();
    let (frames, copied): (i64, i64) = other
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert!(copied > 0 && copied < frames, "{copied} of {frames}");
    drop((reader, other));

    disk::breaks_at_the_next_checkpoint(By::Anybody);
    let error = answer(store.close()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(disk::has_failed());
    drop(store);
    let after = tempfile::tempdir().unwrap();
    disk::loses_power(after.path(), &mut fastrand::Rng::with_seed(3));
    let left = after.path().join("x.db");
    if !with(&path, "-wal").exists() {
        std::fs::remove_file(with(&left, "-wal")).unwrap();
    }
    let again = opened(config(&left)).await;
    answer(again.close()).await.unwrap();
    holds(&left, &told);
    let again = opened(config(&path)).await;
    answer(again.close()).await.unwrap();
    holds(&path, &told);
}

/// How long the store waits for a lock while it is open: the longest there is.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn closing_waits_for_another_programs_lock_no_longer_than_its_deadline() {
    disk::begin();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    // A checkpoint's sync would fail as well, and the store would know that the disk fails.
    let config = keeps_its_log(config(&path)).close_deadline(Duration::from_millis(200));
    let store = opened(config.busy_timeout(LONG)).await;
    store.write(interaction(1)).await.unwrap();
    // The writer gives its connection up.
    disk::breaks_now(Call::Sync, Lasting::UntilHealed, libc::EIO);
    let error = answer(store.write(interaction(2))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InDoubt, "{error}");
    // And gets no other that it could wait with, before the store closes, which a reader holds up.
    let (reader, held) = hold_reader(&store).await;
    disk::breaks_now(Call::Read, Lasting::UntilHealed, libc::EIO);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    until("it closes", async || {
        // In the other lane, which is not held up.
        let refused = store.read(SystemStats::new()).await.err();
        refused.is_some_and(|error| error.kind() == ErrorKind::Closed)
    })
    .await;
    disk::heal();
    // No time is measured: on the same machine somebody else waits half as long as the store would.
    let waits = Connection::open(&path).unwrap();
    waits.busy_timeout(LONG / 2).unwrap();
    let waits = std::thread::spawn(move || waits.execute_batch("BEGIN IMMEDIATE; ROLLBACK"));
    reader.release();
    let _ = held.await.unwrap();
    let closed = answer(closing).await.unwrap().unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Busy, "{closed}");
    assert!(!waits.is_finished(), "it waited for the lock");
    other.execute_batch("ROLLBACK").unwrap();
    waits.join().unwrap().unwrap();
    drop((other, store));
    let told = Told {
        saved: vec![0, 1],
        refused: vec![(2, error)],
    };
    holds(&path, &told);
}
