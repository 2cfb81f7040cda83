//! Conversations: which project a user works on with the bot, and what it has come to.
//!
//! Some statements name their index: by the statistics of a file that had a handful of sessions when
//! they were gathered, SQLite would rather read the whole table, however many there are by now.

mod delete;
mod ensure;
mod idle;
mod lists;
mod save;

pub use delete::DeleteSession;
pub(super) use delete::DoomedSession;
pub use ensure::{EnsureSession, IntoEnded};
pub(super) use ensure::{ensure, refused};
pub use idle::ExpireIdle;
pub use lists::{
    ActiveSessions, History, ProjectSessions, SessionFilter, SessionHistory, SessionSummary,
    SessionTotals, UserSessions,
};
pub use save::{CreateSession, SaveSession};

use super::columns::{amount, count, flag, id, text, time};
use super::{SessionId, Usd, UserId};
use crate::error::{Error, Result, quote};
use crate::limits::{self, Texts};
use crate::operation::{Cacheable, Mutation, Query, ReadTx, WriteTx};
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// A session, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// The bot's id for it.
    pub session_id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is about: a folder, a channel, a topic.
    pub project_path: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When something last happened in it.
    pub last_used: DateTime<Utc>,
    /// What its messages have cost, in US dollars.
    pub total_cost: Usd,
    /// How many turns the model took.
    pub total_turns: u64,
    /// How many messages there were.
    pub message_count: u64,
    /// Whether it goes on: neither ended nor expired.
    pub is_active: bool,
}

impl Session {
    /// A session that began at this time and in which nothing has happened yet, for a test of your own.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        project_path: impl Into<String>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            project_path: project_path.into(),
            created_at,
            last_used: created_at,
            total_cost: Usd::ZERO,
            total_turns: 0,
            message_count: 0,
            is_active: true,
        }
    }

    fn owned_bytes(&self) -> usize {
        self.session_id.len() + self.project_path.len()
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<Session>> {
    let Some(user_id) = id(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(Session {
        session_id: text(row, 0)?.into(),
        user_id: user_id.into(),
        project_path: text(row, 2)?,
        created_at: time(row, 3)?,
        last_used: time(row, 4)?,
        total_cost: amount(row, 5)?,
        total_turns: count(row, 6)?,
        message_count: count(row, 7)?,
        is_active: flag(row, 8)?,
    }))
}

pub(super) fn unknown(session_id: &str) -> Error {
    if let Err(error) = limits::not_held("session_id", session_id) {
        return error;
    }
    let session_id = quote(session_id);
    Error::not_found(
        "session_id",
        format_args!("session {session_id} of this user"),
    )
}

/// Refuses a session that is not there or not this user's, which must look alike.
pub(super) fn owned(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<()> {
    let sql = "SELECT 1 FROM sessions WHERE session_id = ?1 AND user_id = ?2";
    tx.maybe(sql, (session_id, user_id), |_| Ok(()))?
        .ok_or_else(|| unknown(session_id))
}

fn get(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<Option<Session>> {
    let found = tx.maybe(
        "SELECT session_id, user_id, project_path, created_at, last_used,
                total_cost, total_turns, message_count, is_active
         FROM sessions WHERE session_id = ?1 AND user_id = ?2",
        (session_id, user_id),
        from_row,
    )?;
    Ok(found.flatten())
}

/// The same for a question, which may look for an id that is too long.
fn find(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<Option<Session>> {
    let found = get(tx, session_id, user_id)?;
    if found.is_none() {
        limits::not_held("session_id", session_id)?;
    }
    Ok(found)
}

/// Ends a session. Ending it again changes nothing. A message that is saved into it makes it active again.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if the user has no such session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndSession {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
}

impl EndSession {
    /// This session of this user.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
        }
    }
}

impl Mutation for EndSession {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let found = tx.execute(
            "UPDATE sessions SET is_active = 0 WHERE session_id = ?1 AND user_id = ?2",
            (&self.session_id, self.user_id),
        )?;
        (found == 1)
            .then_some(())
            .ok_or_else(|| unknown(&self.session_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
    }
}

/// A session of a user; `None` if unknown, or another user's. A point read, kept until the session
/// changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetSession {
    /// The session.
    pub session_id: SessionId,
    /// Whose it must be.
    pub user_id: UserId,
}

impl GetSession {
    /// This session of this user.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
        }
    }
}

impl Query for GetSession {
    type Output = Option<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Session>> {
        find(tx, &self.session_id, self.user_id)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<Session>>> {
        let row_of = "SELECT rowid FROM sessions WHERE session_id = ?1";
        let kept = Cacheable::text("sessions", &self.session_id, row_of, self.user_id.get());
        Some(
            kept.bytes(|session: &Option<Session>| {
                session.as_ref().map_or(0, Session::owned_bytes)
            }),
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
    }
}
