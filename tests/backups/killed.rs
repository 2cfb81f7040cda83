//! Processes that are killed while they make or restore a backup.

use crate::child::{self, Victim, again, rounds};
use crate::copy::{copy_as_killed, keeps_its_log};
use crate::strace::{has_strace, strs, tampered};
use crate::support::*;
use crate::wait::wait_until;
use botstore::backup::{self, Backup, IfExists, Pace, Stage, TakeBackup, VerifyOptions};
use botstore::{ErrorKind, Store};
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// So many delays after which to kill: spread over this time, a random one in each part of it.
fn delays(over: Duration, count: u32) -> impl Iterator<Item = Duration> {
    let mut random = fastrand::Rng::new();
    (0..count).map(move |round| over.mul_f64((f64::from(round) + random.f64()) / f64::from(count)))
}

const STAGES: [Stage; 4] = [Stage::Copy, Stage::Pack, Stage::Unpack, Stage::Check];

/// The child: says when it has begun and when it is done. At the stage of this name it says so too, and
/// goes no further.
async fn backs_up(path: &str, held_at: &str) {
    let held_at = STAGES.into_iter().find(|s| format!("{s:?}") == held_at);
    let store = Store::open(path).await.unwrap();
    let writer = store.clone();
    tokio::spawn(async move {
        for number in 0.. {
            writer.write(interaction(number)).await.unwrap();
        }
    });
    println!("begun");
    let request = TakeBackup::default().pace(Pace::Fast);
    let request = request.on_progress(move |progress| {
        if held_at == Some(progress.stage) {
            println!("held");
            loop {
                std::thread::park();
            }
        }
        ControlFlow::Continue(())
    });
    store.back_up(request).await.unwrap();
    println!("done");
    std::process::exit(0);
}

#[tokio::test]
async fn a_process_killed_in_a_backup_leaves_whole_backups_and_what_the_next_one_clears() {
    if let Some([path, held_at]) = child::given() {
        return backs_up(&path, &held_at).await;
    }
    let store = filled(200, |config| config).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let backups = PathBuf::from(format!("{}.backups", path.display()));
    let start = |held_at: &str| {
        let test = a_process_killed_in_a_backup_leaves_whole_backups_and_what_the_next_one_clears;
        let mut victim = Victim::start(again(&[], test, &[&path, held_at.as_ref()]));
        assert!(victim.says("begun"));
        victim
    };
    let whole = start("nowhere").measure("done");
    // In the middle of each stage, and anywhere.
    let stages = STAGES.map(|stage| (format!("{stage:?}"), Duration::ZERO));
    let anywhere = delays(whole, rounds()).map(|delay| ("nowhere".to_owned(), delay));
    let mut verified = BTreeSet::new();
    for (held_at, delay) in stages.into_iter().chain(anywhere) {
        let mut victim = start(&held_at);
        assert!(held_at == "nowhere" || victim.says("held"), "{held_at}");
        victim.killed_after(delay);
        let listing = backup::list(&backups).unwrap();
        assert!(listing.unusable.is_empty(), "{:?}", listing.unusable);
        let mut listed = BTreeSet::new();
        for backup in &listing.backups {
            listed.insert(backup.manifest.name.clone());
            if verified.insert(backup.manifest.name.clone()) {
                verify(backup).unwrap();
            }
        }
        for name in names(&backups) {
            let finished = listed.contains(&name);
            assert!(
                finished || name.ends_with(".partial"),
                "{held_at} {delay:?}: {name}"
            );
        }
        let next = backup::take(&path, TakeBackup::default()).unwrap();
        listed.insert(next.manifest.name);
        let found = names(&backups);
        assert_eq!(found, Vec::from_iter(listed), "{held_at} {delay:?}");
    }
}

/// Also of a bot that never makes another, with or without a schedule. What somebody else has named so stays.
#[tokio::test]
async fn what_a_killed_backup_left_goes_with_the_next_opening() {
    let store = filled(1, |config| config).await;
    let backup = back_up(&store).await;
    let (_folder, path) = store.into_file().await.unwrap();
    let at = |name: &str| backup.path.with_file_name(name);
    let left = ["20260101T000000.000000Z-scheduled.partial", "drill.partial"].map(at);
    let others = at("mine.partial");
    for folder in left.iter().chain([&others]) {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("copy.db"), "left").unwrap();
    }
    let store = Store::open(&path).await.unwrap();
    wait_until("what was left is gone", || {
        left.iter().all(|path| !path.exists())
    });
    assert!(others.exists());
    verify(&backup).unwrap();
    store.close().await.unwrap();
}

