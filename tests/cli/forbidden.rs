//! What the system does not let an account do is told as that, with whose the file is and what to do.

use crate::child;
use crate::support::{Place, Ran, on, ran, text};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Somebody who owns nothing.
const STRANGER: u32 = 54_321;

/// What reads a database, and what writes to it or beside it.
const READING: [&[&str]; 8] = [
    &["status"],
    &["check"],
    &["export"],
    &["dashboard"],
    &["prices"],
    &["usage"],
    &["limits"],
    &["migrate", "--plan"],
];
const WRITING: [&[&str]; 4] = [
    &["backup"],
    &["migrate"],
    &["rollback", "--to", "5"],
    &A_LIMIT,
];
/// Sets a limit.
const A_LIMIT: [&str; 10] = [
    "limits",
    "set",
    "--scope",
    "each-user",
    "--of",
    "cost",
    "--max",
    "2",
    "--per",
    "day",
];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The program, run by an account to which the modes of files mean something: a stranger if this is root.
/// Its owner's modes are the same as a stranger's here, so that both meet the same.
fn run(place: &Place, words: &[&str], file: &Path) -> Ran {
    let program = place.path("botstore");
    if !program.exists() {
        set_mode(place.folder.path(), 0o755);
        // By another process: what this one has open to write, a process that another test is just starting
        // holds too, and such a program cannot be started.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_botstore"))
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        set_mode(&program, 0o755);
    }
    let mut command = Command::new(program);
    let (name, more) = words.split_first().unwrap();
    command.arg(name).arg(file).args(more).stdin(Stdio::null());
    if is_root() {
        command.uid(STRANGER).gid(STRANGER);
    }
    ran(&mut command)
}

/// A refusal in both shapes; gives its error.
fn refused(place: &Place, words: &[&str], file: &Path) -> Value {
    let told = run(place, words, file).came_to(1);
    let json = run(place, &[words, &["--json"]].concat(), file)
        .came_to(1)
        .json();
    let error = json["error"].clone();
    assert_eq!(error["kind"], "read-only", "{words:?}: {error}");
    let advice = error["what_to_do"].as_str().unwrap();
    assert!(
        told.err.contains(&format!("what to do: {advice}")),
        "{}",
        told.err
    );
    let whose = format!(
        "belongs to uid {}, gid",
        rustix::process::geteuid().as_raw()
    );
    assert!(advice.contains(&whose), "{words:?}: {advice}");
    error
}

/// The closed file of a bot in a folder of its own, which is the caller's to open for others.
fn in_a_folder(interactions: u64) -> (Place, std::path::PathBuf, std::path::PathBuf) {
    let place = Place::filled(interactions);
    let folder = place.path("bot");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("bot.db");
    fs::copy(&place.file, &file).unwrap();
    set_mode(&file, 0o666);
    set_mode(&folder, 0o777);
    (place, folder, file)
}

#[test]
fn a_file_that_may_not_be_read_is_told_with_its_owner() {
    let (place, _, file) = in_a_folder(1);
    set_mode(&file, 0);
    for words in READING.into_iter().chain(WRITING) {
        let error = refused(&place, words, &file);
        assert!(
            error["what_to_do"].as_str().unwrap().contains("mode 0000,"),
            "{error}"
        );
    }
}

#[test]
fn a_folder_that_may_not_be_looked_into_is_no_missing_file() {
    let (place, folder, file) = in_a_folder(1);
    for mode in [0, 0o600] {
        set_mode(&folder, mode);
        for words in READING.into_iter().chain(WRITING) {
            refused(&place, words, &file);
        }
    }
    set_mode(&folder, 0o700);
}

