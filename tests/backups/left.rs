//! What a process leaves that ends in the middle of its work: nothing readable that stays.

#![cfg(unix)]

use crate::child::{self, Victim, again};
use crate::support::*;
use crate::wait::wait_until;
use botstore::backup::{self, AgeIdentity, Backups, Pace, Stage, TakeBackup, VerifyOptions};
use botstore::rusqlite::Connection;
use botstore::testing::TestStore;
use botstore::time::Clock;
use botstore::{Config, Store};
use chrono::{DateTime, Utc};
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

const MARKER: &str = "PLAINTEXTMARKER";

/// Puts the marker into a closed file.
fn mark(path: &Path) {
    let conn = Connection::open(path).unwrap();
    let sql = format!("CREATE TABLE marks AS SELECT '{MARKER}' AS mark");
    conn.execute_batch(&sql).unwrap();
    conn.close().unwrap();
}

/// The files below a folder in which the marker can be read, by whoever may read files.
fn readable(folder: &Path) -> Vec<PathBuf> {
    let grep = ["-rlaF", MARKER];
    let found = Command::new("grep")
        .args(grep)
        .arg(folder)
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let mut found: Vec<_> = found.lines().map(PathBuf::from).collect();
    found.sort();
    found
}

fn settings(place: &Path) -> Backups {
    let identity = fs::read_to_string(place.join("key.txt")).unwrap();
    let identity: AgeIdentity = identity.parse().unwrap();
    let elsewhere = place.join("elsewhere");
    Backups::default()
        .folder(elsewhere)
        .pace(Pace::Fast)
        .recipient(identity.recipient())
        .identity(identity)
}

/// The file that a drill of encrypted backups unpacks.
fn unpacked(place: &Path) -> PathBuf {
    place.join("bot.db.unsealed.partial/restored.db")
}

/// A clock that stops whoever asks it while a drill has its backup unpacked: the drill asks before it
/// opens that, and so does not end.
struct StopsInADrill(PathBuf);

impl Clock for StopsInADrill {
    fn now(&self) -> DateTime<Utc> {
        while self.0.exists() {
            std::thread::park();
        }
        Utc::now()
    }
}

/// The child: has a drill begun, and does not come to its end.
async fn drills(place: &Path) {
    let config = Config::new(place.join("bot.db"))
        .backups(settings(place))
        .clock(StopsInADrill(unpacked(place)));
    let store = Store::open(config).await.unwrap();
    println!("begun");
    store.drill().await.unwrap();
}

