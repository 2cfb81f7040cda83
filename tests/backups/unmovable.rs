//! A restore onto a file that cannot be moved is refused, or taken back. In no case does the file stay closed.

use crate::child::{self, Victim, again, works};
use crate::killed::{Scene, aside, is_tidy};
use crate::strace::{has_strace, strs, tampered};
use crate::support::*;
use botstore::backup::{self, IfExists, Stage, VerifyOptions};
use botstore::{ErrorKind, Store};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a child does, and how it ends.
pub(crate) const RESTORED: i32 = 0;
const REFUSED: i32 = 7;

/// The child: restores, or only opens, and says what came of it.
pub(crate) async fn acts(path: &str, what: &str) -> ! {
    let done = match what {
        "open" => match Store::open(path).await {
            Ok(store) => store.close().await,
            Err(error) => Err(error),
        },
        backup => {
            let reading = VerifyOptions::default();
            backup::restore(path, backup, IfExists::MoveAside, reading).map(drop)
        }
    };
    std::process::exit(match done {
        Ok(()) => RESTORED,
        Err(error) => {
            println!("refused: {error}");
            REFUSED
        }
    });
}

/// What a child said, and how it ended.
pub(crate) fn outcome(child: Command) -> (String, Option<i32>) {
    let mut victim = Victim::start(child);
    let said = std::iter::from_fn(|| victim.line()).find(|line| line.contains("refused: "));
    (said.unwrap_or_default(), victim.ends())
}

#[tokio::test]
async fn a_rename_that_fails_leaves_the_old_file_as_it_was_and_no_note() {
    if let Some([path, what]) = child::given() {
        acts(&path, &what).await;
    }
    if !has_strace() {
        return;
    }
    let test = a_rename_that_fails_leaves_the_old_file_as_it_was_and_no_note;
    let scene = Scene::set().await;
    for error in [
        "EBUSY", "EPERM", "EACCES", "EROFS", "EXDEV", "ENOSPC", "EIO",
    ] {
        let mut renames = 0;
        for times in 1.. {
            let (_folder, path) = scene.left();
            let words = tampered("/^rename", &format!("error={error}:when={times}"));
            let child = again(&strs(&words), test, &[&path, &scene.backup.path]);
            let (said, ended) = outcome(child);
            if ended == Some(RESTORED) {
                renames = times - 1;
                break;
            }
            let case = format!("{error} of rename {times}: {said}");
            assert_eq!(ended, Some(REFUSED), "{case}");
            is_tidy(&path);
            assert_eq!(aside(&path), Vec::<PathBuf>::new(), "{case}");
            assert!(!scene.opens(&path).await, "{case}");
        }
        // The note, the database, its log, and the new file.
        assert_eq!(renames, 4, "{error}");
    }
}

