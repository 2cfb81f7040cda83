//! `backup`, `backups`, `verify`, `restore` and `prune`: what they made can be had back.

use crate::support::{Place, command, damage, on, run, text};
use crate::wait::wait_until;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Stdio;

#[test]
fn a_backup_is_made_listed_verified_and_restored() {
    let place = Place::filled(20);
    let made = on("backup", &place.file, &[]).came_to(0);
    assert!(
        made.out.contains("holds         a database of"),
        "{}",
        made.out
    );
    let backup = place.back_up(&["--compact", "--level", "19"]);

    let listed = on("backups", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2);
    assert_eq!(listed["backups"][1]["manifest"]["mode"], "compact");
    let by_folder = on("backups", backup.parent().unwrap(), &["--json"]).came_to(0);
    assert_eq!(by_folder.json(), listed);
    let words = on("backups", &place.file, &[]).came_to(0);
    assert!(words.out.contains("-manual"), "{}", words.out);

    let verified = on("verify", &backup, &["--json"]).came_to(0).json();
    assert_eq!(verified["manifest"]["contents"]["rows"]["messages"], 20);
    on("verify", &backup, &[]).came_to(0);

    let to = place.path("again.db");
    let restored = on("restore", &backup, &["--to", text(&to), "--json"]);
    assert_eq!(restored.came_to(0).json()["replaced"], json!(null));
    let rows = |file| on("export", file, &["--with-secrets"]).came_to(0).out;
    assert_eq!(rows(&to), rows(&place.file));
}

#[test]
fn a_backup_changes_nothing_in_the_file_even_if_it_is_to_be_migrated() {
    let place = Place::legacy();
    let before = fs::read(&place.file).unwrap();
    let elsewhere = place.path("elsewhere");
    let backup = place.back_up(&["--to", text(&elsewhere)]);
    assert!(
        backup.starts_with(elsewhere.canonicalize().unwrap()) || backup.starts_with(&elsewhere)
    );
    assert_eq!(fs::read(&place.file).unwrap(), before);
    let status = on(
        "status",
        &place.file,
        &["--backups", text(&elsewhere), "--json"],
    );
    assert_eq!(
        status.came_to(0).json()["last_backup"]["path"],
        text(&backup)
    );
}

#[test]
fn a_file_in_the_way_stays_unless_it_may_be_moved_aside() {
    let place = Place::filled(2);
    let backup = place.back_up(&[]);
    place.alter("DELETE FROM tool_usage");
    let before = fs::read(&place.file).unwrap();
    let to = ["--to", text(&place.file)];
    let refused = on("restore", &backup, &to).came_to(1);
    assert!(refused.err.contains("--replace"), "{}", refused.err);
    assert_eq!(fs::read(&place.file).unwrap(), before);

    let to = ["--to", text(&place.file), "--replace", "--json"];
    let restored = on("restore", &backup, &to).came_to(0).json();
    let aside = restored["replaced"].as_str().unwrap();
    assert_eq!(fs::read(format!("{aside}/bot.db")).unwrap(), before);
    let status = on("status", &place.file, &["--json"]).came_to(0).json();
    assert_eq!(status["rows"]["tool_usage"], 2);
}

#[test]
fn a_damaged_backup_is_found_and_not_restored() {
    let place = Place::filled(50);
    let backup = place.back_up(&[]);
    let artefact = backup.join("database.zst");
    damage(&artefact);
    let found = on("verify", &backup, &[]).came_to(3);
    assert!(
        found.err.contains("what to do: use another backup"),
        "{}",
        found.err
    );
    let to = place.path("again.db");
    let refused = on("restore", &backup, &["--to", text(&to), "--json"]).came_to(3);
    assert_eq!(refused.json()["error"]["kind"], "bad backup");
    assert!(!to.exists());

    fs::write(&artefact, "short").unwrap();
    let listed = on("backups", &place.file, &["--json"]).came_to(3).json();
    assert_eq!(listed["backups"], json!([]));
    assert_eq!(listed["unusable"][0]["path"], text(&backup));
    let words = on("backups", &place.file, &[]).came_to(3);
    assert!(words.out.contains("has 5 bytes"), "{}", words.out);
}

#[test]
fn pruning_keeps_what_was_asked_and_tells_before() {
    let place = Place::filled(1);
    let backups: Vec<_> = (0..4).map(|_| place.back_up(&[])).collect();
    let rules = [
        "--last",
        "2",
        "--hourly",
        "0",
        "--daily",
        "0",
        "--weekly",
        "0",
        "--monthly",
        "0",
        "--yearly",
        "0",
        "--json",
    ];
    let dry: Vec<_> = rules.into_iter().chain(["--dry-run"]).collect();
    let told = on("prune", &place.file, &dry).came_to(0).json();
    assert_eq!(told["removed"].as_array().unwrap().len(), 2);
    assert!(backups.iter().all(|backup| backup.exists()));

    let folder = backups[0].parent().unwrap();
    let done = on("prune", folder, &rules).came_to(0).json();
    assert_eq!(done["removed"], told["removed"]);
    let left: Vec<_> = backups.iter().map(|backup| backup.exists()).collect();
    assert_eq!(left, [false, false, true, true]);
    assert_eq!(on("prune", folder, &["--last", "0"]).code, 2);
}

