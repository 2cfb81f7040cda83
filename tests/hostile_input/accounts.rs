//! Who can read what the store makes, and whose it is.

use crate::planted::{STRANGER, is_root};
use crate::support::populate;
use botstore::backup::{self, Backups, IfExists, TakeBackup, VerifyOptions};
use botstore::{ErrorKind, OpenIn, Store};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Everything below a folder, with its mode.
pub(crate) fn modes(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        // What is scratch may be gone by now.
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        found.insert(path.clone(), data.mode() & 0o777);
        if data.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

fn are_private(found: &BTreeMap<PathBuf, u32>) {
    for (path, mode) in found {
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}

#[tokio::test]
async fn only_its_owner_can_read_what_a_store_makes_while_it_works_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("made/by/the/store");
    let db = root.join("bot.db");
    let store = Store::open(&db).await.unwrap();
    populate(&store).await;
    let (seen, look) = (Arc::new(Mutex::new(BTreeMap::new())), root.clone());
    let note = Arc::clone(&seen);
    let request = TakeBackup::default().on_progress(move |_| {
        note.lock().unwrap().extend(modes(&look));
        std::ops::ControlFlow::Continue(())
    });
    let made = store.back_up(request).await.unwrap();
    store.drill().await.unwrap();
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", db.display()));
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&beside(suffix)), 0o600, "{suffix}");
    }
    for place in ["made", "made/by", "made/by/the", "made/by/the/store"] {
        assert_eq!(mode(&folder.path().join(place)), 0o700, "{place}");
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let scratch = |path: &PathBuf| path.to_str().unwrap().contains(".partial/");
    assert!(seen.keys().any(scratch), "it looked while it worked");
    are_private(&seen);
    store.close().await.unwrap();
    are_private(&modes(folder.path()));
    let status = botstore::status(&db).unwrap();
    assert!(status.open_to_others.is_empty(), "{status:?}");
    // Of what is restored where nothing was, too, and of what is moved aside.
    let (elsewhere, reading) = (root.join("elsewhere.db"), VerifyOptions::default());
    backup::restore(elsewhere, &made.path, IfExists::Refuse, reading).unwrap();
    let restored = backup::restore(
        &db,
        made.path,
        IfExists::MoveAside,
        VerifyOptions::default(),
    );
    assert!(restored.unwrap().replaced.is_some());
    are_private(&modes(folder.path()));
}

#[tokio::test]
async fn status_tells_of_a_file_that_others_can_read_and_nobody_changes_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("bot.db");
    let store = Store::open(&db).await.unwrap();
    store.close().await.unwrap();
    let lock = folder.path().join("bot.db.lock");
    for (file, wrong) in [(&db, 0o644), (&lock, 0o604), (&db, 0o620)] {
        fs::set_permissions(file, Permissions::from_mode(wrong)).unwrap();
        let status = botstore::status(&db).unwrap();
        assert_eq!(status.open_to_others, [fs::canonicalize(file).unwrap()]);
        let said = botstore(&[
            env!("CARGO_BIN_EXE_botstore").as_ref(),
            "status".as_ref(),
            &db,
        ]);
        let name = file.file_name().unwrap().to_str().unwrap();
        let warns = |line: &str| line.starts_with("warning") && line.contains(name);
        assert!(said.1.lines().any(warns), "{}", said.1);
        Store::open(&db).await.unwrap().close().await.unwrap();
        assert_eq!(mode(file), wrong);
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }
}

/// Runs a program to its end; gives its exit code and what it said.
fn botstore(words: &[&Path]) -> (i32, String) {
    said(Command::new(words[0]).args(&words[1..]))
}

pub(crate) fn said(command: &mut Command) -> (i32, String) {
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (ran.status.code().unwrap_or(-1), text)
}

