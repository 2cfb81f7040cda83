//! What to do next follows from what has happened, and not from the kind of error alone.

use crate::support::{Place, Ran, damage, on, run, text};
use std::fs;
use std::path::Path;

/// The sentence on stderr, and the same in JSON.
fn advice(arguments: &[&str]) -> String {
    let told = run(arguments);
    assert_ne!(told.code, 0, "{arguments:?}: {}", told.out);
    let line = |ran: &Ran| {
        let mut lines = ran.err.lines();
        let advice = lines.find_map(|line| line.strip_prefix("what to do: "));
        advice
            .unwrap_or_else(|| panic!("{arguments:?}: {}", ran.err))
            .to_owned()
    };
    let advice = line(&told);
    let json = run(arguments.iter().copied().chain(["--json"]));
    assert_eq!(json.code, told.code, "{arguments:?}");
    let json = json.json();
    assert_eq!(json["error"]["what_to_do"], advice, "{arguments:?}");
    let sentence = told.err.lines().next().expect("a sentence");
    assert!(!sentence.contains(&advice), "said twice: {}", told.err);
    advice
}

/// For each way to name what is not there, or is in the way: a word of the advice that only this one has.
#[test]
fn what_is_missing_or_in_the_way_decides_what_to_do() {
    let place = Place::filled(2);
    let file = text(&place.file);
    let letter = place.path("letter.txt");
    fs::write(&letter, "a letter ".repeat(1000)).unwrap();
    let backup = place.back_up(&[]);
    let (letter, backup, folder) = (text(&letter), text(&backup), text(place.folder.path()));
    let missing = place.path("missing");
    let missing = text(&missing);
    let into_nothing = place.path("no-folder").join("out.json");
    let into_nothing = text(&into_nothing);
    let long = place.path(&"x".repeat(300));
    let long = text(&long);
    let below = place.file.join("bot.db");
    let below = text(&below);
    let cases: &[(&[&str], &str)] = &[
        (&["status", long], "shorter path"),
        (&["check", long], "shorter path"),
        (&["status", below], "check the path"),
        (&["export", file, "--table", "nope"], "lists the tables"),
        (
            &["rollback", file, "--to", "0", "--schema", "nope"],
            "lists the schemas",
        ),
        (&["export", file, "--out", letter], "for --out"),
        (
            &["export", file, "--out", into_nothing],
            "folder above it, does not exist",
        ),
        (&["verify", file], "`botstore backups FILE` lists them"),
        (&["verify", missing], "`botstore backups FILE` lists them"),
        (
            &["restore", missing, "--to", file],
            "`botstore backups FILE` lists them",
        ),
        (&["restore", backup, "--to", file], "restore --replace"),
        (&["status", missing], "check the path"),
        (&["status", folder], "check the path"),
        (&["status", letter], "check the path"),
        (&["migrate", letter], "check the path"),
        (&["backup", letter], "check the path"),
        (&["migrate", file, "--to", "99"], "--help"),
        (&["backup", file, "--key", missing], "check the path"),
        (&["verify", backup, "--identity", missing], "check the path"),
    ];
    for (arguments, word) in cases {
        let advice = advice(arguments);
        assert!(advice.contains(word), "{arguments:?}: {advice}");
    }
}

/// Of what is no database nothing is left beside it either.
#[test]
fn what_is_refused_as_no_database_gets_no_lock_beside_it() {
    let place = Place::new();
    fs::write(&place.file, "a letter ".repeat(1000)).unwrap();
    let before = place.picture();
    for (command, more) in [
        ("backup", &[][..]),
        ("migrate", &[]),
        ("migrate", &["--to", "3"]),
        ("rollback", &["--to", "0"]),
        ("check", &["--repair"]),
    ] {
        on(command, &place.file, more).came_to(1);
        assert!(place.picture() == before, "{command}");
    }
}

