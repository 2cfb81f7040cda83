//! What it all comes to: statistics and dashboards, each on one snapshot.
//!
//! Totals here are those of messages and tool uses, so they also tell of rows that no counter has
//! seen. They come from [`rollups`](crate::rollups), which are kept with every change: an answer costs
//! what it shows, however old the bot is. Days are UTC days, or those of
//! [`Config::day_offset`](crate::Config::day_offset). They run in the analytics lane.

mod activity;
mod dashboards;

pub use activity::{Activity, Bucket, Fill, MAX_DAYS, PeriodActivity, Span, UserActivity};

pub use dashboards::{AdminDashboard, SystemOverview, UserDashboard, UserOverview};

use super::columns::{amount, count, day, integer, maybe_number, maybe_text, maybe_time, text};
use super::page;
use super::rollups;
use super::tools::{ToolStat, ToolStats};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far back the statistics by day reach.
const DAYS: u32 = 30;

/// How long the lists of the most used and most active are.
const TOP: u32 = 10;

/// How often a tool was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCount {
    /// The tool.
    pub tool_name: String,
    /// How often.
    pub usage_count: u64,
}

/// What a user did on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDay {
    /// The day, UTC.
    pub date: NaiveDate,
    /// Messages.
    pub messages: u64,
    /// What they cost, in US dollars.
    pub cost: f64,
    /// In how many sessions.
    pub sessions: u64,
}

/// Statistics of one user. Reads a row for each day on which the user had a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserStats {
    /// The user. One without messages, or unknown, has zeros.
    pub user_id: i64,
}

/// The answer to [`UserStats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserStatistics {
    /// Sessions with a message of the user.
    pub total_sessions: u64,
    /// Messages.
    pub total_messages: u64,
    /// What they cost, in US dollars.
    pub total_cost: f64,
    /// What one cost on average, in US dollars; `None` without messages.
    pub avg_cost: Option<f64>,
    /// When the last one was.
    pub last_activity: Option<DateTime<Utc>>,
    /// How long an answer took on average, in milliseconds, where that is known.
    pub avg_duration_ms: Option<f64>,
    /// The ten tools used most in the user's sessions.
    pub top_tools: Vec<ToolCount>,
    /// Today and the 30 days before, newest first; days without a message are left out.
    pub daily_usage: Vec<UserDay>,
}

impl Query for UserStats {
    const LANE: Lane = Lane::Analytics;
    type Output = UserStatistics;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<UserStatistics> {
        let user_id = self.user_id;
        let top_tools = tx.all(
            "SELECT tool_name, uses FROM botstore_user_tool
             WHERE user_id = ?1 ORDER BY uses DESC, tool_name LIMIT ?2",
            (user_id, TOP),
            |row| {
                Ok(ToolCount {
                    tool_name: text(row, 0)?,
                    usage_count: count(row, 1)?,
                })
            },
        )?;
        let daily_usage = tx.all(
            "SELECT day, messages, cost, sessions FROM botstore_user_day
             WHERE user_id = ?1 AND day >= ?2 ORDER BY day DESC",
            (user_id, first_day(tx, DAYS)?),
            |row| {
                let Some(date) = day(row, 0)? else {
                    return Ok(None);
                };
                Ok(Some(UserDay {
                    date,
                    messages: count(row, 1)?,
                    cost: amount(row, 2)?,
                    sessions: count(row, 3)?,
                }))
            },
        )?;
        // The newest by its index: a day would be too coarse.
        let last_activity = tx.maybe(
            "SELECT timestamp FROM messages WHERE user_id = ?1 ORDER BY timestamp DESC LIMIT 1",
            [user_id],
            |row| maybe_time(row, 0),
        )?;
        let total_sessions = tx.maybe(
            "SELECT sessions FROM botstore_user_total WHERE user_id = ?1",
            [user_id],
            |row| count(row, 0),
        )?;
        tx.one(
            "SELECT total(messages), sum(cost), sum(cost) / nullif(total(messages), 0),
                    total(duration_ms) / nullif(total(timed), 0)
             FROM botstore_user_day WHERE user_id = ?1",
            [user_id],
            |row| {
                Ok(UserStatistics {
                    total_sessions: total_sessions.unwrap_or(0),
                    total_messages: count(row, 0)?,
                    total_cost: amount(row, 1)?,
                    avg_cost: maybe_number(row, 2)?,
                    last_activity: last_activity.flatten(),
                    avg_duration_ms: maybe_number(row, 3)?,
                    top_tools,
                    daily_usage: daily_usage.into_iter().flatten().collect(),
                })
            },
        )
    }
}

/// Statistics of everybody. Reads a row for each day of the bot's life, each tool, and each user of
/// the last week.
///
/// For administrators: it tells of all users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemStats;

