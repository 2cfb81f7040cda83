//! Paths that a store is asked to open, good and bad.

use crate::support::{ADA, picture, populated, user};
use botstore::rusqlite::Connection;
use botstore::users::EnsureUser;
use botstore::{Config, Error, ErrorKind, Store};
use std::path::Path;

async fn refused(path: impl AsRef<Path>, kind: ErrorKind) -> Error {
    let path = path.as_ref();
    let error = Store::open(path).await.expect_err("a refusal");
    assert_eq!(error.kind(), kind, "{path:?}: {error}");
    error
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn a_folder_that_is_missing_is_made() {
    let folder = folder();
    let path = folder.path().join("a/b c/ü/bot.db");
    let store = Store::open(&path).await.expect("a store");
    store
        .write(EnsureUser::new(ADA, None))
        .await
        .expect("a user");
    store.close().await.expect("closed");
    assert!(path.is_file());
}

#[tokio::test]
async fn a_path_that_names_no_file_is_refused() {
    for path in ["", ":memory:", "/", "..", "a/.."] {
        let error = refused(path, ErrorKind::Invalid).await;
        assert_eq!(error.field(), Some("path"), "{path:?}");
        assert_eq!(error.operation(), None);
    }
    assert!(!Path::new(":memory:").exists() && !Path::new("a").exists());
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("bot.db");
    std::fs::create_dir(&path).expect("a folder");
    let error = refused(&path, ErrorKind::ForeignFile).await;
    assert!(error.to_string().contains("bot.db"), "{error}");
    assert_eq!(std::fs::read_dir(&path).expect("a folder").count(), 0);
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        1
    );
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_refused() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").expect("a file");
    let error = refused(file.join("bot.db"), ErrorKind::Io).await;
    assert!(error.to_string().contains("file"), "{error}");
    assert_eq!(std::fs::read(&file).expect("bytes"), b"text");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("bot.db");
    let mut texts = vec![
        b"xy".to_vec(),
        "notes\n".repeat(1_000).into_bytes(),
        vec![0; 8192],
    ];
    // With the right first words and nothing right after them.
    let mut header = b"SQLite format 3\0".to_vec();
    header.resize(8192, 0xff);
    texts.push(header);
    for bytes in texts {
        std::fs::write(&path, &bytes).expect("a file");
        let error = refused(&path, ErrorKind::ForeignFile).await;
        assert!(error.to_string().contains("bot.db"), "{error}");
        assert_eq!(std::fs::read(&path).expect("bytes"), bytes, "{error}");
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = folder();
    for sql in [
        "CREATE TABLE notes (body TEXT);",
        "CREATE TABLE users (user_id INTEGER PRIMARY KEY);",
        "CREATE TABLE schema_version (version INTEGER); CREATE TABLE users (name TEXT);",
    ] {
        let path = folder.path().join("other.db");
        let _ = std::fs::remove_file(&path);
        let other = Connection::open(&path).expect("a connection");
        other.execute_batch(sql).expect("tables");
        drop(other);
        let before = std::fs::read(&path).expect("bytes");
        let error = refused(&path, ErrorKind::ForeignFile).await;
        assert!(error.to_string().contains("other.db"), "{error}");
        assert_eq!(std::fs::read(&path).expect("bytes"), before, "{sql}");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = folder();
    let path = folder.path().join("bot.db");
    std::fs::write(&path, "").expect("a file");
    let store = Store::open(&path).await.expect("a store");
    store
        .write(EnsureUser::new(ADA, None))
        .await
        .expect("a user");
}

#[tokio::test]
async fn a_file_that_a_store_has_open_cannot_be_opened_by_another_under_any_name() {
    let store = populated().await;
    let before = picture(&store).await;
    let (folder, path) = (store.folder(), store.path().to_owned());
    let file = path.file_name().expect("a name");
    let mut names = vec![
        path.clone(),
        folder.join(".").join(file),
        folder.join("x/..").join(file),
    ];
    std::fs::create_dir(folder.join("x")).expect("a folder");
    #[cfg(unix)]
    {
        let link = folder.join("x/link.db");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        names.push(link);
    }
    for name in names {
        let error = refused(&name, ErrorKind::AlreadyOpen).await;
        let process = format!("process {}", std::process::id());
        assert!(error.to_string().contains(&process), "{error}");
    }
    // The one that has it goes on as if nothing had been.
    assert_eq!(picture(&store).await, before);
    store.write(EnsureUser::new(7, None)).await.expect("a user");
    store.close().await.expect("closed");
    let next = Store::open(&path).await.expect("a store");
    let error = next.write(EnsureUser::new(7, Some("later"))).await;
    assert!(error.is_ok());
}

#[tokio::test]
async fn what_was_written_is_there_when_the_file_is_opened_again() {
    let store = populated().await;
    let (ada, before) = (user(&store, ADA).await, picture(&store).await);
    let clock = store.clock().clone();
    let (_folder, path) = store.into_file().await.expect("a file");
    for _ in 0..2 {
        let config = Config::new(&path).clock(clock.clone());
        let again = Store::open(config).await.expect("a store");
        let read = again.read(botstore::users::GetUser::new(ADA)).await;
        assert_eq!(read.expect("a read"), Some(ada.clone()));
        again.close().await.expect("closed");
    }
    assert_eq!(before["users"].len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_be_written_is_refused_and_left_as_it_is() {
    use std::fs::{OpenOptions, Permissions, read, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let (_folder, path) = populated().await.into_file().await.expect("a file");
    set_permissions(&path, Permissions::from_mode(0o444)).expect("a mode");
    if OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("skipped: for this user (root?) a mode does not keep a file from being written");
        return;
    }
    let before = read(&path).expect("bytes");
    let error = refused(&path, ErrorKind::ReadOnly).await;
    assert!(error.to_string().contains("test.db"), "{error}");
    assert_eq!(read(&path).expect("bytes"), before);
}
