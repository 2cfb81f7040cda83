//! Conversations: which project a user works on with the bot, and what it has come to.

use super::columns::{amount, count, flag, time};
use super::messages::{self, ChatMessage};
use super::page::{self, Cursor, Page, PageRequest};
use super::tools::{self, ToolUse};
use super::{check, users};
use crate::error::{Error, Result};
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::time::Timestamp;
use actix::Message;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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

fn from_row(row: &Row<'_>) -> Result<Session> {
    Ok(Session {
        session_id: row.get(0)?,
        user_id: row.get(1)?,
        project_path: row.get(2)?,
        created_at: time(row, 3)?,
        last_used: time(row, 4)?,
        total_cost: amount(row, 5)?,
        total_turns: count(row, 6)?,
        message_count: count(row, 7)?,
        is_active: flag(row, 8)?,
    })
}

pub(super) fn unknown(session_id: &str) -> Error {
    // Debug, since an id may hold anything.
    let what = format!("session {session_id:?} of this user");
    Error::not_found("session_id", what)
}

fn get(tx: &ReadTx<'_>, session_id: &str, user_id: i64) -> Result<Option<Session>> {
    tx.maybe(
        "SELECT session_id, user_id, project_path, created_at, last_used,
                total_cost, total_turns, message_count, is_active
         FROM sessions WHERE session_id = ?1 AND user_id = ?2",
        (session_id, user_id),
        from_row,
    )
}

/// Begins a session, and counts it on the user.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user,
/// [`Conflict`](crate::ErrorKind::Conflict) if there is a session of this id,
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty id or path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Session>")]
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
        check::not_empty("session_id", &self.session_id)?;
        check::not_empty("project_path", &self.project_path)?;
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
            let what = format!("session {:?}", self.session_id);
            return Err(Error::conflict("session_id", what));
        }
        count_on_user(tx, self.user_id)?;
        get(tx, &self.session_id, self.user_id)?.ok_or_else(|| unknown(&self.session_id))
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self) + self.session_id.len() + self.project_path.len()
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
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty id or path, a cost that is not one, or a
/// count above 1,000,000,000,000.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Session>")]
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
        check::not_empty("session_id", &self.session_id)?;
        check::not_empty("project_path", &self.project_path)?;
        check::cost("total_cost", self.total_cost)?;
        let turns = check::count("total_turns", self.total_turns)?;
        let messages = check::count("message_count", self.message_count)?;
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

    fn size_bytes(&self) -> usize {
        size_of_val(self) + self.session_id.len() + self.project_path.len()
    }
}

/// Ends a session. Ending it again changes nothing.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if the user has no such session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<()>")]
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
}

/// Ends the active sessions in which nothing happened for longer than this; gives how many.
/// Looks at every active session. To be sent by a schedule: see
/// [`Config::every`](crate::Config::every).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<usize>")]
pub struct ExpireIdle {
    /// How long a session may be idle.
    pub idle_for: Duration,
}

impl Mutation for ExpireIdle {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let Some(since) = page::ago(tx.now(), self.idle_for) else {
            return Ok(0);
        };
        tx.execute(
            "UPDATE sessions INDEXED BY botstore_sessions_active
             SET is_active = 0 WHERE is_active = 1 AND last_used < ?1",
            [Timestamp(since)],
        )
    }
}

/// A session of a user; `None` if unknown, or another user's. A point read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<Session>>")]
pub struct GetSession {
    /// The session.
    pub session_id: String,
    /// Whose it must be.
    pub user_id: i64,
}

impl Query for GetSession {
    type Output = Option<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Session>> {
        get(tx, &self.session_id, self.user_id)
    }
}

/// Which sessions a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those that go on.
    #[default]
    Active,
    /// Those that ended, too.
    All,
}

/// The sessions of a user, last used first. Sorts the user's sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Page<Session>>")]
pub struct UserSessions {
    /// The user.
    pub user_id: i64,
    /// Which of them.
    pub which: Which,
    /// Which page.
    pub page: PageRequest,
}

impl Query for UserSessions {
    type Output = Page<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Session>> {
        let rows = self.page.rows()?;
        let (at, id) = self.page.after_text()?;
        let all = self.which == Which::All;
        let sessions = tx.all(
            "SELECT session_id, user_id, project_path, created_at, last_used,
                    total_cost, total_turns, message_count, is_active
             FROM sessions
             WHERE user_id = ?1 AND (is_active = 1 OR ?2) AND (last_used, session_id) < (?3, ?4)
             ORDER BY last_used DESC, session_id DESC LIMIT ?5",
            (self.user_id, all, at, id, rows + 1),
            from_row,
        )?;
        Ok(page_of(sessions, rows))
    }
}

