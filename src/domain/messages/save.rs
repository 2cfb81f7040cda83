//! Messages on their way into the file.

use crate::domain::columns::flag;
use crate::domain::{MessageId, SessionId, Usd, UserId, costs, sessions, users, validate};
use crate::error::Result;
use crate::limits::Texts;
use crate::operation::{Mutation, WriteTx};
use serde::{Deserialize, Serialize};

/// Saves one exchange: the message, and its cost and count on the session, the user and the day.
/// For what has neither tools nor an audit row; usually
/// [`SaveInteraction`](crate::interactions::SaveInteraction) is meant. Gives the message's id. A session that
/// has ended is active again.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, or another user's
/// session that is not [shared](sessions::ShareSession) with this one; [`Invalid`](crate::ErrorKind::Invalid) for a cost that is not one, or a text that is too
/// large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaveMessage {
    /// Who said it.
    pub user_id: UserId,
    /// In which session.
    pub session_id: SessionId,
    /// What was said.
    pub prompt: String,
    /// What was answered.
    pub response: Option<String>,
    /// What it cost, in US dollars: from 0.
    #[serde(default)]
    pub cost: Usd,
    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    pub duration_ms: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
}

impl SaveMessage {
    /// What this user said in this session. Without an answer, for nothing.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        prompt: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            prompt: prompt.into(),
            response: None,
            cost: Usd::ZERO,
            duration_ms: None,
            error: None,
        }
    }

    /// What was answered.
    pub fn response(mut self, response: impl Into<String>) -> Self {
        self.response = Some(response.into());
        self
    }

    /// What it cost, in US dollars: from 0.
    pub fn cost(mut self, cost: Usd) -> Self {
        self.cost = cost;
        self
    }

    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    pub fn duration_ms(mut self, duration_ms: u64) -> Self {
        self.duration_ms = Some(duration_ms);
        self
    }

    /// What went wrong.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }
}

impl Mutation for SaveMessage {
    type Output = MessageId;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<MessageId> {
        save(
            tx,
            &NewMessage {
                user_id: self.user_id,
                session_id: &self.session_id,
                prompt: &self.prompt,
                response: self.response.as_deref(),
                cost: self.cost,
                duration_ms: self.duration_ms,
                turns: 0,
                error: self.error.as_deref(),
            },
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.text("prompt", self.prompt.as_str());
        texts.text("response", self.response.as_deref());
        texts.text("error", self.error.as_deref());
    }
}

/// A message on its way into the file.
pub(in crate::domain) struct NewMessage<'a> {
    pub(in crate::domain) user_id: UserId,
    pub(in crate::domain) session_id: &'a SessionId,
    pub(in crate::domain) prompt: &'a str,
    pub(in crate::domain) response: Option<&'a str>,
    pub(in crate::domain) cost: Usd,
    pub(in crate::domain) duration_ms: Option<u64>,
    pub(in crate::domain) turns: u32,
    pub(in crate::domain) error: Option<&'a str>,
}

/// Writes the message and counts it on session, user and day. What may fail comes first, so that a
/// failure has nothing to undo.
pub(in crate::domain) fn save(tx: &WriteTx<'_>, new: &NewMessage<'_>) -> Result<MessageId> {
    validate::not_empty("session_id", new.session_id)?;
    validate::cost("cost", new.cost)?;
    let duration_ms = new
        .duration_ms
        .map(|ms| validate::count("duration_ms", ms))
        .transpose()?;
    let is_active = tx.maybe(
        "UPDATE sessions
         SET last_used = ?3, total_cost = (round(coalesce(total_cost, 0.0) * 1e9) + ?4) / 1e9,
             total_turns = coalesce(total_turns, 0) + ?5,
             message_count = coalesce(message_count, 0) + 1
         WHERE session_id = ?1
           AND (user_id = ?2 OR EXISTS (SELECT 1 FROM botstore_session_member m
                                        WHERE m.session_id = ?1 AND m.user_id = ?2))
         RETURNING is_active IS 1",
        (
            new.session_id,
            new.user_id,
            tx.now_text(),
            new.cost.nanos(),
            new.turns,
        ),
        |row| flag(row, 0),
    )?;
    let Some(is_active) = is_active else {
        users::exists(tx, new.user_id)?;
        return Err(sessions::unknown(new.session_id));
    };
    if !is_active {
        // A conversation that goes on has not ended. By itself, since the index of active sessions would be
        // written with each message if it were part of the change above.
        let sql = "UPDATE sessions SET is_active = 1 WHERE session_id = ?1";
        tx.execute(sql, [new.session_id])?;
    }
    tx.execute(
        "UPDATE users
         SET last_active = ?2, total_cost = (round(coalesce(total_cost, 0.0) * 1e9) + ?3) / 1e9,
             message_count = coalesce(message_count, 0) + 1
         WHERE user_id = ?1",
        (new.user_id, tx.now_text(), new.cost.nanos()),
    )?;
    costs::add(tx, new.user_id, new.cost)?;
    let message_id = tx.insert(
        "INSERT INTO messages (session_id, user_id, timestamp, prompt, response, cost,
                               duration_ms, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            new.session_id,
            new.user_id,
            tx.now_text(),
            new.prompt,
            new.response,
            new.cost.dollars(),
            duration_ms,
            new.error,
        ),
    )?;
    Ok(message_id.into())
}