/// A folder of a stranger's with a bot's database and the program in it; `None` where only root could
/// make one.
pub(crate) async fn strangers() -> Option<(TempDir, PathBuf, PathBuf)> {
    if !is_root() {
        eprintln!("left out: only root can give a file to another account");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("botstore");
    fs::copy(env!("CARGO_BIN_EXE_botstore"), &program).unwrap();
    let root = folder.path().join("bot");
    let db = root.join("bot.db");
    let store = Store::open(&db).await.unwrap();
    populate(&store).await;
    store.close().await.unwrap();
    fs::remove_file(root.join("bot.db.lock")).unwrap();
    for path in [&root, &db] {
        chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    }
    Some((folder, program, db))
}

#[tokio::test]
async fn what_root_makes_beside_a_bots_database_does_not_lock_the_bot_out() {
    let Some((_folder, program, db)) = strangers().await else {
        return;
    };
    let as_root = |words: &[&str]| {
        let (code, text) = said(Command::new(&program).args(words));
        assert_eq!(code, 0, "{words:?}: {text}");
    };
    // SQLite is given URIs, and no URI is a path: one that was looked for in the working directory
    // would be found in a folder that the bot may not look into.
    let roots = tempfile::tempdir().unwrap();
    fs::set_permissions(roots.path(), Permissions::from_mode(0o755)).unwrap();
    DirBuilder::new()
        .mode(0o700)
        .create(roots.path().join("file:"))
        .unwrap();
    let as_bot = |words: &[&str]| {
        let mut command = Command::new(&program);
        let command = command.current_dir(roots.path()).args(words);
        let (code, text) = said(command.uid(STRANGER).gid(STRANGER));
        assert_eq!(code, 0, "{words:?}: {text}");
    };
    let path = db.to_str().unwrap();
    let backups = format!("{path}.backups");
    as_root(&["migrate", path]);
    as_bot(&["migrate", path]);
    // Backups, and the folder of backups, too.
    as_root(&["backup", path]);
    as_bot(&["backup", path]);
    as_root(&["rollback", path, "--to", "6"]);
    as_bot(&["migrate", path]);
    as_root(&["prune", &backups, "--last", "1", "--before-upgrade", "0"]);
    as_bot(&["backup", path]);
    let newest = backup::list(&backups).unwrap().backups.pop().unwrap().path;
    as_root(&[
        "restore",
        newest.to_str().unwrap(),
        "--to",
        path,
        "--replace",
    ]);
    as_bot(&["migrate", path]);
    as_bot(&["check", path]);
    as_bot(&["verify", newest.to_str().unwrap()]);
    are_private(&modes(Path::new(&backups)));
    assert_eq!(fs::metadata(&db).unwrap().uid(), STRANGER);
    assert_eq!(mode(&db), 0o600);
}

#[tokio::test]
async fn another_account_can_neither_read_the_file_nor_keep_the_bot_from_opening_it() {
    let Some((folder, program, _)) = strangers().await else {
        return;
    };
    // Of root's, in a folder that everybody may look into.
    let root = folder.path().join("roots");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
    let db = root.join("bot.db");
    let store = Store::open(&db).await.unwrap();
    populate(&store).await;
    for file in ["bot.db", "bot.db-wal", "bot.db-shm", "bot.db.lock"] {
        let mut cat = Command::new("cat");
        let (code, _) = said(cat.arg(root.join(file)).uid(STRANGER).gid(STRANGER));
        assert_ne!(code, 0, "{file} can be read");
    }
    store.close().await.unwrap();
    let mut status = Command::new(&program);
    let (code, text) = said(status.arg("status").arg(&db).uid(STRANGER).gid(STRANGER));
    assert_ne!(code, 0, "{text}");
}

#[tokio::test]
async fn a_lock_that_this_account_may_not_read_does_not_hide_the_rest() {
    let Some((folder, program, db)) = strangers().await else {
        return;
    };
    // The database is for a group, and its lock is the bot's.
    let store = Store::open(&db).await.unwrap();
    store.close().await.unwrap();
    fs::set_permissions(&db, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(db.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    let mut status = Command::new(&program);
    status
        .args(["status", "--json"])
        .arg(&db)
        .uid(4_321)
        .gid(4_321);
    let (code, text) = said(&mut status);
    assert_eq!(code, 0, "{text}");
    let open_in: OpenIn = serde_json::from_value(
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["open_in"].clone(),
    )
    .unwrap();
    assert_eq!(open_in, OpenIn::Unknown);
    drop(folder);
}

#[tokio::test]
async fn a_link_that_another_account_has_laid_is_not_followed() {
    if !is_root() {
        eprintln!("left out: only root can lay a link for another account");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (shared, own) = (folder.path().join("shared"), folder.path().join("own"));
    for place in [&shared, &own] {
        fs::create_dir(place).unwrap();
    }
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let target = own.join("target.db");
    let link = shared.join("bot.db");
    symlink(&target, &link).unwrap();
    let stranger = |path: &Path| {
        std::os::unix::fs::lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    };
    stranger(&link);
    // Neither to a file that is there nor to one that is not, and not as the folder of backups.
    for is_there in [false, true] {
        if is_there {
            fs::write(&target, "").unwrap();
        }
        let error = Store::open(&link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignFile, "{error}");
        assert!(error.to_string().contains("another account"), "{error}");
    }
    assert_eq!(fs::read(&target).unwrap(), b"");
    assert_eq!(fs::read_dir(&own).unwrap().count(), 1);
    let backups = shared.join("backups");
    symlink(&own, &backups).unwrap();
    stranger(&backups);
    let db = own.join("mine.db");
    let settings = Backups::default().folder(&backups);
    let config = botstore::Config::new(&db).backups(settings);
    let store = Store::open(config).await.unwrap();
    let error = store.back_up(TakeBackup::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignFile, "{error}");
    // His own are.
    std::os::unix::fs::lchown(&backups, Some(0), Some(0)).unwrap();
    store.back_up(TakeBackup::default()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(300), store.close())
        .await
        .unwrap()
        .unwrap();
}
