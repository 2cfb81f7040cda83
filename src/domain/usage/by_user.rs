//! What requests used in all, by user.

use super::UsageTotals;
use crate::domain::columns::{integer, maybe_text};
use crate::domain::rollups::{LAST_DAY, first_day, usage_now as now};
use crate::domain::{UserId, page};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// What the requests of one user used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserTotals {
    /// The user.
    pub user_id: UserId,
    /// The user's name, if one is known.
    pub username: Option<String>,
    /// What they used.
    pub totals: UsageTotals,
}

impl UserTotals {
    /// A user who used nothing yet, for a test of your own.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            username: None,
            totals: UsageTotals::default(),
        }
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            user_id: integer(row, 0)?.into(),
            totals: UsageTotals::read(row, 1)?,
            username: maybe_text(row, 10)?,
        })
    }
}

/// What each user's requests of today and the `days` days before used: who costs most comes first. Days are those of
/// [`Config::time_zone`](crate::Config::time_zone). At most [`page::MAX_LIMIT`] users.
///
/// Reads one row for each day, user and model, and the newest requests, some hundred, which wait to be counted.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::usage::{Usage, UsageByUser};
///
/// let said = SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// store.write(said.usage(Usage::new("openai", "gpt-5-mini").output_tokens(40))).await?;
///
/// let week = store.read(UsageByUser::new(6)).await?;
/// assert_eq!(week[0].user_id, 42);
/// assert_eq!(week[0].totals.output_tokens, 40);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageByUser {
    /// How many days before today.
    pub days: u32,
}

impl UsageByUser {
    /// Today and this many days before.
    pub fn new(days: u32) -> Self {
        Self { days }
    }
}

impl Query for UsageByUser {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<UserTotals>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<UserTotals>> {
        let span = (first_day(tx, self.days)?, LAST_DAY, page::MAX_LIMIT);
        tx.all(&now::users(), span, UserTotals::read)
    }
}
