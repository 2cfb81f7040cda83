//! Lists of sessions, and the totals of a user's sessions.

use super::{Session, Whose, find, from_row};
use crate::domain::columns::{amount, count, text};
use crate::domain::messages::{self, ChatMessage};
use crate::domain::page::{self, Found, Ids, List, Page, PageRequest, Room};
use crate::domain::tools::{self, ToolUse};
use crate::domain::{SessionId, Usd, UserId};
use crate::error::Result;
use crate::limits::{self, Texts};
use crate::operation::{Query, ReadTx};
use rusqlite::Params;
use serde::{Deserialize, Serialize};

/// Which sessions a list contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionFilter {
    /// Active sessions only.
    #[default]
    Active,
    /// Ended sessions too.
    All,
}

/// Lists the sessions of a user, last used first: the user's own, unless [`whose`](Self::whose) says otherwise.
/// Sorts the user's sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserSessions {
    /// The user.
    pub user_id: UserId,
    /// Active ones only, or ended ones too.
    pub which: SessionFilter,
    /// The user's own, those that others share with the user, or both.
    #[serde(default)]
    pub whose: Whose,
    /// Which page.
    pub page: PageRequest,
}

impl UserSessions {
    /// The first page of this user's own active sessions, of 50.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            which: SessionFilter::default(),
            whose: Whose::default(),
            page: PageRequest::default(),
        }
    }

    /// Active ones only, or ended ones too.
    pub fn which(mut self, which: SessionFilter) -> Self {
        self.which = which;
        self
    }

    /// The user's own, those that others share with the user, or both.
    pub fn whose(mut self, whose: Whose) -> Self {
        self.whose = whose;
        self
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for UserSessions {
    type Output = Page<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Session>> {
        let rows = self.page.rows()?;
        let (at, id) = self.page.after_key(tx, &LIST)?;
        let all = self.which == SessionFilter::All;
        let bound = (self.user_id, all, at, id, rows + 1);
        list(tx, rows, self.whose.select(), bound)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

/// Lists the sessions about a project, of all users, last used first. Sorts the project's sessions.
///
/// For administrators: the answer is about all users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProjectSessions {
    /// The project, spelled as when the sessions were created.
    pub project_path: String,
    /// Active ones only, or ended ones too.
    pub which: SessionFilter,
    /// Which page.
    pub page: PageRequest,
}

impl ProjectSessions {
    /// The first page of the active sessions about this project, of 50.
    pub fn new(project_path: impl Into<String>) -> Self {
        Self {
            project_path: project_path.into(),
            which: SessionFilter::default(),
            page: PageRequest::default(),
        }
    }

    /// Active ones only, or ended ones too.
    pub fn which(mut self, which: SessionFilter) -> Self {
        self.which = which;
        self
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for ProjectSessions {
    type Output = Page<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Session>> {
        let rows = self.page.rows()?;
        let (at, id) = self.page.after_key(tx, &LIST)?;
        let all = self.which == SessionFilter::All;
        let sql = "SELECT session_id, user_id, project_path, created_at, last_used,
                          total_cost, total_turns, message_count, is_active, rowid
                   FROM sessions INDEXED BY idx_sessions_project_path
                   WHERE project_path = ?1 AND (is_active = 1 OR ?2)
                     AND (last_used, session_id) < (?3, ?4)
                   ORDER BY last_used DESC, session_id DESC LIMIT ?5";
        let bound = (&self.project_path, all, at, id, rows + 1);
        let sessions = list(tx, rows, sql, bound)?;
        if sessions.items.is_empty() {
            limits::not_held("project_path", &self.project_path)?;
        }
        Ok(sessions)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("project_path", self.project_path.as_str());
        self.page.texts(texts);
    }
}

/// Lists the active sessions of all users, last used first. Sorts the active sessions.
///
/// For administrators: the answer is about all users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActiveSessions {
    /// Which page.
    pub page: PageRequest,
}

impl ActiveSessions {
    /// The first page, of 50 sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for ActiveSessions {
    type Output = Page<Session>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<Session>> {
        let rows = self.page.rows()?;
        let (at, id) = self.page.after_key(tx, &LIST)?;
        let sql = "SELECT session_id, user_id, project_path, created_at, last_used,
                          total_cost, total_turns, message_count, is_active, rowid
                   FROM sessions INDEXED BY botstore_sessions_active
                   WHERE is_active = 1 AND (last_used, session_id) < (?1, ?2)
                   ORDER BY last_used DESC, session_id DESC LIMIT ?3";
        list(tx, rows, sql, (at, id, rows + 1))
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

const LIST: List = List {
    time: 4,
    ids: Ids::Text { rowid: 9 },
    key_of_row: "SELECT last_used, session_id FROM sessions WHERE rowid = ?1",
};

fn list(
    tx: &ReadTx<'_>,
    rows: u32,
    sql: &'static str,
    bound: impl Params,
) -> Result<Page<Session>> {
    let (room, found) = (&mut Room::of(tx), (rows, Found::Rows(sql)));
    page::read(tx, room, found, bound, from_row, |row| LIST.cursor(row))
}

/// Totals of a user's own sessions. Reads the user's sessions.
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
