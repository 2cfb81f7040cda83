//! Lists of sessions.

use super::{Session, Whose, from_row};
use crate::domain::UserId;
use crate::domain::page::{self, Found, Ids, List, Page, PageRequest, Room};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::{self, Texts};
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
/// Reads a page; sorts the user's sessions of one day at a time, and those that others share with the user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::{SessionFilter, UserSessions};
///
/// let ever = UserSessions::new(42).which(SessionFilter::All);
/// assert_eq!(store.read(ever).await?.items[0].session_id, "s-1");
/// # Ok(()) }
/// ```
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::ProjectSessions;
///
/// assert_eq!(store.read(ProjectSessions::new("/srv")).await?.items.len(), 1);
/// # Ok(()) }
/// ```
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
            texts::not_held("project_path", &self.project_path)?;
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::ActiveSessions;
///
/// assert_eq!(store.read(ActiveSessions::new()).await?.items.len(), 1);
/// # Ok(()) }
/// ```
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
