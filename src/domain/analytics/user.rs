//! Statistics of one user.

use super::activity::Fill;
use super::span::{Span, Whose};
use super::{DAYS, FIRST_DAY, LAST_DAY, TOP, average, first_day, utc};
use crate::domain::columns::{count, day, integer, maybe_number, maybe_time, nanos, text};
use crate::domain::rollups::{self, now};
use crate::domain::{Usd, UserId};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::Row;
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
    /// The day in [`Config::time_zone`](crate::Config::time_zone).
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

/// Statistics of one user. Reads one row for each day on which the user had a message; and the user's messages, and all
/// tool uses, that wait to be counted, which are some hundred at most.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for days that end before they begin, and for none or more than
/// [`MAX_DAYS`](super::MAX_DAYS).
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
    /// Which days [`daily_usage`](UserStatistics::daily_usage) has; `None` for today and the 30 days before.
    #[serde(default)]
    pub span: Option<Span>,
}

impl UserStats {
    /// Of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            span: None,
        }
    }

    /// Which days [`daily_usage`](UserStatistics::daily_usage) has: `span(Span::LastActiveDays(30))` for the last 30
    /// on which the user had a message.
    pub fn span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }
}

/// The answer to [`UserStats`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Today and the 30 days before, or the days that were asked for, newest first; days without a message are left
    /// out.
    pub daily_usage: Vec<UserDay>,
    /// The zone whose days these are, such as `UTC`, `Europe/Berlin` or `+05:30`: see
    /// [`Config::time_zone`](crate::Config::time_zone).
    #[serde(default = "utc")]
    pub time_zone: String,
}

/// Of a user without a message, of a bot in UTC.
impl Default for UserStatistics {
    fn default() -> Self {
        Self {
            total_sessions: 0,
            total_messages: 0,
            total_cost: Usd::ZERO,
            avg_cost: None,
            last_activity: None,
            avg_duration_ms: None,
            top_tools: Vec::new(),
            daily_usage: Vec::new(),
            time_zone: utc(),
        }
    }
}

impl Query for UserStats {
    const LANE: Lane = Lane::Analytics;
    type Output = UserStatistics;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<UserStatistics> {
        let user_id = self.user_id;
        let top_tools = tx.all(&now::top_tools_of_user(), (user_id, TOP), |row| {
            Ok(ToolCount {
                tool_name: text(row, 0)?,
                usage_count: count(row, 1)?,
            })
        })?;
        let (from, to) = match self.span {
            None => (first_day(tx, DAYS)?, LAST_DAY.to_owned()),
            Some(span) => {
                let (from, to) = span.days(tx, Whose::Of(user_id))?;
                span.fits(Fill::Omit, (from, to))?;
                (from.to_string(), to.to_string())
            }
        };
        let span = (user_id, from, to);
        let daily_usage = tx.all(&now::days_of_user(), span, |row| {
            let Some(date) = day(row, 0)? else {
                return Ok(None);
            };
            Ok(Some(UserDay {
                date,
                messages: count(row, 2)?,
                cost: nanos(row, 6)?,
                sessions: count(row, 1)?,
            }))
        })?;
        let time_zone = rollups::shown_zone(tx).to_string();
        let last_activity = last_activity(tx, user_id)?;
        tx.one(&now::total_of_user(), [user_id], |row| {
            let (total_messages, total_cost) = (count(row, 1)?, nanos(row, 4)?);
            let avg_nanos = average(total_messages, Some(total_cost.nanos() as f64));
            Ok(UserStatistics {
                total_sessions: count(row, 0)?,
                total_messages,
                total_cost,
                avg_cost: avg_nanos.map(|nanos| Usd::from_nanos(nanos.round() as i64)),
                last_activity,
                avg_duration_ms: average(count(row, 2)?, maybe_number(row, 3)?),
                top_tools,
                daily_usage: daily_usage.into_iter().flatten().collect(),
                time_zone,
            })
        })
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
    let last_day = now::days_of_user() + " LIMIT 1";
    let span = (user_id, FIRST_DAY, LAST_DAY);
    let day = tx.maybe(&last_day, span, |row| Ok((text(row, 0)?, integer(row, 2)?)))?;
    if let Some((day, messages)) = day {
        if messages <= FEW {
            let sql = now::latest_of_day();
            let bound = (user_id, messages + FEW, &day);
            let row = |row: &Row<'_>| Ok((integer(row, 0)?, maybe_time(row, 1)?));
            let (found, last) = tx.one(&sql, bound, row)?;
            if found == messages {
                return Ok(last);
            }
        }
        // However far the bot's clock is ahead of UTC, or behind it: the user has no message on a later day.
        let last = tx.maybe(
            "SELECT timestamp FROM messages INDEXED BY idx_messages_timestamp
             WHERE timestamp >= date(?2, '-2 days') AND timestamp < date(?2, '+3 days') AND user_id = ?1
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
