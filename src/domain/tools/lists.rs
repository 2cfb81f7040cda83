//! Lists of tool uses, and their totals.

use super::{ToolUse, from_row};
use crate::domain::columns::{count, text};
use crate::domain::page::{Found, Order, Page, PageRequest, Room};
use crate::domain::rollups::now;
use crate::domain::{SessionId, UserId, page, sessions};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::texts::Texts;
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};

/// Lists the tool uses of a session, newest first: in the order in which they were saved, whatever the clock
/// said. Reads a page.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, or another user's that is not
/// [shared](sessions::ShareSession) with this one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # let said = botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// # store.write(said.tool(botstore::tools::ToolCall::new("Read"))).await?;
/// use botstore::tools::SessionToolUse;
///
/// let uses = store.read(SessionToolUse::new(42, "s-1")).await?;
/// assert_eq!(uses.items[0].tool_name, "Read");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionToolUse {
    /// The session.
    pub session_id: SessionId,
    /// Who asks: its owner or a member.
    pub user_id: UserId,
    /// Which page.
    pub page: PageRequest,
}

impl SessionToolUse {
    /// The first page of this session, for this user, of 50 uses.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            page: PageRequest::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
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
        sessions::may_use(tx, &self.session_id, self.user_id)?;
        let uses = "SELECT id, session_id, message_id, tool_name, tool_input, timestamp, success,
                           error_message
                    FROM tool_usage INDEXED BY botstore_tool_usage_of_session
                    WHERE session_id = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2";
        list(tx, room, &self.page, Found::Rows(uses), &self.session_id)
    }
}

/// Lists the tool uses in a user's own sessions, newest first: in the order in which they were saved. Reads a
/// page, and to find it the keys of all these uses.
///
/// A use belongs to the owner of its session, here and in statistics, whichever member asked for it: the row of
/// a tool use names no user. [`SessionToolUse`] shows a member the uses in a shared session.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # let said = botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// # store.write(said.tool(botstore::tools::ToolCall::new("Read"))).await?;
/// use botstore::tools::UserToolUse;
///
/// assert_eq!(store.read(UserToolUse::new(42)).await?.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserToolUse {
    /// The user.
    pub user_id: UserId,
    /// Which page.
    pub page: PageRequest,
}

impl UserToolUse {
    /// The first page of this user, of 50 uses.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            page: PageRequest::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for UserToolUse {
    const LANE: Lane = Lane::Analytics;
    type Output = Page<ToolUse>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ToolUse>> {
        // CROSS JOIN fixes the order: first the user's sessions, then the uses in each.
        let ids = "SELECT t.id FROM sessions s INDEXED BY idx_sessions_user_id
                   CROSS JOIN tool_usage t INDEXED BY botstore_tool_usage_of_session
                       ON t.session_id = s.session_id
                   WHERE s.user_id = ?3 AND t.id <= ?1 ORDER BY t.id DESC LIMIT ?2";
        let row = "SELECT id, session_id, message_id, tool_name, tool_input, timestamp, success,
                          error_message
                   FROM tool_usage WHERE id = ?1";
        let found = Found::Ids { ids, row };
        list(tx, &mut Room::of(tx), &self.page, found, &self.user_id)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

fn list(
    tx: &ReadTx<'_>,
    room: &mut Room,
    page: &PageRequest,
    found: Found,
    of: &dyn ToSql,
) -> Result<Page<ToolUse>> {
    let page = (page, Order::NewestFirst, found);
    page::read_by_id(tx, room, page, &[of], from_row, 5)
}

/// How a tool was used, in all sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolStat {
    /// The tool.
    pub tool_name: String,
    /// How often it was used.
    pub usage_count: u64,
    /// The number of sessions that used it.
    pub sessions_used: u64,
    /// How often it succeeded.
    pub success_count: u64,
    /// How often it failed.
    pub error_count: u64,
}

impl ToolStat {
    /// A tool with this many uses, all successful, for a test of your own.
    pub fn new(tool_name: impl Into<String>, usage_count: u64) -> Self {
        Self {
            tool_name: tool_name.into(),
            usage_count,
            sessions_used: 0,
            success_count: usage_count,
            error_count: 0,
        }
    }
}

/// How each tool was used, most used first. Reads one row for each tool.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # let said = botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// # store.write(said.tool(botstore::tools::ToolCall::new("Read"))).await?;
/// use botstore::tools::ToolStats;
///
/// let most_used = store.read(ToolStats::new(10)).await?;
/// assert_eq!(most_used[0].usage_count, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolStats {
    /// The number of tools, at most: from 1, capped at [`page::MAX_LIMIT`].
    pub limit: u32,
}

impl ToolStats {
    /// At most this many tools.
    pub fn new(limit: u32) -> Self {
        Self { limit }
    }
}

impl Query for ToolStats {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<ToolStat>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<ToolStat>> {
        let limit = page::limit("limit", self.limit)?;
        tx.all(&now::top_tools(), [limit], |row| {
            Ok(ToolStat {
                tool_name: text(row, 0)?,
                usage_count: count(row, 1)?,
                sessions_used: count(row, 2)?,
                success_count: count(row, 3)?,
                error_count: count(row, 4)?,
            })
        })
    }
}
