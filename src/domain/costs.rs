//! Users' costs by day, of messages and of other requests. A day is a UTC day, whatever
//! [`Config::time_zone`](crate::Config::time_zone) is: other programs write the same table with UTC days, and a row of
//! it cannot be divided. Costs by the days of the zone are in the dashboards of [`analytics`](crate::analytics), and by
//! model in [`usage`](crate::usage).

use super::columns::{amount, count, day, nanos};
use super::limits::{self, ReservationId};
use super::page;
use super::usage::{self, Usage};
use super::when::When;
use super::{Usd, UserId, users, validate};
use crate::error::Result;
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::texts::{self, Texts};
use crate::time;
use chrono::{DateTime, Days, NaiveDate, Utc};
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};

/// Adds a request and its cost to a user's day, for a request that is not a message: an image, a transcription.
/// The user's own total counts only messages, and does not change.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user, and for a reservation that was never given, or to
/// another user; [`Invalid`](crate::ErrorKind::Invalid) for a cost outside 0 to 9,000,000 dollars, said or
/// computed from tokens, or a time in the future or before 1970.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::{Usd, costs::AddCost};
///
/// store.write(AddCost::new(42, Usd::from_dollars(0.04)?)).await?; // An image.
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AddCost {
    /// The user.
    pub user_id: UserId,
    /// The cost, in US dollars: from 0.
    pub cost: Usd,
    /// When the request was, for imported history: it counts on that day.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// What the request to a model used.
    #[serde(default)]
    pub usage: Option<Box<Usage>>,
    /// What was reserved for the request.
    #[serde(default)]
    pub reservation: Option<ReservationId>,
}

impl AddCost {
    /// This cost for this user.
    pub fn new(user_id: impl Into<UserId>, cost: Usd) -> Self {
        Self {
            user_id: user_id.into(),
            cost,
            at: None,
            usage: None,
            reservation: None,
        }
    }

    /// What the request to a model used. A cost of 0 is then not known, unless the usage says so, too: the request
    /// costs what tokens and [`prices`](crate::prices) say, or 0 without a price.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(Box::new(usage));
        self
    }

    /// What was reserved for the request ([`Reserve`](crate::limits::Reserve)), as
    /// [`SaveInteraction::reservation`](crate::interactions::SaveInteraction::reservation()). The same cost on the same
    /// model, sent again with a reservation that it has settled, changes nothing.
    pub fn reservation(mut self, reservation: impl Into<ReservationId>) -> Self {
        self.reservation = Some(reservation.into());
        self
    }

    /// When the request was, for history that a bot imports: from 1970 to now.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }
}

impl Mutation for AddCost {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        validate::request_cost("cost", self.cost)?;
        let when = When::of(tx, self.at)?;
        users::exists(tx, self.user_id)?;
        if when.is_history() {
            users::was_there(tx, self.user_id, &when)?;
        }
        let priced = usage::price(tx, self.usage.as_deref(), self.cost, &when)?;
        let reserved = self
            .reservation
            .map(|reservation| limits::find_reservation(tx, self.user_id, reservation));
        let reserved = reserved.transpose()?;
        let settled_by = reserved.as_ref().and_then(limits::Named::settled_by);
        if settled_by.is_some_and(|id| id < 0) && self.is_request(tx, settled_by, priced.cost)? {
            return Ok(());
        }
        add(tx, self.user_id, priced.cost, &when)?;
        let usage = self.usage.as_deref();
        let usage_id = usage::save_other(tx, self.user_id, usage, priced, &when)?;
        if let Some(reserved) = reserved {
            reserved.settle(tx, usage_id)?;
        }
        Ok(())
    }

    fn texts(&self, texts: &mut Texts) {
        if let Some(usage) = &self.usage {
            usage.texts(texts);
        }
    }

    fn size_bytes(&self) -> usize {
        let usage = self.usage.as_deref().map_or(0, size_of_val);
        size_of_val(self) + usage + texts::weigh(|texts| self.texts(texts))
    }
}

impl AddCost {
    /// Whether the request of this id has this cost and this message's model.
    fn is_request(&self, tx: &ReadTx<'_>, usage_id: Option<i64>, cost: Usd) -> Result<bool> {
        let model = self.usage.as_deref().map(|usage| &usage.model);
        let same = tx.maybe(
            "SELECT 1 FROM botstore_usage
             WHERE usage_id = ?1 AND user_id = ?2 AND coalesce(cost_nanos, 0) = ?3 AND request_model IS ?4",
            (usage_id, self.user_id, cost.nanos(), model),
            |_| Ok(()),
        )?;
        Ok(same.is_some())
    }
}

pub(super) fn add(tx: &WriteTx<'_>, user_id: UserId, cost: Usd, when: &When<'_>) -> Result<()> {
    // Two statements, since nearly every request finds the day's row: an upsert would look for a conflict first.
    // Another program may have left an infinite value, which would stay infinite.
    let added = tx.execute(
        "UPDATE cost_tracking
         SET daily_cost = (?3 + round(1e9 *
                 CASE WHEN abs(0.0 + daily_cost) < 1e18 THEN daily_cost ELSE 0.0 END)) / 1e9,
             request_count = 1
                 + CASE WHEN abs(0.0 + request_count) < 1e18 THEN request_count ELSE 0 END
         WHERE user_id = ?1 AND date = ?2",
        (user_id, when.day(), cost.nanos()),
    )?;
    if added == 0 {
        tx.execute(
            "INSERT INTO cost_tracking (user_id, date, daily_cost, request_count) VALUES (?1, ?2, ?3, 1)",
            (user_id, when.day(), cost.dollars()),
        )?;
    }
    Ok(())
}