/// The sessions about a project, of all users, last used first. Sorts the project's sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Page<Session>>")]
pub struct ProjectSessions {
    /// The project, spelled as when the sessions were created.
    pub project_path: String,
    /// Which of them.
    pub which: Which,
    /// Which page.
    pub page: PageRequest,
}

impl Query for ProjectSessions {
    type Output = Page<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Session>> {
        let rows = self.page.rows()?;
        let (at, id) = self.page.after_text()?;
        let all = self.which == Which::All;
        let sessions = tx.all(
            "SELECT session_id, user_id, project_path, created_at, last_used,
                    total_cost, total_turns, message_count, is_active
             FROM sessions
             WHERE project_path = ?1 AND (is_active = 1 OR ?2)
               AND (last_used, session_id) < (?3, ?4)
             ORDER BY last_used DESC, session_id DESC LIMIT ?5",
            (&self.project_path, all, at, id, rows + 1),
            from_row,
        )?;
        Ok(page_of(sessions, rows))
    }
}

/// The active sessions of all users, last used first. Sorts the active sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Page<Session>>")]
pub struct ActiveSessions {
    /// Which page.
    pub page: PageRequest,
}

impl Query for ActiveSessions {
    type Output = Page<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Session>> {
        let rows = self.page.rows()?;
        let (at, id) = self.page.after_text()?;
        let sessions = tx.all(
            "SELECT session_id, user_id, project_path, created_at, last_used,
                    total_cost, total_turns, message_count, is_active
             FROM sessions INDEXED BY botstore_sessions_active
             WHERE is_active = 1 AND (last_used, session_id) < (?1, ?2)
             ORDER BY last_used DESC, session_id DESC LIMIT ?3",
            (at, id, rows + 1),
            from_row,
        )?;
        Ok(page_of(sessions, rows))
    }
}

fn page_of(sessions: Vec<Session>, rows: u32) -> Page<Session> {
    Page::new(sessions, rows, |session| {
        Cursor::text(session.last_used, &session.session_id)
    })
}

/// What a user's sessions come to. Reads the user's sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<SessionTotals>")]
pub struct SessionSummary {
    /// The user.
    pub user_id: i64,
}

/// The answer to [`SessionSummary`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionTotals {
    /// Sessions, ended ones included.
    pub total_sessions: u64,
    /// Those that go on.
    pub active_sessions: u64,
    /// The sum of their costs, in US dollars.
    pub total_cost: f64,
    /// The sum of their message counts.
    pub total_messages: u64,
    /// What they are about, in alphabetical order; at most [`page::MAX_LIMIT`].
    pub projects: Vec<String>,
}

impl Query for SessionSummary {
    type Output = SessionTotals;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<SessionTotals> {
        let projects = tx.all(
            "SELECT DISTINCT project_path FROM sessions WHERE user_id = ?1
             ORDER BY project_path LIMIT ?2",
            (self.user_id, page::MAX_LIMIT),
            |row| Ok(row.get(0)?),
        )?;
        tx.one(
            "SELECT count(*), total(is_active = 1), sum(total_cost), sum(message_count)
             FROM sessions WHERE user_id = ?1",
            [self.user_id],
            |row| {
                Ok(SessionTotals {
                    total_sessions: count(row, 0)?,
                    active_sessions: amount(row, 1)? as u64,
                    total_cost: amount(row, 2)?,
                    total_messages: count(row, 3)?,
                    projects,
                })
            },
        )
    }
}

/// A session of a user with its newest messages and tool uses; `None` if unknown, or another
/// user's. Reads a page of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Option<History>>")]
pub struct SessionHistory {
    /// The session.
    pub session_id: String,
    /// Whose it must be.
    pub user_id: i64,
    /// How many messages, and how many tool uses, at most: from 1, capped at
    /// [`page::MAX_LIMIT`].
    pub limit: u32,
}

/// The answer to [`SessionHistory`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The session.
    pub session: Session,
    /// Its messages, newest first.
    pub messages: Vec<ChatMessage>,
    /// Its tool uses, newest first.
    pub tools: Vec<ToolUse>,
}

impl Query for SessionHistory {
    type Output = Option<History>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<History>> {
        let page = PageRequest::first(self.limit);
        page.rows()?;
        let Some(session) = get(tx, &self.session_id, self.user_id)? else {
            return Ok(None);
        };
        let messages = tx.ask(&messages::SessionMessages {
            session_id: self.session_id.clone(),
            page: page.clone(),
        })?;
        let tools = tx.ask(&tools::SessionToolUse {
            session_id: self.session_id.clone(),
            page,
        })?;
        Ok(Some(History {
            session,
            messages: messages.items,
            tools: tools.items,
        }))
    }
}
