//! The questions of the page: the crate's own dashboards, what happened by day, and what was spent.
//! Each is one query and so sees one snapshot, in which the numbers agree.

use crate::spending::Spending;
use botstore::analytics::{
    Activity, AdminDashboard, Bucket, Fill, PeriodActivity, Span, SystemOverview, UserActivity,
    UserDashboard, UserOverview,
};
use botstore::{Error, Lane, Query, ReadTx, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

/// How many days a page may ask for.
const MAX_DAYS: u32 = 365;

/// The days of a user's statistics, which the crate sets.
const USER_DAYS: u32 = 30;

/// One day of a chart. Days on which nothing happened are there too, with zeros.
#[derive(Serialize)]
pub(crate) struct Day {
    date: NaiveDate,
    messages: u64,
    errors: u64,
    cost: f64,
    active_users: u64,
}

fn day(activity: PeriodActivity) -> Day {
    Day {
        date: activity.from,
        messages: activity.messages,
        errors: activity.errors,
        cost: activity.cost.dollars(),
        active_users: activity.active_users,
    }
}

/// So many days, today included.
fn last(days: u32) -> Span {
    Span::LastDays(days - 1)
}

/// Everything that the admin sees.
pub(crate) struct AdminView {
    /// How many days, today included.
    pub(crate) days: u32,
}

/// The answer to [`AdminView`].
#[derive(Serialize)]
pub(crate) struct AdminPage {
    now: DateTime<Utc>,
    days: Vec<Day>,
    overview: SystemOverview,
    spending: Spending,
}

impl Query for AdminView {
    const LANE: Lane = Lane::Analytics;
    type Output = AdminPage;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<AdminPage> {
        let days = self.days;
        if !(1..=MAX_DAYS).contains(&days) {
            let why = format!("must be from 1 to {MAX_DAYS}, not {days}");
            return Err(Error::invalid("days", &why));
        }
        let activity = tx.query(&Activity::new(last(days)).by(Bucket::Day).gaps(Fill::Fill))?;
        Ok(AdminPage {
            now: tx.now(),
            days: activity.into_iter().map(day).collect(),
            // Its statistics have the users who cost most and the tools.
            overview: tx.query(&AdminDashboard::default())?,
            spending: Spending::of_all(tx, days - 1)?,
        })
    }
}

/// Everything about one user; `None` if unknown.
pub(crate) struct UserView {
    pub(crate) user_id: i64,
}

/// The answer to [`UserView`].
#[derive(Serialize)]
pub(crate) struct UserPage {
    now: DateTime<Utc>,
    days: Vec<Day>,
    overview: UserOverview,
    spending: Spending,
}

impl Query for UserView {
    const LANE: Lane = Lane::Analytics;
    type Output = Option<UserPage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<UserPage>> {
        let user_id = self.user_id;
        let Some(overview) = tx.query(&UserDashboard::new(user_id))? else {
            return Ok(None);
        };
        let activity = tx.query(
            &UserActivity::new(user_id, last(USER_DAYS))
                .by(Bucket::Day)
                .gaps(Fill::Fill),
        )?;
        Ok(Some(UserPage {
            now: tx.now(),
            days: activity.into_iter().map(day).collect(),
            overview,
            spending: Spending::of_user(tx, user_id.into(), USER_DAYS - 1)?,
        }))
    }
}
