//! The file of prices that litellm publishes, `model_prices_and_context_window.json`: one object, in which each model
//! is an object by its name.

use super::ModelPrice;
use super::decimal::{self, Read};
use crate::domain::{Usd, validate};
use crate::error::Error;
use crate::texts::MAX_NAME_BYTES;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// A model of an imported file that got no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SkippedModel {
    /// The model, as the file names it.
    pub name: String,
    /// Why.
    pub why: WhySkipped,
}

impl SkippedModel {
    /// A skipped model, for a test of your own.
    pub fn new(name: impl Into<String>, why: WhySkipped) -> Self {
        let name = name.into();
        Self { name, why }
    }
}

/// Why a model of an imported file got no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhySkipped {
    /// It is the explanation of the fields, `sample_spec`.
    Template,
    /// Its value is no object.
    NotAnObject,
    /// The file does not say who runs it.
    NoProvider,
    /// It is not priced by the token alone: the mode is this one, such as `image_generation`.
    Mode(String),
    /// It has no price of a token of input, or of output.
    NoTokenPrice,
    /// Its tokens cost nothing, and this field has another price.
    OtherPrice(String),
    /// This field is negative, too large, or no number.
    BadPrice(String),
    /// This field comes twice.
    RepeatedField(String),
    /// A model before it in the file has the same name and provider.
    Repeated,
    /// Its name, or its provider's, is empty or longer than 4 KiB.
    BadName,
}

impl fmt::Display for WhySkipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template => f.write_str("it explains the fields"),
            Self::NotAnObject => f.write_str("it is no object"),
            Self::NoProvider => f.write_str("it has no litellm_provider"),
            Self::Mode(mode) => write!(f, "its mode {mode} is not priced by the token alone"),
            Self::NoTokenPrice => f.write_str("it has no price of a token of input, or of output"),
            Self::OtherPrice(field) => write!(f, "its tokens cost nothing, but {field} is set"),
            Self::BadPrice(field) => {
                write!(
                    f,
                    "{field} is no price from 0 to 1,000,000,000 dollars for a million tokens"
                )
            }
            Self::RepeatedField(field) => write!(f, "{field} comes twice"),
            Self::Repeated => f.write_str("a model before it has the same name and provider"),
            Self::BadName => f.write_str("a name is empty or longer than 4 KiB"),
        }
    }
}

/// A text that is no JSON object: where reading it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoCatalogue {
    line: usize,
    column: usize,
}

