//! What requests used in all, by model and by day.

use crate::domain::columns::{count, day, nanos, text};
use crate::domain::rollups::{LAST_DAY, first_day, usage_now as now};
use crate::domain::{Usd, UserId, page, validate};
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::texts::Texts;
use chrono::NaiveDate;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::AddAssign;

/// What requests used together. A number that is not known adds nothing to its sum: [`unpriced`](Self::unpriced) and
/// [`unmeasured`](Self::unmeasured) say of how many requests. One request adds at most 9,000,000 dollars, and
/// 1,000,000,000,000 tokens of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageTotals {
    /// Requests: messages with a [`Usage`](super::Usage), and requests of [`AddCost`](crate::costs::AddCost).
    pub requests: u64,
    /// How many of them have no known cost.
    pub unpriced: u64,
    /// How many of them have no known number of input tokens, or of output tokens.
    pub unmeasured: u64,
    /// Tokens that models read, cached ones included.
    pub input_tokens: u64,
    /// How many of the input tokens came from a provider's cache.
    pub cached_input_tokens: u64,
    /// How many of the input tokens were written to a provider's cache.
    pub cache_write_tokens: u64,
    /// Tokens that models wrote, those of reasoning included.
    pub output_tokens: u64,
    /// How many of the output tokens were reasoning.
    pub reasoning_tokens: u64,
    /// What the requests cost, in US dollars.
    pub cost: Usd,
}

impl UsageTotals {
    /// The nine columns from this one on.
    pub(super) fn read(row: &Row<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            requests: count(row, at)?,
            unpriced: count(row, at + 1)?,
            unmeasured: count(row, at + 2)?,
            input_tokens: count(row, at + 3)?,
            cached_input_tokens: count(row, at + 4)?,
            cache_write_tokens: count(row, at + 5)?,
            output_tokens: count(row, at + 6)?,
            reasoning_tokens: count(row, at + 7)?,
            cost: nanos(row, at + 8)?,
        })
    }
}

/// A sum stops at the largest number.
impl AddAssign for UsageTotals {
    fn add_assign(&mut self, other: Self) {
        *self = Self {
            requests: self.requests.saturating_add(other.requests),
            unpriced: self.unpriced.saturating_add(other.unpriced),
            unmeasured: self.unmeasured.saturating_add(other.unmeasured),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_input_tokens: self
                .cached_input_tokens
                .saturating_add(other.cached_input_tokens),
            cache_write_tokens: self
                .cache_write_tokens
                .saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
            cost: self.cost + other.cost,
        };
    }
}

impl Sum for UsageTotals {
    fn sum<I: Iterator<Item = Self>>(totals: I) -> Self {
        totals.fold(Self::default(), |mut sum, more| {
            sum += more;
            sum
        })
    }
}

/// What the requests to one model used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelTotals {
    /// Who ran the model; `None` for requests that do not say, such as an [`AddCost`](crate::costs::AddCost) without
    /// a [`Usage`](super::Usage).
    pub provider: Option<String>,
    /// The model that was asked for; `None` for requests that do not say.
    pub model: Option<String>,
    /// What they used.
    pub totals: UsageTotals,
}

impl ModelTotals {
    /// A model that used nothing yet, for a test of your own.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: Some(provider.into()),
            model: Some(model.into()),
            totals: UsageTotals::default(),
        }
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            provider: known(text(row, 0)?),
            model: known(text(row, 1)?),
            totals: UsageTotals::read(row, 2)?,
        })
    }
}

/// What the requests of one day used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DayTotals {
    /// The day in [`Config::time_zone`](crate::Config::time_zone).
    pub date: NaiveDate,
    /// What they used.
    pub totals: UsageTotals,
}

impl DayTotals {
    /// A day on which nothing was used, for a test of your own.
    pub fn new(date: NaiveDate) -> Self {
        Self {
            date,
            totals: UsageTotals::default(),
        }
    }

    fn read(row: &Row<'_>) -> Result<Option<Self>> {
        let Some(date) = day(row, 0)? else {
            return Ok(None);
        };
        let totals = UsageTotals::read(row, 1)?;
        Ok(Some(Self { date, totals }))
    }
}

/// What all users' requests of today and the `days` days before used, by provider and model: what costs most comes
/// first. Days are those of [`Config::time_zone`](crate::Config::time_zone). At most [`page::MAX_LIMIT`] models.
///
/// Reads one row for each day and model, and the newest requests, some hundred, which wait to be counted.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::usage::{ModelUsage, Usage};
///
/// let usage = Usage::new("openai", "gpt-5-mini").input_tokens(900).output_tokens(40);
/// let said = SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// store.write(said.usage(usage)).await?;
///
/// let month = store.read(ModelUsage::new(30)).await?;
/// assert_eq!(month[0].model.as_deref(), Some("gpt-5-mini"));
/// assert_eq!(month[0].totals.input_tokens, 900);
/// assert_eq!(month[0].totals.unpriced, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelUsage {
    /// How many days before today.
    pub days: u32,
}

