//! Root at work beside a bot's database: whatever is made there is the bot's. And whoever may not read or write
//! something is told whose it is.

use crate::accounts::{mode, said, strangers};
use crate::planted::{STRANGER, is_root};
use crate::support::populate;
use botstore::backup::{self, AgeIdentity, Backups, IfExists, RunDrill, TakeBackup, VerifyOptions};
use botstore::users::EnsureUser;
use botstore::{Config, Store};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A group that is nobody's of its own.
const GROUP: u32 = 4_321;

/// Another account still.
const OTHER: u32 = 1_234;

/// Everything below a folder: account, group and mode.
fn all(folder: &Path) -> BTreeMap<PathBuf, (u32, u32, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // What is scratch may be gone by now.
        if let Ok(data) = fs::symlink_metadata(&path) {
            let of = (data.uid(), data.gid(), data.mode() & 0o777);
            found.insert(path.clone(), of);
            if data.is_dir() {
                found.extend(all(&path));
            }
        }
    }
    found
}

fn are_the_bots(found: &BTreeMap<PathBuf, (u32, u32, u32)>, database: &Path, by: &str) {
    assert!(!found.is_empty(), "{by}");
    for (path, &(uid, gid, mode)) in found {
        let what = format!("{} of {by} is {uid}:{gid} {mode:o}", path.display());
        assert_eq!((uid, gid), (STRANGER, GROUP), "{what}");
        // The database and what was it have the mode that it had.
        let name = path.file_name().unwrap().to_str().unwrap();
        let sqlites = ["bot.db", "bot.db-wal", "bot.db-shm", "bot.db-journal"];
        match sqlites.contains(&name) && path.parent() == database.parent() {
            true => assert_eq!(mode, 0o640, "{what}"),
            false => assert_eq!(mode & 0o037, 0, "{what}"),
        }
    }
}

