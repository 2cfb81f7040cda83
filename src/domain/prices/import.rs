//! Imports a file of prices.

use super::litellm::{Catalogue, NoCatalogue, SkippedModel};
use super::{lookup, row};
use crate::error::{Error, Result};
use crate::operation::{Mutation, WriteTx};
use crate::texts::{self, Texts};
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most models of an import that have a price: some seven times those of the published file.
const MAX_MODELS: usize = 20_000;

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
/// The text is read where the message is made, by its caller: a file of 2 MB takes some tens of milliseconds. The writer
/// saves the models in one transaction, some ten microseconds each.
///
/// For administrators: it decides what the requests of all users cost.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a text that is no JSON object, or has more than
/// [`Config::max_text_bytes`](crate::Config::max_text_bytes) (the file has some 2 MB), for one with more than 20,000
/// models that have a price, and for a time before 1970 or after 9999.
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
#[serde(from = "Spelled", into = "Spelled")]
#[non_exhaustive]
pub struct ImportPrices {
    json: String,
    /// What is in the text.
    read: Arc<Result<Catalogue, NoCatalogue>>,
    /// From when on the prices hold, from 1970 to 9999; `None`: from now on, by the store's clock.
    pub valid_from: Option<DateTime<Utc>>,
}

/// The message as JSON has it.
#[derive(Serialize, Deserialize)]
struct Spelled {
    json: String,
    #[serde(default)]
    valid_from: Option<DateTime<Utc>>,
}

impl From<Spelled> for ImportPrices {
    fn from(spelled: Spelled) -> Self {
        Self {
            valid_from: spelled.valid_from,
            ..Self::read(spelled.json)
        }
    }
}

impl From<ImportPrices> for Spelled {
    fn from(import: ImportPrices) -> Self {
        Self {
            json: import.json,
            valid_from: import.valid_from,
        }
    }
}

impl ImportPrices {
    /// The prices in this text, from now on. Reads the text; what is wrong with it, the store answers.
    pub fn new(json: impl Into<String>) -> Self {
        Self::read(json.into())
    }

    fn read(json: String) -> Self {
        Self {
            read: Arc::new(Catalogue::read(&json)),
            json,
            valid_from: None,
        }
    }

    /// The text of the file.
    pub fn json(&self) -> &str {
        &self.json
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
        let catalogue = (*self.read).as_ref().map_err(NoCatalogue::refused)?;
        if catalogue.prices.len() > MAX_MODELS {
            let why = "has more than 20,000 models with a price: import it in parts";
            return Err(Error::invalid("json", why));
        }
        let mut report = ImportReport {
            skipped: catalogue.skipped.clone(),
            unused_fields: catalogue.unused.clone(),
            ..ImportReport::default()
        };
        for price in &catalogue.prices {
            let price = price.clone().valid_from(valid_from);
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

    fn size_bytes(&self) -> usize {
        let of = |read: &Catalogue| {
            // Each name is a part of the text.
            size_of_val(&*read.prices) + size_of_val(&*read.skipped) + self.json.len()
        };
        let read = (*self.read).as_ref().map_or(0, of);
        size_of_val(self) + read + texts::weigh(|texts| self.texts(texts))
    }
}
