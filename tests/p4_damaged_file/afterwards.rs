//! What a killed store leaves, when its files are moved apart or copied together.

use crate::INTERACTIONS;
use crate::child::{Victim, again, given};
use crate::copy::{copy, with};
use crate::replaced::{messages, open};
use botstore::backup::TakeBackup;
use botstore::{ErrorKind, Store};
use std::fs;
use std::path::Path;
use std::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn write_and_wait_to_be_killed(path: &Path) {
    let store = open(path).await;
    println!("written");
    std::thread::park();
    drop(store);
}

/// The log is not laid over the file that has the name now; and put back, nothing is lost.
#[test]
fn the_log_of_a_killed_store_is_not_laid_over_the_file_that_replaced_its_own() {
    if let Some([path]) = given() {
        return write_and_wait_to_be_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let open_it = || runtime.block_on(async { Store::open(&path).await });
    let yesterday = folder.path().join("yesterday.db");
    runtime.block_on(async { open_it_and_close(&path).await });
    copy(&path, &yesterday);
    let child = again(
        &[],
        the_log_of_a_killed_store_is_not_laid_over_the_file_that_replaced_its_own,
        &[&path],
    );
    let mut victim = Victim::start(child);
    assert!(victim.says("written"));
    let old = folder.path().join("old.db");
    fs::rename(&path, &old).unwrap();
    fs::rename(&yesterday, &path).unwrap();
    victim.kill();
    let picture = || {
        let read = |suffix| fs::read(with(&path, suffix)).unwrap();
        (read(""), read("-wal"))
    };
    let before = picture();
    for refused in [
        open_it().map(|_| ()).unwrap_err(),
        botstore::status(&path).map(|_| ()).unwrap_err(),
        botstore::schema::plan(&path).map(|_| ()).unwrap_err(),
        botstore::snapshot(&path, |_| Ok(())).unwrap_err(),
        botstore::backup::take(&path, TakeBackup::default())
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Replaced, "{refused}");
    }
    assert!(picture() == before);
    // Back under its name, it is whole.
    fs::rename(&path, &yesterday).unwrap();
    fs::rename(&old, &path).unwrap();
    runtime.block_on(async { open_it_and_close(&path).await });
    assert_eq!(messages(&path), INTERACTIONS);
}

async fn open_it_and_close(path: &Path) {
    let store = Store::open(path).await.unwrap();
    store.close().await.unwrap();
}

/// A copy of both files, which a backup by hand of a killed bot is, has other numbers and opens.
#[test]
fn a_killed_stores_files_open_where_they_were_copied_to_together() {
    if let Some([path]) = given() {
        return write_and_wait_to_be_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let this = a_killed_stores_files_open_where_they_were_copied_to_together;
    let mut victim = Victim::start(again(&[], this, &[&path]));
    assert!(victim.says("written"));
    victim.kill();
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(folder.path())
        .arg(elsewhere.path())
        .status();
    assert!(copied.unwrap().success());
    let copies = elsewhere.path().join(folder.path().file_name().unwrap());
    // Copied back over the originals, in any order, too.
    for suffix in ["-wal", ""] {
        let back = with(&path, ".back");
        copy(&with(&copies.join("x.db"), suffix), &back);
        fs::rename(back, with(&path, suffix)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for path in [path, copies.join("x.db")] {
        runtime.block_on(async { open_it_and_close(&path).await });
        assert_eq!(messages(&path), INTERACTIONS);
    }
}
