//! What is noted of a file beside it while somebody brings it up to date, takes steps back, or restores it:
//! who it is, and which files these are. Whoever comes next goes by it, also after a kill.

use crate::child::{Victim, again, given};
use crate::copy::{copy, with};
use crate::replaced::{messages, open};
use crate::{INTERACTIONS, interaction, sign_up};
use botstore::backup::{self, IfExists, TakeBackup, VerifyOptions};
use botstore::rusqlite::Connection;
use botstore::rusqlite::config::DbConfig;
use botstore::{BeforeUpgrade, Config, ErrorKind, OpenIn, Store, schema, status};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the child is at.
const ALL: [&str; 5] = ["open", "apply", "apply_to", "rollback", "restore"];

static FILE: OnceLock<PathBuf> = OnceLock::new();

/// SQLite is at work on the file, with changes of it in the WAL; or on what is to be restored.
fn stop_here() -> bool {
    let file = FILE.get().expect("it is set first");
    let log = fs::metadata(with(file, "-wal")).map_or(0, |log| log.len());
    if log > 16 << 10 || with(file, ".restoring.db").exists() {
        println!("in the middle");
        std::thread::park();
    }
    false
}

fn backups(path: &Path) -> PathBuf {
    with(path, ".backups")
}

#[tokio::main(flavor = "current_thread")]
async fn is_killed_in(what: &str, path: &Path) {
    FILE.set(path.to_owned()).unwrap();
    let config = Config::new(path)
        .before_upgrade(BeforeUpgrade::Skip)
        .stop_when(stop_here);
    match what {
        "open" => drop(Store::open(config).await.unwrap()),
        "apply" => drop(schema::apply(config).unwrap()),
        "apply_to" => drop(schema::apply_to(config, "botstore", 9).unwrap()),
        "rollback" => drop(schema::rollback(config, "botstore", 0).unwrap()),
        "restore" => {
            let backup = backup::list(backups(path)).unwrap().backups.remove(0).path;
            let options = VerifyOptions::default().on_progress(|_| {
                stop_here();
                ControlFlow::Continue(())
            });
            backup::restore(config, backup, IfExists::MoveAside, options).unwrap();
        }
        other => panic!("{other}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn filled(path: &Path, interactions: i64) {
    let is_new = !path.exists();
    let store = Store::open(path).await.unwrap();
    if is_new {
        sign_up(&store).await;
    }
    for number in 0..interactions {
        store.write(interaction(number)).await.unwrap();
    }
    store.back_up(TakeBackup::default()).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn opened(path: &Path) -> botstore::Result<()> {
    Store::open(path).await?.close().await
}

#[test]
fn whoever_has_a_file_is_told_and_its_log_is_laid_over_no_other() {
    if let Some([what, path]) = given() {
        return is_killed_in(&what, path.as_ref());
    }
    for what in ALL {
        let folder = tempfile::tempdir().unwrap();
        let (path, yesterday) = (
            folder.path().join("x.db"),
            folder.path().join("yesterday.db"),
        );
        filled(&path, 1);
        copy(&path, &yesterday);
        filled(&path, INTERACTIONS - 1);
        if !matches!(what, "rollback" | "restore") {
            schema::rollback(&path, "botstore", 2).unwrap();
        }
        let this = whoever_has_a_file_is_told_and_its_log_is_laid_over_no_other;
        let mut victim = Victim::start(again(&[], this, &[what.as_ref(), &path]));
        assert!(victim.says("in the middle"), "{what}");
        let refused = opened(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyOpen, "{what}: {refused}");
        let process = format!("process {}", victim.id());
        assert!(refused.to_string().contains(&process), "{what}: {refused}");
        assert_eq!(
            status(&path).unwrap().open_in,
            OpenIn::Process(victim.id()),
            "{what}"
        );

        // Another file takes the name, and the process is killed.
        let old = folder.path().join("old.db");
        fs::rename(&path, &old).unwrap();
        fs::rename(&yesterday, &path).unwrap();
        victim.kill();
        if what != "restore" {
            let refused = opened(&path).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Replaced, "{what}: {refused}");
        }
        fs::rename(&path, &yesterday).unwrap();
        fs::rename(&old, &path).unwrap();
        assert_eq!(status(&path).unwrap().open_in, OpenIn::Nothing, "{what}");
        opened(&path).unwrap();
        assert_eq!(messages(&path), INTERACTIONS, "{what}");
        // And what was noted of it is past.
        fs::rename(&yesterday, &path).unwrap();
        opened(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(messages(&path), 1, "{what}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn writes_and_is_killed(path: &Path) {
    let store = open(path).await;
    store.back_up(TakeBackup::default()).await.unwrap();
    println!("written");
    std::thread::park();
    drop(store);
}

/// The numbers of files are used again. What stands in for that is the killed store's own log, with what
/// another program has written into the restored file.
#[test]
fn what_was_noted_of_a_killed_store_is_past_when_its_file_was_restored() {
    if let Some([path]) = given() {
        return writes_and_is_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let this = what_was_noted_of_a_killed_store_is_past_when_its_file_was_restored;
    let mut victim = Victim::start(again(&[], this, &[&path]));
    assert!(victim.says("written"));
    victim.kill();
    let backup = backup::list(backups(&path)).unwrap().backups.remove(0).path;
    let options = VerifyOptions::default();
    let restored = backup::restore(&path, backup, IfExists::MoveAside, options).unwrap();

    let elsewhere = folder.path().join("elsewhere.db");
    copy(&path, &elsewhere);
    let conn = Connection::open(&elsewhere).unwrap();
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    conn.set_db_config(no_checkpoint, true).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         INSERT INTO messages (session_id, user_id, prompt) VALUES ('s', 1, 'one more')",
    )
    .unwrap();
    conn.close().unwrap();
    let log = restored.replaced.unwrap().join("x.db-wal");
    fs::rename(log, with(&path, "-wal")).unwrap();
    for suffix in ["", "-wal"] {
        let content = fs::read(with(&elsewhere, suffix)).unwrap();
        fs::write(with(&path, suffix), content).unwrap();
    }
    opened(&path).unwrap();
    assert_eq!(messages(&path), INTERACTIONS + 1);
}