#[tokio::test]
async fn a_bot_that_is_ended_in_a_drill_leaves_nothing_that_its_next_start_does_not_clear() {
    if let Some([place]) = child::given() {
        return drills(place.as_ref()).await;
    }
    let scene = tempfile::tempdir().unwrap();
    let place = scene.path().canonicalize().unwrap();
    let (path, temporary) = (place.join("bot.db"), place.join("tmp"));
    fs::create_dir(&temporary).unwrap();
    fs::write(place.join("key.txt"), AgeIdentity::generate().to_secret()).unwrap();
    let config = || Config::new(&path).backups(settings(&place));
    Store::open(config()).await.unwrap().close().await.unwrap();
    mark(&path);
    backup::take(config(), TakeBackup::default()).unwrap();
    let unpacked = unpacked(&place);
    for signal in ["INT", "TERM", "HUP", "KILL"] {
        let test = a_bot_that_is_ended_in_a_drill_leaves_nothing_that_its_next_start_does_not_clear;
        let mut child = again(&[], test, &[&place]);
        child.env("TMPDIR", &temporary);
        // Whoever runs this test may have had its signals ignored, as a shell does in the background.
        unsafe {
            child.pre_exec(|| {
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        let mut victim = Victim::start(child);
        assert!(victim.says("begun"));
        wait_until("a drill has unpacked", || {
            !readable(unpacked.parent().unwrap()).is_empty()
        });
        victim.signalled(signal);
        assert_ne!(victim.ends(), Some(0), "{signal}");
        assert_eq!(readable(&temporary), Vec::<PathBuf>::new(), "{signal}");
        assert_eq!(readable(&place.join("elsewhere")), Vec::<PathBuf>::new());
        // The next start is enough, also of a bot that makes no backups.
        Store::open(&path).await.unwrap().close().await.unwrap();
        assert!(!unpacked.parent().unwrap().exists(), "{signal}");
        assert_eq!(readable(&place), [&*path], "{signal}");
    }
}

/// Makes a backup and reads it back with a look at the folder for it in between.
async fn scene() -> (TestStore, backup::Backup, tempfile::TempDir) {
    let store = filled(30, |config| config).await;
    let backup = back_up(&store).await;
    (store, backup, tempfile::tempdir().unwrap())
}

fn verify_in(
    backup: &backup::Backup,
    scratch: &Path,
    mut look: impl FnMut(Stage) + Send + 'static,
) {
    let reading = VerifyOptions::default()
        .scratch(scratch)
        .on_progress(move |p| {
            look(p.stage);
            ControlFlow::Continue(())
        });
    backup::verify(&backup.path, reading).unwrap();
}

#[tokio::test]
async fn what_verify_unpacks_has_no_name_any_more_while_it_is_checked() {
    let (store, backup, scratch) = scene().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (at, noted) = (scratch.path().to_owned(), Arc::clone(&seen));
    verify_in(&backup, scratch.path(), move |stage| {
        let files = snapshot(&at).len();
        noted.lock().unwrap().push((stage, files));
    });
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.contains(&(Stage::Unpack, 1)), "{seen:?}");
    assert!(seen.contains(&(Stage::Check, 0)), "{seen:?}");
    assert!(!seen.contains(&(Stage::Check, 1)), "{seen:?}");
    assert!(names(scratch.path()).is_empty());
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_verify_left_goes_with_the_next_one_and_nothing_else_does() {
    let (store, backup, scratch) = scene().await;
    let at = |name: &str| scratch.path().join(name);
    let left = at("botstore-verify-left");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("check.db"), MARKER).unwrap();
    // One that is at work, one with another name, a file, and links.
    let busy = at("botstore-verify-busy");
    fs::create_dir(&busy).unwrap();
    let claim = File::open(&busy).unwrap();
    claim.lock().unwrap();
    fs::create_dir(at("botstore-other")).unwrap();
    fs::write(at("botstore-verify-file"), "a file").unwrap();
    let victim = tempfile::tempdir().unwrap();
    fs::write(victim.path().join("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(victim.path(), at("botstore-verify-link")).unwrap();
    std::os::unix::fs::symlink("/nowhere", at("botstore-verify-dangling")).unwrap();
    let fifo = at("botstore-verify-fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // Another account's, where this one may make such a thing.
    let strangers = at("botstore-verify-strangers");
    fs::create_dir(&strangers).unwrap();
    let strange = std::os::unix::fs::chown(&strangers, Some(65534), None).is_ok();
    if !strange {
        fs::remove_dir(&strangers).unwrap();
    }
    let mut expected = names(scratch.path());
    expected.retain(|name| name != "botstore-verify-left");
    verify_in(&backup, scratch.path(), |_| ());
    assert_eq!(names(scratch.path()), expected);
    assert_eq!(strangers.exists(), strange);
    assert_eq!(snapshot(victim.path()).len(), 1);
    // The one at work is over. A process that another test is just starting may hold a copy of the file.
    claim.unlock().unwrap();
    verify_in(&backup, scratch.path(), |_| ());
    assert!(!busy.exists());
    store.close().await.unwrap();
}

#[tokio::test]
async fn two_who_verify_in_one_folder_leave_each_other_alone() {
    let (store, backup, scratch) = scene().await;
    let (inner, at) = (backup.clone(), scratch.path().to_owned());
    let mut nested = false;
    verify_in(&backup, scratch.path(), move |stage| {
        if stage == Stage::Unpack && !std::mem::replace(&mut nested, true) {
            verify_in(&inner, &at, |_| ());
            assert_eq!(snapshot(&at).len(), 1, "the outer one's is there");
        }
    });
    assert!(names(scratch.path()).is_empty());
    store.close().await.unwrap();
}
