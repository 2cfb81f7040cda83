//! Looks at everything in a file, with plain SQLite and nothing of the store but its rollups.

mod counters;
mod parts;

use crate::ledger::{Fate, Ledger};
use crate::script::{self, Request};
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::{self, Connection, OptionalExtension, Row};
use botstore::sessions::CreateSession;
use botstore::users::EnsureUser;
use counters::Counters;
use parts::Parts;
use std::collections::BTreeMap;
use std::path::Path;

/// How many problems of a file are told.
const TOLD: usize = 20;

/// What the file holds, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The requests that were done, by number; with the id of the message.
    pub(crate) done: BTreeMap<u64, Option<i64>>,
    /// Acknowledged, and not there.
    pub(crate) lost: u64,
    /// Messages without all their parts, and parts without their message.
    pub(crate) half: u64,
    /// Interactions that are there more than once.
    pub(crate) duplicates: u64,
    pub(crate) problems: Vec<String>,
}

impl Found {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < TOLD {
            self.problems.push(problem);
        }
    }

    fn found(&mut self, number: Option<u64>, id: Option<i64>, ledger: &Ledger, what: String) {
        let Some(number) = number.filter(|number| ledger.fates.contains_key(number)) else {
            return self.problem(format!("{what} was sent by nobody"));
        };
        if self.done.insert(number, id).is_some() {
            self.duplicates += 1;
            self.problem(format!(
                "{what} is request {number}, which is there already"
            ));
        }
    }

    fn person(&mut self, number: Option<u64>, is: Request, ledger: &Ledger) {
        let sent = number.map(|number| script::request(ledger.seed, number));
        match sent {
            Some(sent) if sent != is => self.problem(format!("{is:?} is not {sent:?}")),
            _ => self.found(number, None, ledger, format!("{is:?}")),
        }
    }
}

/// Compares the file with what was sent and what was told of it. A file that cannot be read is a
/// problem like others.
pub(crate) fn look(conn: &Connection, ledger: &Ledger) -> Found {
    let mut found = Found::default();
    if let Err(error) = look_at_all(conn, ledger, &mut found) {
        found.problem(format!("the file cannot be read: {error}"));
    }
    found
}

/// Compares the rollups with a full count. The store makes both, but not out of each other.
pub(crate) fn rollups(path: &Path) -> Vec<String> {
    match botstore::snapshot(path, |tx| tx.query(&ReconcileRollups::new())) {
        Ok(report) => report
            .named
            .iter()
            .take(TOLD)
            .map(|row| format!("the rollups differ from a full count: {row:?}"))
            .collect(),
        Err(error) => vec![format!("the rollups cannot be read: {error}")],
    }
}

fn look_at_all(conn: &Connection, ledger: &Ledger, found: &mut Found) -> rusqlite::Result<()> {
    integrity(conn, found)?;
    let tables = "SELECT 1 FROM sqlite_schema WHERE name = 'botstore_total'";
    let has_tables = conn.query_row(tables, [], |_| Ok(())).optional()?.is_some();
    if has_tables || ledger.opened {
        people(conn, ledger, found)?;
        interactions(conn, ledger, found)?;
    }
    fates(ledger, found);
    Ok(())
}

fn integrity(conn: &Connection, found: &mut Found) -> rusqlite::Result<()> {
    each(conn, "PRAGMA integrity_check(5)", |row| {
        let verdict: String = row.get(0)?;
        if verdict != "ok" {
            found.problem(format!("integrity check: {verdict}"));
        }
        Ok(())
    })?;
    each(conn, "PRAGMA foreign_key_check", |row| {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        found.problem(format!("a row of {table} refers to none of {parent}"));
        Ok(())
    })
}

/// Users and sessions, each with what it was made with.
fn people(conn: &Connection, ledger: &Ledger, found: &mut Found) -> rusqlite::Result<()> {
    let sql = "SELECT user_id, telegram_username FROM users";
    each(conn, sql, |row| {
        let (user_id, username): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
        let is = Request::User(EnsureUser::new(user_id, username.as_deref()));
        found.person(script::number_of_user(user_id), is, ledger);
        Ok(())
    })?;
    let sql = "SELECT session_id, user_id, project_path FROM sessions";
    each(conn, sql, |row| {
        let session_id: String = row.get(0)?;
        let number = script::number_of_session(&session_id);
        let is = Request::Session(CreateSession::new(
            row.get::<_, i64>(1)?,
            session_id,
            row.get::<_, String>(2)?,
        ));
        found.person(number, is, ledger);
        Ok(())
    })
}

/// Messages with their parts, and the counters that they come to.
fn interactions(conn: &Connection, ledger: &Ledger, found: &mut Found) -> rusqlite::Result<()> {
    let mut parts = Parts::read(conn)?;
    let mut counters = Counters::default();
    each(conn, parts::MESSAGES, |row| {
        let (id, prompt): (i64, String) = (row.get(0)?, row.get(1)?);
        let number = script::number_of_message(&prompt);
        let sent = number.map(|number| script::request(ledger.seed, number));
        let Some(Request::Interaction(sent)) = sent else {
            found.problem(format!("message {id} was sent by nobody"));
            return Ok(());
        };
        if let Some(why) = parts.take(id, row, &sent)? {
            found.half += 1;
            found.problem(format!("message {id}, {:?}: {why}", sent.idempotency_key));
        }
        let day: String = row.get(parts::TIMESTAMP)?;
        counters.add(&sent, day.get(..10).unwrap_or_default());
        found.found(number, Some(id), ledger, format!("message {id}"));
        Ok(())
    })?;
    for stray in parts.strays() {
        found.half += 1;
        found.problem(stray);
    }
    for problem in counters.compare(conn)? {
        found.problem(problem);
    }
    Ok(())
}

/// What callers were told, against what was done.
fn fates(ledger: &Ledger, found: &mut Found) {
    for (&number, &fate) in &ledger.fates {
        match (fate, found.done.get(&number).copied()) {
            (Fate::Acknowledged(_), None) => {
                found.lost += 1;
                found.problem(format!("request {number} was acknowledged and is lost"));
            }
            (Fate::Acknowledged(told), Some(is)) if told != is => {
                found.problem(format!(
                    "request {number} was acknowledged as {told:?} and is {is:?}"
                ));
            }
            (Fate::Refused, Some(_)) => {
                found.problem(format!("request {number} was refused and is done"));
            }
            _ => {}
        }
    }
}

fn each(
    conn: &Connection,
    sql: &str,
    mut look: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look(row)?;
    }
    Ok(())
}
