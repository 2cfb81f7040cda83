//! What tools returned.

use super::{ToolCall, ToolUse, from_row};
use crate::domain::columns::{flag, id, maybe_count, maybe_text, text};
use crate::domain::page::{self, Page, Room};
use crate::domain::{MessageId, UserId, sessions};
use crate::error::Result;
use crate::operation::{Query, ReadTx, WriteTx};
use crate::texts;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// What a tool returned, as much of it as is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The provider's id of the call.
    pub call_id: Option<String>,
    /// What the tool returned: at most [`Config::max_tool_result_bytes`](crate::Config::max_tool_result_bytes) of it.
    /// `None` if the bot did not say.
    pub result: Option<String>,
    /// How many bytes it returned.
    pub bytes: Option<u64>,
    /// Whether that is more than is kept.
    pub truncated: bool,
    /// How long the tool took, in milliseconds.
    pub duration_ms: Option<u64>,
}

impl ToolResult {
    /// A result of which nothing is known, for a test of your own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The result in the columns from `first` on.
    fn read(row: &Row<'_>, first: usize) -> Result<Self> {
        Ok(Self {
            call_id: maybe_text(row, first)?,
            result: maybe_text(row, first + 1)?,
            bytes: maybe_count(row, first + 2)?,
            truncated: flag(row, first + 3)?,
            duration_ms: maybe_count(row, first + 4)?,
        })
    }
}

/// One use of a tool, with what it returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolDetails {
    /// The use.
    pub tool: ToolUse,
    /// What it returned; `None` if the bot did not say.
    pub result: Option<ToolResult>,
}

impl ToolDetails {
    /// A use of which no result is known, for a test of your own.
    pub fn new(tool: ToolUse) -> Self {
        Self { tool, result: None }
    }
}

/// Gets what a tool returned; `None` if the bot did not say, if there is no such use, and if it is in another user's
/// session that is not [shared](sessions::ShareSession) with this one. A point read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::tools::{GetToolResult, RecordToolUse, ToolCall};
///
/// let call = ToolCall::new("Read").call_id("toolu_1").result("# README");
/// let id = store.write(RecordToolUse::new(42, "s-1", call)).await?;
/// let result = store.read(GetToolResult::new(42, id)).await?.unwrap();
/// assert_eq!(result.result.as_deref(), Some("# README"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetToolResult {
    /// Who asks: the session's owner or a member.
    pub user_id: UserId,
    /// The use of the tool: [`ToolUse::id`].
    pub tool_use_id: i64,
}

impl GetToolResult {
    /// What this use of a tool returned, for this user.
    pub fn new(user_id: impl Into<UserId>, tool_use_id: i64) -> Self {
        Self {
            user_id: user_id.into(),
            tool_use_id,
        }
    }
}

impl Query for GetToolResult {
    type Output = Option<ToolResult>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<ToolResult>> {
        let found = tx.maybe(
            "SELECT t.session_id, r.call_id, r.result, r.bytes, r.truncated, r.duration_ms
             FROM botstore_tool_result r JOIN tool_usage t ON t.id = r.tool_usage_id
             WHERE r.tool_usage_id = ?1",
            [self.tool_use_id],
            |row| Ok((text(row, 0)?, ToolResult::read(row, 1)?)),
        )?;
        let Some((session_id, result)) = found else {
            return Ok(None);
        };
        let is_theirs = sessions::is_usable(tx, &session_id, self.user_id)?;
        Ok(is_theirs.then_some(result))
    }
}

/// Saves what a call says of its result, beside the row of its use.
pub(super) fn save(tx: &WriteTx<'_>, id: i64, call: &ToolCall) -> Result<()> {
    let whole = call.result.as_deref();
    let kept = whole.map(|text| texts::beginning(text, tx.limits().max_tool_result_bytes));
    let bytes = whole.map(|text| i64::try_from(text.len()).unwrap_or(i64::MAX));
    let duration_ms = call.duration_ms.and_then(|ms| i64::try_from(ms).ok());
    tx.execute(
        "INSERT INTO botstore_tool_result (tool_usage_id, call_id, result, bytes, truncated, duration_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (id, &call.call_id, kept, bytes, kept != whole, duration_ms),
    )?;
    Ok(())
}

/// The uses of tools of a message, in their order, with what they returned.
pub(in crate::domain) fn of_message(
    tx: &ReadTx<'_>,
    room: &mut Room,
    message_id: MessageId,
) -> Result<Page<ToolDetails>> {
    let sql = "SELECT t.id, t.session_id, t.message_id, t.tool_name, t.tool_input, t.timestamp, t.success,
                      t.error_message, r.tool_usage_id, r.call_id, r.result, r.bytes, r.truncated, r.duration_ms
               FROM tool_usage t INDEXED BY botstore_tool_usage_message
               LEFT JOIN botstore_tool_result r ON r.tool_usage_id = t.id
               WHERE t.message_id = ?1 ORDER BY t.id LIMIT ?2";
    page::read_all(tx, room, sql, &message_id, |row| {
        let result = id(row, 8)?.map(|_| ToolResult::read(row, 9)).transpose()?;
        let tool = from_row(row)?;
        Ok(tool.map(|tool| ToolDetails { tool, result }))
    })
}
