//! Deletes sessions, with all that is in them.

use super::unknown;
use crate::domain::audit::{Change, SESSION_DELETED};
use crate::domain::columns::{cell, integer};
use crate::domain::messages::Doomed;
use crate::domain::removal::{self, Allowance, Rows, Target};
use crate::domain::{SessionId, UserId};
use crate::error::Result;
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::texts::Texts;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Deletes a session of a user with all that is in it: its messages, other users' too, its tool uses, its metadata
/// and its memberships. Returns the number of deleted messages. Counters and statistics are then as if the session had
/// never existed: those of its users and their days, costs included. Audit rows stay, which hold no text of the
/// session, and one more records this, [`SESSION_DELETED`]. Idempotency keys stay too: see
/// [`DeleteMessage`](crate::messages::DeleteMessage).
///
/// A session of up to 500 rows goes at once; a larger one in pieces of at most 10,000 that aim at 20 ms each:
/// others' changes get in between, and see it become smaller. When it fails or is given up, what was deleted stays so: send it
/// again for the rest. A session that somebody makes anew under this id meanwhile, when another deletion has done the
/// rest, stays: it is told from the old one by when it was made. As a part of another mutation it goes in one piece.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, and for another user's, even if the user is
/// a member of it; [`Conflict`](crate::ErrorKind::Conflict) if a row of a table of your own refers to it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # use botstore::{messages::SaveMessage, users::{EnsureUser, GetUser}};
/// # store.write(EnsureUser::new(42, None)).await?;
/// use botstore::sessions::{CreateSession, DeleteSession};
///
/// store.write(CreateSession::new(42, "s-1", "/srv")).await?;
/// store.write(SaveMessage::new(42, "s-1", "Hello")).await?;
/// assert_eq!(store.write(DeleteSession::new(42, "s-1")).await?, 1);
/// let user = store.read(GetUser::new(42)).await?.unwrap();
/// assert_eq!((user.session_count, user.message_count), (0, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeleteSession {
    /// The session.
    pub session_id: SessionId,
    /// Who must own it.
    pub user_id: UserId,
    /// Who did it, if it was not the owner: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl DeleteSession {
    /// This session of this user.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            by: None,
        }
    }

    /// Who did it, if it was not the owner: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for DeleteSession {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.in_pieces(|begun, rows| {
            let session = tx.maybe(
                "SELECT rowid, created_at, session_id, user_id FROM sessions
                 WHERE session_id = ?1 AND user_id = ?2",
                (&self.session_id, self.user_id),
                DoomedSession::read,
            )?;
            let Some(session) = session.filter(|session| session.target.is_of(begun)) else {
                return removal::gone_meanwhile(begun, || unknown(&self.session_id));
            };
            let mut messages = 0;
            let is_gone = session.remove(tx, &mut Allowance::of(rows), &mut messages)?;
            if is_gone {
                Change::new(SESSION_DELETED, self.user_id)
                    .with("session_id", self.session_id.as_str())
                    .by(self.by)
                    .record(tx)?;
            }
            Ok(removal::piece(messages, is_gone, session.target))
        })
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
    }
}

/// The session's tool uses that belong to none of its messages.
const TOOLS: Rows = Rows {
    find: "SELECT id FROM tool_usage INDEXED BY botstore_tool_usage_of_session
           WHERE session_id = ?1 LIMIT ?2",
    remove: "DELETE FROM tool_usage WHERE id = ?1",
};

const MEMBERS: Rows = Rows {
    find: "SELECT session_id, user_id FROM botstore_session_member WHERE session_id = ?1 LIMIT ?2",
    remove: "DELETE FROM botstore_session_member WHERE session_id = ?1 AND user_id = ?2",
};

/// A session to delete: its rowid, and its id as a raw value, since the id in an odd file may be no text.
pub(in crate::domain) struct DoomedSession {
    target: Target,
    session_id: Cell,
    user_id: Cell,
}

impl DoomedSession {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            target: Target {
                rowid: integer(row, 0)?,
                made_at: cell(row, 1)?,
            },
            session_id: cell(row, 2)?,
            user_id: cell(row, 3)?,
        })
    }

    /// One of a user's sessions, if one is left.
    pub(in crate::domain) fn of_user(tx: &ReadTx<'_>, user_id: UserId) -> Result<Option<Self>> {
        tx.maybe(
            "SELECT rowid, created_at, session_id, user_id FROM sessions INDEXED BY idx_sessions_user_id
             WHERE user_id = ?1 LIMIT 1",
            [user_id],
            Self::read,
        )
    }

    /// Removes the contents of the session, then the session. Returns whether it is gone; a large one takes more
    /// than one piece. Adds the removed messages to `messages`.
    pub(in crate::domain) fn remove(
        &self,
        tx: &WriteTx<'_>,
        allowance: &mut Allowance,
        messages: &mut usize,
    ) -> Result<bool> {
        let id = &self.session_id;
        for message in Doomed::of_session(tx, id, allowance.rows())? {
            if !message.remove(tx, allowance)? {
                return Ok(false);
            }
            *messages += 1;
        }
        // When the allowance is spent, messages may be left.
        let is_empty = allowance.rows() > 0
            && allowance.spend_on(tx, &TOOLS, id)?
            && allowance.spend_on(tx, &MEMBERS, id)?;
        if !is_empty {
            return Ok(false);
        }
        let session = "DELETE FROM sessions WHERE rowid = ?1";
        removal::remove_row(tx, session, &self.target.rowid)?;
        tx.execute(
            "UPDATE users SET session_count = max(0, coalesce(session_count, 0) - 1)
             WHERE user_id = ?1",
            [&self.user_id],
        )?;
        allowance.spend(1);
        Ok(true)
    }
}
