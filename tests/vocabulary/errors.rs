//! Errors, as a host makes, reads and shows them.

use crate::support::{ADA, populated};
use botstore::prelude::*;
use botstore::rusqlite::{self, Connection};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt;
use std::io;

/// The kinds that the source declares, whatever the crate says of itself.
fn declared() -> BTreeSet<String> {
    let source = include_str!("../../src/error/kind.rs");
    let (_, body) = source.split_once("pub enum ErrorKind {").expect("the enum");
    let (body, _) = body.split_once("\n}").expect("its end");
    let lines = body.lines().map(str::trim);
    let names = lines.filter_map(|line| line.strip_suffix(','));
    let names = names.filter(|name| name.chars().all(char::is_alphanumeric));
    names.map(str::to_owned).collect()
}

#[test]
fn every_kind_is_listed_once_and_has_words_of_its_own() {
    let all: BTreeSet<_> = ErrorKind::ALL.iter().map(|k| format!("{k:?}")).collect();
    assert_eq!(all, declared());
    assert_eq!(all.len(), ErrorKind::ALL.len());
    let words: BTreeSet<_> = ErrorKind::ALL.iter().map(ErrorKind::to_string).collect();
    assert_eq!(words.len(), ErrorKind::ALL.len());
}

/// The table in the documentation of [`ErrorKind::http_status`]: what it names has its row's status, and
/// what it does not name that of its last row.
#[test]
fn every_kind_has_the_http_status_that_the_documentation_says() {
    let source = include_str!("../../src/error/kind.rs");
    let rows = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// | "));
    let rows: Vec<(u16, BTreeSet<&str>)> = rows
        .filter_map(|row| {
            let status = row.split(' ').next()?.parse().ok()?;
            let kinds = row.split('|').nth(1)?.split('`').skip(1).step_by(2);
            Some((status, kinds.collect()))
        })
        .collect();
    let (rest, none) = rows.last().expect("a table");
    assert!(none.is_empty() && rows.len() > 5, "{rows:?}");
    let mut named = 0;
    for kind in ErrorKind::ALL {
        let name = format!("{kind:?}");
        let row = rows.iter().find(|(_, kinds)| kinds.contains(&*name));
        named += usize::from(row.is_some());
        let status = row.map_or(*rest, |(status, _)| *status);
        assert_eq!(kind.http_status(), status, "{kind:?}");
        // What a client may just try again is no failure of the server's program, and the other way round.
        let transient = Error::new(*kind, "").is_transient();
        assert!(!transient || (501..=599).contains(&status), "{kind:?}");
    }
    let listed: usize = rows.iter().map(|(_, kinds)| kinds.len()).sum();
    assert_eq!(listed, named, "the table names what is no kind");
}

/// Whoever meets a kind finds it in the table of `docs/operations.md`.
#[test]
fn every_kind_is_in_the_table_of_what_to_do() {
    let document = include_str!("../../docs/operations.md");
    let (_, table) = document
        .split_once("\n## When something is wrong\n")
        .expect("the section");
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let told: BTreeSet<_> = rows
        .filter_map(|row| row.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(told, declared());
}

/// The whole chain, as `{:#}` of anyhow writes it.
fn chain(error: &Error) -> String {
    let mut told = format!("{error:#}");
    let mut source = error.source();
    while let Some(cause) = source {
        told += &format!(": {cause}");
        source = cause.source();
    }
    told
}

/// That what lies beneath is said once, in the sentence or after it.
fn says_once(error: &Error, words: &str) {
    for told in [chain(error), format!("{error:?}")] {
        assert_eq!(told.matches(words).count(), 1, "{words:?} in {told:?}");
    }
}

#[test]
fn what_sqlite_says_is_said_once() {
    let conn = Connection::open_in_memory().expect("a database");
    let tables =
        "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0), t TEXT UNIQUE);
                  CREATE TABLE b (a INTEGER NOT NULL REFERENCES a(id));
                  INSERT INTO a VALUES (1, 1, 'x');";
    conn.execute_batch(tables).expect("tables");
    for sql in [
        "INSERT INTO a VALUES (1, 1, 'y')",
        "INSERT INTO a VALUES (2, 1, 'x')",
        "INSERT INTO a VALUES (2, 0, 'y')",
        "INSERT INTO a VALUES (2, NULL, 'y')",
        "INSERT INTO a VALUES ('one', 1, 'y')",
        "INSERT INTO b VALUES (7)",
        "INSERT INTO nowhere VALUES (7)",
        "SELEC",
        "SELECT 1",
        "UPDATE a SET n = ?1",
    ] {
        let error = conn.execute(sql, []).expect_err(sql);
        let words = error.to_string();
        let error = Error::from(error);
        says_once(&error, &words);
        assert!(
            error
                .cause()
                .is_some_and(|cause| cause.is::<rusqlite::Error>())
        );
    }
    let wrong = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i8>(0));
    for sql in [
        "SELECT 'x'",
        "SELECT 300",
        "SELECT 1 LIMIT 0",
        "SELECT NULL",
    ] {
        let error = wrong(sql).expect_err(sql);
        let words = error.to_string();
        says_once(&error.into(), &words);
    }
    let wrong = conn.query_row("SELECT 'noon'", [], |row| {
        row.get::<_, botstore::time::Timestamp>(0)
    });
    let error = wrong.expect_err("no time");
    let words = error.to_string();
    says_once(&error.into(), &words);
}

