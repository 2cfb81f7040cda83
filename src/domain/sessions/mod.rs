//! Conversations: the project that a user works on with the bot, and the conversation's totals.
//!
//! # Groups
//!
//! A group chat has one session, which belongs to the group. A messenger gives a group an id like a user's, so
//! the group is a user. (Telegram's groups have ids below 0; for other messengers see
//! [`EnsureUser::external`](super::users::EnsureUser::external).) Each user who speaks becomes a member. A
//! member reads all of the session and saves into it. A member's messages are counted on the member and on the
//! session. A tool use is counted on the owner. Only the owner ends the session and shares it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let store = botstore::testing::TestStore::open().await?;
//! use botstore::sessions::{CreateSession, SessionHistory, SessionMembers, UnshareSession};
//! use botstore::{interactions::SaveInteraction, users::EnsureUser};
//!
//! // When the bot comes into the group.
//! let (group, session) = (-1001234567890, "telegram:-1001234567890");
//! store.write(EnsureUser::new(group, "Team")).await?;
//! store.write(CreateSession::new(group, session, "Team")).await?;
//! // With each message.
//! let ada = store.write(EnsureUser::new(42, "ada")).await?.user_id;
//! let said = SaveInteraction::new(ada, session, "What did we decide?").response("To wait.");
//! store.write(said.joining(group)).await?;
//! // The context for the model: the messages of all members.
//! let history = store.read(SessionHistory::new(ada, session)).await?.unwrap();
//! # assert_eq!(history.messages.len(), 1);
//! # assert_eq!(store.read(SessionMembers::new(group, session)).await?.items.len(), 1);
//! // When somebody leaves the group.
//! store.write(UnshareSession::new(group, session, ada)).await?;
//! # assert_eq!(store.read(SessionHistory::new(ada, session)).await?, None);
//! # Ok(()) }
//! ```

// Some statements name their index: with statistics from a time when the file had a handful of sessions, SQLite
// would read the whole table, however large it has become.

mod delete;
mod end;
mod ensure;
mod get;
mod idle;
mod lists;
mod members;
mod recent;
mod save;
mod summary;

pub use delete::DeleteSession;
pub(super) use delete::DoomedSession;
pub use end::EndSession;
pub use ensure::{EnsureSession, IntoEnded};
pub(super) use ensure::{ensure, refused};
pub use get::{GetAnySession, GetSession};
pub use idle::ExpireIdle;
pub use lists::{ActiveSessions, ProjectSessions, SessionFilter, UserSessions};
pub(super) use members::join;
pub use members::{Member, SessionMembers, ShareSession, UnshareSession, Whose};
pub(super) use recent::fill as fill_recent;
pub use save::{CreateSession, SaveSession};
pub use summary::{History, SessionHistory, SessionSummary, SessionTotals};

use super::columns::{amount, count, flag, id, text, time};
use super::{SessionId, Usd, UserId};
use crate::error::{Error, Result, quote};
use crate::operation::ReadTx;
use crate::texts;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// A session, as stored in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// The bot's id for it.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// What it is about: a folder, a channel, a topic.
    pub project_path: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_used: DateTime<Utc>,
    /// What its messages have cost, in US dollars.
    pub total_cost: Usd,
    /// How many turns the model took.
    pub total_turns: u64,
    /// How many messages it has.
    pub message_count: u64,
    /// Whether it is active: neither ended nor expired.
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
    if let Err(error) = texts::not_held("session_id", session_id) {
        return error;
    }
    let session_id = quote(session_id);
    Error::not_found(
        "session_id",
        format_args!("session {session_id} of this user"),
    )
}

/// Refuses a session that is unknown, and one that is neither this user's own nor shared with this user. Both
/// errors look alike. The members are looked up only if the user is not the owner.
pub(super) fn may_use(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<()> {
    is_usable(tx, session_id, user_id)?
        .then_some(())
        .ok_or_else(|| unknown(session_id))
}

/// Whether a session is this user's own or shared with this user.
pub(super) fn is_usable(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<bool> {
    let sql = "SELECT 1 FROM sessions
               WHERE session_id = ?1
                 AND (user_id = ?2 OR EXISTS (SELECT 1 FROM botstore_session_member m
                                              WHERE m.session_id = ?1 AND m.user_id = ?2))";
    let found = tx.maybe(sql, (session_id, user_id), |_| Ok(()))?;
    Ok(found.is_some())
}

/// Refuses a session that is unknown or has another owner. Both errors look alike.
pub(super) fn owns(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<()> {
    let sql = "SELECT 1 FROM sessions WHERE session_id = ?1 AND user_id = ?2";
    tx.maybe(sql, (session_id, user_id), |_| Ok(()))?
        .ok_or_else(|| unknown(session_id))
}

/// A session that the user may use.
fn get(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<Option<Session>> {
    let found = tx.maybe(
        "SELECT session_id, user_id, project_path, created_at, last_used,
                total_cost, total_turns, message_count, is_active
         FROM sessions
         WHERE session_id = ?1
           AND (user_id = ?2 OR EXISTS (SELECT 1 FROM botstore_session_member m
                                        WHERE m.session_id = ?1 AND m.user_id = ?2))",
        (session_id, user_id),
        from_row,
    )?;
    Ok(found.flatten())
}

/// The same for a query, whose id may be too long for any session.
fn find(tx: &ReadTx<'_>, session_id: &str, user_id: UserId) -> Result<Option<Session>> {
    let found = get(tx, session_id, user_id)?;
    if found.is_none() {
        texts::not_held("session_id", session_id)?;
    }
    Ok(found)
}
