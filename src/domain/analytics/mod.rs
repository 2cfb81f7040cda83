//! What it all comes to: statistics and dashboards, each on one snapshot.
//!
//! Totals here are sums over messages and tool uses, so they also tell of rows that no counter has
//! seen. Days are UTC days. They run in the analytics lane.

mod dashboards;

pub use dashboards::{AdminDashboard, SystemOverview, UserDashboard, UserOverview};

use super::columns::{amount, count, day, maybe_time};
use super::page;
use super::tools::{ToolStat, ToolStats};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::time::Timestamp;
use actix::Message;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far back the statistics by day reach.
const DAYS: u32 = 30;

/// How long the lists of the most used and most active are.
const TOP: u32 = 10;

fn days(days: u32) -> Duration {
    DAY.saturating_mul(days)
}

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

/// Statistics of one user. Reads all of the user's messages and tool uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<UserStatistics>")]
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
    /// What one cost on average; `None` without messages.
    pub avg_cost: Option<f64>,
    /// When the last one was.
    pub last_activity: Option<DateTime<Utc>>,
    /// How long an answer took on average, in milliseconds, where that is known.
    pub avg_duration_ms: Option<f64>,
    /// The ten tools used most in the user's sessions.
    pub top_tools: Vec<ToolCount>,
    /// The last 30 days, newest first; days without a message are left out.
    pub daily_usage: Vec<UserDay>,
}

impl Query for UserStats {
    const LANE: Lane = Lane::Analytics;
    type Output = UserStatistics;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<UserStatistics> {
        let top_tools = tx.all(
            "SELECT t.tool_name, count(*) AS uses
             FROM sessions s INDEXED BY idx_sessions_user_id
             CROSS JOIN tool_usage t ON t.session_id = s.session_id
             WHERE s.user_id = ?1
             GROUP BY t.tool_name ORDER BY uses DESC, t.tool_name LIMIT ?2",
            (self.user_id, TOP),
            |row| {
                Ok(ToolCount {
                    tool_name: row.get(0)?,
                    usage_count: count(row, 1)?,
                })
            },
        )?;
        let daily_usage = tx.all(
            "SELECT date(timestamp) AS day, count(*), sum(cost), count(DISTINCT session_id)
             FROM messages WHERE user_id = ?1 AND timestamp >= ?2
             GROUP BY day ORDER BY day DESC",
            (self.user_id, Timestamp(page::since(tx.now(), days(DAYS)))),
            |row| {
                Ok(UserDay {
                    date: day(row, 0)?,
                    messages: count(row, 1)?,
                    cost: amount(row, 2)?,
                    sessions: count(row, 3)?,
                })
            },
        )?;
        tx.one(
            "SELECT count(DISTINCT session_id), count(*), sum(cost), avg(cost), max(timestamp),
                    avg(duration_ms)
             FROM messages WHERE user_id = ?1",
            [self.user_id],
            |row| {
                Ok(UserStatistics {
                    total_sessions: count(row, 0)?,
                    total_messages: count(row, 1)?,
                    total_cost: amount(row, 2)?,
                    avg_cost: row.get(3)?,
                    last_activity: maybe_time(row, 4)?,
                    avg_duration_ms: row.get(5)?,
                    top_tools,
                    daily_usage,
                })
            },
        )
    }
}

/// Statistics of everybody. Reads all messages and tool uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<SystemStatistics>")]
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
    /// Users with a message in the last seven days.
    pub active_users_7d: u64,
    /// The ten users who cost most.
    pub top_users: Vec<TopUser>,
    /// The ten tools used most.
    pub tools: Vec<ToolStat>,
    /// The last 30 days, newest first; days without a message are left out.
    pub daily_activity: Vec<DayActivity>,
}

impl Query for SystemStats {
    const LANE: Lane = Lane::Analytics;
    type Output = SystemStatistics;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<SystemStatistics> {
        let active_users_7d = tx.one(
            "SELECT count(DISTINCT user_id) FROM messages WHERE timestamp >= ?1",
            [Timestamp(page::since(tx.now(), days(7)))],
            |row| count(row, 0),
        )?;
        let top_users = tx.ask(&TopUsers { limit: TOP })?;
        let tools = tx.ask(&ToolStats { limit: TOP })?;
        let daily_activity = tx.ask(&DailyActivity { days: DAYS })?;
        tx.one(
            "SELECT count(DISTINCT user_id), count(DISTINCT session_id), count(*), sum(cost),
                    avg(duration_ms)
             FROM messages",
            [],
            |row| {
                Ok(SystemStatistics {
                    total_users: count(row, 0)?,
                    total_sessions: count(row, 1)?,
                    total_messages: count(row, 2)?,
                    total_cost: amount(row, 3)?,
                    avg_duration_ms: row.get(4)?,
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

/// What everybody did in the last so many times 24 hours, by day, newest first; days without a
/// message are left out, and the first may be a part of one. Reads the messages of that time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<DayActivity>>")]
pub struct DailyActivity {
    /// How many times 24 hours before now; the answer has at most [`page::MAX_LIMIT`] days.
    pub days: u32,
}

impl Query for DailyActivity {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<DayActivity>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DayActivity>> {
        tx.all(
            "SELECT date(timestamp) AS day, count(DISTINCT user_id), count(*), sum(cost)
             FROM messages WHERE timestamp >= ?1
             GROUP BY day ORDER BY day DESC LIMIT ?2",
            (
                Timestamp(page::since(tx.now(), days(self.days))),
                page::MAX_LIMIT,
            ),
            |row| {
                Ok(DayActivity {
                    date: day(row, 0)?,
                    active_users: count(row, 1)?,
                    total_messages: count(row, 2)?,
                    total_cost: amount(row, 3)?,
                })
            },
        )
    }
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

/// The users who cost most, by the sum over their messages. Reads all messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[rtype(result = "Result<Vec<TopUser>>")]
pub struct TopUsers {
    /// How many at most: from 1, capped at [`page::MAX_LIMIT`].
    pub limit: u32,
}

impl Query for TopUsers {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<TopUser>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<TopUser>> {
        tx.all(
            "SELECT u.user_id, u.telegram_username, m.total_cost, m.total_messages
             FROM (SELECT user_id, sum(cost) AS total_cost, count(*) AS total_messages
                   FROM messages GROUP BY user_id) m
             JOIN users u ON u.user_id = m.user_id
             ORDER BY m.total_cost DESC, u.user_id LIMIT ?1",
            [page::limit("limit", self.limit)?],
            |row| {
                Ok(TopUser {
                    user_id: row.get(0)?,
                    username: row.get(1)?,
                    total_cost: amount(row, 2)?,
                    total_messages: count(row, 3)?,
                })
            },
        )
    }
}
