//! The tools that the model used.

mod lists;
mod result;

pub use lists::{SessionToolUse, ToolStat, ToolStats, UserToolUse};
pub(super) use result::of_message;
pub use result::{GetToolResult, ToolDetails, ToolResult};

use super::columns::{flag, id, integer, maybe_text, text, time};
use super::when::When;
use super::{MessageId, SessionId, UserId, columns, sessions, validate};
use crate::error::{Error, Result};
use crate::json;
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::{Row, ToSql};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One use of a tool, as stored in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolUse {
    /// The store's id, growing.
    pub id: i64,
    /// Its session.
    pub session_id: SessionId,
    /// The message that it belongs to, if any.
    pub message_id: Option<MessageId>,
    /// The tool.
    pub tool_name: String,
    /// The tool's input. JSON that a [`Value`] cannot hold, such as Python's `NaN`, duplicate keys and text that
    /// is no JSON, is one string of the whole text.
    pub tool_input: Option<Value>,
    /// When it was saved; for imported history, when the tool was used.
    pub timestamp: DateTime<Utc>,
    /// Whether it worked.
    pub success: bool,
    /// What went wrong, if something did.
    pub error_message: Option<String>,
}

impl ToolUse {
    /// A successful use without input, for a test of your own.
    pub fn new(
        id: i64,
        session_id: impl Into<SessionId>,
        tool_name: impl Into<String>,
        timestamp: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            session_id: session_id.into(),
            tool_name: tool_name.into(),
            timestamp,
            message_id: None,
            tool_input: None,
            success: true,
            error_message: None,
        }
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<ToolUse>> {
    Ok(Some(ToolUse {
        id: integer(row, 0)?,
        session_id: text(row, 1)?.into(),
        message_id: id(row, 2)?.map(MessageId::new),
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
#[non_exhaustive]
pub struct ToolCall {
    /// The tool.
    pub tool_name: String,
    /// The tool's input.
    pub tool_input: Option<Value>,
    /// Whether it worked.
    pub success: bool,
    /// What went wrong.
    pub error_message: Option<String>,
    /// The provider's id of the call: at most 4 KiB.
    #[serde(default)]
    pub call_id: Option<String>,
    /// What the tool returned, of any length: see [`result`](Self::result()).
    #[serde(default)]
    pub result: Option<String>,
    /// How long the tool took, in milliseconds: at most 1,000,000,000,000.
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

impl ToolCall {
    /// A successful use, without input.
    pub fn new(tool_name: impl Into<String>) -> Self {
        Self {
            tool_name: tool_name.into(),
            tool_input: None,
            success: true,
            error_message: None,
            call_id: None,
            result: None,
            duration_ms: None,
        }
    }

    /// The same use with this input.
    pub fn input(mut self, input: Value) -> Self {
        self.tool_input = Some(input);
        self
    }

    /// The same use, but failed for this reason.
    pub fn failed(mut self, why: impl Into<String>) -> Self {
        self.success = false;
        self.error_message = Some(why.into());
        self
    }

    /// The same use with the provider's id of the call.
    pub fn call_id(mut self, call_id: impl Into<String>) -> Self {
        self.call_id = Some(call_id.into());
        self
    }

    /// The same use with what the tool returned, for the model or as an error. It is never too long: the file gets its
    /// beginning, [`Config::max_tool_result_bytes`](crate::Config::max_tool_result_bytes) of it, and its length.
    /// [`MessageDetails`](crate::messages::MessageDetails) and [`GetToolResult`] tell it.
    pub fn result(mut self, result: impl Into<String>) -> Self {
        self.result = Some(result.into());
        self
    }

    /// The same use with the time that the tool took, in milliseconds.
    pub fn duration_ms(mut self, duration_ms: u64) -> Self {
        self.duration_ms = Some(duration_ms);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        validate::not_empty("tool_name", &self.tool_name)?;
        self.duration_ms
            .map_or(Ok(0), |ms| validate::count("duration_ms", ms))?;
        json::check("tool_input", self.tool_input.as_ref())
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.name("tool_name", self.tool_name.as_str());
        texts.json("tool_input", self.tool_input.as_ref());
        texts.text("error_message", self.error_message.as_deref());
        texts.name("call_id", self.call_id.as_deref());
        texts.cut(self.result.as_deref());
    }

    /// Whether there is more to save than the row of the use.
    fn has_result(&self) -> bool {
        self.call_id.is_some() || self.result.is_some() || self.duration_ms.is_some()
    }

    /// Saves the use; returns its id.
    fn save(
        &self,
        tx: &WriteTx<'_>,
        session_id: &str,
        message_id: Option<MessageId>,
        when: &When<'_>,
    ) -> Result<i64> {
        let input = self.tool_input.as_ref().map(columns::json_cell);
        let id = tx.insert(
            "INSERT INTO tool_usage (session_id, message_id, timestamp, tool_name, tool_input,
                                     success, error_message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                session_id,
                message_id,
                when.text(),
                &self.tool_name,
                input,
                self.success,
                &self.error_message,
            ),
        )?;
        if self.has_result() {
            result::save(tx, id, self)?;
        }
        Ok(id)
    }
}

/// Saves uses of tools of a message, in their order.
///
/// An interaction has few, so there is a statement for four, for two and for one: SQLite keeps these prepared. A text
/// for each number was turned down: each would take a place among the prepared statements. Where one has a result, each
/// is saved by itself, which tells its id.
pub(super) fn save_all(
    tx: &WriteTx<'_>,
    session_id: &str,
    message_id: MessageId,
    calls: &[ToolCall],
    when: &When<'_>,
) -> Result<()> {
    if calls.iter().any(ToolCall::has_result) {
        for call in calls {
            call.save(tx, session_id, Some(message_id), when)?;
        }
        return Ok(());
    }
    let four = "INSERT INTO tool_usage (session_id, message_id, timestamp, tool_name, tool_input,
                                        success, error_message)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7), (?1, ?2, ?3, ?8, ?9, ?10, ?11),
                       (?1, ?2, ?3, ?12, ?13, ?14, ?15), (?1, ?2, ?3, ?16, ?17, ?18, ?19)";
    let two = "INSERT INTO tool_usage (session_id, message_id, timestamp, tool_name, tool_input,
                                       success, error_message)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7), (?1, ?2, ?3, ?8, ?9, ?10, ?11)";
    let fours = calls.chunks_exact(4);
    let twos = fours.remainder().chunks_exact(2);
    let one = twos.remainder().first();
    for (sql, calls) in fours
        .map(|calls| (four, calls))
        .chain(twos.map(|calls| (two, calls)))
    {
        let input = |call: &ToolCall| call.tool_input.as_ref().map(columns::json_cell);
        let inputs: Vec<_> = calls.iter().map(input).collect();
        let at = when.text();
        let mut bound: Vec<&dyn ToSql> = vec![&session_id, &message_id, &at];
        for (call, input) in calls.iter().zip(&inputs) {
            let of_call: [&dyn ToSql; 4] =
                [&call.tool_name, input, &call.success, &call.error_message];
            bound.extend(of_call);
        }
        tx.execute(sql, &bound[..])?;
    }
    if let Some(call) = one {
        call.save(tx, session_id, Some(message_id), when)?;
    }
    Ok(())
}

/// Records one use of a tool outside an interaction; returns its id.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, another user's that is not
/// [shared](sessions::ShareSession) with this one, or a message that is not in this session;
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty tool name, an input nested deeper than 127 levels, or a
/// text that is too large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::tools::{RecordToolUse, ToolCall};
///
/// let failed = ToolCall::new("Bash").failed("exit code 1");
/// store.write(RecordToolUse::new(42, "s-1", failed)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordToolUse {
    /// The session.
    pub session_id: SessionId,
    /// The user: the session's owner or a member.
    pub user_id: UserId,
    /// The message that it belongs to, if any.
    pub message_id: Option<MessageId>,
    /// The use.
    pub call: ToolCall,
}

impl RecordToolUse {
    /// This use of a tool in this session, by this user.
    pub fn new(
        user_id: impl Into<UserId>,
        session_id: impl Into<SessionId>,
        call: ToolCall,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            call,
            message_id: None,
        }
    }

    /// The message that it belongs to.
    pub fn message_id(mut self, message_id: impl Into<MessageId>) -> Self {
        self.message_id = Some(message_id.into());
        self
    }
}

impl Mutation for RecordToolUse {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        self.call.check()?;
        sessions::may_use(tx, &self.session_id, self.user_id)?;
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
        let when = When::of(tx, None)?;
        self.call.save(tx, &self.session_id, self.message_id, &when)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        self.call.texts(texts);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.extend(self.call.tool_input.take());
    }
}
