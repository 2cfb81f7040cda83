//! With `--json` there is exactly one JSON document on stdout, whatever happens.

use crate::support::{Place, commands, damage_page_of, on, run, text};
use serde_json::Value;

/// What the program says on stdout is one document, and it says nothing else.
fn document(arguments: &[&str], code: i32) -> Value {
    let ran = run(arguments).came_to(code);
    assert_eq!(ran.err, "", "{arguments:?}");
    ran.json()
}

#[test]
fn wrong_usage_is_one_document_of_every_command() {
    for command in commands() {
        for wrong in [
            &["--no-such"][..],
            &["--no-such=1", "bot.db"],
            &["a", "b", "c", "--to"],
            &["--json=yes"],
            &[],
        ] {
            for arguments in [
                [&["--json", &command], wrong].concat(),
                [&[command.as_str()], wrong, &["--json"]].concat(),
            ] {
                let told = document(&arguments, 2);
                assert_eq!(told["error"]["kind"], "invalid", "{arguments:?}");
                let message = told["error"]["message"].as_str().unwrap();
                assert!(message.contains("Usage: botstore"), "{message}");
                assert_ne!(told["error"]["what_to_do"], "", "{arguments:?}");
            }
        }
    }
    for arguments in [
        &["--json"][..],
        &["--json", "no-such"],
        &["no-such", "--json"],
    ] {
        document(arguments, 2);
    }
    // After this it is no option.
    let told = run(["status", "--", "--json"]).came_to(1);
    assert_eq!(told.out, "");
}

/// What the library finds wrong, and not clap.
#[test]
fn values_that_no_file_can_have_are_one_document() {
    let place = Place::filled(1);
    let file = text(&place.file);
    for arguments in [
        &["migrate", file, "--to", "99", "--json"][..],
        &["dashboard", file, "--days", "0", "--json"],
        &["usage", file, "--days", "1000", "--json"],
        &["usage", file, "--by", "user", "--user", "1", "--json"],
        &["limits", file, "--chat", "telegram/1", "--json"],
        &["backup", file, "--level", "99", "--json"],
        &["backup", file, "--recipient", "nobody", "--json"],
    ] {
        let told = document(arguments, 2);
        assert_eq!(told["error"]["kind"], "invalid", "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_one_document() {
    let help = document(&["--help", "--json"], 0);
    assert!(help["text"].as_str().unwrap().contains("Exit codes:"));
    for command in commands() {
        let help = document(&[&command, "--json", "--help"], 0);
        assert!(
            help["text"].as_str().unwrap().contains("Usage: botstore"),
            "{command}"
        );
    }
    document(&["--json", "--version"], 0);
}

/// An export that has begun when it meets damage ends its document, and says in it what has happened.
#[test]
fn an_export_that_fails_half_way_is_one_document_with_an_error_in_it() {
    let place = Place::filled(400);
    damage_page_of(&place.file, "messages");
    let told = on("export", &place.file, &["--json"]).came_to(3);
    assert_eq!(told.err, "");
    let json = told.json();
    assert_eq!(json["error"]["kind"], "corrupt");
    assert!(
        json["error"]["what_to_do"]
            .as_str()
            .unwrap()
            .contains("restore a backup")
    );
    assert!(!json["messages"].as_array().unwrap().is_empty());
    // As lines there is nothing to end, and the error is where errors are.
    let told = on("export", &place.file, &[]).came_to(3);
    assert!(told.err.starts_with("error: "), "{}", told.err);
    assert!(
        told.out
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}
