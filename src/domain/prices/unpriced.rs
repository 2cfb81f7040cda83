//! Models that need a price.

use crate::domain::columns::{count, text};
use crate::domain::page;
use crate::domain::rollups::{LAST_DAY, first_day, usage_now};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
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
/// Reads one row for each day and model, and the newest requests, some hundred, which wait to be counted.
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
        let span = (first_day(tx, self.days)?, LAST_DAY, page::MAX_LIMIT);
        tx.all(&usage_now::unpriced(), span, |row| {
            Ok(UnpricedModel {
                provider: text(row, 0)?,
                model: text(row, 1)?,
                requests: count(row, 2)?,
            })
        })
    }
}
