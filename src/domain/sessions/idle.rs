//! Sessions that nobody uses any more.

use crate::domain::columns::{cell, integer, time};
use crate::domain::page;
use crate::error::Result;
use crate::operation::{Mutation, Piece, Place, ReadTx, WriteTx};
use crate::sqlite::Cell;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Ends the active sessions in which nothing happened for longer than this; gives how many. A message that is
/// saved into one makes it active again. To be sent by a schedule: see [`Config::every`](crate::Config::every).
///
/// Looks at every active session, in pieces of at most 10,000 that aim at 20 ms each: others' changes get in
/// between. When it fails or is given up, the sessions that were ended stay so. As a part of another mutation
/// it is made in one piece.
///
/// It goes by the time that it is for sure: while the clock is ahead of the time that has passed, it waits
/// ([`Config::clock_jump_wait`](crate::Config::clock_jump_wait)).
///
/// For administrators: it changes what is everybody's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExpireIdle {
    /// How long a session may be idle.
    pub idle_for: Duration,
}

impl ExpireIdle {
    /// Sessions that were idle for longer than this.
    pub const fn new(idle_for: Duration) -> Self {
        Self { idle_for }
    }
}

impl Mutation for ExpireIdle {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let Some(since) = page::ago(tx.sure_now()?, self.idle_for) else {
            return Ok(0);
        };
        tx.in_pieces(|after, rows| {
            let looked_at = active_after(tx, after, since, rows)?;
            let full = looked_at.len() == rows as usize;
            let last = looked_at.last().filter(|_| full);
            let next = last.map(|last| Some((last.user_id.clone(), last.rowid)));
            let mut changed = 0;
            for session in looked_at.iter().filter(|session| session.is_idle) {
                let sql = "UPDATE sessions SET is_active = 0 WHERE rowid = ?1";
                changed += tx.execute(sql, [session.rowid])?;
            }
            Ok(Piece { changed, next })
        })
    }
}

/// An active session that is looked at.
struct Looked {
    user_id: Cell,
    rowid: i64,
    is_idle: bool,
}

/// The next active sessions in the order of their users. By two statements: SQLite finds its place in an index
/// by both columns of the key only where the first is given, and a user may have all the sessions there are.
fn active_after(
    tx: &ReadTx<'_>,
    after: &Place,
    since: DateTime<Utc>,
    rows: u32,
) -> Result<Vec<Looked>> {
    let looked = |row: &Row<'_>| {
        Ok(Looked {
            user_id: cell(row, 0)?,
            rowid: integer(row, 1)?,
            is_idle: time(row, 2)? < since,
        })
    };
    let (user_id, rowid) = after.clone().unwrap_or((Cell::Real(f64::NEG_INFINITY), 0));
    let mut found = tx.all(
        "SELECT user_id, rowid, last_used FROM sessions INDEXED BY botstore_sessions_active
         WHERE is_active = 1 AND user_id = ?1 AND rowid > ?2 ORDER BY rowid LIMIT ?3",
        (&user_id, rowid, rows),
        looked,
    )?;
    found.extend(tx.all(
        "SELECT user_id, rowid, last_used FROM sessions INDEXED BY botstore_sessions_active
         WHERE is_active = 1 AND user_id > ?1 ORDER BY user_id, rowid LIMIT ?2",
        (&user_id, rows - found.len() as u32),
        looked,
    )?);
    Ok(found)
}
