//! A user's sessions in numbers, and one session with what is in it.

use super::{Session, find};
use crate::domain::columns::{amount, count, text};
use crate::domain::messages::ChatMessage;
use crate::domain::page::{PageRequest, Room};
use crate::domain::tools::ToolUse;
use crate::domain::{SessionId, Usd, UserId, messages, page, tools};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// Totals of a user's own sessions. Reads the user's sessions.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::SessionSummary;
///
/// assert_eq!(store.read(SessionSummary::new(42)).await?.total_sessions, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionSummary {
    /// The user.
    pub user_id: UserId,
}

impl SessionSummary {
    /// Of this user's sessions.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

/// The answer to [`SessionSummary`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionTotals {
    /// Sessions, ended ones included.
    pub total_sessions: u64,
    /// Active sessions.
    pub active_sessions: u64,
    /// The sum of their costs, in US dollars.
    pub total_cost: Usd,
    /// The sum of their message counts.
    pub total_messages: u64,
    /// Their projects, in alphabetical order; at most [`page::MAX_LIMIT`].
    pub projects: Vec<String>,
}

impl Query for SessionSummary {
    type Output = SessionTotals;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<SessionTotals> {
        let projects = tx.all(
            "SELECT DISTINCT project_path FROM sessions INDEXED BY idx_sessions_user_id
             WHERE user_id = ?1 ORDER BY project_path LIMIT ?2",
            (self.user_id, page::MAX_LIMIT),
            |row| text(row, 0),
        )?;
        tx.one(
            "SELECT count(*), total(is_active = 1),
                    sum(CASE WHEN abs(0.0 + total_cost) < 1e18 THEN 0.0 + total_cost END),
                    total(message_count)
             FROM sessions INDEXED BY idx_sessions_user_id WHERE user_id = ?1",
            [self.user_id],
            |row| {
                Ok(SessionTotals {
                    total_sessions: count(row, 0)?,
                    active_sessions: count(row, 1)?,
                    total_cost: amount(row, 2)?,
                    total_messages: count(row, 3)?,
                    projects,
                })
            },
        )
    }
}

/// Gets a session of a user with its newest messages and tool uses, newest first; `None` if the session is
/// unknown, or another user's that is not [shared](super::ShareSession) with this one. Reads a page of each.
/// Both together are limited to [`Config::max_answer_bytes`](crate::Config::max_answer_bytes): larger lists are
/// shortened, but not below one row each. [`SessionMessages`](messages::SessionMessages) and
/// [`SessionToolUse`](tools::SessionToolUse) have the rest.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::SessionHistory;
///
/// let history = store.read(SessionHistory::new(42, "s-1").limit(20)).await?;
/// assert_eq!(history.map(|history| history.messages.len()), Some(1));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionHistory {
    /// The session.
    pub session_id: SessionId,
    /// Who asks: its owner or a member.
    pub user_id: UserId,
    /// How many messages, and how many tool uses, at most: from 1, capped at
    /// [`page::MAX_LIMIT`].
    pub limit: u32,
}

impl SessionHistory {
    /// This session, for this user, with 50 messages and 50 tool uses.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            limit: page::DEFAULT_LIMIT,
        }
    }

    /// How many messages, and how many tool uses, at most: from 1, capped at
    /// [`page::MAX_LIMIT`].
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}

/// The answer to [`SessionHistory`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// The session.
    pub session: Session,
    /// Its messages, newest first.
    pub messages: Vec<ChatMessage>,
    /// Its tool uses, newest first.
    pub tools: Vec<ToolUse>,
}

impl History {
    /// A session in which nothing has happened yet, for a test of your own.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            messages: Vec::new(),
            tools: Vec::new(),
        }
    }
}

impl Query for SessionHistory {
    type Output = Option<History>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<History>> {
        let page = PageRequest::first(self.limit);
        page.rows()?;
        let Some(session) = find(tx, &self.session_id, self.user_id)? else {
            return Ok(None);
        };
        let mut room = Room::of(tx);
        let messages = messages::SessionMessages::new(self.user_id, &self.session_id);
        let messages = messages.page(page.clone());
        let tools = tools::SessionToolUse {
            session_id: self.session_id.clone(),
            user_id: self.user_id,
            page,
        };
        let messages = messages.fetch_within(tx, &mut room)?;
        let tools = tools.fetch_within(tx, &mut room)?;
        Ok(Some(History {
            session,
            messages: messages.items,
            tools: tools.items,
        }))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
    }
}
