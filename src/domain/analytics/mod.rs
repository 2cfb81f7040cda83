//! Statistics and dashboards. The answer to each is from one snapshot.
//!
//! Totals here are sums over messages and tool uses, so they include rows that no counter has counted. They come
//! from [`rollups`](crate::rollups), to which answers add the rows that wait to be counted: the cost of an answer depends on its size,
//! however old the bot is. Days are those of [`Config::time_zone`](crate::Config::time_zone), which is UTC by default;
//! [`TimeZone`] names it, and so do the statistics.
//! These queries run in the analytics lane.

mod active;
mod activity;
mod dashboards;
mod span;
mod system;
mod user;
mod zone;

pub use active::ActiveUsers;
pub use activity::{Activity, Bucket, Fill, PeriodActivity, UserActivity};
pub use dashboards::{AdminDashboard, SystemOverview, UserDashboard, UserOverview};
pub use span::{MAX_DAYS, Span};
pub use system::{DailyActivity, DayActivity, SystemStatistics, SystemStats, TopUser, TopUsers};
pub use user::{ToolCount, UserDay, UserStatistics, UserStats};
pub use zone::TimeZone;

use super::rollups;
use crate::error::Result;
use crate::operation::ReadTx;
use chrono::{Datelike, Days};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many days before today the statistics by day cover.
const DAYS: u32 = 30;

/// The length of the lists of most used tools and most expensive users.
const TOP: u32 = 10;

/// No day is earlier, as the file spells days: what is no time has the day ''.
const FIRST_DAY: &str = "0001-01-01";

/// No day is later, as the file spells days: the calendar's last. One of year 10,000 begins with a sign.
const LAST_DAY: &str = "9999-12-31";

/// The average of so many values with this sum; `None` of none.
fn average(values: u64, sum: Option<f64>) -> Option<f64> {
    sum.filter(|_| values > 0).map(|sum| sum / values as f64)
}

/// The name of the zone in which a bot's days are by default.
fn utc() -> String {
    "UTC".to_owned()
}

/// The day this many days before today, as the file spells it.
fn first_day(tx: &ReadTx<'_>, days: u32) -> Result<String> {
    let first = rollups::today(tx)?.checked_sub_days(Days::new(days.into()));
    // Texts of years before 1 are not in the order of days.
    let first = first.filter(|first| first.year() > 0);
    Ok(first.map_or_else(|| FIRST_DAY.to_owned(), |first| first.to_string()))
}
