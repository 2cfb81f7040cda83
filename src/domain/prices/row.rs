//! A price.

use super::cost::Tokens;
use crate::domain::columns::{maybe_nanos, nanos, text, time};
use crate::domain::usage::Usage;
use crate::domain::{Usd, validate};
use crate::error::{Error, Result};
use crate::operation::{ReadTx, WriteTx};
use crate::time;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// What a million tokens of a model cost from a time on, until another price of the model holds.
///
/// ```
/// use botstore::{Usd, prices::ModelPrice, usage::Usage};
///
/// let price = ModelPrice::new("anthropic", "claude-sonnet-4-5", Usd::from_dollars(3.0)?, Usd::from_dollars(15.0)?)
///     .cached_input(Usd::from_dollars(0.3)?);
/// let usage = Usage::new("anthropic", "claude-sonnet-4-5")
///     .input_tokens(1_200)
///     .cached_input_tokens(1_000)
///     .output_tokens(80);
/// assert_eq!(price.cost(&usage)?, Some(Usd::from_dollars(0.0021)?));
/// # Ok::<_, botstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelPrice {
    /// Who runs the model: from 1 byte to 4 KiB.
    pub provider: String,
    /// The model: from 1 byte to 4 KiB.
    pub model: String,
    /// From when on the price holds: in microseconds, from 1970 to 9999.
    pub valid_from: DateTime<Utc>,
    /// A million tokens that the model read, in US dollars: from 0 to 1,000,000,000, as each price.
    pub input: Usd,
    /// A million of those that came from the provider's cache; `None`: as `input`.
    pub cached_input: Option<Usd>,
    /// A million of those that were written to the provider's cache; `None`: as `input`.
    pub cache_write: Option<Usd>,
    /// A million tokens that the model wrote.
    pub output: Usd,
    /// A million of those that were reasoning; `None`: as `output`.
    pub reasoning: Option<Usd>,
}

impl ModelPrice {
    /// These prices of a million tokens of input and of output, from 1970 on.
    pub fn new(
        provider: impl Into<String>,
        model: impl Into<String>,
        input: Usd,
        output: Usd,
    ) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            valid_from: DateTime::UNIX_EPOCH,
            input,
            cached_input: None,
            cache_write: None,
            output,
            reasoning: None,
        }
    }

    /// From when on it holds.
    pub fn valid_from(mut self, valid_from: DateTime<Utc>) -> Self {
        self.valid_from = valid_from;
        self
    }

    /// A million tokens of input that came from the provider's cache.
    pub fn cached_input(mut self, price: Usd) -> Self {
        self.cached_input = Some(price);
        self
    }

    /// A million tokens of input that were written to the provider's cache.
    pub fn cache_write(mut self, price: Usd) -> Self {
        self.cache_write = Some(price);
        self
    }

    /// A million tokens of output that were reasoning.
    pub fn reasoning(mut self, price: Usd) -> Self {
        self.reasoning = Some(price);
        self
    }

    /// What the tokens of a request cost at this price, by the [formula](super#the-formula), whatever the usage says
    /// that they cost, and whichever model it names. `None` if neither input nor output is known. The store computes
    /// costs by it; a bot may need it for an estimate.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a cost outside 0 to 9,000,000 dollars.
    pub fn cost(&self, usage: &Usage) -> Result<Option<Usd>> {
        Tokens::from(usage).cost(self)
    }

    pub(super) fn check(&self) -> Result<()> {
        validate::not_empty("provider", &self.provider)?;
        validate::not_empty("model", &self.model)?;
        check_time(self.valid_from)?;
        for (field, price) in [
            ("input", Some(self.input)),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("output", Some(self.output)),
            ("reasoning", self.reasoning),
        ] {
            price.map_or(Ok(()), |price| validate::cost(field, price))?;
        }
        Ok(())
    }

    /// Whether tokens cost the same.
    pub(super) fn costs_the_same(&self, other: &Self) -> bool {
        let prices = |price: &Self| {
            let ModelPrice {
                input,
                cached_input,
                cache_write,
                output,
                reasoning,
                ..
            } = *price;
            (input, cached_input, cache_write, output, reasoning)
        };
        prices(self) == prices(other)
    }

    /// The price in a row of all its columns.
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            provider: text(row, 0)?,
            model: text(row, 1)?,
            valid_from: time(row, 2)?,
            input: nanos(row, 3)?,
            cached_input: maybe_nanos(row, 4)?,
            cache_write: maybe_nanos(row, 5)?,
            output: nanos(row, 6)?,
            reasoning: maybe_nanos(row, 7)?,
        })
    }

    /// Saves the price, in place of another one from the same time.
    pub(super) fn save(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute(
            "INSERT INTO botstore_price (provider, model, valid_from, input, cached_input, cache_write, output, reasoning)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (provider, model, valid_from) DO UPDATE SET
                 input = excluded.input, cached_input = excluded.cached_input,
                 cache_write = excluded.cache_write, output = excluded.output, reasoning = excluded.reasoning",
            (
                &self.provider,
                &self.model,
                time::format(self.valid_from),
                self.input.nanos(),
                self.cached_input.map(Usd::nanos),
                self.cache_write.map(Usd::nanos),
                self.output.nanos(),
                self.reasoning.map(Usd::nanos),
            ),
        )?;
        Ok(())
    }
}

/// The time from which a price holds: as the message says, or now.
pub(super) fn valid_from(tx: &ReadTx<'_>, asked: Option<DateTime<Utc>>) -> Result<DateTime<Utc>> {
    let valid_from = time::to_micros(asked.unwrap_or(tx.now()));
    check_time(valid_from)?;
    Ok(valid_from)
}

fn check_time(valid_from: DateTime<Utc>) -> Result<()> {
    match (DateTime::UNIX_EPOCH..=crate::domain::page::latest()).contains(&valid_from) {
        true => Ok(()),
        false => Err(Error::invalid("valid_from", "must be from 1970 to 9999")),
    }
}
