//! Files whose schema has work without end in it, or makes gigabytes out of nothing: whoever looks at
//! them comes to an end, with a typed error if there is no answer, and in bounded memory.

use crate::support::{Given, Ran, run};
use botstore::analytics::AdminDashboard;
use botstore::backup::{self, IfExists, TakeBackup, VerifyOptions};
use botstore::integrity::CheckFile;
use botstore::rusqlite::Connection;
use botstore::schema;
use botstore::{Config, Error, ErrorKind, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A view that gives rows for ever.
const ENDLESS: &str = "WITH RECURSIVE n(rowid, body) AS (
    SELECT 1, 'x' UNION ALL SELECT rowid + 1, body FROM n) SELECT rowid, body FROM n";

/// Schemas of other people's making. None of them keeps a bot from working, so none is refused; the
/// tables of the crate are as they should be.
fn hostile() -> Vec<(&'static str, String)> {
    let view = format!("CREATE VIEW ev AS {ENDLESS}");
    let mut schemas = sudden();
    schemas.extend([
        // Its own check of itself reads all of it: ended by the deadline.
        (
            "an endless view behind fts4",
            format!("{view}; CREATE VIRTUAL TABLE ft USING fts4(body, content='ev')"),
        ),
        ("a slow column", SLOW.to_owned()),
    ]);
    schemas
}

/// The part of them that is found out at once.
fn sudden() -> Vec<(&'static str, String)> {
    let view = format!("CREATE VIEW ev AS {ENDLESS}");
    vec![
        ("an endless view", view.clone()),
        (
            "an endless view behind fts5",
            format!(
                "{view}; CREATE VIRTUAL TABLE ft
                 USING fts5(body, content='ev', content_rowid='rowid')"
            ),
        ),
        (
            "a check that makes 900 MB",
            "CREATE TABLE big (x CHECK (length(hex(zeroblob(450000000))) > x));
             PRAGMA ignore_check_constraints = ON;
             INSERT INTO big VALUES (1), (2);"
                .to_owned(),
        ),
        (
            "a column that makes 900 MB",
            "CREATE TABLE big (x, y AS (hex(zeroblob(450000000 + x))));
             INSERT INTO big (x) VALUES (1), (2);"
                .to_owned(),
        ),
        (
            "an index that makes 900 MB",
            "CREATE TABLE big (x, y);
             CREATE INDEX made ON big(length(y));
             INSERT INTO big VALUES (1, 2), (3, 4);
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET name = 'made',
                 sql = 'CREATE INDEX made ON big(length(hex(zeroblob(450000000 + x))))'
             WHERE name = 'made';"
                .to_owned(),
        ),
        (
            "a column that makes 450 MB out of small texts",
            "CREATE TABLE big (x, y AS (replace(hex(zeroblob(x)), '00', printf('%.*c', 60000, 'y'))));
             INSERT INTO big (x) VALUES (7500), (7500);"
                .to_owned(),
        ),
    ]
}

/// A column that takes a moment to compute, in 300,000 rows.
const SLOW: &str = "CREATE TABLE slow (x, y AS (x) NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
    INSERT INTO slow SELECT i FROM n;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE TABLE slow (x, y AS (
        replace(replace(hex(zeroblob(20000)), ''00'', ''ab''), ''ab'', x || ''abab'')) NOT NULL)'
    WHERE name = 'slow';";

/// Longer than a look at these files takes, and shorter than one that has no end.
const SHORT: Duration = Duration::from_secs(1);

async fn given(sql: &str) -> Given {
    let given = Given::file().await;
    given.forge(sql);
    given
}

/// Fine, or a sentence on what is wrong with the file; never out of memory, never a panic.
fn ended(name: &str, what: &str, ran: &Ran) {
    assert!(
        matches!(ran.code, 0 | 1 | 3 | 4 | 5),
        "{name}, {what}: {} {}{}",
        ran.code,
        ran.out,
        ran.err
    );
}

/// What a run of the command line may have of memory, its program and stacks included: less than the
/// schemas above ask for.
#[cfg(target_os = "linux")]
const MEMORY_KIB: u64 = 768 * 1024;

