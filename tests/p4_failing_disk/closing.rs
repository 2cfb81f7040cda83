//! Closing after the disk has failed.

use crate::disk::{self, Call, Lasting};
use crate::trial::{Told, answer, config, holds, interaction, prepare};
use botstore::rusqlite::Connection;
use botstore::{ErrorKind, Store};
use std::time::Duration;

/// Half of how long the store would wait for a lock while it is open.
const HALF: Duration = Duration::from_secs(30);

#[tokio::test]
async fn closing_waits_for_another_programs_lock_no_longer_than_its_deadline() {
    let _alone = disk::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    prepare(&path).await;
    let config = config(&path).close_deadline(Duration::from_millis(200));
    let store = Store::open(config.busy_timeout(2 * HALF)).await.unwrap();
    store.write(interaction(1)).await.unwrap();
    // The writer gives its connection up.
    disk::breaks_now(Call::Sync, Lasting::UntilHealed, libc::EIO);
    let error = answer(store.write(interaction(2))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InDoubt, "{error}");
    // And gets no other that it could wait with.
    disk::breaks_now(Call::Read, Lasting::UntilHealed, libc::EIO);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    disk::heal();
    let closed = tokio::time::timeout(HALF, store.close()).await;
    let closed = closed.expect("it does not wait for the lock").unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Busy, "{closed}");
    other.execute_batch("ROLLBACK").unwrap();
    drop((other, store));
    let told = Told {
        saved: vec![0, 1],
        refused: vec![(2, error)],
    };
    holds(&path, &told);
}
