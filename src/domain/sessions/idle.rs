//! Sessions that have become idle.

use crate::domain::audit::{Change, SESSION_EXPIRED};
use crate::domain::columns::{cell, integer, text, time};
use crate::domain::page;
use crate::error::Result;
use crate::operation::{Mutation, Piece, Place, ReadTx, WriteTx};
use crate::sqlite::Cell;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Ends the active sessions in which nothing has happened for longer than this; returns how many. A message that
/// is saved into one makes it active again. Each is recorded in the [audit log](crate::audit), as
/// [`SESSION_EXPIRED`]. Send it by a schedule: see [`Config::every`](crate::Config::every).
///
/// Looks at every active session, in pieces of at most 10,000 that aim at 20 ms each; other changes run in
/// between. If it fails, or its caller gives up, the sessions ended so far stay ended. As part of another
/// mutation it runs in one piece.
///
/// It uses the time of which the store is sure: while the clock is ahead of the time that has passed, it waits
/// ([`Config::clock_jump_wait`](crate::Config::clock_jump_wait)).
///
/// For administrators: it changes sessions of all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::sessions::ExpireIdle;
/// use std::time::Duration;
///
/// let day = Duration::from_secs(24 * 3600);
/// assert_eq!(store.write(ExpireIdle::new(day)).await?, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExpireIdle {
    /// How long a session may be idle.
    pub idle_for: Duration,
}

impl ExpireIdle {
    /// Ends sessions that are idle for longer than this.
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
            for session in &looked_at {
                let Some(session_id) = &session.idle else {
                    continue;
                };
                let sql = "UPDATE sessions SET is_active = 0 WHERE rowid = ?1";
                changed += tx.execute(sql, [session.rowid])?;
                Change::new(SESSION_EXPIRED, &session.user_id)
                    .with("session_id", session_id.as_str())
                    .record(tx)?;
            }
            Ok(Piece::of(changed, next))
        })
    }
}

/// An active session.
struct Looked {
    user_id: Cell,
    rowid: i64,
    /// Its id, if it is idle.
    idle: Option<String>,
}

/// The next active sessions, in the order of their users. This takes two statements: SQLite seeks in an index by
/// both columns of the key only if the first is given, and one user may have all the sessions.
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
            idle: match time(row, 2)? < since {
                true => Some(text(row, 3)?),
                false => None,
            },
        })
    };
    let (user_id, rowid) = after.clone().unwrap_or((Cell::Real(f64::NEG_INFINITY), 0));
    let mut found = tx.all(
        "SELECT user_id, rowid, last_used, session_id
         FROM sessions INDEXED BY botstore_sessions_active
         WHERE is_active = 1 AND user_id = ?1 AND rowid > ?2 ORDER BY rowid LIMIT ?3",
        (&user_id, rowid, rows),
        looked,
    )?;
    found.extend(tx.all(
        "SELECT user_id, rowid, last_used, session_id
         FROM sessions INDEXED BY botstore_sessions_active
         WHERE is_active = 1 AND user_id > ?1 ORDER BY user_id, rowid LIMIT ?2",
        (&user_id, rows - found.len() as u32),
        looked,
    )?);
    Ok(found)
}
