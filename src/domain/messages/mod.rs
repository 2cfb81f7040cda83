//! Messages: prompts and responses.

mod attachment;
mod details;
mod edit;
mod feedback;
mod get;
mod history;
mod lists;
mod remove;
mod save;

pub use attachment::{Attachment, Direction};
pub use details::{Details, MessageDetails};
pub(super) use edit::count_more;
pub use edit::{Edit, EditMessage};
pub use feedback::{Feedback, RateMessage, Rating};
pub use get::GetMessage;
pub use lists::{RecentMessages, SessionMessages, UserMessages};
pub use remove::DeleteMessage;
pub(super) use remove::Doomed;
pub use save::SaveMessage;
pub(super) use save::{NewMessage, save};

use super::columns::{amount, canonical_time, id, integer, maybe_count, maybe_text, text, time};
use super::{MessageId, SessionId, Usd, UserId};
use crate::error::{Error, Result};
use crate::operation::ReadTx;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// One exchange: what the user said and what the bot answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatMessage {
    /// The store's id, growing.
    pub message_id: MessageId,
    /// The session that it belongs to.
    pub session_id: SessionId,
    /// The user who sent it.
    pub user_id: UserId,
    /// When it was saved; for imported history, when it was sent.
    pub timestamp: DateTime<Utc>,
    /// What the user said.
    pub prompt: String,
    /// What the bot answered, if it did.
    pub response: Option<String>,
    /// What it cost, in US dollars.
    pub cost: Usd,
    /// How long the answer took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

impl ChatMessage {
    /// A message without an answer, for a test of your own.
    pub fn new(
        message_id: impl Into<MessageId>,
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        timestamp: DateTime<Utc>,
        prompt: impl Into<String>,
    ) -> Self {
        Self {
            message_id: message_id.into(),
            user_id: user_id.into(),
            session_id: session_id.into(),
            timestamp,
            prompt: prompt.into(),
            response: None,
            cost: Usd::ZERO,
            duration_ms: None,
            error: None,
        }
    }

    /// How many bytes its texts have.
    fn owned_bytes(&self) -> usize {
        let texts = [&self.response, &self.error].into_iter().flatten();
        let texts = texts.map(String::len).sum::<usize>();
        self.session_id.len() + self.prompt.len() + texts
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<ChatMessage>> {
    let Some(user_id) = id(row, 2)? else {
        return Ok(None);
    };
    Ok(Some(ChatMessage {
        message_id: integer(row, 0)?.into(),
        session_id: text(row, 1)?.into(),
        user_id: user_id.into(),
        timestamp: time(row, 3)?,
        prompt: text(row, 4)?,
        response: maybe_text(row, 5)?,
        cost: amount(row, 6)?,
        duration_ms: maybe_count(row, 7)?,
        error: maybe_text(row, 8)?,
    }))
}

fn unknown(message_id: MessageId) -> Error {
    Error::not_found(
        "message_id",
        format_args!("message {message_id} of this user"),
    )
}

/// The time of the latest message, if there is one and it has a time.
pub(crate) fn newest_time(tx: &ReadTx<'_>) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT max(timestamp) FROM messages";
    tx.one(sql, [], |row| canonical_time(row, 0))
}

/// The message of an id.
const BY_ID: &str = "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                            duration_ms, error
                     FROM messages WHERE message_id = ?1";
