//! The lock file beside an open database is removed or replaced.

use crate::replaced::open;
use crate::wait::until;
use crate::{INTERACTIONS, interaction};
use botstore::{ErrorKind, FileProblem, Store, StoreEvent};
use std::fs;
use std::path::{Path, PathBuf};
use tokio::sync::broadcast::Receiver;

fn lock_of(path: &Path) -> PathBuf {
    path.with_extension("db.lock")
}

async fn told(events: &mut Receiver<StoreEvent>) -> FileProblem {
    loop {
        if let StoreEvent::FileProblem { problem, .. } = events.recv().await.unwrap() {
            return problem;
        }
    }
}

#[tokio::test]
async fn a_lock_that_is_removed_or_replaced_is_told_and_made_again() {
    let moved = |lock: &Path| fs::rename(lock, lock.with_extension("old")).unwrap();
    let removed = |lock: &Path| fs::remove_file(lock).unwrap();
    let replaced = |lock: &Path| {
        fs::write(lock.with_extension("new"), "1 opened").unwrap();
        fs::rename(lock.with_extension("new"), lock).unwrap();
    };
    type Done<'a> = (&'a str, &'a dyn Fn(&Path));
    let done: [Done<'_>; 3] = [
        ("moved", &moved),
        ("removed", &removed),
        ("replaced", &replaced),
    ];
    for (what, done) in done {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let store = open(&path).await;
        let mut events = store.events();
        done(&lock_of(&path));
        assert_eq!(told(&mut events).await, FileProblem::LockRemoved, "{what}");
        let second = Store::open(&path).await.err().map(|error| error.kind());
        assert_eq!(second, Some(ErrorKind::AlreadyOpen), "{what}");
        // A warning: the store goes on.
        store.write(interaction(INTERACTIONS)).await.unwrap();
        store.close().await.unwrap();
        Store::open(&path).await.unwrap().close().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_writes_no_more_once_another_has_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let store = open(&path).await;
    let mut events = store.events();
    // The store may be the quicker.
    let second = loop {
        fs::remove_file(lock_of(&path)).unwrap();
        match Store::open(&path).await {
            Ok(second) => break second,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyOpen),
        }
    };
    while told(&mut events).await != FileProblem::LockTaken {}
    until("nobody may write", async || {
        let refused = store.write(interaction(INTERACTIONS)).await;
        refused.is_err_and(|error| error.kind() == ErrorKind::Replaced)
    })
    .await;
    assert!(!store.health().await.unwrap().ok);
    second.write(interaction(INTERACTIONS + 1)).await.unwrap();
    store.close().await.unwrap();
    second.write(interaction(INTERACTIONS + 2)).await.unwrap();
    second.close().await.unwrap();
    assert_eq!(crate::replaced::messages(&path), INTERACTIONS + 2);
}

#[tokio::test]
async fn a_lock_that_cannot_be_made_again_is_told_as_that_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    let store = open(&path).await;
    let mut events = store.events();
    fs::remove_file(lock_of(&path)).unwrap();
    fs::create_dir(lock_of(&path)).unwrap();
    while told(&mut events).await != FileProblem::LockLost {}
    store.write(interaction(INTERACTIONS)).await.unwrap();
    fs::remove_dir(lock_of(&path)).unwrap();
    while told(&mut events).await != FileProblem::LockRemoved {}
    let second = Store::open(&path).await.err().map(|error| error.kind());
    assert_eq!(second, Some(ErrorKind::AlreadyOpen));
    store.close().await.unwrap();
}
