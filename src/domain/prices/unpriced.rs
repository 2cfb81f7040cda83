//! Models that need a price.

use crate::domain::columns::{count, text};
use crate::domain::{page, rollups};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};

/// A model with requests whose cost is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnpricedModel {
    /// Who runs the model.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// How many of its requests have no known cost.
    pub requests: u64,
}

impl UnpricedModel {
    /// A model, for a test of your own.
    pub fn new(provider: impl Into<String>, model: impl Into<String>, requests: u64) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            requests,
        }
    }
}

/// Lists the models with requests of today and the `days` days before whose cost is not known: nobody said it, and
/// there was no price, or the tokens are not known. Those with most requests first; at most
/// [`page::MAX_LIMIT`](crate::page::MAX_LIMIT) models. Days are those of [`Config::time_zone`](crate::Config::time_zone).
/// Set prices for them ([`SetPrice`](super::SetPrice)), then send [`Reprice`](super::Reprice).
///
/// Reads all requests of these days.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::{interactions::SaveInteraction, prices::{UnpricedModel, UnpricedModels}, usage::Usage};
///
/// let usage = Usage::new("acme", "parrot-2").input_tokens(1_000).output_tokens(100);
/// store.write(SaveInteraction::new(42, "s-1", "Hello").creating("/srv").usage(usage)).await?;
/// let unpriced = store.read(UnpricedModels::new(7)).await?;
/// assert_eq!(unpriced, [UnpricedModel::new("acme", "parrot-2", 1)]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnpricedModels {
    /// How many days before today.
    pub days: u32,
}

impl UnpricedModels {
    /// The models of today and this many days before.
    pub fn new(days: u32) -> Self {
        Self { days }
    }
}

impl Query for UnpricedModels {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<UnpricedModel>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<UnpricedModel>> {
        let before = |day: NaiveDate, days| {
            let day = day.checked_sub_days(Days::new(days));
            // Texts of years before 1 are not in the order of days.
            day.filter(|day| day.year() > 0)
        };
        let first = before(rollups::today(tx)?, self.days.into());
        // A day of any zone begins at most a day before that of UTC.
        let from = first.and_then(|first| before(first, 1));
        let [first, from] =
            [first, from].map(|day| day.map_or(String::new(), |day| day.to_string()));
        let day = rollups::day_of("at");
        let sql = format!(
            "WITH requests(provider, model, at) AS (
                 SELECT u.provider_name, u.request_model, m.timestamp
                 FROM messages m INDEXED BY idx_messages_timestamp CROSS JOIN botstore_usage u ON u.usage_id = m.message_id
                 WHERE m.timestamp >= ?1 AND u.cost_source IS NULL
                 UNION ALL
                 SELECT provider_name, request_model, at FROM botstore_usage INDEXED BY botstore_usage_other
                 WHERE usage_id < 0 AND at >= ?1 AND cost_source IS NULL)
             SELECT provider, model, count(*) FROM requests WHERE {day} >= ?2
             GROUP BY provider, model ORDER BY count(*) DESC, provider, model LIMIT ?3"
        );
        tx.all(&sql, (from, first, page::MAX_LIMIT), |row| {
            Ok(UnpricedModel {
                provider: text(row, 0)?,
                model: text(row, 1)?,
                requests: count(row, 2)?,
            })
        })
    }
}