#[tokio::test]
async fn whatever_root_makes_beside_a_database_belongs_to_the_databases_account() {
    let Some((_folder, program, db)) = strangers().await else {
        return;
    };
    let place = db.parent().unwrap().to_owned();
    for path in [&place, &db] {
        chown(path, Some(STRANGER), Some(GROUP)).unwrap();
    }
    fs::set_permissions(&db, Permissions::from_mode(0o640)).unwrap();
    let path = db.to_str().unwrap();
    let at = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let recipient = AgeIdentity::generate().recipient().to_string();
    let run = |words: &[&str]| {
        let (code, text) = said(Command::new(&program).args(words));
        assert_eq!(code, 0, "{words:?}: {text}");
        are_the_bots(&all(&place), &db, &words.join(" "));
    };
    let (sealed, export, new) = (at("sealed"), at("export.jsonl"), at("new/deeper/new.db"));
    run(&["backup", path]);
    run(&["backup", path, "--to", &sealed, "--recipient", &recipient]);
    run(&["backup", path, "--compact"]);
    run(&["rollback", path, "--to", "6"]);
    run(&["migrate", path]);
    run(&["check", path, "--repair"]);
    run(&["export", path, "--out", &export]);
    run(&["restore", "--latest", "--to", path, "--replace"]);
    run(&["migrate", path]);
    run(&["restore", "--latest", &at("bot.db.backups"), "--to", &new]);
    run(&[
        "prune",
        path,
        "--last",
        "1",
        "--before-upgrade",
        "0",
        "--hourly",
        "1",
    ]);
    for look in ["status", "check", "dashboard", "export", "backups"] {
        run(&[look, path]);
    }

    // And a bot that runs as root: with its log, its scratch and its drill.
    let note = Arc::new(Mutex::new(BTreeMap::new()));
    let (seen, look) = (Arc::clone(&note), place.clone());
    let settings = Backups::default().folder(place.join("elsewhere/backups"));
    let store = Store::open(Config::new(&db).backups(settings))
        .await
        .unwrap();
    store.write(EnsureUser::new(2, Some("eve"))).await.unwrap();
    let request = TakeBackup::default().on_progress(move |_| {
        seen.lock().unwrap().extend(all(&look));
        ControlFlow::Continue(())
    });
    store.back_up(request).await.unwrap();
    store.backup_actor().send(RunDrill).await.unwrap().unwrap();
    are_the_bots(&all(&place), &db, "a store");
    let seen = std::mem::take(&mut *note.lock().unwrap());
    for name in ["bot.db-wal", "bot.db-shm", "copy.db"] {
        assert!(
            seen.keys().any(|path| path.ends_with(name)),
            "{name} was seen"
        );
    }
    are_the_bots(&seen, &db, "a backup");
    store.close().await.unwrap();

    // Where nothing was, it is the folder's account.
    let fresh = place.join("fresh/folder/fresh.db");
    let store = Store::open(&fresh).await.unwrap();
    are_the_bots(&all(&place), &db, "a new store");
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_root_exports_elsewhere_is_that_folders() {
    let Some((folder, program, db)) = strangers().await else {
        return;
    };
    let export = |to: &Path| {
        let (code, text) = said(
            Command::new(&program)
                .args(["export", "--out"])
                .arg(to)
                .arg(&db),
        );
        assert_eq!(code, 0, "{text}");
        let data = fs::metadata(to).unwrap();
        assert_eq!(mode(to), 0o600);
        data.uid()
    };
    // Root's own folder, and another account's.
    assert_eq!(export(&folder.path().join("roots.jsonl")), 0);
    let others = folder.path().join("others");
    fs::create_dir(&others).unwrap();
    chown(&others, Some(OTHER), Some(OTHER)).unwrap();
    assert_eq!(export(&others.join("theirs.jsonl")), OTHER);
}

/// A restored file is for those whom the old one was for.
#[test]
fn a_restored_file_has_the_mode_of_the_old_one_and_a_new_one_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("bot.db");
    let work = tokio::runtime::Runtime::new().unwrap();
    work.block_on(async {
        let store = Store::open(&db).await.unwrap();
        populate(&store).await;
        store.close().await.unwrap();
    });
    let backup = backup::take(&db, TakeBackup::default()).unwrap().path;
    for wanted in [0o600, 0o640, 0o660, 0o644, 0o400] {
        fs::set_permissions(&db, Permissions::from_mode(wanted)).unwrap();
        let reading = VerifyOptions::default();
        backup::restore(&db, &backup, IfExists::MoveAside, reading).unwrap();
        assert_eq!(mode(&db), wanted);
    }
    let new = folder.path().join("new/new.db");
    backup::restore(&new, &backup, IfExists::Refuse, VerifyOptions::default()).unwrap();
    assert_eq!((mode(&new), mode(new.parent().unwrap())), (0o600, 0o700));
}

/// What is done to a file, by whom it may not be done.
const DEEDS: [&[&str]; 9] = [
    &["status"],
    &["check"],
    &["dashboard"],
    &["export"],
    &["backup"],
    &["migrate"],
    &["migrate", "--plan"],
    &["rollback", "--to", "6"],
    &["restore", "--latest", "--replace", "--to"],
];

/// Each deed as an account is refused, and told of that account's `uid` and what is to be done about it.
fn each_is_told(program: &Path, db: &Path, by: u32, whose: &str) {
    for deed in DEEDS {
        let words = deed.iter().map(|word| word.to_string());
        let words: Vec<_> = words.chain([db.to_str().unwrap().to_owned()]).collect();
        let mut command = Command::new(program);
        command.args(&words).current_dir("/").uid(by).gid(by);
        let (code, text) = said(&mut command);
        assert_eq!(code, 1, "{words:?}: {text}");
        for part in ["(read-only)", whose, "chown", &format!("runs as uid {by}")] {
            assert!(text.contains(part), "{words:?} does not say {part}: {text}");
        }
    }
}