#[tokio::test]
async fn renames_that_go_on_failing_are_told_with_the_way_out_and_the_next_opening_goes_on() {
    if let Some([path, what]) = child::given() {
        acts(&path, &what).await;
    }
    if !has_strace() {
        return;
    }
    let test = renames_that_go_on_failing_are_told_with_the_way_out_and_the_next_opening_goes_on;
    let scene = Scene::set().await;
    let mut stuck = 0;
    for from in 1..=4 {
        let (_folder, path) = scene.left();
        let words = tampered("/^rename", &format!("error=EIO:when={from}+"));
        let child = again(&strs(&words), test, &[&path, &scene.backup.path]);
        let (said, ended) = outcome(child);
        assert_eq!(ended, Some(REFUSED), "{said}");
        let note = path.with_file_name("bot.db.restoring");
        if note.exists() {
            stuck += 1;
            for way_out in [
                "open the file again",
                "abandon the restore",
                "remove bot.db.restoring and bot.db.restoring.db beside it",
            ] {
                assert!(said.contains(way_out), "{said}");
            }
            // Who looks hears of it too.
            let error = botstore::status(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            assert!(error.to_string().contains("open the file"), "{error}");
        }
        let is_new = scene.opens(&path).await;
        assert!(!is_new || from > 2, "nothing was moved");
    }
    assert_eq!(stuck, 2, "with a part of the old file moved");
}

#[tokio::test]
async fn opening_a_file_whose_restore_cannot_be_finished_takes_the_restore_back() {
    if let Some([path, what]) = child::given() {
        acts(&path, &what).await;
    }
    if !has_strace() {
        return;
    }
    let test = opening_a_file_whose_restore_cannot_be_finished_takes_the_restore_back;
    let scene = Scene::set().await;
    for error in ["EBUSY", "EPERM", "EXDEV"] {
        let (_folder, path) = scene.left();
        let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::write(named(".restoring"), ".replaced-20260102T030405Z").unwrap();
        fs::copy(&scene.whole, named(".restoring.db")).unwrap();
        let words = tampered("/^rename", &format!("error={error}"));
        let child = again(&strs(&words), test, &[&path, "open".as_ref()]);
        let (said, ended) = outcome(child);
        assert_eq!(ended, Some(0), "{error}: {said}");
        is_tidy(&path);
        assert_eq!(dump(&path), scene.old, "{error}");
    }
}

/// What a note and a file that is no file lead to: the old file, wherever it was by then.
#[tokio::test]
async fn a_note_without_its_new_file_brings_the_old_one_back() {
    let scene = Scene::set().await;
    for moved in [&["bot.db"][..], &["bot.db", "bot.db-wal"]] {
        let (_folder, path) = scene.left();
        let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        let folder = named(".replaced-20260102T030405Z");
        fs::create_dir(&folder).unwrap();
        for name in moved {
            fs::rename(path.with_file_name(name), folder.join(name)).unwrap();
        }
        fs::write(named(".restoring"), ".replaced-20260102T030405Z").unwrap();
        assert!(!scene.opens(&path).await, "{moved:?}");
    }
}

/// `chattr`, where this account may use it on that file system.
fn attribute(change: &str, path: &Path) -> bool {
    let path = path.to_str().unwrap();
    let changed = works(&["chattr", change, path]);
    if !changed {
        eprintln!("skipped: nobody like us can make {path} immutable here");
    }
    changed
}

#[tokio::test]
async fn what_is_immutable_is_refused_before_anything_is_made() {
    let scene = Scene::set().await;
    let (folder, path) = scene.left();
    fs::write(folder.path().join("bot.db.lock"), "").unwrap();
    let at = [
        path.clone(),
        path.with_file_name("bot.db-wal"),
        folder.path().to_owned(),
    ];
    for place in &at {
        for (set, unset) in [("+i", "-i"), ("+a", "-a")] {
            if !attribute(set, place) {
                return;
            }
            let before = names(folder.path());
            let reading = VerifyOptions::default();
            let refused = backup::restore(&path, &scene.backup.path, IfExists::MoveAside, reading);
            let after = names(folder.path());
            assert!(attribute(unset, place));
            let error = refused.unwrap_err();
            let case = format!("{set} {}: {error}", place.display());
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{case}");
            assert!(case.contains("chattr -i -a"), "{case}");
            assert_eq!(after, before, "{case}");
        }
    }
    assert!(!scene.opens(&path).await);
}

#[tokio::test]
async fn what_becomes_immutable_meanwhile_has_the_restore_taken_back() {
    let scene = Scene::set().await;
    for file in ["bot.db", "bot.db-wal"] {
        let (_folder, path) = scene.left();
        let held = path.with_file_name(file);
        if !attribute("+i", &held) || !attribute("-i", &held) {
            return;
        }
        let at = held.clone();
        let reading = VerifyOptions::default().on_progress(move |p| {
            if p.stage == Stage::Check {
                assert!(attribute("+i", &at));
            }
            ControlFlow::Continue(())
        });
        let refused = backup::restore(&path, &scene.backup.path, IfExists::MoveAside, reading);
        assert!(attribute("-i", &held));
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("as it was"), "{error}");
        is_tidy(&path);
        assert!(aside(&path).is_empty(), "{file}");
        assert!(!scene.opens(&path).await, "{file}");
    }
}