impl ModelUsage {
    /// Today and this many days before.
    pub fn new(days: u32) -> Self {
        Self { days }
    }
}

impl Query for ModelUsage {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<ModelTotals>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<ModelTotals>> {
        let span = (first_day(tx, self.days)?, LAST_DAY, page::MAX_LIMIT);
        tx.all(&now::models(), span, ModelTotals::read)
    }
}

/// What one user's requests of today and the `days` days before used, by provider and model, as [`ModelUsage`] says
/// of all users. Nothing for a user without requests, or unknown.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::Usd;
/// use botstore::interactions::SaveInteraction;
/// use botstore::usage::{Usage, UserModelUsage};
///
/// let cost = Usd::from_dollars(0.002)?;
/// let said = SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// store.write(said.usage(Usage::new("openai", "gpt-5-mini").cost(cost))).await?;
///
/// let today = store.read(UserModelUsage::new(42, 0)).await?;
/// assert_eq!(today[0].totals.cost, cost);
/// assert_eq!(today[0].totals.unmeasured, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserModelUsage {
    /// The user.
    pub user_id: UserId,
    /// How many days before today.
    pub days: u32,
}

impl UserModelUsage {
    /// Today and this many days before.
    pub fn new(user_id: impl Into<UserId>, days: u32) -> Self {
        Self {
            user_id: user_id.into(),
            days,
        }
    }
}

impl Query for UserModelUsage {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<ModelTotals>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<ModelTotals>> {
        let first = first_day(tx, self.days)?;
        let span = (first, LAST_DAY, page::MAX_LIMIT, self.user_id);
        tx.all(&now::models_of_user(), span, ModelTotals::read)
    }
}

/// What all users' requests of today and the `days` days before used, by day, newest first; of one model, if it is
/// named. Days without such a request are left out. Days are those of
/// [`Config::time_zone`](crate::Config::time_zone). At most [`page::MAX_LIMIT`] days.
///
/// Reads one row for each day and model, and the newest requests, some hundred, which wait to be counted.
///
/// For administrators: the answer is about all users.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty model, or one of more than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::usage::{Usage, UsageByDay};
///
/// let said = SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// store.write(said.usage(Usage::new("openai", "gpt-5-mini").output_tokens(40))).await?;
///
/// let week = store.read(UsageByDay::new(6)).await?;
/// assert_eq!(week[0].totals.output_tokens, 40);
/// assert!(store.read(UsageByDay::new(6).model("gpt-5")).await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageByDay {
    /// How many days before today.
    pub days: u32,
    /// Only requests to this model, whoever runs it.
    #[serde(default)]
    pub model: Option<String>,
}

impl UsageByDay {
    /// Today and this many days before, of all models.
    pub fn new(days: u32) -> Self {
        Self { days, model: None }
    }

    /// Only requests to this model, whoever runs it.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

impl Query for UsageByDay {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<DayTotals>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DayTotals>> {
        let model = named(self.model.as_deref())?;
        let span = (first_day(tx, self.days)?, LAST_DAY, page::MAX_LIMIT, model);
        let days = tx.all(&now::days(), span, DayTotals::read)?;
        Ok(days.into_iter().flatten().collect())
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("model", self.model.as_deref());
    }
}

/// What one user's requests of today and the `days` days before used, by day, as [`UsageByDay`] says of all users.
/// Nothing for a user without requests, or unknown.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty model, or one of more than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SaveInteraction;
/// use botstore::usage::{Usage, UserUsageByDay};
///
/// let said = SaveInteraction::new(42, "s-1", "Hello").creating("/srv");
/// store.write(said.usage(Usage::new("openai", "gpt-5-mini").output_tokens(40))).await?;
///
/// let today = store.read(UserUsageByDay::new(42, 0).model("gpt-5-mini")).await?;
/// assert_eq!(today[0].totals.requests, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserUsageByDay {
    /// The user.
    pub user_id: UserId,
    /// How many days before today.
    pub days: u32,
    /// Only requests to this model, whoever runs it.
    #[serde(default)]
    pub model: Option<String>,
}

impl UserUsageByDay {
    /// Today and this many days before, of all models.
    pub fn new(user_id: impl Into<UserId>, days: u32) -> Self {
        Self {
            user_id: user_id.into(),
            days,
            model: None,
        }
    }

    /// Only requests to this model, whoever runs it.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

impl Query for UserUsageByDay {
    const LANE: Lane = Lane::Analytics;
    type Output = Vec<DayTotals>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Vec<DayTotals>> {
        let (model, user_id) = (named(self.model.as_deref())?, self.user_id);
        let first = first_day(tx, self.days)?;
        let which = (first, LAST_DAY, page::MAX_LIMIT, model, user_id);
        let days = tx.all(&now::days_of_user(), which, DayTotals::read)?;
        Ok(days.into_iter().flatten().collect())
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("model", self.model.as_deref());
    }
}

/// The model, if it is named; then it is not empty, which stands for requests that do not say.
fn named(model: Option<&str>) -> Result<Option<&str>> {
    model.map_or(Ok(()), |model| validate::not_empty("model", model))?;
    Ok(model)
}
