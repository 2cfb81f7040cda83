//! Everything about one user, or about all users, in one answer.
//!
//! **One answer has days of one zone.** `cost_tracking` has UTC days, since other programs write it too, and its rows
//! cannot be divided. So where the bot's days are others, the costs by day are added up from messages and from the
//! requests of `AddCost`, each of which has a time.

use super::{
    DAY, DAYS, DailyActivity, SystemStatistics, SystemStats, UserStatistics, UserStats, costs,
};
use crate::domain::UserId;
use crate::domain::audit::{AuditEvent, EventFilter, RecentAuditLog, UserAuditLog};
use crate::domain::costs::{DailyCost, DayTotal, TotalCosts, UserDailyCosts};
use crate::domain::messages::{ChatMessage, UserMessages};
use crate::domain::page::{Page, PageRequest, Room};
use crate::domain::rollups;
use crate::domain::sessions::{Session, SessionFilter, UserSessions, Whose};
use crate::domain::tools::{ToolStat, ToolStats};
use crate::domain::users::{GetUser, ListUsers, User};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// Everything that a bot shows a user about the user; `None` if unknown. Its cost depends on the size of the
/// answer. The messages and events together are limited to
/// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes): larger lists are shortened, but not below one
/// row each.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::UserDashboard;
///
/// let shown = store.read(UserDashboard::new(42)).await?;
/// assert_eq!(shown.map(|shown| shown.recent_messages.len()), Some(1));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserDashboard {
    /// The user.
    pub user_id: UserId,
}

impl UserDashboard {
    /// Of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

/// The answer to [`UserDashboard`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserOverview {
    /// The user.
    pub user: User,
    /// The user's statistics.
    pub stats: UserStatistics,
    /// The ten sessions of the user's own that were last used, ended ones included.
    pub recent_sessions: Vec<Session>,
    /// The ten newest messages.
    pub recent_messages: Vec<ChatMessage>,
    /// The twenty newest events.
    pub recent_audit: Vec<AuditEvent>,
    /// The costs of today and the 30 days before, newest first, by the days of [`UserStatistics::time_zone`]. In UTC,
    /// they are those of [`UserDailyCosts`]. In any other zone, they are those of messages and of
    /// [`AddCost`](crate::costs::AddCost); what another program, or botstore before it recorded usage, added to a UTC
    /// day without a message is in `UserDailyCosts` alone.
    pub daily_costs: Vec<DailyCost>,
}

impl UserOverview {
    /// Of a user who has done nothing yet, for a test of your own.
    pub fn new(user: User) -> Self {
        Self {
            user,
            stats: UserStatistics::default(),
            recent_sessions: Vec::new(),
            recent_messages: Vec::new(),
            recent_audit: Vec::new(),
            daily_costs: Vec::new(),
        }
    }
}

impl Query for UserDashboard {
    const LANE: Lane = Lane::Analytics;
    type Output = Option<UserOverview>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<UserOverview>> {
        let user_id = self.user_id;
        let Some(user) = tx.query(&GetUser { user_id })? else {
            return Ok(None);
        };
        let mut room = Room::of(tx);
        let sessions = tx.query(&UserSessions {
            user_id,
            which: SessionFilter::All,
            whose: Whose::Own,
            page: PageRequest::first(10),
        })?;
        let messages = UserMessages::new(user_id).page(PageRequest::first(10));
        let messages = messages.fetch_within(tx, &mut room)?;
        let audit = UserAuditLog {
            user_id,
            filter: EventFilter::default(),
            page: PageRequest::first(20),
        };
        let audit = audit.fetch_within(tx, &mut room)?;
        let stats = tx.query(&UserStats { user_id })?;
        let daily_costs = match rollups::is_utc(tx)? {
            true => tx.query(&UserDailyCosts::new(user_id, DAYS))?,
            false => costs::of_user(tx, user_id, &stats.daily_usage)?,
        };
        Ok(Some(UserOverview {
            user,
            stats,
            recent_sessions: sessions.items,
            recent_messages: messages.items,
            recent_audit: audit.items,
            daily_costs,
        }))
    }
}

/// Everything that a bot shows its administrator. Its cost depends on the size of the answer; in a zone other than
/// UTC, also on how many users had a request of [`AddCost`](crate::costs::AddCost) on each of the days.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::AdminDashboard;
///
/// let shown = store.read(AdminDashboard::new()).await?;
/// assert_eq!(shown.users.items[0].user_id, 42);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AdminDashboard {
    /// Which page of the users.
    pub users: PageRequest,
    /// How many days before today activity and costs go back; capped at [`page::MAX_LIMIT`](crate::page::MAX_LIMIT).
    pub days: u32,
}

impl Default for AdminDashboard {
    fn default() -> Self {
        Self {
            users: PageRequest::default(),
            days: DAYS,
        }
    }
}

impl AdminDashboard {
    /// With the first page of the users, of 50, and the last 30 days.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which page of the users.
    pub fn users(mut self, users: PageRequest) -> Self {
        self.users = users;
        self
    }

    /// How many days before today activity and costs go back. Default: 30.
    pub fn days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }
}

/// The answer to [`AdminDashboard`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemOverview {
    /// Statistics of all users.
    pub stats: SystemStatistics,
    /// A page of the users, latest first seen first.
    pub users: Page<User>,
    /// The newest events of the last 24 hours, at most 100.
    pub recent_audit: Vec<AuditEvent>,
    /// The costs of the same days as in [`stats`](Self::stats), newest first. In UTC, they are those of
    /// [`TotalCosts`]. In any other [`time_zone`](SystemStatistics::time_zone), they are those of messages and of
    /// [`AddCost`](crate::costs::AddCost); what another program, or botstore before it recorded usage, added to a UTC
    /// day without a message is in `TotalCosts` alone.
    pub total_costs: Vec<DayTotal>,
    /// The hundred tools used most.
    pub tool_stats: Vec<ToolStat>,
}

impl Query for AdminDashboard {
    const LANE: Lane = Lane::Analytics;
    type Output = SystemOverview;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<SystemOverview> {
        let audit = tx.query(&RecentAuditLog {
            filter: EventFilter::last(DAY, tx.now()),
            page: PageRequest::first(100),
        })?;
        let mut stats = tx.query(&SystemStats)?;
        if self.days != DAYS {
            stats.daily_activity = tx.query(&DailyActivity::new(self.days))?;
        }
        let total_costs = match rollups::is_utc(tx)? {
            true => tx.query(&TotalCosts::new(self.days))?,
            false => costs::of_all(tx, self.days, &stats.daily_activity)?,
        };
        Ok(SystemOverview {
            stats,
            users: tx.query(&ListUsers {
                page: self.users.clone(),
            })?,
            recent_audit: audit.items,
            total_costs,
            tool_stats: tx.query(&ToolStats { limit: 100 })?,
        })
    }

    fn texts(&self, texts: &mut Texts) {
        self.users.texts(texts);
    }
}