impl NoCatalogue {
    /// Without the sentence of `serde_json`, which may quote the text.
    pub(super) fn refused(&self) -> Error {
        let Self { line, column } = self;
        let why = format!("is no JSON object of models by name: line {line}, column {column}");
        Error::invalid("json", &why)
    }
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Catalogue {
    pub(super) prices: Vec<ModelPrice>,
    pub(super) skipped: Vec<SkippedModel>,
    /// The fields of the models in `prices` that are not used, and how many models have them.
    pub(super) unused: BTreeMap<String, u64>,
}

/// The modes of models that are paid by the token. Others have tokens of images and sounds, or are paid by the page.
const MODES: [&str; 4] = ["chat", "completion", "responses", "embedding"];

/// The entry that explains the fields.
const TEMPLATE: &str = "sample_spec";

const PROVIDER: &str = "litellm_provider";
const MODE: &str = "mode";
const INPUT: &str = "input_cost_per_token";
const OUTPUT: &str = "output_cost_per_token";
const CACHED_INPUT: &str = "cache_read_input_token_cost";
const CACHE_WRITE: &str = "cache_creation_input_token_cost";
const REASONING: &str = "output_cost_per_reasoning_token";

/// The fields that are used.
const USED: [&str; 7] = [
    PROVIDER,
    MODE,
    INPUT,
    OUTPUT,
    CACHED_INPUT,
    CACHE_WRITE,
    REASONING,
];

impl Catalogue {
    /// Reads a file.
    pub(super) fn read(json: &str) -> Result<Self, NoCatalogue> {
        let Pairs(entries) =
            serde_json::from_str::<Pairs<Entry>>(json).map_err(|error| NoCatalogue {
                line: error.line(),
                column: error.column(),
            })?;
        let (mut catalogue, mut names) = (Self::default(), BTreeSet::new());
        for (name, entry) in entries {
            let judged = match entry {
                _ if name == TEMPLATE => Err(WhySkipped::Template),
                Entry::Other(_) => Err(WhySkipped::NotAnObject),
                Entry::Model(Pairs(fields)) => judge(&name, fields),
            };
            let judged = judged.and_then(|(price, unused)| {
                match names.insert((price.provider.clone(), price.model.clone())) {
                    true => Ok((price, unused)),
                    false => Err(WhySkipped::Repeated),
                }
            });
            match judged {
                Ok((price, unused)) => {
                    catalogue.prices.push(price);
                    for field in unused {
                        *catalogue.unused.entry(field).or_default() += 1;
                    }
                }
                Err(why) => catalogue.skipped.push(SkippedModel { name, why }),
            }
        }
        Ok(catalogue)
    }
}

/// The price of a model, and the fields that are not used.
fn judge(
    name: &str,
    fields: Vec<(String, Value)>,
) -> Result<(ModelPrice, BTreeSet<String>), WhySkipped> {
    let (mut used, mut unused) = (BTreeMap::new(), BTreeSet::new());
    for (field, value) in fields {
        if !USED.contains(&field.as_str()) {
            unused.insert(field);
        } else if used.insert(field.clone(), value).is_some() {
            return Err(WhySkipped::RepeatedField(field));
        }
    }
    let text = |field| used.get(field).and_then(Value::as_str);
    let provider = text(PROVIDER).ok_or(WhySkipped::NoProvider)?;
    let (provider, model) = named(provider, name);
    let is_name = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len());
    if !is_name(provider) || !is_name(model) {
        return Err(WhySkipped::BadName);
    }
    let mode = text(MODE);
    if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
        return Err(WhySkipped::Mode(mode.to_owned()));
    }
    let priced = |field: &str| {
        let price = used.get(field).map_or(Ok(None), price);
        price.map_err(|()| WhySkipped::BadPrice(field.to_owned()))
    };
    // An embedding has no output.
    let no_output = (mode == Some("embedding")).then_some(Usd::ZERO);
    let (input, output) = (priced(INPUT)?, priced(OUTPUT)?.or(no_output));
    let (Some(input), Some(output)) = (input, output) else {
        return Err(WhySkipped::NoTokenPrice);
    };
    if (input, output) == (Usd::ZERO, Usd::ZERO) {
        // Paid by the second or the letter, perhaps: what is not free must not be taken for free.
        if let Some(other) = unused.iter().find(|field| field.contains("cost")) {
            return Err(WhySkipped::OtherPrice(other.clone()));
        }
    }
    let price = ModelPrice {
        cached_input: priced(CACHED_INPUT)?,
        cache_write: priced(CACHE_WRITE)?,
        reasoning: priced(REASONING)?,
        ..ModelPrice::new(provider, model, input, output)
    };
    Ok((price, unused))
}

/// The names of provider and model as a bot uses them. The file divides some providers (`vertex_ai-language-models`),
/// and writes some in front of their models (`azure/gpt-4o`).
fn named<'n>(provider: &'n str, name: &'n str) -> (&'n str, &'n str) {
    let whole = provider
        .split_once('-')
        .filter(|_| provider.ends_with("models"))
        .map_or(provider, |(whole, _)| whole);
    let model = name
        .strip_prefix(whole)
        .and_then(|rest| rest.strip_prefix('/'));
    (whole, model.unwrap_or(name))
}

/// A price of a token; `None` if there is none. A number is read by its digits: `serde_json` gives the shortest that are
/// read as the same double, which are those in the file, if they are 15 or fewer.
fn price(value: &Value) -> Result<Option<Usd>, ()> {
    let read = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => decimal::nanos_per_million(&number.to_string()),
        Value::String(text) => decimal::nanos_per_million(text),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Read::NoNumber,
    };
    let price = match read {
        Read::Nanos(nanos) => Usd::from_nanos(nanos),
        Read::Negative | Read::TooLarge | Read::NoNumber => return Err(()),
    };
    validate::cost("price", price).map_err(|_| ())?;
    Ok(Some(price))
}

/// The value of a model.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Model(Pairs<Value>),
    Other(IgnoredAny),
}

/// An object whose names may come twice: a map would keep one of them, and say nothing.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = from.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        from.deserialize_map(Read(PhantomData))
    }
}
