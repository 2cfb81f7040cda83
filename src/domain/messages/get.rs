//! One message.

use super::{BY_ID, ChatMessage, from_row};
use crate::domain::columns::{id, text};
use crate::domain::{MessageId, UserId, sessions};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use serde::{Deserialize, Serialize};

/// Gets a message of a user, or of a session that the user may read; `None` if it is unknown, or another user's
/// in another session, which look alike. A point read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # use botstore::{sessions::CreateSession, users::EnsureUser};
/// # store.write(EnsureUser::new(42, None)).await?;
/// # store.write(CreateSession::new(42, "s-1", "/srv")).await?;
/// use botstore::messages::{GetMessage, SaveMessage};
///
/// let message_id = store.write(SaveMessage::new(42, "s-1", "Hello")).await?;
/// let message = store.read(GetMessage::new(42, message_id)).await?;
/// assert_eq!(message.unwrap().prompt, "Hello");
/// assert!(store.read(GetMessage::new(43, message_id)).await?.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetMessage {
    /// The message.
    pub message_id: MessageId,
    /// Who asks.
    pub user_id: UserId,
}

impl GetMessage {
    /// This message, for this user.
    pub fn new(user_id: impl Into<UserId>, message_id: impl Into<MessageId>) -> Self {
        Self {
            user_id: user_id.into(),
            message_id: message_id.into(),
        }
    }
}

impl Query for GetMessage {
    type Output = Option<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<ChatMessage>> {
        visible(tx, self.message_id, self.user_id)
    }
}

/// A message that the user may read.
pub(super) fn visible(
    tx: &ReadTx<'_>,
    message_id: MessageId,
    user_id: UserId,
) -> Result<Option<ChatMessage>> {
    let Some(message) = get(tx, message_id)? else {
        return Ok(None);
    };
    let is_theirs =
        message.user_id == user_id || sessions::is_usable(tx, &message.session_id, user_id)?;
    Ok(is_theirs.then_some(message))
}

/// Whether there is such a message. Does not read its texts.
pub(super) fn is_visible(tx: &ReadTx<'_>, message_id: MessageId, user_id: UserId) -> Result<bool> {
    let sql = "SELECT user_id, session_id FROM messages WHERE message_id = ?1";
    let message = tx.maybe(sql, [message_id], |row| Ok((id(row, 0)?, text(row, 1)?)))?;
    Ok(match message {
        Some((Some(owner), _)) if user_id == owner => true,
        // One whose owner is no number is left out everywhere.
        Some((Some(_), session_id)) => sessions::is_usable(tx, &session_id, user_id)?,
        Some((None, _)) | None => false,
    })
}

pub(super) fn get(tx: &ReadTx<'_>, message_id: MessageId) -> Result<Option<ChatMessage>> {
    Ok(tx.maybe(BY_ID, [message_id], from_row)?.flatten())
}
