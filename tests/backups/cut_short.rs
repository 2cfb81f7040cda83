//! A restore is cut short, and somebody makes another database in the place before it is finished: no file is
//! written over, and none of the three has the log of another.

use crate::child::{self, Victim, again};
use crate::copy::with;
use crate::killed::{Scene, aside, is_tidy, put};
use crate::strace::{has_strace, strs, tampered};
use crate::support::*;
use botstore::Store;
use botstore::rusqlite::Connection;
use botstore::rusqlite::config::DbConfig;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;

const FOLDER: &str = ".replaced-20260102T030405Z";

/// A note, the new file, and this much of the old one in its folder.
fn cut_short(scene: &Scene, path: &Path, moved: &[&str]) -> PathBuf {
    let folder = with(path, FOLDER);
    fs::create_dir(&folder).unwrap();
    for name in moved {
        fs::rename(path.with_file_name(name), folder.join(name)).unwrap();
    }
    noted(scene, path);
    folder
}

fn noted(scene: &Scene, path: &Path) {
    fs::write(with(path, ".restoring"), FOLDER).unwrap();
    fs::copy(&scene.whole, with(path, ".restoring.db")).unwrap();
}

/// Another program's database, whose newest row is in its log alone if it has one.
fn make_another(path: &Path, number: i64, has_a_log: bool) {
    let conn = Connection::open(path).unwrap();
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    conn.set_db_config(no_checkpoint, has_a_log).unwrap();
    if has_a_log {
        conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    }
    conn.execute_batch(&format!(
        "CREATE TABLE others (a); INSERT INTO others VALUES ({number})"
    ))
    .unwrap();
    conn.close().unwrap();
    assert_eq!(with(path, "-wal").exists(), has_a_log);
}

fn is_the_other(path: &Path, number: i64) {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT a FROM others";
    let found: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(found, number);
}

#[tokio::test]
async fn what_somebody_has_made_meanwhile_goes_beside_the_old_file_with_a_log_of_its_own() {
    let scene = Scene::set().await;
    for (old_has_a_log, others_log) in [(true, true), (true, false), (false, true), (false, false)]
    {
        let (_folder, path) = scene.left();
        if !old_has_a_log {
            // Whoever closes it last copies the log into it.
            assert_eq!(dump(&path), scene.old);
            let conn = Connection::open(&path).unwrap();
            conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                .unwrap();
            conn.close().unwrap();
            assert!(!with(&path, "-wal").exists());
        }
        let moved: &[&str] = match old_has_a_log {
            true => &["bot.db", "bot.db-wal"],
            false => &["bot.db"],
        };
        let folder = cut_short(&scene, &path, moved);
        // Whose place somebody else may have taken.
        fs::write(folder.join("bot.db-4"), "mine").unwrap();
        for number in [2, 3, 5] {
            make_another(&path, number, others_log);
            Store::open(&path).await.unwrap().close().await.unwrap();
            assert!(dump(&path) == scene.new);
            is_tidy(&path);
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(with(&path, suffix));
            }
            noted(&scene, &path);
        }
        assert_eq!(aside(&path), [folder.as_path()]);
        for number in [2, 3, 5] {
            is_the_other(&folder.join(format!("bot.db-{number}")), number);
        }
        assert_eq!(fs::read(folder.join("bot.db-4")).unwrap(), b"mine");
        assert_eq!(dump(&folder.join("bot.db")), scene.old);
    }
}

/// Any rename fails, once: what was in the place is back there, with its own log, or the new file is.
#[tokio::test]
async fn what_cannot_be_moved_aside_is_as_it_was_and_so_is_the_old_file() {
    if let Some([path]) = child::given() {
        let closed = Store::open(&path)
            .await
            .map(|store| async move { store.close().await });
        match closed {
            Ok(closed) => closed.await.unwrap(),
            Err(error) => println!("refused: {error}"),
        }
        exit(0);
    }
    if !has_strace() {
        return;
    }
    let test = what_cannot_be_moved_aside_is_as_it_was_and_so_is_the_old_file;
    let scene = Scene::set().await;
    let mut taken_back = 0;
    // The other's file, its log and its index, and the new file.
    for time in 1..=4 {
        let (_folder, path) = scene.left();
        let folder = cut_short(&scene, &path, &["bot.db", "bot.db-wal"]);
        make_another(&path, 2, true);
        let words = tampered("/^rename", &format!("error=EIO:when={time}"));
        let mut child = Victim::start(again(&strs(&words), test, &[&path]));
        while child.line().is_some() {}
        assert_eq!(child.ends(), Some(0), "{time}");
        is_tidy(&path);
        let old = tempfile::tempdir().unwrap();
        assert_eq!(dump(&put(&folder, old.path())), scene.old, "rename {time}");
        match folder.join("bot.db-2").exists() {
            true => is_the_other(&folder.join("bot.db-2"), 2),
            false => {
                taken_back += 1;
                is_the_other(&path, 2);
            }
        }
    }
    assert!(taken_back > 0);
}
