//! Which tools the model used.

use super::columns::{self, count, flag, id, integer, maybe_text, text, time};
use super::page::{self, Found, Page, PageRequest, Room};
use super::{sessions, validate};
use crate::error::{Error, Result};
use crate::json;
use crate::limits::Texts;
use crate::operation::{Lane, Mutation, Query, ReadTx, WriteTx};
use chrono::{DateTime, Utc};
use rusqlite::{Row, ToSql};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One use of a tool, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The store's id, growing.
    pub id: i64,
    /// The session in which it was used.
    pub session_id: String,
    /// The message for which it was used, if it was for one.
    pub message_id: Option<i64>,
    /// The tool.
    pub tool_name: String,
    /// What it was given. What the file holds and a [`Value`] does not, such as Python's `NaN`, keys that come
    /// twice and text that is no JSON, is one string of the whole text.
    pub tool_input: Option<Value>,
    /// When it was saved.
    pub timestamp: DateTime<Utc>,
    /// Whether it worked.
    pub success: bool,
    /// What went wrong, if something did.
    pub error_message: Option<String>,
}

fn from_row(row: &Row<'_>) -> Result<Option<ToolUse>> {
    Ok(Some(ToolUse {
        id: integer(row, 0)?,
        session_id: text(row, 1)?,
        message_id: id(row, 2)?,
        tool_name: text(row, 3)?,
        tool_input: columns::json(row, 4)?,
        timestamp: time(row, 5)?,
        success: flag(row, 6)?,
        error_message: maybe_text(row, 7)?,
    }))
}

/// One use of a tool within an interaction.
///
/// ```
/// use botstore::tools::ToolCall;
/// let read = ToolCall::new("Read").input(serde_json::json!({ "path": "src/lib.rs" }));
/// let failed = ToolCall::new("Bash").failed("exit code 1");
/// assert!(read.success && !failed.success);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool.
    pub tool_name: String,
    /// What it was given.
    pub tool_input: Option<Value>,
    /// Whether it worked.
    pub success: bool,
    /// What went wrong.
    pub error_message: Option<String>,
}

impl ToolCall {
    /// A use that worked, without input.
    pub fn new(tool_name: impl Into<String>) -> Self {
        Self {
            tool_name: tool_name.into(),
            tool_input: None,
            success: true,
            error_message: None,
        }
    }

    /// The same use with this input.
    pub fn input(mut self, input: Value) -> Self {
        self.tool_input = Some(input);
        self
    }

    /// The same use, failed for this reason.
    pub fn failed(mut self, why: impl Into<String>) -> Self {
        self.success = false;
        self.error_message = Some(why.into());
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        validate::not_empty("tool_name", &self.tool_name)?;
        json::check("tool_input", self.tool_input.as_ref())
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.name("tool_name", self.tool_name.as_str());
        texts.json("tool_input", self.tool_input.as_ref());
        texts.text("error_message", self.error_message.as_deref());
    }

    pub(super) fn save(
        &self,
        tx: &WriteTx<'_>,
        session_id: &str,
        message_id: Option<i64>,
    ) -> Result<i64> {
        let input = self.tool_input.as_ref().map(columns::json_cell);
        tx.insert(
            "INSERT INTO tool_usage (session_id, message_id, tool_name, tool_input, timestamp,
                                     success, error_message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                session_id,
                message_id,
                &self.tool_name,
                input,
                tx.now_text(),
                self.success,
                &self.error_message,
            ),
        )
    }
}

/// Records one use of a tool outside an interaction; gives its id.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, another user's, or a message that
/// is not in this session; [`Invalid`](crate::ErrorKind::Invalid) for an empty tool name, an input
/// nested deeper than 127 levels, or a text that is too large
/// ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordToolUse {
    /// The session.
    pub session_id: String,
    /// Whose it must be.
    pub user_id: i64,
    /// The message for which it was used, if it was for one.
    pub message_id: Option<i64>,
    /// What was used.
    pub call: ToolCall,
}

