//! A restore onto a file that is mounted by itself, which cannot be moved: it is written into, or refused. In no
//! case does the file stay closed.

use crate::child::{self, again, succeed, works};
use crate::killed::{Scene, is_tidy, put};
use crate::strace::{has_strace, strs, tampered};
use crate::support::*;
use crate::unmovable::{RESTORED, acts, outcome};
use botstore::ErrorKind;
use botstore::backup::{self, IfExists, VerifyOptions};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder of a container's, in which some of the files are the host's, each mounted by itself.
struct Mounted {
    path: PathBuf,
    host: PathBuf,
    mounted: Vec<PathBuf>,
    _folder: TempDir,
}

impl Mounted {
    fn new(scene: &Scene, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [host, app] = ["host", "app"].map(|name| folder.path().join(name));
        for place in [&host, &app] {
            fs::create_dir(place).unwrap();
        }
        let path = put(&scene.left, &app);
        let mut mounted = Vec::new();
        for name in names {
            let (from, to) = (host.join(name), app.join(name));
            fs::rename(&to, &from).unwrap();
            fs::set_permissions(&from, fs::Permissions::from_mode(0o640)).unwrap();
            fs::write(&to, "").unwrap();
            let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
            assert!(works(&["mount", "--bind", from, to]));
            mounted.push(app.join(name));
        }
        Self {
            path,
            host: host.join("bot.db"),
            mounted,
            _folder: folder,
        }
    }

    fn identity(&self) -> (u64, u32) {
        let data = fs::metadata(&self.path).unwrap();
        (data.ino(), data.mode())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for mounted in &self.mounted {
            works(&["umount", mounted.to_str().unwrap()]);
        }
    }
}

/// Runs a child that may mount what it likes. Skips it, with a message, where the system does not let us.
fn where_it_may_mount<T>(test: T) {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    for file in [&a, &b] {
        fs::write(file, "").unwrap();
    }
    let before = ["unshare", "-rm"];
    let bind = ["mount", "--bind", a.to_str().unwrap(), b.to_str().unwrap()];
    if !works(&[&before[..], &bind].concat()) {
        eprintln!("skipped: this system lets nobody like us mount a file");
        return;
    }
    succeed(again(&before, test, &["mounts".as_ref(), "".as_ref()]));
}

const MOUNTED: [&[&str]; 3] = [&["bot.db"], &["bot.db", "bot.db-wal"], &["bot.db-wal"]];

#[tokio::test]
async fn a_file_that_is_mounted_by_itself_is_written_into() {
    if child::given::<2>().is_none() {
        return where_it_may_mount(a_file_that_is_mounted_by_itself_is_written_into);
    }
    let scene = Scene::set().await;
    for names in MOUNTED {
        let place = Mounted::new(&scene, names);
        let before = place.identity();
        let done = scene.restore(&place.path);
        assert_eq!(dump(&place.path), scene.new, "{names:?}");
        let is_mounted = names.contains(&"bot.db");
        assert_eq!(is_mounted, place.identity() == before, "{names:?}");
        if is_mounted {
            assert!(fs::read(&place.host).unwrap() == fs::read(&place.path).unwrap());
        }
        // Nothing is deleted: with the mode that it had.
        let old = done.replaced.unwrap().join("bot.db");
        assert_eq!(fs::metadata(&old).unwrap().mode(), before.1, "{names:?}");
        assert_eq!(dump(&old), scene.old, "{names:?}");
        is_tidy(&place.path);
        assert!(scene.opens(&place.path).await, "{names:?}");
        // And once more, onto what was restored.
        scene.restore(&place.path);
        assert_eq!(dump(&place.path), scene.new, "{names:?}");
    }
}

/// As an older version of this crate left it, which could do nothing but rename.
#[tokio::test]
async fn a_note_at_a_mounted_file_is_carried_out_by_the_next_opening() {
    if child::given::<2>().is_none() {
        return where_it_may_mount(a_note_at_a_mounted_file_is_carried_out_by_the_next_opening);
    }
    let scene = Scene::set().await;
    for names in MOUNTED {
        let place = Mounted::new(&scene, names);
        let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", place.path.display()));
        fs::write(named(".restoring"), ".replaced-20260102T030405Z").unwrap();
        fs::copy(&scene.whole, named(".restoring.db")).unwrap();
        assert!(scene.opens(&place.path).await, "{names:?}");
    }
}

#[tokio::test]
async fn a_mounted_file_is_whole_whatever_the_last_thing_was_that_a_restore_did() {
    let test = a_mounted_file_is_whole_whatever_the_last_thing_was_that_a_restore_did;
    match child::given() {
        None if !has_strace() => return,
        None => return where_it_may_mount(test),
        Some([path, what]) if path != "mounts" => acts(&path, &what).await,
        Some(_) => {}
    }
    let scene = Scene::set().await;
    let (mut old, mut new) = (0, 0);
    let calls = [
        "/^p?write",
        "copy_file_range",
        "ftruncate",
        "/^fsync",
        "/^rename",
        "/^unlink",
    ];
    for call in calls {
        for fault in ["signal=KILL", "error=ENOSPC"] {
            for times in 1.. {
                let place = Mounted::new(&scene, &["bot.db"]);
                let words = tampered(call, &format!("{fault}:when={times}"));
                let child = again(&strs(&words), test, &[&place.path, &scene.backup.path]);
                let (said, ended) = outcome(child);
                if ended == Some(RESTORED) {
                    break;
                }
                match scene.opens(&place.path).await {
                    true => new += 1,
                    false => old += 1,
                }
                assert!(times < 500, "{call} {fault}: {said}");
            }
        }
    }
    assert!(old >= 10 && new >= 10, "{old} {new}");
}

#[tokio::test]
async fn a_mounted_file_that_may_not_be_written_is_refused_before_anything_is_made() {
    if child::given::<2>().is_none() {
        let test = a_mounted_file_that_may_not_be_written_is_refused_before_anything_is_made;
        return where_it_may_mount(test);
    }
    let scene = Scene::set().await;
    let place = Mounted::new(&scene, &["bot.db"]);
    let path = place.path.to_str().unwrap();
    assert!(works(&["mount", "-o", "remount,bind,ro", path]));
    fs::write(place.path.with_file_name("bot.db.lock"), "").unwrap();
    let before = names(place.path.parent().unwrap());
    let reading = VerifyOptions::default();
    let refused = backup::restore(path, &scene.backup.path, IfExists::MoveAside, reading);
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(error.to_string().contains("mount point"), "{error}");
    assert_eq!(names(place.path.parent().unwrap()), before);
    assert!(works(&["mount", "-o", "remount,bind,rw", path]));
    assert!(!scene.opens(&place.path).await);
}
