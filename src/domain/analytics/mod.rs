//! Statistics and dashboards. The answer to each is from one snapshot.
//!
//! Totals here are sums over messages and tool uses, so they include rows that no counter has counted. They come
//! from [`rollups`](crate::rollups), to which answers add the rows that wait to be counted: the cost of an answer depends on its size,
//! however old the bot is. Days are those of [`Config::time_zone`](crate::Config::time_zone), which is UTC by default;
//! [`TimeZone`] names it, and so do the statistics.
//! These queries run in the analytics lane.

mod activity;
mod costs;
mod dashboards;
mod system;
mod user;
mod zone;

pub use activity::{Activity, Bucket, Fill, MAX_DAYS, PeriodActivity, Span, UserActivity};
pub use dashboards::{AdminDashboard, SystemOverview, UserDashboard, UserOverview};
pub use system::{DailyActivity, DayActivity, SystemStatistics, SystemStats, TopUser, TopUsers};
pub use user::{ToolCount, UserDay, UserStatistics, UserStats};
pub use zone::TimeZone;

use super::rollups::{FIRST_DAY, LAST_DAY, first_day};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many days before today the statistics by day cover.
const DAYS: u32 = 30;

/// The length of the lists of most used tools and most expensive users.
const TOP: u32 = 10;

/// The average of so many values with this sum; `None` of none.
fn average(values: u64, sum: Option<f64>) -> Option<f64> {
    sum.filter(|_| values > 0).map(|sum| sum / values as f64)
}

/// The name of the zone in which a bot's days are by default.
fn utc() -> String {
    "UTC".to_owned()
}
