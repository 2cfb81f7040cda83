//! What was said: prompts and responses.

use super::columns::{amount, id, integer, maybe_count, maybe_text, text, time};
use super::page::{self, Ids, List, Page, PageRequest};
use super::{costs, sessions, users, validate};
use crate::error::Result;
use crate::limits::Texts;
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::time::Timestamp;
use chrono::{DateTime, Utc};
use rusqlite::{Row, ToSql};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One exchange: what the user said and what the bot answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// The store's id, growing.
    pub message_id: i64,
    /// The session that it belongs to.
    pub session_id: String,
    /// Who said it.
    pub user_id: i64,
    /// When it was saved.
    pub timestamp: DateTime<Utc>,
    /// What the user said.
    pub prompt: String,
    /// What the bot answered, if it did.
    pub response: Option<String>,
    /// What it cost, in US dollars.
    pub cost: f64,
    /// How long the answer took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

fn from_row(row: &Row<'_>) -> Result<Option<ChatMessage>> {
    let Some(user_id) = id(row, 2)? else {
        return Ok(None);
    };
    Ok(Some(ChatMessage {
        message_id: integer(row, 0)?,
        session_id: text(row, 1)?,
        user_id,
        timestamp: time(row, 3)?,
        prompt: text(row, 4)?,
        response: maybe_text(row, 5)?,
        cost: amount(row, 6)?,
        duration_ms: maybe_count(row, 7)?,
        error: maybe_text(row, 8)?,
    }))
}

/// Saves one exchange: the message, and its cost and count on the session, the user and the day.
/// For what has neither tools nor an audit row; usually
/// [`SaveInteraction`](super::interactions::SaveInteraction) is meant. Gives the message's id.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user or session, or another user's
/// session; [`Invalid`](crate::ErrorKind::Invalid) for a cost that is not one, or a text that is too
/// large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaveMessage {
    /// Who said it.
    pub user_id: i64,
    /// In which session.
    pub session_id: String,
    /// What was said.
    pub prompt: String,
    /// What was answered.
    pub response: Option<String>,
    /// What it cost, in US dollars: from 0.
    pub cost: f64,
    /// How long the answer took, in milliseconds: at most 1,000,000,000,000.
    pub duration_ms: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Mutation for SaveMessage {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
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
pub(super) struct NewMessage<'a> {
    pub(super) user_id: i64,
    pub(super) session_id: &'a str,
    pub(super) prompt: &'a str,
    pub(super) response: Option<&'a str>,
    pub(super) cost: f64,
    pub(super) duration_ms: Option<u64>,
    pub(super) turns: u32,
    pub(super) error: Option<&'a str>,
}

/// Writes the message and counts it on session, user and day. What may fail comes first, so that a
/// failure has nothing to undo.
pub(super) fn save(tx: &WriteTx<'_>, new: &NewMessage<'_>) -> Result<i64> {
    validate::not_empty("session_id", new.session_id)?;
    validate::cost("cost", new.cost)?;
    let duration_ms = new
        .duration_ms
        .map(|ms| validate::count("duration_ms", ms))
        .transpose()?;
    let session = tx.execute(
        "UPDATE sessions
         SET last_used = ?3, total_cost = coalesce(total_cost, 0.0) + ?4,
             total_turns = coalesce(total_turns, 0) + ?5,
             message_count = coalesce(message_count, 0) + 1
         WHERE session_id = ?1 AND user_id = ?2",
        (
            new.session_id,
            new.user_id,
            tx.now_text(),
            new.cost,
            new.turns,
        ),
    )?;
    if session == 0 {
        users::exists(tx, new.user_id)?;
        return Err(sessions::unknown(new.session_id));
    }
    tx.execute(
        "UPDATE users
         SET last_active = ?2, total_cost = coalesce(total_cost, 0.0) + ?3,
             message_count = coalesce(message_count, 0) + 1
         WHERE user_id = ?1",
        (new.user_id, tx.now_text(), new.cost),
    )?;
    costs::add(tx, new.user_id, new.cost)?;
    tx.insert(
        "INSERT INTO messages (session_id, user_id, timestamp, prompt, response, cost,
                               duration_ms, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            new.session_id,
            new.user_id,
            tx.now_text(),
            new.prompt,
            new.response,
            new.cost,
            duration_ms,
            new.error,
        ),
    )
}

/// The messages of a user's session, newest first. Reads a page.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, or another user's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionMessages {
    /// The session.
    pub session_id: String,
    /// Whose it must be.
    pub user_id: i64,
    /// Which page.
    pub page: PageRequest,
}

impl Query for SessionMessages {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        sessions::owned(tx, &self.session_id, self.user_id)?;
        list(
            tx,
            &self.page,
            &self.session_id,
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages
             WHERE session_id = ?1 AND (timestamp, message_id) < (?2, ?3)
             ORDER BY timestamp DESC, message_id DESC LIMIT ?4",
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
        self.page.texts(texts);
    }
}

/// The messages of a user, newest first. Reads a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserMessages {
    /// The user.
    pub user_id: i64,
    /// Which page.
    pub page: PageRequest,
}

impl Query for UserMessages {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        list(
            tx,
            &self.page,
            self.user_id,
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages
             WHERE user_id = ?1 AND (timestamp, message_id) < (?2, ?3)
             ORDER BY timestamp DESC, message_id DESC LIMIT ?4",
        )
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

/// Everybody's messages of less than so much time ago, newest first. Reads a page.
///
/// For administrators: it tells of all users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentMessages {
    /// How far back from now.
    pub within: Duration,
    /// Which page.
    pub page: PageRequest,
}

impl Query for RecentMessages {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        let since = page::since(tx.now(), self.within);
        list(
            tx,
            &self.page,
            Timestamp(since),
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages
             WHERE timestamp >= ?1 AND (timestamp, message_id) < (?2, ?3)
             ORDER BY timestamp DESC, message_id DESC LIMIT ?4",
        )
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

const LIST: List = List {
    time: 3,
    ids: Ids::Integer,
    key_of_row: "SELECT timestamp, message_id FROM messages WHERE message_id = ?1",
};

/// A page of the messages that `sql` selects by `scope` as `?1`, the key to come after as `?2` and
/// `?3`, and the number of rows as `?4`.
fn list(
    tx: &ReadTx<'_>,
    page: &PageRequest,
    scope: impl ToSql,
    sql: &str,
) -> Result<Page<ChatMessage>> {
    let rows = page.rows()?;
    let (at, id) = page.after_key(tx, &LIST)?;
    LIST.page(tx, sql, (scope, at, id, rows + 1), rows, from_row)
}