#[tokio::test]
async fn who_may_not_read_or_write_is_told_whose_it_is_and_what_to_do() {
    let Some((folder, program, db)) = strangers().await else {
        return;
    };
    let place = db.parent().unwrap();
    let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", db.display()));
    said(Command::new(&program).arg("backup").arg(&db));
    let whose = format!("uid {STRANGER}");
    // The folder may not be looked into; then what is in it may not be read.
    each_is_told(&program, &db, OTHER, &whose);
    fs::set_permissions(place, Permissions::from_mode(0o755)).unwrap();
    each_is_told(&program, &db, OTHER, &whose);

    // What root has left of an older version of this program keeps the bot out, each by itself.
    let deeds = |roots: &Path, deed: &str| {
        chown(roots, Some(0), Some(0)).unwrap();
        let mut command = Command::new(&program);
        command.arg(deed).arg(&db).current_dir("/");
        let (code, text) = said(command.uid(STRANGER).gid(STRANGER));
        chown(roots, Some(STRANGER), Some(STRANGER)).unwrap();
        assert_eq!(code, 1, "{}: {text}", roots.display());
        for part in [roots.to_str().unwrap(), "uid 0", "chown", "(read-only)"] {
            assert!(text.contains(part), "{deed} does not say {part}: {text}");
        }
    };
    deeds(&db, "status");
    deeds(&db, "migrate");
    deeds(&named(".lock"), "migrate");
    deeds(&named(".lock"), "backup");
    deeds(&named(".backups"), "backup");
    deeds(&named(".backups/.lock"), "backup");
    deeds(&named(".backups"), "backups");
    fs::write(named(".restoring"), ".replaced-20260102T030405Z").unwrap();
    fs::set_permissions(named(".restoring"), Permissions::from_mode(0o600)).unwrap();
    deeds(&named(".restoring"), "migrate");
    drop(folder);
}

#[tokio::test]
async fn anothers_file_in_a_sticky_folder_is_not_restored_onto_and_stays_open() {
    let Some((folder, program, db)) = strangers().await else {
        return;
    };
    // As in /tmp: everybody may make files, and nobody may move another's.
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let made = backup::take(&db, TakeBackup::default()).unwrap().path;
    let own = shared.join("own.backups");
    fs::create_dir(&own).unwrap();
    let name = made.file_name().unwrap();
    fs::rename(&made, own.join(name)).unwrap();
    let own_backup = own.join(name);
    for entry in [
        own.clone(),
        own_backup.clone(),
        own_backup.join("manifest.json"),
        own_backup.join("database.zst"),
    ] {
        chown(entry, Some(OTHER), Some(OTHER)).unwrap();
    }
    let target = shared.join("bot.db");
    fs::copy(&db, &target).unwrap();
    fs::set_permissions(&target, Permissions::from_mode(0o666)).unwrap();
    chown(&target, Some(STRANGER), Some(STRANGER)).unwrap();
    let before = fs::read(&target).unwrap();
    let mut restore = Command::new(&program);
    restore
        .arg("restore")
        .arg(&own_backup)
        .arg("--to")
        .arg(&target)
        .arg("--replace");
    let (code, text) = said(restore.current_dir("/").uid(OTHER).gid(OTHER));
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("sticky") && text.contains("(read-only)"),
        "{text}"
    );
    assert!(fs::read(&target).unwrap() == before);
    let left: Vec<_> = all(&shared)
        .into_keys()
        .filter(|p| p.to_str().unwrap().contains("restoring"))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    let (code, text) = said(
        Command::new(&program)
            .arg("status")
            .arg(&target)
            .uid(STRANGER)
            .gid(STRANGER),
    );
    assert_eq!(code, 0, "{text}");
}

/// The same for an account that has no other beside it: a folder of its own that it may not write into.
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_of() {
    if is_root() {
        eprintln!(
            "left out: root may write everywhere; the tests with other accounts are about the same"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("bot.db");
    let store = Store::open(&db).await.unwrap();
    populate(&store).await;
    let made = store.back_up(TakeBackup::default()).await.unwrap().path;
    store.close().await.unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let refused = backup::restore(&db, &made, IfExists::MoveAside, VerifyOptions::default());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("has mode 0555"), "{error}");
    fs::set_permissions(&db, Permissions::from_mode(0o000)).unwrap();
    let refused = Store::open(&db).await.map(drop);
    fs::set_permissions(&db, Permissions::from_mode(0o600)).unwrap();
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("has mode 0000"), "{error}");
    Store::open(&db).await.unwrap().close().await.unwrap();
}