/// Adds nano-dollars and requests, which may be negative, to a user's day, if the day has a row. A row that
/// becomes zero is deleted.
pub(super) fn recount(
    tx: &WriteTx<'_>,
    user_id: &dyn ToSql,
    day: &Cell,
    (nanos, requests): (i64, i64),
) -> Result<()> {
    tx.execute(
        "UPDATE cost_tracking
         SET daily_cost = max(0.0, ?3 + round(1e9 *
                 CASE WHEN abs(0.0 + daily_cost) < 1e18 THEN daily_cost ELSE 0.0 END)) / 1e9,
             request_count = max(0, ?4 +
                 CASE WHEN abs(0.0 + request_count) < 1e18 THEN request_count ELSE 0 END)
         WHERE user_id = ?1 AND date = ?2",
        (user_id, day, nanos, requests),
    )?;
    if requests < 0 {
        tx.execute(
            "DELETE FROM cost_tracking
             WHERE user_id = ?1 AND date = ?2 AND request_count = 0 AND daily_cost = 0",
            (user_id, day),
        )?;
    }
    Ok(())
}

/// A user's cost on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DailyCost {
    /// The day, UTC.
    pub date: NaiveDate,
    /// What the user's requests cost, in US dollars.
    pub daily_cost: Usd,
    /// How many requests the user had.
    pub request_count: u64,
}

impl DailyCost {
    /// A day, for a test of your own.
    pub fn new(date: NaiveDate, daily_cost: Usd, request_count: u64) -> Self {
        Self {
            date,
            daily_cost,
            request_count,
        }
    }
}

/// Lists a user's costs of today and the `days` days before, newest first; days without a request are left out. Days
/// are UTC days in any [`time_zone`](crate::Config::time_zone).
/// Reads one row for each day, at most [`page::MAX_LIMIT`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::costs::UserDailyCosts;
///
/// let today = store.read(UserDailyCosts::new(42, 0)).await?;
/// assert_eq!(today[0].request_count, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserDailyCosts {
    /// The user.
    pub user_id: UserId,
    /// How many days before today.
    pub days: u32,
}

impl UserDailyCosts {
    /// This user's costs of today and this many days before.
    pub fn new(user_id: impl Into<UserId>, days: u32) -> Self {
        Self {
            user_id: user_id.into(),
            days,
        }
    }
}

impl Query for UserDailyCosts {
    type Output = Vec<DailyCost>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DailyCost>> {
        let days = tx.all(
            "SELECT date, daily_cost, request_count FROM cost_tracking
             WHERE user_id = ?1 AND date >= ?2 ORDER BY date DESC LIMIT ?3",
            (self.user_id, first_day(tx, self.days), page::MAX_LIMIT),
            |row| {
                let Some(date) = day(row, 0)? else {
                    return Ok(None);
                };
                Ok(Some(DailyCost {
                    date,
                    daily_cost: amount(row, 1)?,
                    request_count: count(row, 2)?,
                }))
            },
        )?;
        Ok(days.into_iter().flatten().collect())
    }
}

/// All users' costs on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DayTotal {
    /// The day, UTC.
    pub date: NaiveDate,
    /// What all requests cost, in US dollars.
    pub total_cost: Usd,
    /// How many requests there were.
    pub total_requests: u64,
    /// How many users had a request.
    pub active_users: u64,
}

impl DayTotal {
    /// A day, for a test of your own.
    pub fn new(date: NaiveDate, total_cost: Usd, total_requests: u64, active_users: u64) -> Self {
        Self {
            date,
            total_cost,
            total_requests,
            active_users,
        }
    }
}

/// Lists all users' costs of today and the `days` days before, newest first; days without a request are left out.
/// Days are UTC days in any [`time_zone`](crate::Config::time_zone). Reads one row for each day, at most [`page::MAX_LIMIT`].
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::costs::TotalCosts;
///
/// let month = store.read(TotalCosts::new(30)).await?;
/// assert_eq!(month[0].total_requests, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TotalCosts {
    /// How many days before today.
    pub days: u32,
}

impl TotalCosts {
    /// The costs of today and this many days before.
    pub fn new(days: u32) -> Self {
        Self { days }
    }
}

impl Query for TotalCosts {
    const LANE: crate::Lane = crate::Lane::Analytics;
    type Output = Vec<DayTotal>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DayTotal>> {
        let days = tx.all(
            "SELECT day, cost, requests, users FROM botstore_cost_day
             WHERE day >= ?1 ORDER BY day DESC LIMIT ?2",
            (first_day(tx, self.days), page::MAX_LIMIT),
            |row| {
                let Some(date) = day(row, 0)? else {
                    return Ok(None);
                };
                Ok(Some(DayTotal {
                    date,
                    total_cost: nanos(row, 1)?,
                    total_requests: count(row, 2)?,
                    active_users: count(row, 3)?,
                }))
            },
        )?;
        Ok(days.into_iter().flatten().collect())
    }
}

/// The day this many days before today, as the file spells it.
fn first_day(tx: &ReadTx<'_>, days: u32) -> String {
    let first = tx.now().checked_sub_days(Days::new(days.into()));
    let text = time::format(first.unwrap_or(chrono::DateTime::<chrono::Utc>::MIN_UTC));
    text[..10].to_owned()
}