/// A snapshot with a log: nothing can be made beside it, which SQLite needs to read the log.
#[test]
fn a_log_in_a_folder_that_may_not_be_written_is_to_be_copied_elsewhere() {
    let (place, folder, file) = in_a_folder(1);
    let left = place.path("left");
    fs::create_dir(&left).unwrap();
    let copy = left.join("bot.db");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = botstore::Store::open(&file).await.unwrap();
        let user = botstore::users::EnsureUser::new(5, Some("eve"));
        store.write(user).await.unwrap();
        crate::copy::copy_as_killed(&file, &copy);
        store.close().await.unwrap();
    });
    let _ = fs::remove_file(left.join("bot.db-shm"));
    for name in ["bot.db", "bot.db-wal"] {
        set_mode(&left.join(name), 0o444);
    }
    set_mode(&left, 0o555);
    for words in READING.into_iter().chain(WRITING) {
        let error = refused(&place, words, &copy);
        let reads = READING.contains(&words);
        let advice = error["what_to_do"].as_str().unwrap();
        assert_eq!(
            advice.contains("copy the file and its -wal to a folder of your own"),
            reads,
            "{words:?}: {error}"
        );
    }
    set_mode(&left, 0o755);
    set_mode(&folder, 0o755);
}

#[test]
fn a_folder_of_backups_that_may_not_be_written_is_told() {
    let (place, folder, file) = in_a_folder(1);
    let backups = folder.join("bot.db.backups");
    fs::create_dir(&backups).unwrap();
    set_mode(&backups, 0o555);
    let error = refused(&place, &["backup"], &file);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("bot.db.backups"),
        "{error}"
    );
    set_mode(&backups, 0o755);
}

/// A disk that is mounted to be read only is nobody's mode.
#[test]
fn a_disk_that_is_mounted_to_be_read_only_is_told_as_that() {
    if let Some([_, view]) = child::given() {
        let file = Path::new(&view).join("bot.db");
        for words in WRITING {
            let json = on(words[0], &file, &[&words[1..], &["--json"]].concat());
            let error = json.came_to(1).json()["error"].clone();
            assert_eq!(error["kind"], "read-only", "{words:?}: {error}");
            let advice = error["what_to_do"].as_str().unwrap();
            assert!(advice.contains("mounted"), "{words:?}: {error}");
        }
        return;
    }
    let place = Place::filled(1);
    // So that none of them has to make a lock first.
    let view = tempfile::tempdir().unwrap();
    let test = a_disk_that_is_mounted_to_be_read_only_is_told_as_that;
    child::succeed_with_a_read_only_view(test, place.folder.path(), view.path());
}

/// The program with a limit of the shell's.
fn limited(limit: &str, words: &[&str]) -> Ran {
    let line = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &line, env!("CARGO_BIN_EXE_botstore")])
        .args(words);
    ran(command.stdin(Stdio::null()))
}

/// However few files it may have open: it does its work, or says that it may not have more.
#[test]
fn too_many_open_files_are_told_as_that() {
    let place = Place::filled(1);
    let file = text(&place.file);
    let mut told = 0;
    for files in 4..24 {
        for words in [&["status", file][..], &["check", file], &["backup", file]] {
            let ran = limited(&format!("-n {files}"), &[words, &["--json"]].concat());
            // With so few the system cannot even start it.
            if ran.code == 0 || ran.out.is_empty() && ran.code == 127 {
                continue;
            }
            let error = ran.came_to(1).json()["error"].clone();
            assert_eq!(
                error["kind"], "too many open files",
                "{files} {words:?}: {error}"
            );
            assert!(
                error["what_to_do"].as_str().unwrap().contains("ulimit -n"),
                "{error}"
            );
            told += 1;
        }
    }
    assert!(told > 0, "it never ran out of files");
    for suffix in ["-wal", "-shm", "-journal"] {
        let left = place.path(&format!("bot.db{suffix}"));
        assert!(!left.exists(), "{}", left.display());
    }
}

/// A file may only get so large. The system ends who does not listen.
#[test]
fn a_file_that_may_get_no_larger_is_told_as_that() {
    let place = Place::filled(300);
    let file = text(&place.file);
    let out = place.path("out");
    // In units of half a KiB or a whole one: much less than the file has.
    for words in [
        &["backup", file][..],
        &["export", file, "--out", text(&out)],
    ] {
        let ran = limited("-f 40", &[words, &["--json"]].concat());
        let error = ran.came_to(1).json()["error"].clone();
        assert_eq!(error["kind"], "disk full", "{words:?}: {error}");
        assert!(
            error["what_to_do"].as_str().unwrap().contains("ulimit -f"),
            "{error}"
        );
    }
    assert!(!out.exists());
}