/// What is restored, and a file that a killed writer left: the last of what it holds is in its WAL.
pub(crate) struct Scene {
    _store: TempDir,
    pub(crate) backup: Backup,
    pub(crate) new: Tables,
    /// The file as the backup gives it.
    pub(crate) whole: PathBuf,
    pub(crate) left: PathBuf,
    pub(crate) old: Tables,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let store = filled(12, |config| config).await;
        let backup = back_up(&store).await;
        let whole = restored(&backup);
        // Another history of another length.
        let other = filled(24, keeps_its_log).await;
        let left = store.folder().join("left");
        fs::create_dir(&left).unwrap();
        copy_as_killed(other.path(), &left.join("bot.db"));
        let looked_at = left.join("looked-at");
        fs::create_dir(&looked_at).unwrap();
        let old = dump(&put(&left, &looked_at));
        assert_eq!(old["messages"].len(), 24);
        assert!(
            fs::metadata(left.join("bot.db")).unwrap().len() < 100_000,
            "it is all in the log"
        );
        let (folder, _) = store.into_file().await.unwrap();
        Self {
            _store: folder,
            new: dump(&whole),
            backup,
            whole,
            left,
            old,
        }
    }

    /// A folder with the old file and its WAL.
    pub(crate) fn left(&self) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = put(&self.left, folder.path());
        (folder, path)
    }

    pub(crate) fn restore(&self, path: &Path) -> backup::Restored {
        let reading = VerifyOptions::default();
        backup::restore(path, &self.backup.path, IfExists::MoveAside, reading).unwrap()
    }

    /// Opens what a restore left behind, whatever it is, and says whether it is the backup's.
    pub(crate) async fn opens(&self, path: &Path) -> bool {
        let store = Store::open(path).await.unwrap();
        store.close().await.unwrap();
        let found = dump(path);
        let aside = aside(path);
        let is_new = found == self.new;
        match is_new {
            true => assert_eq!(dump(&aside[0].join("bot.db")), self.old),
            false => assert_eq!(found, self.old, "neither the one nor the other"),
        }
        assert_eq!(aside.len(), usize::from(is_new));
        is_tidy(path);
        is_new
    }
}

pub(crate) fn put(from: &Path, to: &Path) -> PathBuf {
    for name in ["bot.db", "bot.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    to.join("bot.db")
}

/// The folders for what was replaced.
pub(crate) fn aside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap();
    let aside = |name: &String| name.contains(".replaced");
    let names = names(folder).into_iter().filter(aside);
    names.map(|name| folder.join(name)).collect()
}

pub(crate) fn is_tidy(path: &Path) {
    let left = names(path.parent().unwrap());
    assert!(
        !left.iter().any(|name| name.contains("restoring")),
        "{left:?}"
    );
}

/// The child: says how far it is.
fn restores(path: &str, backup: &str) {
    println!("begun");
    let reading = VerifyOptions::default().on_progress(|p| {
        if p.stage == Stage::Check && p.done == p.total {
            println!("checked");
        }
        ControlFlow::Continue(())
    });
    backup::restore(path, backup, IfExists::MoveAside, reading).unwrap();
    println!("done");
}

fn restoring(before: &[&str], scene: &Scene, path: &Path) -> Victim {
    let test = a_process_killed_in_a_restore_leaves_the_old_file_or_the_new_one;
    Victim::start(again(before, test, &[path, &scene.backup.path]))
}

#[tokio::test]
async fn a_process_killed_in_a_restore_leaves_the_old_file_or_the_new_one() {
    if let Some([path, backup]) = child::given() {
        return restores(&path, &backup);
    }
    let scene = Scene::set().await;
    // The whole of it, and once more the short end where files change places.
    for since in ["begun", "checked"] {
        let start = |path: &Path| {
            let mut victim = restoring(&[], &scene, path);
            assert!(victim.says(since));
            victim
        };
        let (_folder, path) = scene.left();
        let whole = start(&path).measure("done");
        for delay in delays(whole, rounds().div_ceil(2)) {
            let (_folder, path) = scene.left();
            start(&path).killed_after(delay);
            let is_new = scene.opens(&path).await;
            let again = scene.restore(&path);
            assert_eq!(dump(&path), scene.new, "{since} {delay:?}");
            let replaced = if is_new { &scene.new } else { &scene.old };
            assert_eq!(&dump(&again.replaced.unwrap().join("bot.db")), replaced);
            is_tidy(&path);
        }
    }
}

