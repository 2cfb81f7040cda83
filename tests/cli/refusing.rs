//! What cannot be done is refused with a sentence, an exit code, and nothing changed.

use crate::support::{Place, REMOVE_A_LIMIT, SET_A_LIMIT, on, run, text};
use std::fs;

/// A file, and every command on it.
const COMMANDS: [(&str, &[&str]); 18] = [
    ("status", &[]),
    ("check", &[]),
    ("migrate", &[]),
    ("migrate", &["--plan"]),
    ("rollback", &["--to", "0"]),
    ("backup", &[]),
    ("backups", &[]),
    ("verify", &[]),
    ("prune", &[]),
    ("export", &[]),
    ("dashboard", &[]),
    ("prices", &[]),
    (
        "prices",
        &["set", "acme", "parrot", "--input", "3", "--output", "15"],
    ),
    ("prices", &["reprice", "--from", "2026-03-10"]),
    ("usage", &[]),
    ("limits", &[]),
    ("limits", &SET_A_LIMIT),
    ("limits", &REMOVE_A_LIMIT),
];

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let place = Place::new();
    for (command, more) in COMMANDS {
        let refused = on(command, &place.file, more).came_to(1);
        assert!(
            refused.err.starts_with("error: there is no "),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("bot.db"), "{command}: {}", refused.err);
        assert!(refused.err.contains("\nwhat to do: "), "{}", refused.err);
        assert_eq!(refused.out, "");
        let more: Vec<_> = more.iter().copied().chain(["--json"]).collect();
        let refused = on(command, &place.file, &more).came_to(1);
        assert_eq!(refused.json()["error"]["kind"], "not found", "{command}");
        assert_eq!(refused.err, "");
    }
    let backup = place.path("no-backup");
    on("restore", &backup, &["--to", text(&place.file)]).came_to(1);
    assert_eq!(place.picture(), []);
}

#[test]
fn what_is_no_database_is_left_alone() {
    let place = Place::new();
    fs::write(&place.file, "a letter ".repeat(2000)).unwrap();
    for (command, more) in COMMANDS {
        // These are about the backups of a database, of whatever kind.
        if ["backups", "prune", "verify"].contains(&command) {
            continue;
        }
        let refused = on(command, &place.file, more);
        assert!(
            [1, 3].contains(&refused.code),
            "{command}: {}",
            refused.code
        );
        assert!(refused.err.contains("bot.db"), "{command}: {}", refused.err);
    }
    assert_eq!(
        fs::read_to_string(&place.file).unwrap(),
        "a letter ".repeat(2000)
    );
    on("status", place.folder.path(), &[]).came_to(1);
}

#[test]
fn a_damaged_file_is_refused_with_the_way_to_a_backup() {
    let place = Place::filled(100);
    let good = fs::read(&place.file).unwrap();
    // The first page's content, after the header that says that it is a database.
    let mut bad = good.clone();
    bad[100..4096].fill(0xFF);
    fs::write(&place.file, bad).unwrap();
    for (command, more) in COMMANDS {
        if ["backups", "prune", "verify"].contains(&command) {
            continue;
        }
        let refused = on(command, &place.file, more).came_to(3);
        assert!(
            refused.err.contains("restore a backup"),
            "{command}: {}",
            refused.err
        );
    }
}

#[test]
fn wrong_usage_is_told_from_failure() {
    assert_eq!(run(["--no-such"]).code, 2);
    assert_eq!(run(["status"]).code, 2);
    assert_eq!(run(["backup", "bot.db", "--level", "23"]).code, 2);
    assert_eq!(run::<&str>([]).code, 2);
}

#[test]
fn the_help_tells_every_exit_code() {
    let help = run(["--help"]).came_to(0).out;
    for code in [
        "0  success",
        "3  damage",
        "4  no damage",
        "5  the file needs",
        "6  a running",
    ] {
        assert!(help.contains(code), "{code}: {help}");
    }
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(["completions", shell]).came_to(0).out;
        assert!(script.contains("dashboard"), "{shell}");
        let json = run(["completions", shell, "--json"]).came_to(0).json();
        assert_eq!(json["script"], script);
    }
}
