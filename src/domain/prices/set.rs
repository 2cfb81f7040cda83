//! Sets and removes prices.

use super::{ModelPrice, row};
use crate::domain::Usd;
use crate::error::{Error, Result};
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Sets what a million tokens of a model cost from a time on, by default from now on; returns the price as it is
/// saved. It replaces the model's price from exactly the same time, if there is one. It holds until the next price of
/// the model, and does not change what is saved already: that is [`Reprice`](super::Reprice).
///
/// For administrators: it decides what the requests of all users cost.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a price outside 0 to 1,000,000,000 dollars, a time before 1970 or after
/// 9999, an empty name, and one above 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::{Usd, interactions::SaveInteraction, messages::GetMessage, prices::SetPrice, usage::Usage};
///
/// let (input, output) = (Usd::from_dollars(3.0)?, Usd::from_dollars(15.0)?);
/// store
///     .write(SetPrice::new("anthropic", "claude-sonnet-4-5", input, output).cached_input(Usd::from_dollars(0.3)?))
///     .await?;
/// let usage = Usage::new("anthropic", "claude-sonnet-4-5").input_tokens(1_000).output_tokens(100);
/// let saved = store
///     .write(SaveInteraction::new(42, "s-1", "Hello").creating("/srv").usage(usage))
///     .await?;
/// let message = store.read(GetMessage::new(42, saved.message_id)).await?.unwrap();
/// assert_eq!(message.cost, Usd::from_dollars(0.0045)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetPrice {
    /// Who runs the model, as [`Usage::provider`](crate::usage::Usage::provider) names it: from 1 byte to 4 KiB.
    pub provider: String,
    /// The model, as [`Usage`](crate::usage::Usage) names it: from 1 byte to 4 KiB.
    pub model: String,
    /// A million tokens that the model reads, in US dollars: from 0 to 1,000,000,000, as each price.
    pub input: Usd,
    /// A million tokens that the model writes.
    pub output: Usd,
    /// A million tokens of input that come from the provider's cache; `None`: as `input`.
    #[serde(default)]
    pub cached_input: Option<Usd>,
    /// A million tokens of input that are written to the provider's cache; `None`: as `input`.
    #[serde(default)]
    pub cache_write: Option<Usd>,
    /// A million tokens of output that are reasoning; `None`: as `output`.
    #[serde(default)]
    pub reasoning: Option<Usd>,
    /// From when on the price holds, from 1970 to 9999; `None`: from now on, by the store's clock.
    #[serde(default)]
    pub valid_from: Option<DateTime<Utc>>,
}

impl SetPrice {
    /// These prices of a million tokens of input and of output, from now on.
    pub fn new(
        provider: impl Into<String>,
        model: impl Into<String>,
        input: Usd,
        output: Usd,
    ) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            input,
            output,
            cached_input: None,
            cache_write: None,
            reasoning: None,
            valid_from: None,
        }
    }

    /// A million tokens of input that come from the provider's cache.
    pub fn cached_input(mut self, price: Usd) -> Self {
        self.cached_input = Some(price);
        self
    }

    /// A million tokens of input that are written to the provider's cache.
    pub fn cache_write(mut self, price: Usd) -> Self {
        self.cache_write = Some(price);
        self
    }

    /// A million tokens of output that are reasoning.
    pub fn reasoning(mut self, price: Usd) -> Self {
        self.reasoning = Some(price);
        self
    }

    /// From when on the price holds: from 1970 to 9999. For a price in the past, send
    /// [`Reprice`](super::Reprice) afterwards.
    pub fn valid_from(mut self, valid_from: DateTime<Utc>) -> Self {
        self.valid_from = Some(valid_from);
        self
    }
}

impl Mutation for SetPrice {
    type Output = ModelPrice;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<ModelPrice> {
        let price = ModelPrice {
            provider: self.provider.clone(),
            model: self.model.clone(),
            valid_from: row::valid_from(tx, self.valid_from)?,
            input: self.input,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: self.reasoning,
        };
        price.check()?;
        price.save(tx)?;
        Ok(price)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("provider", self.provider.as_str());
        texts.name("model", self.model.as_str());
    }
}

/// Removes a price that was a mistake. The model's price before it holds in its place, if there is one. What is saved
/// already does not change: that is [`Reprice`](super::Reprice).
///
/// For administrators: it decides what the requests of all users cost.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if the model has no price from exactly this time on; the field says which
/// part of the name is wrong.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::{Usd, prices::{Price, RemovePrice, SetPrice}};
///
/// let typo = SetPrice::new("openai", "gpt-5", Usd::from_dollars(125.0)?, Usd::from_dollars(10.0)?);
/// let typo = store.write(typo).await?;
/// store.write(RemovePrice::new("openai", "gpt-5", typo.valid_from)).await?;
/// assert_eq!(store.read(Price::new("openai", "gpt-5")).await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemovePrice {
    /// Who runs the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// From when on the price holds.
    pub valid_from: DateTime<Utc>,
}

impl RemovePrice {
    /// The price of this model from this time on.
    pub fn new(
        provider: impl Into<String>,
        model: impl Into<String>,
        valid_from: DateTime<Utc>,
    ) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            valid_from,
        }
    }
}

impl Mutation for RemovePrice {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let valid_from = time::format(time::to_micros(self.valid_from));
        let removed = tx.execute(
            "DELETE FROM botstore_price WHERE provider = ?1 AND model = ?2 AND valid_from = ?3",
            (&self.provider, &self.model, &valid_from),
        )?;
        match removed {
            0 => Err(self.missing(tx)?),
            _ => Ok(()),
        }
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("provider", self.provider.as_str());
        texts.name("model", self.model.as_str());
    }
}

impl RemovePrice {
    /// Says which part of the name is wrong.
    fn missing(&self, tx: &WriteTx<'_>) -> Result<Error> {
        let found = tx.maybe(
            "SELECT 1 FROM botstore_price WHERE provider = ?1 LIMIT 1",
            [&self.provider],
            |_| Ok(()),
        )?;
        if found.is_none() {
            return Ok(Error::not_found("provider", "price of this provider"));
        }
        let found = tx.maybe(
            "SELECT 1 FROM botstore_price WHERE provider = ?1 AND model = ?2 LIMIT 1",
            [&self.provider, &self.model],
            |_| Ok(()),
        )?;
        if found.is_none() {
            return Ok(Error::not_found("model", "price of this model"));
        }
        let from = time::format(time::to_micros(self.valid_from));
        Ok(Error::not_found(
            "valid_from",
            format_args!("price from {from} on"),
        ))
    }
}
