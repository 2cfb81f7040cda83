//! Every name that the crate opens in a folder, and everything that somebody may have put there: whatever
//! is done comes to an end, with a value or an error; nothing is done to what a link leads to.

use crate::planted::Plant;
use crate::world::Deed::{self, Migrate, Open, Prune, Take};
use crate::world::{
    Name, REPLACED, World, beside_the_database, cut_short, in_the_backups, of_a_restore,
    of_the_operator,
};
use botstore::{Error, ErrorKind};
use std::fs;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

/// What takes as long as this never ends.
const HANG: Duration = Duration::from_secs(300);

/// Does it on a thread of its own, which is left behind if it does not end.
fn ends(deed: Deed, world: World, case: &str) -> (World, Result<(), Error>) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let done = deed.run(&world);
        let _ = tell.send((world, done));
    });
    told.recv_timeout(HANG)
        .unwrap_or_else(|e| panic!("{case} does not end, or panics: {e}"))
}

fn comes_to_an_end(name: &Name) {
    for plant in Plant::ALL {
        let mut world = World::new();
        (name.before)(&world);
        let at = (name.at)(&world);
        for &deed in name.deeds {
            // What came before may have cleared it away, or finished what it was in the way of.
            if !plant.put(&at, &world.victims) {
                break;
            }
            let short = at.strip_prefix(world.folder.path()).unwrap();
            let case = format!("{deed:?} with {plant:?} at {}", short.display());
            let (same, done) = ends(deed, world, &case);
            world = same;
            if let Err(error) = &done {
                assert_ne!(error.kind(), ErrorKind::Panicked, "{case}: {error}");
            }
            match name.is_the_operators {
                true => world.victims.are_as_they_were(&case),
                false => world.victims.are_unharmed(&case),
            }
        }
    }
}

/// Most of the time they wait for the disk: so they are tried beside each other.
const AT_ONCE: usize = 4;

fn each_comes_to_an_end(names: Vec<Name>) {
    let names = Mutex::new(names.iter());
    let next = || names.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = next() {
                    comes_to_an_end(name);
                }
            });
        }
    });
}

#[test]
fn whatever_lies_beside_a_database_nothing_waits_and_nothing_else_is_touched() {
    each_comes_to_an_end(beside_the_database());
}

#[test]
fn whatever_lies_where_a_restore_works_nothing_waits_and_nothing_else_is_touched() {
    each_comes_to_an_end(of_a_restore());
}

#[test]
fn whatever_lies_among_backups_nothing_waits_and_nothing_else_is_touched() {
    each_comes_to_an_end(in_the_backups());
}

#[test]
fn whatever_the_operator_names_nothing_waits_and_nothing_else_is_touched() {
    each_comes_to_an_end(of_the_operator());
}

#[test]
fn what_is_no_plain_file_is_refused_with_its_name_and_what_it_is() {
    let names = [
        ".lock",
        "-wal",
        "-shm",
        "-journal",
        ".restoring",
        ".backups/.lock",
    ];
    for suffix in names {
        for plant in Plant::ALL.into_iter().filter(|plant| plant.is_no_file()) {
            let world = World::new();
            let at = world.beside(suffix);
            if !plant.put(&at, &world.victims) {
                continue;
            }
            let case = format!("{plant:?} at {suffix}");
            let (_, done) = ends(Take, world, &case);
            let error = done.expect_err(&case);
            assert_eq!(error.kind(), ErrorKind::ForeignFile, "{case}: {error}");
            let what = match plant {
                Plant::Fifo => "a FIFO",
                Plant::Socket => "a socket",
                Plant::EndlessDevice | Plant::FullDevice => "a device",
                Plant::Folder => "a folder",
                _ => "a link",
            };
            let text = error.to_string();
            assert!(text.contains(at.to_str().unwrap()), "{case}: {text}");
            assert!(text.contains(what), "{case}: {text}");
        }
    }
}

#[test]
fn a_lock_that_is_another_file_by_a_second_name_is_refused() {
    for suffix in [".lock", "-wal", "-shm", "-journal", ".backups/.lock"] {
        let world = World::new();
        Plant::HardLink.put(&world.beside(suffix), &world.victims);
        let (_, done) = ends(Take, world, suffix);
        let error = done.expect_err(suffix);
        assert_eq!(error.kind(), ErrorKind::ForeignFile, "{suffix}: {error}");
    }
}

/// The link that the next backup went through, and emptied the database behind it.
#[test]
fn a_link_to_the_database_where_a_lock_is_leaves_the_database_whole() {
    for (at, deed) in [
        (".backups/.lock", Take),
        (".backups/.lock", Prune),
        (".backups/.lock", Open),
        (".backups/.drill.json.partial", Open),
        (".lock", Open),
        (".lock", Migrate),
    ] {
        let world = World::new();
        let other = world.folder.path().join("other.db");
        fs::copy(&world.db, &other).unwrap();
        let before = fs::read(&other).unwrap();
        let link = world.beside(at);
        for target in [&world.db, &other] {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(target, &link).unwrap();
            let case = format!("{deed:?} with a link at {at}");
            let done = runs(deed, &world, &case);
            let must_refuse = at.ends_with(".lock");
            assert_eq!(done.is_err(), must_refuse, "{case}: {done:?}");
            assert!(fs::read(&other).unwrap() == before, "{case}");
        }
        fs::remove_file(&link).ok();
        let verdict = botstore::snapshot(&world.db, |tx| {
            tx.one("SELECT count(*) FROM messages", [], |row| {
                Ok(row.get::<_, i64>(0)?)
            })
        });
        assert_eq!(verdict.unwrap(), 1, "{at}");
    }
}

fn runs(deed: Deed, world: &World, case: &str) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        scope.spawn(move || tell.send(deed.run(world)));
        told.recv_timeout(HANG)
            .unwrap_or_else(|e| panic!("{case}: {e}"))
    })
}

/// What a note of a restore says is a name, and no way out of the folder.
#[test]
fn a_note_that_leads_elsewhere_moves_nothing_there() {
    for note in [
        ".replaced/../../elsewhere/folder/gone",
        ".replaced-../../elsewhere/folder",
        ".replaced-20260101T000000Z/../../elsewhere/folder/gone",
        ".replaced\0",
        ".replaced-/..",
        "/",
        "",
    ] {
        let world = World::new();
        cut_short(&world, note);
        let replaced = world.beside(".replaced");
        fs::create_dir(&replaced).unwrap();
        Deed::Migrate.run(&world).unwrap();
        world.victims.are_unharmed(note);
        // What there was to do was done, and the old file is beside the new one.
        assert!(replaced.join("bot.db").is_file(), "{note:?}");
        assert!(!world.beside(".restoring").exists(), "{note:?}");
        assert!(!world.beside(".restoring.db").exists(), "{note:?}");
    }
}

#[test]
fn what_a_killed_restore_left_of_a_file_in_wal_mode_is_cleared_away() {
    for note in [None, Some(REPLACED)] {
        let world = World::new();
        for suffix in [".restoring.db", ".restoring.db-wal", ".restoring.db-shm"] {
            fs::write(world.beside(suffix), "left").unwrap();
        }
        if let Some(note) = note {
            fs::copy(&world.db, world.beside(".restoring.db")).unwrap();
            fs::write(world.beside(".restoring"), note).unwrap();
        }
        Deed::Migrate.run(&world).unwrap();
        let left = fs::read_dir(world.db.parent().unwrap()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        let restoring = |name: &std::ffi::OsString| name.to_string_lossy().contains("restoring");
        assert!(!left.iter().any(restoring), "{left:?}");
    }
}