#[tokio::test]
async fn every_command_that_looks_at_a_hostile_file_comes_to_an_end_in_little_memory() {
    for (name, sql) in sudden() {
        let given = given(&sql).await;
        let folder = given.path_of("backups");
        let folder = folder.to_str().expect("a path");
        let out = given.path_of("out.jsonl");
        let out = out.to_str().expect("a path");
        for (command, more) in [
            ("status", vec![]),
            ("check", vec![]),
            ("dashboard", vec![]),
            ("migrate", vec!["--plan"]),
            ("backup", vec!["--to", folder]),
            ("backup", vec!["--to", folder, "--compact"]),
            ("export", vec!["--out", out]),
        ] {
            let ran = run_bounded(command, &given.path, &more);
            ended(name, command, &ran);
        }
        for backup in backup::list(folder).expect("a list").backups {
            let scratch = given.folder.path().to_str().expect("a path");
            let ran = run_bounded("verify", &backup.path, &["--scratch", scratch]);
            ended(name, "verify", &ran);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn run_bounded(command: &str, file: &Path, more: &[&str]) -> Ran {
    run(command, file, more)
}

/// Runs a command that cannot have more memory than that: what asks for more is refused by the system,
/// and would be told as an error of SQLite's own or end the process.
#[cfg(target_os = "linux")]
fn run_bounded(command: &str, file: &Path, more: &[&str]) -> Ran {
    let ran = crate::support::run_within(MEMORY_KIB, command, file, more);
    assert!(
        !ran.err.contains("out of memory") && !ran.out.contains("out of memory"),
        "{}",
        ran.err
    );
    ran
}

/// The functions that look at a file without a store, each with what a hostile one comes to.
fn looks(given: &Given, backups: &Path, deadline: Duration) -> Vec<(&'static str, Option<Error>)> {
    let config = || {
        let settings = backup::Backups::default().folder(backups);
        given.config().backups(settings).inspect_deadline(deadline)
    };
    let mut looks = vec![
        ("status", botstore::status(config()).err()),
        ("plan", schema::plan(config()).err()),
        ("unknown_objects", schema::unknown_objects(config()).err()),
        (
            "check",
            botstore::snapshot(config(), |tx| tx.query(&CheckFile::new())).err(),
        ),
        (
            "dashboard",
            botstore::snapshot(config(), |tx| tx.query(&AdminDashboard::default())).err(),
        ),
        ("take", backup::take(config(), TakeBackup::default()).err()),
    ];
    if let Some(made) = backup::list(backups).expect("a list").backups.pop() {
        looks.extend(readings(given, &made.path, deadline));
    }
    looks
}

fn readings(given: &Given, made: &Path, deadline: Duration) -> [(&'static str, Option<Error>); 2] {
    let scratch = given.folder.path();
    let reading = || VerifyOptions::default().deadline(deadline).scratch(scratch);
    let to = Config::new(given.path_of("restored.db")).inspect_deadline(deadline);
    let restored = backup::restore(to, made, IfExists::MoveAside, reading());
    [
        ("verify", backup::verify(made, reading()).err()),
        ("restore", restored.err()),
    ]
}

/// What a look at a hostile file may come to; a look at one that is not comes to nothing.
fn is_typed(name: &str, looks: impl IntoIterator<Item = (&'static str, Option<Error>)>) {
    for (look, error) in looks {
        let kind = error.as_ref().map(Error::kind);
        let expected = [
            None,
            Some(ErrorKind::Deadline),
            Some(ErrorKind::Untrusted),
            Some(ErrorKind::BadBackup),
        ];
        // Which says so of itself when its own reading was ended.
        let is_fts4 = name.ends_with("fts4") && kind == Some(ErrorKind::Corrupt);
        assert!(
            expected.contains(&kind) || is_fts4,
            "{name}, {look}: {error:?}"
        );
    }
}

#[tokio::test]
async fn every_look_at_a_hostile_file_comes_to_an_end() {
    for (name, sql) in hostile() {
        let given = given(&sql).await;
        is_typed(name, looks(&given, &given.path_of("backups"), SHORT));
    }
}

/// A backup whose content somebody has put together by hand: what it says of itself is true, but for
/// the rows of what has none.
fn forge_backup(given: &Given, sql: &str) -> PathBuf {
    let folder = given.path_of("forged");
    let settings = backup::Backups::default().folder(&folder);
    let made = backup::take(given.config().backups(settings), TakeBackup::default());
    let made = made.expect("a backup").path;
    let forged = given.path_of("forged.db");
    let packed = fs::File::open(made.join("database.zst")).expect("the artefact");
    let clear = zstd::decode_all(packed).expect("a frame");
    fs::write(&forged, &clear).expect("a database");
    Connection::open(&forged)
        .and_then(|conn| conn.execute_batch(&format!("{sql}; PRAGMA journal_mode = DELETE;")))
        .expect(sql);
    crate::support::repack(&made, &forged);
    made
}

#[tokio::test]
async fn a_forged_backup_of_a_hostile_file_is_verified_and_restored_to_an_end() {
    for (name, sql) in sudden()
        .into_iter()
        .chain([("a slow column", SLOW.to_owned())])
    {
        let given = Given::file().await;
        let made = forge_backup(&given, &sql);
        is_typed(name, readings(&given, &made, SHORT));
    }
}

#[tokio::test]
async fn a_store_on_a_hostile_file_and_its_backups_come_to_an_end() {
    for (name, sql) in sudden() {
        let given = given(&sql).await;
        let store = Store::open(given.config().inspect_deadline(SHORT))
            .await
            .expect(name);
        let backup = store.back_up(TakeBackup::default()).await.err();
        let drill = store.drill().await.err();
        // Where none could be made.
        let drill = drill.filter(|error| error.kind() != ErrorKind::NotFound);
        is_typed(name, [("backup", backup), ("drill", drill)]);
        store.close().await.expect("closed");
    }
}

/// Work that has an end, after minutes: every look at it is bounded by a deadline, which a host can set.
#[tokio::test]
async fn work_that_takes_too_long_is_ended_by_the_deadline() {
    let given = given(SLOW).await;
    let config = || given.config().inspect_deadline(SHORT);
    let error =
        botstore::snapshot(config(), |tx| tx.query(&CheckFile::new())).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    let error = backup::take(config(), TakeBackup::default()).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    let everything = "SELECT sum(length(y)) FROM slow";
    let error = botstore::snapshot(config(), |tx| {
        tx.one(everything, [], |row| Ok(row.get::<_, i64>(0)?))
    });
    assert_eq!(error.expect_err("too long").kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn a_long_text_that_is_in_a_file_is_no_reason_to_refuse_it() {
    let given = Given::file().await;
    // Longer than any bound on values that a look at a small file has.
    given.forge("UPDATE messages SET prompt = printf('%.*c', 20000000, 'p') WHERE message_id = 1");
    let folder = given.path_of("backups");
    for _ in 0..2 {
        let looks = looks(&given, &folder, Duration::from_secs(600));
        assert!(looks.len() > 7);
        for (look, error) in looks {
            assert!(error.is_none(), "{look}: {error:?}");
        }
    }
    let out = given.path_of("out.jsonl");
    run(
        "export",
        &given.path,
        &["--out", out.to_str().expect("a path")],
    )
    .came_to(0);
    assert!(fs::metadata(out).expect("an export").len() > 20_000_000);
}

/// A manifest from before said of a virtual table what it answered.
#[tokio::test]
async fn a_backup_that_counts_the_rows_of_a_virtual_table_is_good_all_the_same() {
    let given = Given::file().await;
    let made = forge_backup(
        &given,
        "CREATE VIRTUAL TABLE ft USING fts5(a); INSERT INTO ft VALUES ('b')",
    );
    backup::verify(&made, VerifyOptions::default().scratch(given.folder.path())).expect("without");
    crate::support::edit_manifest(&made, |contents| {
        contents.rows.insert("ft".to_owned(), 1);
    });
    backup::verify(&made, VerifyOptions::default().scratch(given.folder.path())).expect("with");
    crate::support::edit_manifest(&made, |contents| {
        contents.rows.insert("users".to_owned(), 1);
    });
    backup::verify(&made, VerifyOptions::default().scratch(given.folder.path()))
        .expect_err("what has rows is counted");
}

/// Whoever adds a way to open a database has to think of this.
#[test]
fn there_is_one_place_that_opens_databases() {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let opens = |(at, _): (usize, &str)| {
                // Not a `ReadConnection`.
                let before = code[..at].chars().last();
                !before.is_some_and(char::is_alphanumeric)
            };
            if code.match_indices("Connection::open").any(opens) {
                found.push(path.file_name().expect("a name").to_owned());
            }
        }
    }
    assert_eq!(found, ["look.rs"]);
}