#[tokio::test]
async fn whatever_the_last_thing_was_that_a_restore_did_the_file_is_whole() {
    if !has_strace() {
        return;
    }
    let scene = Scene::set().await;
    let (mut old, mut new) = (0, 0);
    for call in ["/^write$", "/^fsync", "/^rename", "/^mkdir", "/^unlink"] {
        for times in 1.. {
            let (_folder, path) = scene.left();
            let words = tampered(call, &format!("signal=KILL:when={times}"));
            if restoring(&strs(&words), &scene, &path).ends() == Some(0) {
                break;
            }
            match scene.opens(&path).await {
                true => new += 1,
                false => old += 1,
            }
        }
    }
    assert!(old >= 5 && new >= 10, "{old} {new}");
}

/// The states in which a restore can be cut short: what is at the path, in the folder for the old
/// file, and beside; and whether it is finished or cleared away.
#[tokio::test]
async fn every_state_of_a_restore_is_finished_or_cleared_away_by_whoever_comes_next() {
    let scene = Scene::set().await;
    let suffix = ".replaced-20260102T030405Z";
    let states = [
        // The note, whether the new file is beside, what was moved, whether it is moved in.
        ("ready", Some(suffix), true, &[][..], false),
        ("half", Some(suffix), true, &["bot.db"], false),
        ("the log first", Some(suffix), true, &["bot.db-wal"], false),
        (
            "empty",
            Some(suffix),
            true,
            &["bot.db", "bot.db-wal"],
            false,
        ),
        ("in", Some(suffix), false, &["bot.db", "bot.db-wal"], true),
        ("a lost note", Some(""), true, &[], false),
        (
            "a garbled note",
            Some("\u{1}/../.."),
            true,
            &["bot.db"],
            false,
        ),
        ("given up", Some(suffix), false, &[], false),
        ("no note", None, true, &[], false),
        ("nothing", None, false, &[], false),
    ];
    for (state, note, beside, moved, moved_in) in states {
        for next in 0..4 {
            let (_folder, path) = scene.left();
            let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
            let folder = match note {
                Some(note) if note.starts_with(".replaced") => named(note),
                _ => named(".replaced"),
            };
            if !moved.is_empty() {
                fs::create_dir(&folder).unwrap();
            }
            for name in moved {
                fs::rename(path.with_file_name(name), folder.join(name)).unwrap();
            }
            match note {
                Some(note) => fs::write(named(".restoring"), note).unwrap(),
                None => fs::write(named(".restoring.partial"), ".repl").unwrap(),
            }
            if moved_in {
                fs::copy(&scene.whole, &path).unwrap();
            }
            if beside {
                fs::copy(&scene.whole, named(".restoring.db")).unwrap();
            }
            let is_new = moved_in || note.is_some() && beside;
            match next {
                0 => assert_eq!(scene.opens(&path).await, is_new, "{state}"),
                1 => {
                    let again = scene.restore(&path).replaced.unwrap();
                    let replaced = if is_new { &scene.new } else { &scene.old };
                    assert_eq!(&dump(&again.join("bot.db")), replaced, "{state}");
                    assert_eq!(dump(&path), scene.new, "{state}");
                }
                2 => {
                    let backup = backup::take(&path, TakeBackup::default()).unwrap();
                    let taken = dump(&restored(&backup));
                    let expected = if is_new { &scene.new } else { &scene.old };
                    assert_eq!(&taken, expected, "{state}");
                }
                _ => drop(botstore::schema::apply(&path).unwrap()),
            }
            is_tidy(&path);
            let found = aside(&path);
            let old = found
                .iter()
                .filter(|aside| dump(&aside.join("bot.db")) == scene.old);
            assert_eq!(
                old.count(),
                usize::from(is_new || next == 1),
                "{state} {next}"
            );
        }
    }
}

#[tokio::test]
async fn a_restore_to_where_nothing_was_is_finished_too() {
    let scene = Scene::set().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot.db");
    fs::write(folder.path().join("bot.db.restoring"), ".replaced-1").unwrap();
    fs::copy(&scene.whole, folder.path().join("bot.db.restoring.db")).unwrap();
    let refused = backup::restore(
        &path,
        &scene.backup.path,
        IfExists::Refuse,
        VerifyOptions::default(),
    );
    assert_eq!(kind(refused), ErrorKind::Conflict, "it is finished first");
    assert_eq!(dump(&path), scene.new);
    assert!(aside(&path).is_empty());
    is_tidy(&path);
}
