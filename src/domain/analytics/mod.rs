//! What it all comes to: statistics and dashboards, each on one snapshot.
//!
//! Totals here are those of messages and tool uses, so they also tell of rows that no counter has
//! seen. They come from [`rollups`](crate::rollups), which are kept with every change: an answer costs
//! what it shows, however old the bot is. Days are UTC days, or those of
//! [`Config::day_offset`](crate::Config::day_offset). They run in the analytics lane.

mod activity;
mod dashboards;
mod system;
mod user;

pub use activity::{Activity, Bucket, Fill, MAX_DAYS, PeriodActivity, Span, UserActivity};
pub use dashboards::{AdminDashboard, SystemOverview, UserDashboard, UserOverview};
pub use system::{DailyActivity, DayActivity, SystemStatistics, SystemStats, TopUser, TopUsers};
pub use user::{ToolCount, UserDay, UserStatistics, UserStats};

use super::rollups;
use crate::error::Result;
use crate::operation::ReadTx;
use chrono::{Datelike, Days};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far back the statistics by day reach.
const DAYS: u32 = 30;

/// How long the lists of the most used and most active are.
const TOP: u32 = 10;

/// The day so many days before today, as the file spells it.
fn first_day(tx: &ReadTx<'_>, days: u32) -> Result<String> {
    let first = rollups::today(tx)?.checked_sub_days(Days::new(days.into()));
    // Before the first year that four digits can tell, the order of texts is not that of days.
    let first = first.filter(|first| first.year() > 0);
    Ok(first.map_or_else(|| "0001-01-01".to_owned(), |first| first.to_string()))
}
