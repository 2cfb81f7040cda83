//! Deletes messages, with all that belongs to them.

use super::unknown;
use crate::domain::columns::{amount, cell, integer};
use crate::domain::removal::{self, Allowance, Rows, Target};
use crate::domain::{MessageId, Usd, UserId, costs};
use crate::error::Result;
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::sqlite::Cell;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Deletes a message of a user with its tool uses, usage, files, feedback and metadata. Counters and statistics are
/// then as if it had never existed: those of session, user and day, its cost included. The session's turns stay, since no message says how many
/// were its own. So do times of last use, and the message's audit row, which holds no text of it.
///
/// Its idempotency key stays too: an update that is delivered again is not saved again, and gets the receipt of
/// the deleted message.
///
/// A message with thousands of such rows is deleted in pieces that aim at 20 ms each, and other changes run in
/// between. If it fails, or its caller gives up, the message still exists, without some of them: send
/// it again. As part of another mutation it runs in one piece. What was deleted may stay readable in backups,
/// and in free pages of the file until they are used again: see `docs/operations.md`.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown message, or another user's;
/// [`Conflict`](crate::ErrorKind::Conflict) if a row of a table of your own refers to it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # use botstore::{sessions::CreateSession, users::EnsureUser};
/// # store.write(EnsureUser::new(42, None)).await?;
/// # store.write(CreateSession::new(42, "s-1", "/srv")).await?;
/// use botstore::messages::{DeleteMessage, GetMessage, SaveMessage};
///
/// let message_id = store.write(SaveMessage::new(42, "s-1", "Hello")).await?;
/// store.write(DeleteMessage::new(42, message_id)).await?;
/// assert!(store.read(GetMessage::new(42, message_id)).await?.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeleteMessage {
    /// The message.
    pub message_id: MessageId,
    /// Who must have sent it.
    pub user_id: UserId,
}

impl DeleteMessage {
    /// This message of this user.
    pub fn new(user_id: impl Into<UserId>, message_id: impl Into<MessageId>) -> Self {
        Self {
            user_id: user_id.into(),
            message_id: message_id.into(),
        }
    }
}

impl Mutation for DeleteMessage {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.in_pieces(|begun, rows| {
            let message = tx.maybe(
                "SELECT message_id, session_id, user_id, substr(timestamp, 1, 10), cost
                 FROM messages WHERE message_id = ?1 AND user_id = ?2",
                (self.message_id, self.user_id),
                Doomed::read,
            )?;
            let Some(message) = message else {
                return removal::gone_meanwhile(begun, || unknown(self.message_id));
            };
            let is_gone = message.remove(tx, &mut Allowance::of(rows))?;
            // No other message ever gets its id.
            let target = Target {
                rowid: message.message_id,
                made_at: Cell::Null,
            };
            Ok(removal::piece(usize::from(is_gone), is_gone, target))
        })?;
        Ok(())
    }
}

/// The tool uses of a message.
const TOOLS: Rows = Rows {
    find: "SELECT id FROM tool_usage INDEXED BY botstore_tool_usage_message
           WHERE message_id = ?1 LIMIT ?2",
    remove: "DELETE FROM tool_usage WHERE id = ?1",
};

const ATTACHMENTS: Rows = Rows {
    find: "SELECT attachment_id FROM botstore_attachment INDEXED BY botstore_attachment_message
           WHERE message_id = ?1 LIMIT ?2",
    remove: "DELETE FROM botstore_attachment WHERE attachment_id = ?1",
};

const FEEDBACK: Rows = Rows {
    find: "SELECT feedback_id FROM botstore_feedback INDEXED BY botstore_feedback_message
           WHERE message_id = ?1 LIMIT ?2",
    remove: "DELETE FROM botstore_feedback WHERE feedback_id = ?1",
};

/// A message to delete. Its ids are raw values, since those in an odd file may have any type.
pub(in crate::domain) struct Doomed {
    message_id: i64,
    session_id: Cell,
    user_id: Cell,
    /// The day on which it was counted.
    day: Cell,
    cost: Usd,
}

impl Doomed {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            message_id: integer(row, 0)?,
            session_id: cell(row, 1)?,
            user_id: cell(row, 2)?,
            day: cell(row, 3)?,
            cost: amount(row, 4)?,
        })
    }

    /// The oldest messages of a session. Oldest first, since it is then quickest to find whether a message was
    /// the last of its day.
    pub(in crate::domain) fn of_session(
        tx: &ReadTx<'_>,
        session_id: &Cell,
        rows: u32,
    ) -> Result<Vec<Self>> {
        tx.all(
            "SELECT message_id, session_id, user_id, substr(timestamp, 1, 10), cost
             FROM messages INDEXED BY idx_messages_session_id
             WHERE session_id = ?1 ORDER BY message_id LIMIT ?2",
            (session_id, rows),
            Self::read,
        )
    }

    /// The oldest messages of a user.
    pub(in crate::domain) fn of_user(
        tx: &ReadTx<'_>,
        user_id: UserId,
        rows: u32,
    ) -> Result<Vec<Self>> {
        tx.all(
            "SELECT message_id, session_id, user_id, substr(timestamp, 1, 10), cost
             FROM messages INDEXED BY botstore_messages_of_user
             WHERE user_id = ?1 ORDER BY message_id LIMIT ?2",
            (user_id, rows),
            Self::read,
        )
    }

    /// Removes what belongs to the message, then the message. Returns whether it is gone; one with many tool
    /// uses takes more than one piece.
    pub(in crate::domain) fn remove(
        &self,
        tx: &WriteTx<'_>,
        allowance: &mut Allowance,
    ) -> Result<bool> {
        for rows in [&TOOLS, &ATTACHMENTS, &FEEDBACK] {
            // When the allowance is spent, rows may be left.
            if !allowance.spend_on(tx, rows, &self.message_id)? {
                return Ok(false);
            }
        }
        tx.execute(
            "UPDATE sessions
             SET total_cost = max(0.0, round(coalesce(total_cost, 0.0) * 1e9) - ?2) / 1e9,
                 message_count = max(0, coalesce(message_count, 0) - 1)
             WHERE session_id = ?1",
            (&self.session_id, self.cost.nanos()),
        )?;
        tx.execute(
            "UPDATE users
             SET total_cost = max(0.0, round(coalesce(total_cost, 0.0) * 1e9) - ?2) / 1e9,
                 message_count = max(0, coalesce(message_count, 0) - 1)
             WHERE user_id = ?1",
            (&self.user_id, self.cost.nanos()),
        )?;
        let less = (self.cost.nanos().saturating_neg(), -1);
        costs::recount(tx, &self.user_id, &self.day, less)?;
        let message = "DELETE FROM messages WHERE message_id = ?1";
        removal::remove_row(tx, message, &self.message_id)?;
        allowance.spend(1);
        Ok(true)
    }
}
