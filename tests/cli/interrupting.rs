//! Ctrl-C leaves nothing beside a file that was not there, in whatever command, and is told in one
//! document where that is asked for.

use crate::support::{Place, command, commands, on, text};
use crate::wait::wait_until;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

/// A table that takes a while to export.
const LONG: &str = "
    CREATE TABLE long (a);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
    INSERT INTO long SELECT i FROM n;";

/// To look whether its rows are as they should be takes SQLite longer than anybody waits: about a millisecond
/// each. What does not depend on the row would be computed once for all of them. It is a column that somebody has
/// written into the schema, for two reasons: SQLite would compute it for a row that is inserted, too; and it looks
/// at no CHECK of a file that is open to be read only, as the copy in a backup is.
const ENDLESS: &str = "
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql =
        'CREATE TABLE long (a, b AS (length(hex(zeroblob(400000 + a % 2)))) NOT NULL)'
    WHERE name = 'long';";

fn names(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn start(arguments: &[&str]) -> Child {
    let mut command = command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // Whoever runs this test may have had its signals ignored, as `nohup` does.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    command.spawn().unwrap()
}

fn interrupt(child: &Child) {
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
}

/// What it said, and that it was stopped.
fn was_stopped(output: &Output, json: bool, of: &str) {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{of}: {out}{err}");
    if json {
        let told: serde_json::Value =
            serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {of}: {out}"));
        assert_eq!(told["error"]["kind"], "cancelled", "{of}: {out}");
        assert_eq!(err, "", "{of}");
    } else {
        assert!(err.contains("stopped on request"), "{of}: {err}");
    }
}

/// Its steps and the number of its rows.
fn status_of(place: &Place) -> [serde_json::Value; 2] {
    let status = on("status", &place.file, &["--json"]).came_to(0).json();
    ["schemas", "rows"].map(|field| status[field].clone())
}

/// In the middle of work that would go on for long.
#[test]
fn a_command_that_is_stopped_at_work_leaves_the_folder_as_it_was() {
    for json in [false, true] {
        for (words, legacy) in [
            (&["check"][..], false),
            (&["check", "--repair"], false),
            (&["backup"], false),
            (&["migrate"], true),
            (&["migrate", "--to", "3"], true),
            (&["rollback", "--to", "5"], false),
        ] {
            let place = match legacy {
                true => Place::legacy(),
                false => Place::filled(3),
            };
            place.alter(LONG);
            place.alter(ENDLESS);
            // Where the backups are, and the lock that stays.
            let backups = place.path("bot.db.backups");
            fs::create_dir_all(&backups).unwrap();
            fs::write(place.path("bot.db.lock"), "").unwrap();
            let before = (names(place.folder.path()), fs::read(&place.file).unwrap());
            let steps = status_of(&place);
            let mut words: Vec<_> = words.to_vec();
            words.insert(1, text(&place.file));
            if json {
                words.push("--json");
            }
            let child = start(&words);
            // While it looks at a file it has its locks; while it checks a copy, that is there.
            wait_until("it is at work", || {
                place.path("bot.db-shm").exists()
                    && (words[0] == "check"
                        || fs::read_dir(&backups)
                            .unwrap()
                            .flatten()
                            .any(|backup| backup.path().join("check.db").exists()))
            });
            interrupt(&child);
            let output = child.wait_with_output().unwrap();
            was_stopped(&output, json, &words.join(" "));
            assert_eq!(names(place.folder.path()), before.0, "{words:?}");
            // Opening a file to migrate it gives it a log, and no row and no step is different.
            match legacy || words[0] == "rollback" {
                true => assert_eq!(status_of(&place), steps, "{words:?}"),
                false => assert!(fs::read(&place.file).unwrap() == before.1, "{words:?}"),
            }
            let left = names(&backups);
            let left: Vec<_> = left
                .iter()
                .filter(|path| !path.ends_with(".lock"))
                .collect();
            assert!(left.is_empty(), "{words:?}: {left:?}");
        }
    }
}

/// An export that waits for its reader goes on to the next row, and ends there.
#[test]
fn an_export_that_waits_for_its_reader_is_stopped() {
    for json in [false, true] {
        let place = Place::filled(3);
        place.alter(LONG);
        let before = place.picture();
        let words = [
            &["export", text(&place.file)][..],
            if json { &["--json"] } else { &[] },
        ]
        .concat();
        let child = start(&words);
        // The pipe is full by then, and nobody reads.
        wait_until("it has begun", || place.path("bot.db-shm").exists());
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(130),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        if json {
            let told: serde_json::Value = serde_json::from_str(&out).expect("one document");
            assert_eq!(told["error"]["kind"], "cancelled");
        }
        assert!(place.picture() == before);
    }
}

/// Whenever it comes: it was done before, or it was stopped.
#[test]
fn nothing_stays_beside_a_file_whenever_the_signal_comes() {
    let place = Place::filled(50);
    let backup = place.back_up(&[]);
    let file = text(&place.file);
    let out = place.path("out");
    let before = names(place.folder.path());
    for command in commands() {
        let words: &[&str] = match command.as_str() {
            "restore" => &["restore", text(&backup), "--to", text(&out)],
            "verify" => &["verify", text(&backup)],
            "rollback" => &["rollback", file, "--to", "7"],
            "completions" => &["completions", "bash"],
            "export" => &["export", file, "--out", text(&out)],
            other => &[other, file],
        };
        // At several moments of its life: as soon as it is there, when it has locked the file, at its end.
        for moment in 0..8 {
            let mut child = start(words);
            let mut looks = 0;
            while child.try_wait().unwrap().is_none()
                && looks < moment
                && !(moment % 2 == 1 && place.path("bot.db-shm").exists())
            {
                looks += 1;
                std::thread::yield_now();
            }
            // It may not have been told yet what to do with a signal, and dies of it with nothing begun.
            if child.try_wait().unwrap().is_none() {
                interrupt(&child);
            }
            child.wait().unwrap();
            for suffix in ["-wal", "-shm", "-journal"] {
                let left = place.path(&format!("bot.db{suffix}"));
                assert!(!left.exists(), "{words:?}: {}", left.display());
            }
            for made in names(place.folder.path()).difference(&before) {
                let done = [out.clone(), place.path("out.lock")];
                assert!(done.contains(made), "{words:?} left {}", made.display());
                fs::remove_file(made).unwrap();
            }
        }
    }
}