/// The answer to [`SystemStats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemStatistics {
    /// Users with a message.
    pub total_users: u64,
    /// Sessions with a message.
    pub total_sessions: u64,
    /// Messages.
    pub total_messages: u64,
    /// What they cost, in US dollars.
    pub total_cost: f64,
    /// How long an answer took on average, in milliseconds, where that is known.
    pub avg_duration_ms: Option<f64>,
    /// Users with a message today or in the seven days before.
    pub active_users_7d: u64,
    /// The ten users who cost most.
    pub top_users: Vec<TopUser>,
    /// The ten tools used most.
    pub tools: Vec<ToolStat>,
    /// Today and the 30 days before, newest first; days without a message are left out.
    pub daily_activity: Vec<DayActivity>,
}

impl Query for SystemStats {
    const LANE: Lane = Lane::Analytics;
    type Output = SystemStatistics;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<SystemStatistics> {
        let active_users_7d = tx.one(
            "SELECT count(*) FROM botstore_user_total INDEXED BY botstore_user_total_day
             WHERE last_day >= ?1",
            [first_day(tx, 7)?],
            |row| count(row, 0),
        )?;
        let top_users = tx.query(&TopUsers { limit: TOP })?;
        let tools = tx.query(&ToolStats { limit: TOP })?;
        let daily_activity = tx.query(&DailyActivity { days: DAYS })?;
        tx.one(
            "SELECT ever.users, ever.sessions, days.messages, days.cost, days.duration_ms
             FROM botstore_total ever,
                  (SELECT total(messages) AS messages, sum(cost) AS cost,
                          total(duration_ms) / nullif(total(timed), 0) AS duration_ms
                   FROM botstore_day) days",
            [],
            |row| {
                Ok(SystemStatistics {
                    total_users: count(row, 0)?,
                    total_sessions: count(row, 1)?,
                    total_messages: count(row, 2)?,
                    total_cost: amount(row, 3)?,
                    avg_duration_ms: maybe_number(row, 4)?,
                    active_users_7d,
                    top_users,
                    tools,
                    daily_activity,
                })
            },
        )
    }
}

/// What everybody did on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayActivity {
    /// The day, UTC.
    pub date: NaiveDate,
    /// Users with a message.
    pub active_users: u64,
    /// Messages.
    pub total_messages: u64,
    /// What they cost, in US dollars.
    pub total_cost: f64,
}

/// What everybody did today and in the `days` days before, newest first; days without a message are
/// left out. Reads a row a day. [`Activity`] asks the same of other spans, by week and month too.
///
/// For administrators: it tells of all users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DailyActivity {
    /// How many days before today; the answer has at most [`page::MAX_LIMIT`] days.
    pub days: u32,
}

impl Query for DailyActivity {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<DayActivity>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DayActivity>> {
        let days = tx.all(
            "SELECT day, users, messages, cost FROM botstore_day
             WHERE day >= ?1 ORDER BY day DESC LIMIT ?2",
            (first_day(tx, self.days)?, page::MAX_LIMIT),
            |row| {
                let Some(date) = day(row, 0)? else {
                    return Ok(None);
                };
                Ok(Some(DayActivity {
                    date,
                    active_users: count(row, 1)?,
                    total_messages: count(row, 2)?,
                    total_cost: amount(row, 3)?,
                }))
            },
        )?;
        Ok(days.into_iter().flatten().collect())
    }
}

/// The day so many days before today, as the file spells it.
fn first_day(tx: &ReadTx<'_>, days: u32) -> Result<String> {
    let first = rollups::today(tx)?.checked_sub_days(Days::new(days.into()));
    // Before the first year that four digits can tell, the order of texts is not that of days.
    let first = first.filter(|first| first.year() > 0);
    Ok(first.map_or_else(|| "0001-01-01".to_owned(), |first| first.to_string()))
}

/// A user and what the user's messages cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopUser {
    /// The user.
    pub user_id: i64,
    /// The name, if one was ever told.
    pub username: Option<String>,
    /// What the messages cost, in US dollars.
    pub total_cost: f64,
    /// How many there were.
    pub total_messages: u64,
}

/// The users who cost most, by the sum over their messages. Reads as many rows as it shows.
///
/// For administrators: it tells of all users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopUsers {
    /// How many at most: from 1, capped at [`page::MAX_LIMIT`].
    pub limit: u32,
}

impl Query for TopUsers {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<TopUser>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<TopUser>> {
        tx.all(
            "SELECT u.user_id, u.telegram_username, t.cost, t.messages
             FROM botstore_user_total t INDEXED BY botstore_user_total_cost
             CROSS JOIN users u ON u.user_id = t.user_id
             ORDER BY t.cost DESC, t.user_id LIMIT ?1",
            [page::limit("limit", self.limit)?],
            |row| {
                Ok(TopUser {
                    user_id: integer(row, 0)?,
                    username: maybe_text(row, 1)?,
                    total_cost: amount(row, 2)?,
                    total_messages: count(row, 3)?,
                })
            },
        )
    }
}
