//! Statistics of all users.

use super::{ActiveUsers, DAY, DAYS, LAST_DAY, TOP, average, first_day, utc};
use crate::domain::columns::{count, day, integer, maybe_number, maybe_text, nanos};
use crate::domain::rollups::{self, now};
use crate::domain::tools::{ToolStat, ToolStats};
use crate::domain::{Usd, UserId, page};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const WEEK: Duration = DAY.saturating_mul(7);

/// Statistics of all users. Reads one row for each day of the bot's life, for each tool, and for each user of
/// the last week; the messages of a part of a day ([`ActiveUsers`]); and the newest messages and tool uses, some
/// hundred, which wait to be counted.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::SystemStats;
///
/// assert_eq!(store.read(SystemStats::new()).await?.total_messages, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemStats;

impl SystemStats {
    /// Of all users.
    pub fn new() -> Self {
        Self
    }
}

/// The answer to [`SystemStats`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemStatistics {
    /// Users with a message.
    pub total_users: u64,
    /// Sessions with a message.
    pub total_sessions: u64,
    /// Messages.
    pub total_messages: u64,
    /// What they cost, in US dollars.
    pub total_cost: Usd,
    /// The average duration of an answer, in milliseconds, over the messages that have one.
    pub avg_duration_ms: Option<f64>,
    /// Users with a message in the last 168 hours: see [`ActiveUsers`].
    pub active_users_7d: u64,
    /// The ten users whose messages cost most.
    pub top_users: Vec<TopUser>,
    /// The ten tools used most.
    pub tools: Vec<ToolStat>,
    /// Today and the 30 days before, newest first; days without a message are left out.
    pub daily_activity: Vec<DayActivity>,
    /// The zone whose days these are, such as `UTC`, `Europe/Berlin` or `+05:30`: see
    /// [`Config::time_zone`](crate::Config::time_zone).
    #[serde(default = "utc")]
    pub time_zone: String,
}

/// Of a bot in UTC without a message.
impl Default for SystemStatistics {
    fn default() -> Self {
        Self {
            total_users: 0,
            total_sessions: 0,
            total_messages: 0,
            total_cost: Usd::ZERO,
            avg_duration_ms: None,
            active_users_7d: 0,
            top_users: Vec::new(),
            tools: Vec::new(),
            daily_activity: Vec::new(),
            time_zone: utc(),
        }
    }
}

impl Query for SystemStats {
    const LANE: Lane = Lane::Analytics;
    type Output = SystemStatistics;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<SystemStatistics> {
        let active_users_7d = tx.query(&ActiveUsers::new(WEEK))?;
        let top_users = tx.query(&TopUsers { limit: TOP })?;
        let tools = tx.query(&ToolStats { limit: TOP })?;
        let daily_activity = tx.query(&DailyActivity { days: DAYS })?;
        let time_zone = rollups::shown_zone(tx).to_string();
        tx.one(&now::total(), [], |row| {
            Ok(SystemStatistics {
                total_users: count(row, 0)?,
                total_sessions: count(row, 1)?,
                active_users_7d,
                total_messages: count(row, 2)?,
                total_cost: nanos(row, 5)?,
                avg_duration_ms: average(count(row, 3)?, maybe_number(row, 4)?),
                top_users,
                tools,
                daily_activity,
                time_zone,
            })
        })
    }
}

/// All users' activity on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DayActivity {
    /// The day in [`Config::time_zone`](crate::Config::time_zone).
    pub date: NaiveDate,
    /// Users with a message.
    pub active_users: u64,
    /// Messages.
    pub total_messages: u64,
    /// What they cost, in US dollars.
    pub total_cost: Usd,
}

impl DayActivity {
    /// A day, for a test of your own.
    pub fn new(date: NaiveDate, active_users: u64, total_messages: u64, total_cost: Usd) -> Self {
        Self {
            date,
            active_users,
            total_messages,
            total_cost,
        }
    }
}

/// All users' activity today and in the `days` days before, newest first; days without a message are left out.
/// Reads one row for each day. [`Activity`](super::Activity) covers other spans, and weeks and months too.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::DailyActivity;
///
/// let days = store.read(DailyActivity::new(30)).await?;
/// assert_eq!(days[0].active_users, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DailyActivity {
    /// How many days before today; the answer has at most [`page::MAX_LIMIT`] days.
    pub days: u32,
}

impl DailyActivity {
    /// Today and this many days before.
    pub fn new(days: u32) -> Self {
        Self { days }
    }
}

impl Query for DailyActivity {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<DayActivity>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DayActivity>> {
        let sql = now::days() + " LIMIT ?3";
        let span = (first_day(tx, self.days)?, LAST_DAY, page::MAX_LIMIT);
        let days = tx.all(&sql, span, |row| {
            let Some(date) = day(row, 0)? else {
                return Ok(None);
            };
            Ok(Some(DayActivity {
                date,
                active_users: count(row, 1)?,
                total_messages: count(row, 2)?,
                total_cost: nanos(row, 6)?,
            }))
        })?;
        Ok(days.into_iter().flatten().collect())
    }
}

/// A user and what the user's messages cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopUser {
    /// The user.
    pub user_id: UserId,
    /// The name, if the store was ever given one.
    pub username: Option<String>,
    /// What the messages cost, in US dollars.
    pub total_cost: Usd,
    /// The number of messages.
    pub total_messages: u64,
}

impl TopUser {
    /// A user without a name, for a test of your own.
    pub fn new(user_id: impl Into<UserId>, total_cost: Usd, total_messages: u64) -> Self {
        Self {
            user_id: user_id.into(),
            total_cost,
            total_messages,
            username: None,
        }
    }
}

/// The users whose messages cost most in total. Reads as many rows as it returns.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::TopUsers;
///
/// let top = store.read(TopUsers::new(10)).await?;
/// assert_eq!(top[0].user_id, 42);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopUsers {
    /// The number of users, at most: from 1, capped at [`page::MAX_LIMIT`].
    pub limit: u32,
}

impl TopUsers {
    /// At most this many users.
    pub fn new(limit: u32) -> Self {
        Self { limit }
    }
}

impl Query for TopUsers {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<TopUser>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<TopUser>> {
        let limit = page::limit("limit", self.limit)?;
        tx.all(&now::top_users(), [limit], |row| {
            Ok(TopUser {
                user_id: integer(row, 0)?.into(),
                username: maybe_text(row, 1)?,
                total_cost: nanos(row, 2)?,
                total_messages: count(row, 3)?,
            })
        })
    }
}
