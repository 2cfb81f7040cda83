//! Looks for everything acknowledged in the closed file, and whether the file agrees with itself.

use crate::drive::Driven;
use crate::plan::EXPIRE_EVERY;
use crate::{Args, Failure, script};
use botstore::integrity::CheckFile;
use botstore::rusqlite::{Connection, OpenFlags, Row};
use botstore::time::Timestamp;
use chrono::{DateTime, Utc};
use std::path::Path;
use std::time::Duration;

/// What the file holds, and what is wrong with it.
#[derive(Default)]
pub(crate) struct Found {
    /// Acknowledged interactions that are there, whole, once.
    pub(crate) whole: u64,
    pub(crate) messages: u64,
    pub(crate) sessions: u64,
    pub(crate) active_sessions: u64,
    pub(crate) problems: Vec<String>,
}

impl Found {
    fn complain(&mut self, problem: String) {
        if self.problems.len() < 20 {
            self.problems.push(problem);
        }
    }
}

/// Reads the whole file once. `stopped` is when the load ended and `idle` how long a session may be
/// idle, both by the store's clock.
pub(crate) fn compare(
    path: &Path,
    args: &Args,
    driven: &Driven,
    stopped: DateTime<Utc>,
    idle: Duration,
) -> Result<Found, Failure> {
    let mut found = Found::default();
    let report = botstore::snapshot(path, |tx| tx.query(&CheckFile::new()))?;
    if report.is_damaged() || report.differs() {
        found.complain(format!("the file's own check: {report:?}"));
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut seen = vec![false; driven.sent as usize];
    let mut all = conn.prepare(
        "SELECT m.user_id, m.prompt, m.response, m.cost, m.duration_ms, m.error, s.user_id,
                m.message_id
         FROM messages m JOIN sessions s ON s.session_id = m.session_id
         ORDER BY m.message_id",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        found.messages += 1;
        let prompt: String = row.get(1)?;
        let number = prompt
            .strip_prefix('#')
            .and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok())
            .filter(|&number| driven.acknowledged.has(number));
        let Some(number) = number else {
            let id: i64 = row.get(7)?;
            found.complain(format!("message {id} is one that nobody was told of"));
            continue;
        };
        if std::mem::replace(&mut seen[number as usize], true) {
            found.complain(format!("interaction {number} is there twice"));
        } else if is_whole(row, args, number)? {
            found.whole += 1;
        } else {
            found.complain(format!("interaction {number} is not what was sent"));
        }
    }
    let one = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    found.sessions = one("SELECT count(*) FROM sessions")? as u64;
    found.active_sessions = one("SELECT count(*) FROM sessions WHERE is_active = 1")? as u64;
    if found.sessions != driven.sessions {
        let problem = format!(
            "{} sessions where {} were begun",
            found.sessions, driven.sessions
        );
        found.complain(problem);
    }
    // A few looks later than due, for a machine that is busy.
    let late = idle + 10 * EXPIRE_EVERY * args.speed;
    let overdue: i64 = conn.query_row(
        "SELECT count(*) FROM sessions WHERE is_active = 1 AND last_used < ?1",
        [Timestamp(stopped - late)],
        |row| row.get(0),
    )?;
    if overdue > 0 {
        found.complain(format!("{overdue} sessions should have expired"));
    }
    Ok(found)
}

fn is_whole(row: &Row<'_>, args: &Args, number: u64) -> Result<bool, Failure> {
    let sent = script::interaction(args.seed, number, args.users);
    Ok(row.get::<_, i64>(0)? == sent.user_id
        && row.get::<_, String>(1)? == sent.prompt
        && row.get::<_, Option<String>>(2)? == sent.response
        && row.get::<_, f64>(3)? == sent.cost.dollars()
        && row.get::<_, Option<i64>>(4)? == sent.duration_ms.map(|ms| ms as i64)
        && row.get::<_, Option<String>>(5)? == sent.error
        && row.get::<_, i64>(6)? == sent.user_id)
}
