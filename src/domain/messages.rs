//! What was said: prompts and responses.

use super::columns::{
    amount, canonical_time, count, flag, id, integer, maybe_count, maybe_text, text, time,
};
use super::page::{self, Found, Page, PageRequest, Room};
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
/// [`SaveInteraction`](super::interactions::SaveInteraction) is meant. Gives the message's id. A session that
/// has ended is active again.
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
    let is_active = tx.maybe(
        "UPDATE sessions
         SET last_used = ?3, total_cost = coalesce(total_cost, 0.0) + ?4,
             total_turns = coalesce(total_turns, 0) + ?5,
             message_count = coalesce(message_count, 0) + 1
         WHERE session_id = ?1 AND user_id = ?2
         RETURNING is_active IS 1",
        (
            new.session_id,
            new.user_id,
            tx.now_text(),
            new.cost,
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

/// The messages of a user's session, newest first: in the order in which they were saved, whatever the clock
/// said. Reads a page.
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
        self.fetch_within(tx, &mut Room::of(tx))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
        self.page.texts(texts);
    }
}

impl SessionMessages {
    pub(in crate::domain) fn fetch_within(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
    ) -> Result<Page<ChatMessage>> {
        sessions::owned(tx, &self.session_id, self.user_id)?;
        let sql = "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                          duration_ms, error
                   FROM messages INDEXED BY idx_messages_session_id
                   WHERE session_id = ?3 AND message_id <= ?1
                   ORDER BY message_id DESC LIMIT ?2";
        list(tx, room, &self.page, Found::Rows(sql), &[&self.session_id])
    }
}

/// The messages of a user, newest first: in the order in which they were saved. Reads a page, and to find it
/// the keys of all the user's messages, unless most of the newest messages of all users are this one's.
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
        self.fetch_within(tx, &mut Room::of(tx))
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

impl UserMessages {
    pub(in crate::domain) fn fetch_within(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
    ) -> Result<Page<ChatMessage>> {
        let what: &[&dyn ToSql] = &[&self.user_id];
        let found = if self.is_among_the_newest(tx)? {
            Found::Rows(
                "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                        duration_ms, error
                 FROM messages NOT INDEXED
                 WHERE message_id <= ?1 AND user_id = ?3 ORDER BY message_id DESC LIMIT ?2",
            )
        } else {
            Found::Ids {
                ids: "SELECT message_id FROM messages INDEXED BY botstore_messages_user
                 WHERE user_id = ?3 AND message_id <= ?1 ORDER BY message_id DESC LIMIT ?2",
                row: BY_ID,
            }
        };
        list(tx, room, &self.page, found, what)
    }

    /// Whether the page is quicker found by walking down all messages than by sorting the keys of the user's: for
    /// somebody who has many, and recent ones. An eighth of what sorting reads, at most, is spent to find out.
    fn is_among_the_newest(&self, tx: &ReadTx<'_>) -> Result<bool> {
        let rows = self.page.rows()? + 1;
        let sql = "SELECT message_count FROM users WHERE user_id = ?1";
        let has = tx.maybe(sql, [self.user_id], |row| count(row, 0))?;
        let look_at = (has.unwrap_or(0) / 8).min(MOST_LOOKED_AT);
        let look_at = u32::try_from(look_at).unwrap_or(u32::MAX);
        let probe = "SELECT count(*)
                     FROM (SELECT 1
                           FROM (SELECT user_id FROM messages WHERE message_id <= ?1
                                 ORDER BY message_id DESC LIMIT ?2)
                           WHERE user_id = ?3 LIMIT ?4)";
        let what: &[&dyn ToSql] = &[&self.user_id, &rows];
        Ok(look_at >= rows && page::fills(tx, &self.page, (probe, look_at), what)?)
    }
}

/// Everybody's messages of less than so much time ago by the clock, newest first: in the order in which they
/// were saved. Reads a page; at the end of the span, the keys of all messages in it.
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
        let since = Timestamp(page::since(tx.now(), self.within));
        let what: &[&dyn ToSql] = &[&since];
        let probe = "SELECT count(*)
                     FROM (SELECT timestamp FROM messages WHERE message_id <= ?1
                           ORDER BY message_id DESC LIMIT ?2)
                     WHERE timestamp >= ?3";
        let look_at = (self.page.rows()? + 1) * page::LOOKED_AT;
        let found = if page::fills(tx, &self.page, (probe, look_at), what)? {
            Found::Rows(
                "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                        duration_ms, error
                 FROM messages NOT INDEXED
                 WHERE message_id <= ?1 AND timestamp >= ?3 ORDER BY message_id DESC LIMIT ?2",
            )
        } else {
            Found::Ids {
                ids: "SELECT message_id FROM messages INDEXED BY idx_messages_timestamp
                 WHERE timestamp >= ?3 AND message_id <= ?1 ORDER BY message_id DESC LIMIT ?2",
                row: BY_ID,
            }
        };
        list(tx, &mut Room::of(tx), &self.page, found, what)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

/// The time of the latest message, if there is one and it has a time.
pub(crate) fn newest_time(tx: &ReadTx<'_>) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT max(timestamp) FROM messages";
    tx.one(sql, [], |row| canonical_time(row, 0))
}

/// How many messages of all users are looked at for those of one, at most.
const MOST_LOOKED_AT: u64 = 4_096;

/// The message of an id.
const BY_ID: &str = "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                            duration_ms, error
                     FROM messages WHERE message_id = ?1";

fn list(
    tx: &ReadTx<'_>,
    room: &mut Room,
    page: &PageRequest,
    found: Found,
    what: &[&dyn ToSql],
) -> Result<Page<ChatMessage>> {
    page::read_by_id(tx, room, (page, found), what, from_row, 3)
}
