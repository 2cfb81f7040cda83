//! Statistics of one user.

use super::{DAYS, TOP, first_day};
use crate::domain::columns::{
    amount, count, day, integer, maybe_amount, maybe_number, maybe_time, text,
};
use crate::domain::{Usd, UserId};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// How often a tool was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCount {
    /// The tool.
    pub tool_name: String,
    /// How often.
    pub usage_count: u64,
}

impl ToolCount {
    /// A count, for a test of your own.
    pub fn new(tool_name: impl Into<String>, usage_count: u64) -> Self {
        Self {
            tool_name: tool_name.into(),
            usage_count,
        }
    }
}

/// A user's activity on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserDay {
    /// The day: UTC, or that of [`Config::day_offset`](crate::Config::day_offset).
    pub date: NaiveDate,
    /// Messages.
    pub messages: u64,
    /// What they cost, in US dollars.
    pub cost: Usd,
    /// Sessions with a message of the user.
    pub sessions: u64,
}

impl UserDay {
    /// A day, for a test of your own.
    pub fn new(date: NaiveDate, messages: u64, cost: Usd, sessions: u64) -> Self {
        Self {
            date,
            messages,
            cost,
            sessions,
        }
    }
}

/// Statistics of one user. Reads one row for each day on which the user had a message.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::UserStats;
///
/// assert_eq!(store.read(UserStats::new(42)).await?.total_messages, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserStats {
    /// The user. A user without messages, or unknown, has zeros.
    pub user_id: UserId,
}

impl UserStats {
    /// Of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

/// The answer to [`UserStats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserStatistics {
    /// Sessions with a message of the user.
    pub total_sessions: u64,
    /// Messages.
    pub total_messages: u64,
    /// What they cost, in US dollars.
    pub total_cost: Usd,
    /// The average cost of a message, in US dollars; `None` without messages.
    pub avg_cost: Option<Usd>,
    /// The time of the last message.
    pub last_activity: Option<DateTime<Utc>>,
    /// The average duration of an answer, in milliseconds, over the messages that have one.
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
        let last_activity = last_activity(tx, user_id)?;
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
                    avg_cost: maybe_amount(row, 2)?,
                    last_activity,
                    avg_duration_ms: maybe_number(row, 3)?,
                    top_tools,
                    daily_usage: daily_usage.into_iter().flatten().collect(),
                })
            },
        )
    }
}

/// On a day with this many messages, the user's own are read, and otherwise the last ones of all users.
const FEW: i64 = 256;

/// The time of a user's last message by the clock, which need not be that of the largest id.
///
/// No index has a user's messages by time: each message would write it. The rollups know the last day and its number
/// of messages. Usually they are the newest by id; then these are all that is read. Otherwise all users' messages of
/// that day are read from its end, down to the user's last.
fn last_activity(tx: &ReadTx<'_>, user_id: UserId) -> Result<Option<DateTime<Utc>>> {
    let day = tx.maybe(
        "SELECT day, messages FROM botstore_user_day
         WHERE user_id = ?1 AND day > '' ORDER BY day DESC LIMIT 1",
        [user_id],
        |row| Ok((text(row, 0)?, integer(row, 1)?)),
    )?;
    if let Some((day, messages)) = day {
        if messages <= FEW {
            let (found, last) = tx.one(
                "SELECT count(*), max(timestamp)
                 FROM (SELECT timestamp FROM messages INDEXED BY botstore_messages_of_user
                       WHERE user_id = ?1 ORDER BY message_id DESC LIMIT ?2)
                 WHERE date(substr(timestamp, 1, 19), (SELECT day_offset FROM botstore_total) || ' minutes') = ?3",
                (user_id, messages + FEW, &day),
                |row| Ok((integer(row, 0)?, maybe_time(row, 1)?)),
            )?;
            if found == messages {
                return Ok(last);
            }
        }
        let last = tx.maybe(
            "SELECT timestamp FROM messages INDEXED BY idx_messages_timestamp
             WHERE timestamp >= date(?2, '-1 day')
               AND timestamp < strftime('%Y-%m-%dT%H:%M:%S', ?2, '+1 day',
                                        (SELECT -day_offset FROM botstore_total) || ' minutes')
               AND user_id = ?1
             ORDER BY timestamp DESC LIMIT 1",
            (user_id, &day),
            |row| maybe_time(row, 0),
        )?;
        if last.is_some() {
            return Ok(last.flatten());
        }
    }
    // The user has no message, or none with a time.
    let newest = tx.maybe(
        "SELECT timestamp FROM messages INDEXED BY botstore_messages_of_user
         WHERE user_id = ?1 ORDER BY message_id DESC LIMIT 1",
        [user_id],
        |row| maybe_time(row, 0),
    )?;
    Ok(newest.flatten())
}