impl Mutation for RecordToolUse {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        self.call.check()?;
        sessions::owned(tx, &self.session_id, self.user_id)?;
        if let Some(message_id) = self.message_id {
            tx.maybe(
                "SELECT 1 FROM messages WHERE message_id = ?1 AND session_id = ?2",
                (message_id, &self.session_id),
                |_| Ok(()),
            )?
            .ok_or_else(|| {
                let what = format!("message {message_id} in this session");
                Error::not_found("message_id", what)
            })?;
        }
        self.call.save(tx, &self.session_id, self.message_id)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        self.call.texts(texts);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.extend(self.call.tool_input.take());
    }
}

/// The tool uses of a user's session, newest first: in the order in which they were saved, whatever the clock
/// said. Reads a page, and to find it the keys of the session's uses.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, or another user's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionToolUse {
    /// The session.
    pub session_id: String,
    /// Whose it must be.
    pub user_id: i64,
    /// Which page.
    pub page: PageRequest,
}

impl Query for SessionToolUse {
    type Output = Page<ToolUse>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ToolUse>> {
        self.fetch_within(tx, &mut Room::of(tx))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
        self.page.texts(texts);
    }
}

impl SessionToolUse {
    pub(in crate::domain) fn fetch_within(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
    ) -> Result<Page<ToolUse>> {
        sessions::owned(tx, &self.session_id, self.user_id)?;
        let ids = "SELECT id FROM tool_usage INDEXED BY botstore_tool_usage_session
                   WHERE session_id = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2";
        list(tx, room, &self.page, ids, &self.session_id)
    }
}

/// The tool uses in a user's sessions, newest first: in the order in which they were saved. Reads a page, and
/// to find it the keys of all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserToolUse {
    /// The user.
    pub user_id: i64,
    /// Which page.
    pub page: PageRequest,
}

impl Query for UserToolUse {
    const LANE: Lane = Lane::Analytics;
    type Output = Page<ToolUse>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ToolUse>> {
        // CROSS JOIN: the sessions of the user first, then the uses in each.
        let ids = "SELECT t.id FROM sessions s INDEXED BY idx_sessions_user_id
                   CROSS JOIN tool_usage t INDEXED BY botstore_tool_usage_session
                       ON t.session_id = s.session_id
                   WHERE s.user_id = ?3 AND t.id <= ?1 ORDER BY t.id DESC LIMIT ?2";
        list(tx, &mut Room::of(tx), &self.page, ids, &self.user_id)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

/// A page of the uses whose ids a statement gives.
fn list(
    tx: &ReadTx<'_>,
    room: &mut Room,
    page: &PageRequest,
    ids: &'static str,
    of: &dyn ToSql,
) -> Result<Page<ToolUse>> {
    let row = "SELECT id, session_id, message_id, tool_name, tool_input, timestamp, success,
                      error_message
               FROM tool_usage WHERE id = ?1";
    let found = Found::Ids { ids, row };
    page::read_by_id(tx, room, (page, found), &[of], from_row, 5)
}

/// How a tool was used, in all sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolStat {
    /// The tool.
    pub tool_name: String,
    /// How often it was used.
    pub usage_count: u64,
    /// In how many sessions.
    pub sessions_used: u64,
    /// How often it worked.
    pub success_count: u64,
    /// How often it did not.
    pub error_count: u64,
}

/// How each tool was used, most used first. Reads a row a tool.
///
/// For administrators: it tells of all users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolStats {
    /// How many tools at most: from 1, capped at [`page::MAX_LIMIT`].
    pub limit: u32,
}

impl Query for ToolStats {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<ToolStat>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<ToolStat>> {
        tx.all(
            "SELECT tool_name, uses, sessions, successes, errors
             FROM botstore_tool ORDER BY uses DESC, tool_name LIMIT ?1",
            [page::limit("limit", self.limit)?],
            |row| {
                Ok(ToolStat {
                    tool_name: text(row, 0)?,
                    usage_count: count(row, 1)?,
                    sessions_used: count(row, 2)?,
                    success_count: count(row, 3)?,
                    error_count: count(row, 4)?,
                })
            },
        )
    }
}
