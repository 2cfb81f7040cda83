//! The questions of the page: the crate's own dashboards, and how often the bot failed, by day.
//! Each is one query and so sees one snapshot, in which the numbers agree.

use actix::Message;
use botstore::analytics::{
    AdminDashboard, DailyActivity, SystemOverview, UserDashboard, UserOverview,
};
use botstore::costs::TotalCosts;
use botstore::time::Timestamp;
use botstore::{Error, Lane, Query, ReadTx, Result};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many days a page may ask for.
const MAX_DAYS: u32 = 365;

/// The days of a user's statistics, which the crate sets.
const USER_DAYS: u32 = 30;

/// One day of a chart. Days on which nothing happened are there too, with zeros.
#[derive(Default, Serialize)]
pub(crate) struct Day {
    messages: u64,
    errors: i64,
    cost: f64,
    /// Of the admin's days; a user's have none.
    active_users: u64,
}

/// A day, as JSON has it.
#[derive(Serialize)]
pub(crate) struct Dated {
    date: NaiveDate,
    #[serde(flatten)]
    day: Day,
}

/// Days up to today, in order.
struct Calendar(BTreeMap<NaiveDate, Day>);

impl Calendar {
    fn up_to(now: DateTime<Utc>, days: u32) -> Self {
        let today = now.date_naive();
        let dates = (0..days.into()).filter_map(|back| today.checked_sub_days(Days::new(back)));
        Self(dates.map(|date| (date, Day::default())).collect())
    }

    /// Changes a day. What is known of others is left out: the crate counts in times of 24 hours,
    /// which begin in the middle of a day.
    fn on(&mut self, date: NaiveDate, change: impl FnOnce(&mut Day)) {
        self.0.entry(date).and_modify(change);
    }

    fn count_errors(&mut self, tx: &ReadTx<'_>, user_id: Option<i64>) -> Result<()> {
        let Some(first) = self.0.keys().next() else {
            return Ok(());
        };
        let since = Timestamp(first.and_time(NaiveTime::MIN).and_utc());
        let read = |row: &botstore::rusqlite::Row<'_>| {
            let date: String = row.get(0)?;
            Ok((date.parse().unwrap_or_default(), row.get(1)?))
        };
        let errors = match user_id {
            None => tx.all(
                "SELECT date(timestamp) AS day, count(*) FROM messages
                 WHERE timestamp >= ?1 AND error IS NOT NULL GROUP BY day",
                [since],
                read,
            ),
            Some(user_id) => tx.all(
                "SELECT date(timestamp) AS day, count(*) FROM messages
                 WHERE user_id = ?2 AND timestamp >= ?1 AND error IS NOT NULL GROUP BY day",
                (since, user_id),
                read,
            ),
        };
        for (date, errors) in errors? {
            self.on(date, |day| day.errors = errors);
        }
        Ok(())
    }

    fn into_days(self) -> Vec<Dated> {
        let dated = |(date, day)| Dated { date, day };
        self.0.into_iter().map(dated).collect()
    }
}

/// Everything that the admin sees.
#[derive(Message)]
#[rtype(result = "Result<AdminPage>")]
pub(crate) struct AdminView {
    /// How many days, today included.
    pub(crate) days: u32,
}

/// The answer to [`AdminView`].
#[derive(Serialize)]
pub(crate) struct AdminPage {
    now: DateTime<Utc>,
    days: Vec<Dated>,
    overview: SystemOverview,
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
        let mut calendar = Calendar::up_to(tx.now(), days);
        for activity in tx.ask(&DailyActivity { days })? {
            calendar.on(activity.date, |day| {
                day.messages = activity.total_messages;
                day.active_users = activity.active_users;
            });
        }
        for total in tx.ask(&TotalCosts { days })? {
            calendar.on(total.date, |day| day.cost = total.total_cost);
        }
        calendar.count_errors(tx, None)?;
        Ok(AdminPage {
            now: tx.now(),
            days: calendar.into_days(),
            // Its statistics have the users who cost most and the tools.
            overview: tx.ask(&AdminDashboard::default())?,
        })
    }
}

/// Everything about one user; `None` if unknown.
#[derive(Message)]
#[rtype(result = "Result<Option<UserPage>>")]
pub(crate) struct UserView {
    pub(crate) user_id: i64,
}

/// The answer to [`UserView`].
#[derive(Serialize)]
pub(crate) struct UserPage {
    now: DateTime<Utc>,
    days: Vec<Dated>,
    overview: UserOverview,
}

impl Query for UserView {
    const LANE: Lane = Lane::Analytics;
    type Output = Option<UserPage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<UserPage>> {
        let user_id = self.user_id;
        let Some(overview) = tx.ask(&UserDashboard { user_id })? else {
            return Ok(None);
        };
        let mut calendar = Calendar::up_to(tx.now(), USER_DAYS);
        for used in &overview.stats.daily_usage {
            calendar.on(used.date, |day| day.messages = used.messages);
        }
        for cost in &overview.daily_costs {
            calendar.on(cost.date, |day| day.cost = cost.daily_cost);
        }
        calendar.count_errors(tx, Some(user_id))?;
        Ok(Some(UserPage {
            now: tx.now(),
            days: calendar.into_days(),
            overview,
        }))
    }
}