#[test]
fn what_the_system_says_is_said_once_however_long_the_path_is() {
    for errno in 1..134 {
        for path in ["out.json".to_owned(), "x".repeat(4_000)] {
            let source = io::Error::from_raw_os_error(errno);
            let words = source.to_string();
            let error = Error::io(format_args!("cannot write {path}"), source);
            says_once(&error, &words);
        }
    }
}

/// A failure of a host's own, over another.
#[derive(Debug)]
struct Model(Option<io::Error>);

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model hung up")
    }
}

impl std::error::Error for Model {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_ref().map(|error| error as _)
    }
}

#[test]
fn a_hosts_error_and_its_sources_are_said_once_whether_or_not_its_sentence_has_them() {
    let beneath = || Model(Some(io::Error::other("the cable is out")));
    let plain = Error::new(ErrorKind::Unavailable, "no answer").with_source(beneath());
    let expected = "no answer (unavailable): the model hung up: the cable is out";
    assert_eq!(chain(&plain), expected);
    assert_eq!(format!("{plain:?}"), expected);
    // As many a host writes it.
    let model = beneath();
    let repeated = Error::new(ErrorKind::Unavailable, model.to_string()).with_source(model);
    assert_eq!(chain(&repeated), "the model hung up (unavailable)");
    for error in [plain, repeated] {
        let cause = error
            .cause()
            .and_then(|cause| cause.downcast_ref::<Model>());
        assert!(cause.is_some_and(|model| model.0.is_some()));
    }
}

#[test]
fn what_main_prints_is_the_sentence_on_one_line_and_steers_no_terminal() {
    let error = Error::conflict("path", "file at out.json").with_advice("choose another name");
    assert_eq!(format!("{error:?}"), error.to_string());
    let error = Error::new(
        ErrorKind::NotFound,
        "there is no \"\u{1b}[2J\nfile\" \u{202e}é",
    );
    let told = format!("{error:?}");
    assert_eq!(
        told,
        "there is no \"\\u{1b}[2J\\nfile\" \\u{202e}é (not found)"
    );
    // The parts, for who asks for those.
    let parts = format!("{error:#?}");
    assert!(
        parts.contains("kind: NotFound") && parts.lines().count() > 5,
        "{parts}"
    );
}

/// A host's own change, with a rule and a budget.
struct Spend {
    user_id: i64,
    cents: u32,
}

impl Mutation for Spend {
    type Output = ();

    fn apply(&self, tx: &WriteTx) -> Result<Self::Output> {
        if !tx.query(&IsAllowed::new(self.user_id))? {
            return Err(Error::forbidden("only who is allowed may spend").with_field("user_id"));
        }
        let budget: std::result::Result<u32, _> = "ten".parse::<u32>();
        budget.map(drop).map_err(|source| {
            let why = format!("{} cents are too much", self.cents);
            Error::limit_reached(why)
                .with_field("cents")
                .with_source(source)
        })
    }
}

#[tokio::test]
async fn a_hosts_error_comes_to_the_caller_with_its_kind_field_source_and_name() {
    let store = populated().await;
    let spend = |user_id| Spend { user_id, cents: 5 };
    let error = store.write(spend(ADA)).await.expect_err("not allowed");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Forbidden, Some("user_id"))
    );
    assert_eq!(error.kind().http_status(), 403);
    store.write(SetAllowed::allow(ADA)).await.expect("allowed");
    let direct = store.write(spend(ADA)).await;
    let within = store
        .transact("Spend", move |tx| tx.apply(&spend(ADA)))
        .await;
    let sent = store.mutations().send(botstore::Write(spend(ADA))).await;
    for error in [direct, within, sent.expect("an answer")] {
        let error = error.expect_err("no budget");
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::LimitReached, Some("cents"))
        );
        assert_eq!(error.operation(), Some("Spend"));
        assert!(
            error
                .source()
                .is_some_and(|source| source.is::<std::num::ParseIntError>())
        );
        let told = "Spend: 5 cents are too much (limit reached): invalid digit found in string";
        assert_eq!(format!("{error:?}"), told);
        assert!(!error.is_transient());
    }
}
