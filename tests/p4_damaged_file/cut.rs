//! The WAL of an open store is cut or written over in its place: it has its name and its number, and not what
//! was in it.

use crate::copy::{copy, keeps_its_log, with};
use crate::replaced::messages;
use crate::wait::answered;
use crate::{INTERACTIONS, interaction, sign_up};
use botstore::rusqlite::Connection;
use botstore::{Config, ErrorKind, FileProblem, Store, StoreEvent};
use std::path::Path;
use std::process::Command;
use tokio::task::JoinSet;

/// What is done to `x.db-wal`. By another process: to close a file of the store's in this one may drop locks.
const CUTS: [&str; 4] = [
    "truncate -s 0 x.db-wal",
    "truncate -s 32 x.db-wal",
    "truncate -s 50000 x.db-wal",
    "dd if=/dev/zero of=x.db-wal bs=$(stat -c %s x.db-wal) count=1 conv=notrunc status=none",
];

/// A store with so many messages in the file, and as many more in its WAL.
async fn open(path: &Path) -> Store {
    let config = || keeps_its_log(Config::new(path));
    let store = Store::open(config()).await.unwrap();
    sign_up(&store).await;
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = Store::open(config()).await.unwrap();
    for number in 0..INTERACTIONS {
        store.write(interaction(number)).await.unwrap();
    }
    store
}

async fn is_told(cut: &'static str, write_on: bool) {
    let case = format!("{cut}, written on: {write_on}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    let mut sh = Command::new("sh");
    let done = sh.current_dir(folder.path()).args(["-c", cut]).status();
    assert!(done.unwrap().success(), "{case}");
    if write_on {
        // What comes after the hole hides it from who looks at the size alone.
        let _ = store.write(interaction(-1)).await;
    }
    loop {
        let event = answered(events.recv()).await.unwrap();
        if let StoreEvent::FileProblem { problem, .. } = event {
            assert_eq!(problem, FileProblem::WalCut, "{case}");
            break;
        }
    }
    let health = store.health().await.unwrap();
    assert!(!health.ok && health.file_problems == [FileProblem::WalCut]);
    let refused = store.write(interaction(-2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Replaced, "{case}: {refused}");
    assert!(refused.to_string().contains("restore a backup"));
    // It does not pass off what it has as the whole.
    let error = answered(store.close()).await.unwrap_err();
    let said = error.to_string();
    assert!(!said.contains("all its data"), "{case}: {said}");

    // The file is as it was when it was last copied into.
    let alone = folder.path().join("alone.db");
    copy(&path, &alone);
    assert_eq!(messages(&alone), INTERACTIONS, "{case}");
    match Store::open(&path).await {
        Ok(store) => {
            store.close().await.unwrap();
            assert!(messages(&path) >= INTERACTIONS, "{case}");
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{case}: {error}"),
    }
}

#[tokio::test]
async fn a_log_that_is_cut_is_told_and_what_is_left_is_laid_over_nothing() {
    let mut cases = JoinSet::new();
    for cut in CUTS {
        for write_on in [false, true] {
            cases.spawn(is_told(cut, write_on));
        }
    }
    cases.join_all().await;
}

/// As a shell does that empties the log by SQLite's own means: it is in the database then.
#[tokio::test]
async fn a_log_that_another_program_has_emptied_into_the_file_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    for writes_on in [false, true] {
        let store = open(&path).await;
        let other = Connection::open(&path).unwrap();
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: bool = other.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(!busy);
        drop(other);
        assert_eq!(std::fs::metadata(with(&path, "-wal")).unwrap().len(), 0);
        if writes_on {
            store.write(interaction(0)).await.unwrap();
        }
        store.close().await.unwrap();
        assert_eq!(messages(&path), 2 * INTERACTIONS + i64::from(writes_on),);
        std::fs::remove_file(&path).unwrap();
    }
}
