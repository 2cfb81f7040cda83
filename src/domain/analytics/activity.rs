//! Activity in a span of days, by day, week or month: for plots and tables.

use super::span::{Span, Whose};
use crate::domain::columns::{count, day, integer, maybe_number, nanos};
use crate::domain::rollups::now;
use crate::domain::{Usd, UserId};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use chrono::{Datelike, Days, Months, NaiveDate};
use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The length of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bucket {
    /// Each day.
    #[default]
    Day,
    /// Each week, from Monday to Sunday.
    Week,
    /// Each month of the calendar.
    Month,
}

/// What happens to periods without a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fill {
    /// They are left out.
    #[default]
    Omit,
    /// They are included, with zeros, as a plot needs them.
    Fill,
}

/// Activity in the part of one day, week or month that is in the span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeriodActivity {
    /// Its first day in the span.
    pub from: NaiveDate,
    /// Its last day in the span.
    pub to: NaiveDate,
    /// Users with a message.
    pub active_users: u64,
    /// Messages.
    pub messages: u64,
    /// Messages that ended in an error.
    pub errors: u64,
    /// What they cost, in US dollars.
    pub cost: Usd,
    /// The average duration of an answer, in milliseconds, over the messages that have one.
    pub avg_duration_ms: Option<f64>,
}

impl PeriodActivity {
    /// A period without a message, for a test of your own.
    pub fn new(from: NaiveDate, to: NaiveDate) -> Self {
        Self {
            from,
            to,
            active_users: 0,
            messages: 0,
            errors: 0,
            cost: Usd::ZERO,
            avg_duration_ms: None,
        }
    }
}

/// All users' activity in a span, oldest first. Reads one row for each day; for weeks and months also one for
/// each day of each user, to count each user once.
///
/// For administrators: the answer is about all users.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a span that ends before it begins, or is longer than
/// [`MAX_DAYS`](super::MAX_DAYS). The [`LastActiveDays`](Span::LastActiveDays) may go back further, but not with
/// [`Fill::Fill`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::analytics::{Activity, Fill, Bucket, Span};
///
/// let weeks = store
///     .read(Activity::new(Span::LastDays(27)).by(Bucket::Week).gaps(Fill::Fill))
///     .await?;
/// assert!(weeks.iter().all(|week| week.messages == 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Activity {
    /// Which days.
    pub span: Span,
    /// The length of a period.
    pub by: Bucket,
    /// What happens to periods without a message.
    pub gaps: Fill,
}

impl Activity {
    /// This span, by the day, without periods that have no message.
    pub fn new(span: Span) -> Self {
        Self {
            span,
            by: Bucket::default(),
            gaps: Fill::default(),
        }
    }

    /// The length of a period.
    pub fn by(mut self, by: Bucket) -> Self {
        self.by = by;
        self
    }

    /// What happens to periods without a message.
    pub fn gaps(mut self, gaps: Fill) -> Self {
        self.gaps = gaps;
        self
    }
}

/// One user's activity in a span, oldest first. Reads one row for each day on which the user had a message.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::analytics::{Span, UserActivity};
///
/// let week = store.read(UserActivity::new(42, Span::LastDays(6))).await?;
/// assert_eq!(week[0].messages, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserActivity {
    /// The user. A user without messages, or unknown, has no activity.
    pub user_id: UserId,
    /// Which days.
    pub span: Span,
    /// The length of a period.
    pub by: Bucket,
    /// What happens to periods without a message.
    pub gaps: Fill,
}

impl UserActivity {
    /// This span of this user, by the day, without periods that have no message.
    pub fn new(user_id: impl Into<UserId>, span: Span) -> Self {
        Self {
            user_id: user_id.into(),
            span,
            by: Bucket::default(),
            gaps: Fill::default(),
        }
    }

    /// The length of a period.
    pub fn by(mut self, by: Bucket) -> Self {
        self.by = by;
        self
    }

    /// What happens to periods without a message.
    pub fn gaps(mut self, gaps: Fill) -> Self {
        self.gaps = gaps;
        self
    }
}

/// The counts of one day.
struct Day {
    date: NaiveDate,
    users: u64,
    messages: u64,
    errors: u64,
    timed: u64,
    duration_ms: f64,
    cost: Usd,
}

