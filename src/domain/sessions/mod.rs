//! Conversations: which project a user works on with the bot, and what it has come to.
//!
//! Some statements name their index: by the statistics of a file that had a handful of sessions when
//! they were gathered, SQLite would rather read the whole table, however many there are by now.

mod idle;
mod lists;

pub use idle::ExpireIdle;
pub use lists::{
    ActiveSessions, History, ProjectSessions, SessionFilter, SessionHistory, SessionSummary,
    SessionTotals, UserSessions,
};

use super::columns::{amount, count, flag, id, text, time};
use super::{users, validate};
use crate::error::{Error, Result, quote};
use crate::limits::{self, Texts};
use crate::operation::{Cacheable, Mutation, Query, ReadTx, WriteTx};
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// A session, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The bot's id for it.
    pub session_id: String,
    /// Whose it is.
    pub user_id: i64,
    /// What it is about: a folder, a channel, a topic.
    pub project_path: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When something last happened in it.
    pub last_used: DateTime<Utc>,
    /// What its messages have cost, in US dollars.
    pub total_cost: f64,
    /// How many turns the model took.
    pub total_turns: u64,
    /// How many messages there were.
    pub message_count: u64,
    /// Whether it goes on: neither ended nor expired.
    pub is_active: bool,
}

impl Session {
    fn owned_bytes(&self) -> usize {
        self.session_id.len() + self.project_path.len()
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<Session>> {
    let Some(user_id) = id(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(Session {
        session_id: text(row, 0)?,
        user_id,
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
pub(super) fn owned(tx: &ReadTx<'_>, session_id: &str, user_id: i64) -> Result<()> {
    let sql = "SELECT 1 FROM sessions WHERE session_id = ?1 AND user_id = ?2";
    tx.maybe(sql, (session_id, user_id), |_| Ok(()))?
        .ok_or_else(|| unknown(session_id))
}

fn get(tx: &ReadTx<'_>, session_id: &str, user_id: i64) -> Result<Option<Session>> {
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
fn find(tx: &ReadTx<'_>, session_id: &str, user_id: i64) -> Result<Option<Session>> {
    let found = get(tx, session_id, user_id)?;
    if found.is_none() {
        limits::not_held("session_id", session_id)?;
    }
    Ok(found)
}

/// Begins a session, and counts it on the user.
///
/// An id is unique in the file, whoever has it. One that another user has is answered as all that
/// is about another user's session: `NotFound`, with the field `session_id`. So make ids that nobody
/// can guess, such as UUIDs: whoever asks for one that is taken can tell that it is.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user, or an id that another user has;
/// [`Conflict`](crate::ErrorKind::Conflict) if the user has a session of this id;
/// [`Invalid`](crate::ErrorKind::Invalid) for an id or path that is empty or has more than 4 KiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateSession {
    /// The id for it, unique in the file.
    pub session_id: String,
    /// Whose it is.
    pub user_id: i64,
    /// What it is about.
    pub project_path: String,
}

impl Mutation for CreateSession {
    type Output = Session;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Session> {
        validate::not_empty("session_id", &self.session_id)?;
        validate::not_empty("project_path", &self.project_path)?;
        users::exists(tx, self.user_id)?;
        let inserted = tx.execute(
            "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used,
                                   total_cost, total_turns, message_count, is_active)
             VALUES (?1, ?2, ?3, ?4, ?4, 0.0, 0, 0, 1)
             ON CONFLICT (session_id) DO NOTHING",
            (
                &self.session_id,
                self.user_id,
                &self.project_path,
                tx.now_text(),
            ),
        )?;
        if inserted == 0 {
            owned(tx, &self.session_id, self.user_id)?;
            let session_id = quote(&self.session_id);
            return Err(Error::conflict(
                "session_id",
                format_args!("session {session_id}"),
            ));
        }
        count_on_user(tx, self.user_id)?;
        get(tx, &self.session_id, self.user_id)?.ok_or_else(|| unknown(&self.session_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.name("project_path", self.project_path.as_str());
    }
}

fn count_on_user(tx: &WriteTx<'_>, user_id: i64) -> Result<()> {
    tx.execute(
        "UPDATE users SET session_count = coalesce(session_count, 0) + 1 WHERE user_id = ?1",
        [user_id],
    )?;
    Ok(())
}

/// Saves the state of a live session as the bot has it in memory: its totals replace those in the
/// file. Creates the session, counted on the user, if it is new; makes it active again if it had
/// ended.
///
/// For a bot that keeps its own totals. One that saves each exchange with
/// [`SaveInteraction`](super::interactions::SaveInteraction) has them kept, and should not do both.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user, or a session of another user;
/// [`Invalid`](crate::ErrorKind::Invalid) for an id or path that is empty or has more than 4 KiB, a
/// cost that is not one, or a count above 1,000,000,000,000.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaveSession {
    /// The id.
    pub session_id: String,
    /// Whose it is.
    pub user_id: i64,
    /// What it is about. A session that is already there keeps what it has.
    pub project_path: String,
    /// What it has cost so far, in US dollars.
    pub total_cost: f64,
    /// Turns so far.
    pub total_turns: u64,
    /// Messages so far.
    pub message_count: u64,
}

impl Mutation for SaveSession {
    type Output = Session;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Session> {
        validate::not_empty("session_id", &self.session_id)?;
        validate::not_empty("project_path", &self.project_path)?;
        validate::cost("total_cost", self.total_cost)?;
        let turns = validate::count("total_turns", self.total_turns)?;
        let messages = validate::count("message_count", self.message_count)?;
        users::exists(tx, self.user_id)?;
        let updated = tx.execute(
            "UPDATE sessions SET last_used = ?3, total_cost = ?4, total_turns = ?5,
                                 message_count = ?6, is_active = 1
             WHERE session_id = ?1 AND user_id = ?2",
            (
                &self.session_id,
                self.user_id,
                tx.now_text(),
                self.total_cost,
                turns,
                messages,
            ),
        )?;
        if updated == 0 {
            let inserted = tx.execute(
                "INSERT INTO sessions (session_id, user_id, project_path, created_at, last_used,
                                       total_cost, total_turns, message_count, is_active)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, 1)
                 ON CONFLICT (session_id) DO NOTHING",
                (
                    &self.session_id,
                    self.user_id,
                    &self.project_path,
                    tx.now_text(),
                    self.total_cost,
                    turns,
                    messages,
                ),
            )?;
            if inserted == 0 {
                return Err(unknown(&self.session_id));
            }
            count_on_user(tx, self.user_id)?;
        }
        get(tx, &self.session_id, self.user_id)?.ok_or_else(|| unknown(&self.session_id))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.name("project_path", self.project_path.as_str());
    }
}

/// Ends a session. Ending it again changes nothing. A message that is saved into it makes it active again.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if the user has no such session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndSession {
    /// The session.
    pub session_id: String,
    /// Whose it is.
    pub user_id: i64,
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
pub struct GetSession {
    /// The session.
    pub session_id: String,
    /// Whose it must be.
    pub user_id: i64,
}

impl Query for GetSession {
    type Output = Option<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Session>> {
        find(tx, &self.session_id, self.user_id)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<Session>>> {
        let row_of = "SELECT rowid FROM sessions WHERE session_id = ?1";
        let kept = Cacheable::text("sessions", &self.session_id, row_of, self.user_id);
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
