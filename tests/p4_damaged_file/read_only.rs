//! A database with a WAL, where nothing can be written: a snapshot of a disk, somebody else's folder.

use crate::INTERACTIONS;
use crate::child::{given, succeed_with_a_read_only_view};
use crate::copy::{copy, with};
use crate::log::killed;
use botstore::{ErrorKind, Store, backup, schema};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whoever looks hears what to do; and it helps.
async fn is_told(path: &Path) {
    for (at, looked) in [
        botstore::status(path).map(|_| ()),
        botstore::snapshot(path, |_| Ok(())),
        schema::plan(path).map(|_| ()),
        schema::unknown_objects(path).map(|_| ()),
    ]
    .into_iter()
    .enumerate()
    {
        let error = looked.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{at}: {error}");
        let advice = "copy the file and its -wal to a folder of your own";
        assert!(error.to_string().contains(advice), "{at}: {error}");
    }
    let taken = backup::take(path, Default::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::ReadOnly, "{taken}");
    let opened = Store::open(path).await.unwrap_err();
    assert_eq!(opened.kind(), ErrorKind::ReadOnly, "{opened}");

    let own = tempfile::tempdir().unwrap();
    let to = own.path().join("x.db");
    for suffix in ["", "-wal"] {
        copy(&with(path, suffix), &with(&to, suffix));
        fs::set_permissions(with(&to, suffix), Permissions::from_mode(0o600)).unwrap();
    }
    assert!(botstore::status(&to).unwrap().rows["messages"] as i64 == INTERACTIONS);
}

#[tokio::test]
async fn a_log_on_a_disk_that_cannot_be_written_says_how_it_can_be_read() {
    if let Some([_, view]) = given() {
        return is_told(&Path::new(&view).join("x.db")).await;
    }
    let (folder, path) = killed().await;
    fs::remove_file(with(&path, ".lock")).unwrap();
    let view = tempfile::tempdir().unwrap();
    succeed_with_a_read_only_view(
        a_log_on_a_disk_that_cannot_be_written_says_how_it_can_be_read,
        folder.path(),
        view.path(),
    );
    // Whoever is not root needs no disk for that.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    match fs::write(folder.path().join("probe"), "") {
        Ok(()) => {
            eprintln!("skipped in a folder that is read-only: this account may write anywhere")
        }
        Err(_) => is_told(&path).await,
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
}
