//! A store's file holds nothing that SQLite 3.31, of 2020, cannot read: one word that it does not know, anywhere in
//! the schema, and it reads nothing at all. `.ci/old-sqlite` asks that SQLite itself.

use crate::legacy::Legacy;
use botstore::rusqlite::Connection;
use botstore::{BeforeUpgrade, Config, Store, schema};
use std::collections::BTreeSet;
use std::path::Path;

/// The functions that the schema may use, all of which 3.31 has. Add one only after a look at when SQLite got it.
const FUNCTIONS: [&str; 14] = [
    "avg", "coalesce", "count", "date", "datetime", "length", "max", "min", "raise", "round",
    "substr", "sum", "typeof", "cast",
];

/// What SQLite has learnt since, that stands as a word in a schema.
const WORDS: [(&str, &str); 9] = [
    ("strict", "3.37"),
    ("returning", "3.35"),
    ("materialized", "3.35"),
    ("generated", "3.31, and not every build of it"),
    ("always", "3.31, and not every build of it"),
    ("sqlite_schema", "3.33"),
    ("right", "3.39"),
    ("full", "3.39"),
    ("distinct from", "3.39"),
];

/// What is neither a word nor a sign that 3.31 knows.
const SIGNS: [&str; 2] = ["->", "0x_"];

/// The SQL in small letters, without texts, quoted names and comments.
fn words(sql: &str) -> String {
    let mut bare = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '\'' | '"' | '`' => rest[1..].find(c).map_or(rest.len(), |at| at + 2),
            _ => {
                bare.push(c.to_ascii_lowercase());
                c.len_utf8()
            }
        };
        rest = &rest[end..];
    }
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is called: names before a parenthesis, but for those that SQL's own words and the schema's tables are.
fn called(sql: &str, tables: &BTreeSet<String>) -> BTreeSet<String> {
    const SQL: [&str; 17] = [
        "values", "in", "key", "exists", "check", "unique", "as", "when", "conflict", "on", "and",
        "or", "not", "from", "select", "begin", "where",
    ];
    let mut called = BTreeSet::new();
    for (at, _) in sql.match_indices('(') {
        let before = sql[..at].trim_end();
        let name = before
            .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .next();
        let name = name.unwrap_or_default();
        let is_sql = SQL.contains(&name) || tables.contains(name);
        if !name.is_empty() && !is_sql && !before.ends_with(['=', '+', '-', ',']) {
            called.insert(name.to_owned());
        }
    }
    called
}

#[track_caller]
fn readable(path: &Path, when: &str) {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema";
    let mut objects = conn.prepare(sql).unwrap();
    let objects = objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let objects: Vec<(String, String)> = objects.unwrap().map(Result::unwrap).collect();
    let tables = objects.iter().map(|(name, _)| name.clone()).collect();
    for (name, sql) in &objects {
        let sql = words(sql);
        let padded = format!(" {} ", sql.replace(['(', ')', ',', ';'], " "));
        for (word, since) in WORDS {
            let is_there = padded.contains(&format!(" {word} "));
            assert!(
                !is_there,
                "{when}: {name} says {word:?}, which SQLite has since {since}"
            );
        }
        let sign = SIGNS.iter().find(|sign| sql.contains(**sign));
        assert_eq!(sign, None, "{when}: {name}");
        // The bot's own tables are the bot's own matter.
        if name.starts_with("botstore_") {
            let called = called(&sql, &tables);
            let new: Vec<_> = called
                .iter()
                .filter(|f| !FUNCTIONS.contains(&f.as_str()))
                .collect();
            assert!(new.is_empty(), "{when}: {name} calls {new:?}");
        }
    }
    // Pages in a format that is told by number.
    let header = std::fs::read(path).unwrap();
    assert!(
        header[18] <= 2 && header[19] <= 2,
        "{when}: read and write version"
    );
    assert!(header[47] <= 4, "{when}: schema format");
}

#[tokio::test]
async fn nothing_in_a_file_is_newer_than_sqlite_3_31() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new.db");
    let store = Store::open(Config::new(&new).time_zone("Europe/Berlin"))
        .await
        .unwrap();
    store.close().await.unwrap();
    readable(&new, "a new file");
    for legacy in Legacy::all_taken_over().await {
        readable(&legacy.path, legacy.name);
        for step in [2, 1, 0] {
            let config = legacy.config().before_upgrade(BeforeUpgrade::Skip);
            schema::rollback(config, "botstore", step).unwrap();
            readable(&legacy.path, &format!("{} at step {step}", legacy.name));
        }
    }
}

/// A program before step 8 made this ledger, which is made anew with the next step, up or down.
#[tokio::test]
async fn the_strict_ledger_of_an_older_program_is_made_anew_in_either_direction() {
    for to in [None, Some(2)] {
        let legacy = Legacy::taken_over("v4").await;
        schema::rollback(&legacy.path, "botstore", 7).unwrap();
        legacy.make_its_ledger_strict();
        match to {
            None => legacy.adopt().await,
            Some(step) => drop(schema::rollback(&legacy.path, "botstore", step).unwrap()),
        }
        readable(&legacy.path, "from an older program");
        let conn = Connection::open(&legacy.path).unwrap();
        let wrong = "INSERT INTO botstore_ledger VALUES ('x', 'one', 'x', '', '', '', '')";
        conn.execute(wrong, []).unwrap_err();
    }
}

/// What STRICT refused is refused all the same.
#[tokio::test]
async fn columns_hold_the_types_that_strict_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    schema::apply(&path).unwrap();
    let conn = Connection::open(&path).unwrap();
    let good = [
        ("botstore_idempotency", vec!["1", "'k'", "1", "'t'"]),
        ("botstore_schedules", vec!["'n'", "'t'"]),
        ("botstore_store", vec!["1", "'i'"]),
        (
            "botstore_ledger",
            vec!["'x'", "1", "'n'", "''", "''", "''", "''"],
        ),
    ];
    for (table, values) in good {
        conn.execute_batch("SAVEPOINT a").unwrap();
        conn.execute_batch(&format!("DELETE FROM {table}")).unwrap();
        for (at, value) in values.iter().enumerate() {
            let wrong = ["NULL", "x'00'"].into_iter();
            // A number becomes a text in a column of texts, as it did.
            let wrong = wrong.chain(["'one'", "1.5"].into_iter().filter(|_| *value == "1"));
            for wrong in wrong {
                // SQLite gives a row an id where there is none.
                if (table, at, wrong) == ("botstore_store", 0, "NULL") {
                    continue;
                }
                let mut row = values.clone();
                row[at] = wrong;
                let sql = format!("INSERT INTO {table} VALUES ({})", row.join(", "));
                assert!(conn.execute(&sql, []).is_err(), "{sql}");
            }
        }
        let sql = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
        conn.execute(&sql, []).expect(&sql);
        conn.execute_batch("ROLLBACK TO a; RELEASE a").unwrap();
    }
}