#[test]
fn a_backup_that_stays_is_told_of() {
    let place = Place::filled(1);
    let backups: Vec<_> = (0..9).map(|_| place.back_up(&[])).collect();
    fs::write(backups[0].join("notes.txt"), "not ours").unwrap();
    let rules = ["--last", "1", "--hourly", "1", "--json"];
    let done = on("prune", &place.file, &rules).came_to(1).json();
    assert_eq!(done["not_removed"][0]["path"], text(&backups[0]));
    assert!(backups[0].exists() && !backups[1].exists());
}

#[tokio::test]
async fn a_file_that_a_bot_has_open_is_left_to_it() {
    let place = Place::new();
    let store = place.open().await;
    let backup = store.back_up(Default::default()).await.unwrap().path;
    let to = ["--to", text(&place.file), "--replace"];
    let rollback = ["--to", "3"];
    let me = format!("in process {}", std::process::id());
    for refused in [
        on("restore", &backup, &to),
        on("migrate", &place.file, &[]),
        on("rollback", &place.file, &rollback),
    ] {
        let refused = refused.came_to(6);
        assert!(refused.err.contains(&me), "{}", refused.err);
        assert!(refused.err.contains("what to do: stop the bot"));
    }
    store.close().await.unwrap();
}

#[test]
fn the_newest_backup_is_restored_without_its_name() {
    let place = Place::filled(1);
    let to = ["--to", text(&place.file), "--replace", "--latest"];
    // Of the default folder, of a folder, and of a database's.
    let sources = |backups: &Path| {
        let of = [None, Some(backups.to_owned()), Some(place.file.clone())];
        of.into_iter().map(move |of| {
            let words = of.iter().map(|path| text(path).to_owned());
            let words = ["restore".to_owned()].into_iter().chain(words);
            let words: Vec<_> = words.chain(to.map(str::to_owned)).collect();
            run(words)
        })
    };
    let missing = run(["restore"].into_iter().chain(to)).came_to(1);
    assert!(
        missing.err.contains("there is no usable backup"),
        "{}",
        missing.err
    );
    place.back_up(&[]);
    place.alter("DELETE FROM tool_usage");
    let newest = place.back_up(&[]);
    for restored in sources(newest.parent().unwrap()) {
        let restored = restored.came_to(0);
        assert!(restored.out.contains(text(&newest)), "{}", restored.out);
        let status = on("status", &place.file, &["--json"]).came_to(0).json();
        assert_eq!(status["rows"]["tool_usage"], 0);
    }
    // One that cannot be used is skipped, and named.
    fs::write(newest.join("database.zst"), "short").unwrap();
    for restored in sources(newest.parent().unwrap()) {
        let restored = restored.came_to(0);
        let named = restored
            .out
            .lines()
            .find(|line| line.starts_with("skipped"));
        assert!(
            named.is_some_and(|line| line.contains(text(&newest))),
            "{}",
            restored.out
        );
        let status = on("status", &place.file, &["--json"]).came_to(0).json();
        assert_eq!(status["rows"]["tool_usage"], 1);
    }
    // Nor without a word of which.
    on("restore", &place.file, &[]).came_to(2);
    run(["restore", "--to", text(&place.file)]).came_to(2);
}

#[test]
fn the_newest_backup_of_several_databases_is_that_of_the_file() {
    let (one, other) = (Place::filled(1), Place::filled(2));
    let shared = one.path("shared");
    let to_shared = ["--to", text(&shared)];
    let mine = one.back_up(&to_shared);
    other.back_up(&to_shared);
    let words = ["--to", text(&one.file), "--replace", "--latest"];
    let restored = on("restore", &shared, &words).came_to(0);
    assert!(restored.out.contains(text(&mine)), "{}", restored.out);
    // Where there is no file it could be either's.
    let new = one.path("new.db");
    let words = ["--to", text(&new), "--latest"];
    let refused = on("restore", &shared, &words).came_to(2);
    assert!(refused.err.contains("several databases"), "{}", refused.err);
    assert!(!new.exists());
}

/// At the slowest level there is time to say no.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_backup_which_leaves_nothing_behind() {
    let place = Place::filled(1);
    place.alter(
        "CREATE TABLE noise AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
             WHERE i < 8000) SELECT i, hex(randomblob(1000)) AS noise FROM n;",
    );
    let folder = place.path("backups");
    let arguments = [
        "backup",
        text(&place.file),
        "--level",
        "22",
        "--to",
        text(&folder),
    ];
    let backup = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let names = || {
        let entries = fs::read_dir(&folder).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| !name.starts_with('.'))
            .collect::<Vec<_>>()
    };
    wait_until("it begins", || !names().is_empty());
    let pid = backup.id().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(kill.unwrap().success());
    let output = backup.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert!(error.contains("stopped on request"), "{error}");
    assert_eq!(names(), Vec::<String>::new());
}