impl Query for Activity {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<PeriodActivity>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<PeriodActivity>> {
        let (from, to) = self.span.days(tx, Whose::Everybody)?;
        self.span.fits(self.gaps, (from, to))?;
        let span = [from.to_string(), to.to_string()];
        let mut days = tx.all(&now::days(), params_from_iter(&span), read_day)?;
        days.reverse();
        let days: Vec<_> = days.into_iter().flatten().collect();
        let mut periods = gather(from, to, self.by, self.gaps, &days);
        if self.by != Bucket::Day {
            let late = tx.all(&now::late_users(), params_from_iter(&span), |row| {
                Ok((day(row, 0)?, integer(row, 1)?))
            })?;
            for period in &mut periods {
                period.active_users = active_users(tx, period, &late)?;
            }
        }
        Ok(periods)
    }
}

/// Counts each user of a period once. `late` are the days and users of the messages that wait to be counted.
fn active_users(
    tx: &ReadTx<'_>,
    period: &PeriodActivity,
    late: &[(Option<NaiveDate>, i64)],
) -> Result<u64> {
    let (from, to) = (period.from.to_string(), period.to.to_string());
    let counted = tx.one(&now::counted_users(), (&from, &to), |row| count(row, 0))?;
    let within =
        |day: &Option<NaiveDate>| day.is_some_and(|day| period.from <= day && day <= period.to);
    let late: BTreeSet<_> = late
        .iter()
        .filter(|(day, _)| within(day))
        .map(|(_, user_id)| *user_id)
        .collect();
    let mut new = 0;
    for user_id in late {
        let is_counted = tx.maybe(&now::is_counted(), (user_id, &from, &to), |_| Ok(()))?;
        new += u64::from(is_counted.is_none());
    }
    Ok(counted + new)
}

impl Query for UserActivity {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<PeriodActivity>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<PeriodActivity>> {
        let (from, to) = self.span.days(tx, Whose::Of(self.user_id))?;
        self.span.fits(self.gaps, (from, to))?;
        let span = (self.user_id, from.to_string(), to.to_string());
        let mut days = tx.all(&now::days_of_user(), span, read_day)?;
        days.reverse();
        let days: Vec<_> = days.into_iter().flatten().collect();
        let mut periods = gather(from, to, self.by, self.gaps, &days);
        for period in &mut periods {
            period.active_users = period.active_users.min(1);
        }
        Ok(periods)
    }
}

fn read_day(row: &rusqlite::Row<'_>) -> Result<Option<Day>> {
    let Some(date) = day(row, 0)? else {
        return Ok(None);
    };
    Ok(Some(Day {
        date,
        users: count(row, 1)?,
        messages: count(row, 2)?,
        errors: count(row, 3)?,
        timed: count(row, 4)?,
        duration_ms: maybe_number(row, 5)?.unwrap_or(0.0),
        cost: nanos(row, 6)?,
    }))
}

impl Bucket {
    /// The first day of the period after the one that contains `day`.
    fn next(self, day: NaiveDate) -> NaiveDate {
        let next = match self {
            Self::Day => day.succ_opt(),
            Self::Week => {
                let left = 7 - day.weekday().num_days_from_monday();
                day.checked_add_days(Days::new(left.into()))
            }
            Self::Month => day
                .with_day(1)
                .and_then(|first| first.checked_add_months(Months::new(1))),
        };
        next.unwrap_or(NaiveDate::MAX)
    }
}

/// Groups days into periods. `days` are in order.
fn gather(
    from: NaiveDate,
    to: NaiveDate,
    by: Bucket,
    gaps: Fill,
    days: &[Day],
) -> Vec<PeriodActivity> {
    let mut periods = Vec::new();
    let mut rest = days.iter().peekable();
    let mut begins = from;
    loop {
        let next = by.next(begins);
        let last = next.pred_opt().unwrap_or(to).min(to);
        let mut period = PeriodActivity {
            from: begins,
            to: last,
            active_users: 0,
            messages: 0,
            errors: 0,
            cost: Usd::ZERO,
            avg_duration_ms: None,
        };
        let (mut timed, mut duration_ms) = (0, 0.0);
        while let Some(day) = rest.next_if(|day| day.date <= last) {
            period.active_users = period.active_users.saturating_add(day.users);
            period.messages = period.messages.saturating_add(day.messages);
            period.errors = period.errors.saturating_add(day.errors);
            period.cost += day.cost;
            timed = day.timed.saturating_add(timed);
            duration_ms += day.duration_ms;
        }
        period.avg_duration_ms = (timed > 0).then(|| duration_ms / timed as f64);
        if period.messages > 0 || gaps == Fill::Fill {
            periods.push(period);
        }
        // The calendar's last day has no next day.
        if next > to || next <= begins {
            return periods;
        }
        begins = next;
    }
}
