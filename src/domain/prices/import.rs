//! Imports a file of prices.

use super::litellm::{Catalogue, SkippedModel};
use super::{lookup, row};
use crate::error::Result;
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Takes the prices of a file as litellm publishes it, `model_prices_and_context_window.json`: one JSON object, in which
/// each model is an object by its name. All of them are saved, or none. A model whose price is the same already stays
/// as it is, so a bot may import the file of each day.
///
/// Of a model these fields are used: `litellm_provider`, `mode`, `input_cost_per_token`, `output_cost_per_token`,
/// `cache_read_input_token_cost`, `cache_creation_input_token_cost` and `output_cost_per_reasoning_token`. A price is
/// read by its digits, and rounded to a billionth of a dollar for a million tokens. The report lists what is not used:
/// models with the reason, and names of fields. **Look at the fields**: where a model has one such as
/// `input_cost_per_token_above_200k_tokens`, costs of long prompts come out too low, because the store has one price
/// for each kind of tokens. A model whose `mode` is not `chat`, `completion`, `responses` or `embedding` is skipped,
/// since its pictures or sounds cost more than its tokens.
///
/// The provider is `litellm_provider`, without the file's own division (`vertex_ai-language-models` is `vertex_ai`). The
/// model is its name in the file, without the provider in front: `azure/gpt-4o` is the model `gpt-4o` of `azure`,
/// `openrouter/meta/llama` is `meta/llama` of `openrouter`, and `bedrock/eu-west-1/meta.llama` is
/// `eu-west-1/meta.llama` of `bedrock`. A bot names providers and models in its
/// [`Usage`](crate::usage::Usage) in the same way, or sets prices by [`SetPrice`](super::SetPrice).
///
/// Occupies the writer while it reads the text and saves the models, in one transaction.
///
/// For administrators: it decides what the requests of all users cost.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a text that is no JSON object, or has more than
/// [`Config::max_text_bytes`](crate::Config::max_text_bytes) (the file has some 2 MB), and for a time before 1970 or
/// after 9999.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::{Usd, prices::{ImportPrices, Price}};
///
/// let json = r#"{ "acme/parrot-2": {
///     "litellm_provider": "acme", "mode": "chat", "max_tokens": 8192,
///     "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05
/// } }"#;
/// let report = store.write(ImportPrices::new(json)).await?;
/// assert_eq!((report.taken, report.skipped.len()), (1, 0));
/// assert_eq!(report.unused_fields["max_tokens"], 1);
/// let price = store.read(Price::new("acme", "parrot-2")).await?.unwrap();
/// assert_eq!(price.input, Usd::from_dollars(3.0)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImportPrices {
    /// The text of the file.
    pub json: String,
    /// From when on the prices hold, from 1970 to 9999; `None`: from now on, by the store's clock.
    #[serde(default)]
    pub valid_from: Option<DateTime<Utc>>,
}

impl ImportPrices {
    /// The prices in this text, from now on.
    pub fn new(json: impl Into<String>) -> Self {
        Self {
            json: json.into(),
            valid_from: None,
        }
    }

    /// From when on the prices hold: from 1970 to 9999. For the first file of a bot that has a history, this is a time
    /// before that; [`Reprice`](super::Reprice) then gives it costs.
    pub fn valid_from(mut self, valid_from: DateTime<Utc>) -> Self {
        self.valid_from = Some(valid_from);
        self
    }
}

/// What an import took, and what it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many models got a new price.
    pub taken: u64,
    /// How many have the same price already.
    pub unchanged: u64,
    /// The models that got none, in the order of the file.
    pub skipped: Vec<SkippedModel>,
    /// The fields of the other models that are not used, and how many models have them.
    pub unused_fields: BTreeMap<String, u64>,
}

impl ImportReport {
    /// A report of an import that took this many models, for a test of your own.
    pub fn new(taken: u64) -> Self {
        Self {
            taken,
            ..Self::default()
        }
    }
}

impl Mutation for ImportPrices {
    type Output = ImportReport;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<ImportReport> {
        let valid_from = row::valid_from(tx, self.valid_from)?;
        let at = time::format(valid_from);
        let catalogue = Catalogue::read(&self.json)?;
        let mut report = ImportReport {
            skipped: catalogue.skipped,
            unused_fields: catalogue.unused,
            ..ImportReport::default()
        };
        for price in catalogue.prices {
            let price = price.valid_from(valid_from);
            let held = lookup::held(tx, &price.provider, &price.model, &at)?;
            match held.is_some_and(|held| held.costs_the_same(&price)) {
                true => report.unchanged += 1,
                false => {
                    price.save(tx)?;
                    report.taken += 1;
                }
            }
        }
        Ok(report)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.text("json", self.json.as_str());
    }
}