#[test]
fn a_list_of_no_backups_says_whether_there_is_a_folder() {
    let place = Place::filled(1);
    let shown = on("backups", &place.file, &[]).came_to(0).out;
    assert!(shown.contains("there is no such folder"), "{shown}");
    let shown = on("backups", place.folder.path(), &[]).came_to(0).out;
    assert!(shown.ends_with("no backups\n"), "{shown}");
}

/// On the day when the database is gone, its backups are asked for by its name.
#[test]
fn the_backups_of_a_file_that_is_gone_are_listed_by_its_name() {
    let place = Place::filled(1);
    let backup = place.back_up(&[]);
    fs::remove_file(&place.file).unwrap();
    let listed = on("backups", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(listed["backups"][0]["path"], text(&backup));
    on("prune", &place.file, &[]).came_to(0);
    assert!(backup.exists());
}

/// The last line of a check.
fn next(file: &Path, code: i32) -> String {
    let shown = on("check", file, &[]).came_to(code).out;
    let last = shown.lines().last().expect("a line").to_owned();
    let json = on("check", file, &["--json"]).came_to(code).json();
    let sentence = last.strip_prefix("what to do    ");
    let sentence = sentence.unwrap_or_else(|| panic!("{shown}")).to_owned();
    assert_eq!(json["what_to_do"], sentence);
    assert_eq!(shown.matches("what to do").count(), 1, "{shown}");
    sentence
}

/// Every finding, from the lightest to the worst: each comes on top of those before, and the sentence is
/// about the worst.
#[test]
fn a_check_ends_with_one_sentence_about_the_worst_that_it_found() {
    let place = Place::filled(400);
    assert!(next(&place.file, 0).starts_with("nothing"));
    let steps = [
        ("CREATE VIEW seen AS SELECT 1", 0, "listed as unknown"),
        ("UPDATE users SET message_count = 3", 4, "Python bot"),
        (
            "PRAGMA foreign_keys=OFF; DELETE FROM messages WHERE message_id = 7",
            4,
            "refer",
        ),
        ("UPDATE botstore_day SET messages = 1000", 4, "--repair"),
        (
            "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'messages'",
            4,
            "sqlite_sequence",
        ),
        (
            "DROP TRIGGER botstore_message_added;
             CREATE TRIGGER botstore_message_added AFTER INSERT ON messages BEGIN SELECT 1; END",
            4,
            "altered the object",
        ),
    ];
    for (sql, code, word) in steps {
        place.alter(sql);
        let sentence = next(&place.file, code);
        assert!(sentence.contains(word), "{sql}: {sentence}");
    }
    damage(&place.file);
    assert!(next(&place.file, 3).contains("restore a backup"));
}

#[test]
fn a_list_that_is_cut_says_how_much_of_it_is_shown() {
    let place = Place::filled(1);
    place.alter(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO botstore_day SELECT 0, date('2020-01-01', i || ' days'), 0, 1, 0, 0, 0, 0 FROM n",
    );
    let shown = on("check", &place.file, &[]).came_to(4).out;
    assert!(shown.contains("300 differences, the first "), "{shown}");
}

/// Days that are not UTC's are told.
#[tokio::test]
async fn the_dashboard_tells_whose_days_it_shows() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    let plain = on("dashboard", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(plain["stats"]["time_zone"], "UTC");
    let shown = on("dashboard", &place.file, &[]).came_to(0).out;
    assert!(shown.contains("of UTC\n"), "{shown}");
    for zone in ["-09:30", "Europe/Berlin"] {
        let config = botstore::Config::new(&place.file).time_zone(zone);
        let store = botstore::Store::open(config).await.unwrap();
        store.close().await.unwrap();
        let shown = on("dashboard", &place.file, &[]).came_to(0).out;
        assert!(shown.contains(&format!("of {zone}\n")), "{shown}");
        let json = on("dashboard", &place.file, &["--json"]).came_to(0).json();
        assert_eq!(json["stats"]["time_zone"], zone);
    }
}
