//! `prices`: what tokens cost, and which models have no price.

use crate::amounts::dollars;
use crate::answer::{Answer, Outcome};
use crate::changing::with_store;
use crate::file::{config, named};
use crate::pages::all;
use crate::text::{self, Column, Facts};
use botstore::prices::{
    ImportPrices, ImportReport, ModelPrice, Prices as List, RemovePrice, Reprice, SetPrice,
    UnpricedModel, UnpricedModels,
};
use botstore::{Error, Mutation, ReadTx, Result, Usd};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde_json::json;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Shows what tokens cost, sets prices, and imports them from a file
///
/// Without a command it lists all prices, of US dollars for a million tokens, and the models of the last
/// --days days whose requests have no known cost. It looks only, and the bot may run. The commands need
/// the file to themselves; a running bot sends the messages SetPrice, ImportPrices and Reprice instead.
#[derive(Args)]
#[command(verbatim_doc_comment, disable_help_subcommand = true)]
pub(crate) struct Prices {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// Only prices of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// How many days models without a price go back
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=1000))]
    days: u32,
    #[command(subcommand)]
    work: Option<Work>,
}

#[derive(Subcommand)]
enum Work {
    Import(Import),
    Set(Set),
    Remove(Remove),
    Reprice(Again),
}

/// Takes the prices of a file as litellm publishes it
///
/// The file is model_prices_and_context_window.json. All of its prices are taken, or none. Prices that are
/// the same already stay. What is not used is listed: models with the reason, and fields.
#[derive(Args)]
#[command(verbatim_doc_comment)]
struct Import {
    /// The file of prices
    #[arg(value_name = "JSON")]
    path: PathBuf,
    /// From when on they hold, UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<DateTime<Utc>>,
}

/// Sets the price of a model, in US dollars for a million tokens
#[derive(Args)]
struct Set {
    /// Who runs the model, as the bot names it
    provider: String,
    /// The model, as the bot names it
    model: String,
    /// Tokens that the model reads
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    input: Usd,
    /// Tokens that the model writes
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    output: Usd,
    /// Tokens that it reads from the provider's cache [default: as --input]
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    cached_input: Option<Usd>,
    /// Tokens that it reads and that are written to the cache [default: as --input]
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    cache_write: Option<Usd>,
    /// Tokens of reasoning that it writes [default: as --output]
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    reasoning: Option<Usd>,
    /// From when on the price holds, UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<DateTime<Utc>>,
}

/// Removes a price that was a mistake
#[derive(Args)]
struct Remove {
    /// Who runs the model
    provider: String,
    /// The model
    model: String,
    /// From when on the price holds, as the list shows it
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: DateTime<Utc>,
}

/// Computes the costs of a span of time again
///
/// Only of requests whose cost was computed, or is not known. Counters and statistics follow.
#[derive(Args)]
#[command(verbatim_doc_comment)]
struct Again {
    /// The first time, UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: DateTime<Utc>,
    /// The first time after the span, UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<DateTime<Utc>>,
    /// Only requests to this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only requests for this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    botstore::time::parse(text)
        .ok_or_else(|| "no point in time, such as 2026-03-10 or 2026-03-10T15:30:00Z".to_owned())
}

impl Prices {
    pub(crate) fn run(&self) -> Outcome {
        let file = &self.file;
        match &self.work {
            None => self.list(),
            Some(_) if self.provider.is_some() => {
                let why = "is for the list of prices: behind reprice stands one of its own";
                Err(Error::invalid("provider", why).into())
            }
            Some(Work::Import(import)) => import.run(file),
            Some(Work::Set(set)) => set.run(file),
            Some(Work::Remove(remove)) => {
                let message = RemovePrice::new(&remove.provider, &remove.model, remove.from);
                write(file, message)?;
                let mut facts = Facts::default();
                facts.add(
                    "removed",
                    format_args!("{} of {}", remove.model, remove.provider),
                );
                let json = json!({ "provider": remove.provider, "model": remove.model, "valid_from": remove.from });
                Ok(Answer::fine(facts.into_text(), json))
            }
            Some(Work::Reprice(again)) => again.run(file),
        }
    }

    fn list(&self) -> Outcome {
        let mut list = List::new();
        list.provider.clone_from(&self.provider);
        let read =
            |tx: &ReadTx<'_>| Ok((all(tx, list)?, tx.query(&UnpricedModels::new(self.days))?));
        let (prices, unpriced) = botstore::snapshot(config(&self.file), read)?;
        let text = table(&prices) + &without_price(&unpriced);
        Ok(Answer::fine(
            text,
            json!({ "prices": prices, "unpriced": unpriced }),
        ))
    }
}

fn table(prices: &[ModelPrice]) -> String {
    let maybe = |price: Option<Usd>| price.map_or("-".to_owned(), |price| price.to_string());
    let rows: Vec<_> = prices
        .iter()
        .map(|price| {
            [
                price.provider.clone(),
                price.model.clone(),
                botstore::time::format(price.valid_from),
                price.input.to_string(),
                maybe(price.cached_input),
                maybe(price.cache_write),
                price.output.to_string(),
                maybe(price.reasoning),
            ]
        })
        .collect();
    let columns = [
        Column::Text("provider"),
        Column::Text("model"),
        Column::Text("from"),
        Column::Number("input"),
        Column::Number("cached"),
        Column::Number("written"),
        Column::Number("output"),
        Column::Number("reasoning"),
    ];
    text::table(columns, &rows)
}

fn without_price(models: &[UnpricedModel]) -> String {
    if models.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = models
        .iter()
        .map(|of| {
            [
                of.provider.clone(),
                of.model.clone(),
                of.requests.to_string(),
            ]
        })
        .collect();
    let columns = [
        Column::Text("provider"),
        Column::Text("without a known cost"),
        Column::Number("requests"),
    ];
    text::table(columns, &rows)
}

impl Import {
    fn run(&self, file: &Path) -> Outcome {
        let mut import = ImportPrices::new(read(&self.path)?);
        import.valid_from = self.from;
        let report = write(file, import)?;
        Ok(Answer::fine(in_words(&report), json!(report)))
    }
}

/// What of the file was taken, and what was not.
fn in_words(report: &ImportReport) -> String {
    let mut facts = Facts::default();
    facts.add("taken", text::count(report.taken, "price"));
    facts.add("unchanged", text::count(report.unchanged, "price"));
    let skipped = report.skipped.len() as u64;
    facts.add("skipped", text::count(skipped, "model"));
    let mut told = facts.into_text();
    if skipped > 0 {
        let rows: Vec<_> = report
            .skipped
            .iter()
            .map(|model| [model.name.clone(), model.why.to_string()])
            .collect();
        told += &text::table([Column::Text("skipped"), Column::Text("why")], &rows);
    }
    if !report.unused_fields.is_empty() {
        let rows: Vec<_> = report
            .unused_fields
            .iter()
            .map(|(field, models)| [field.clone(), models.to_string()])
            .collect();
        told += &text::table(
            [Column::Text("field not used"), Column::Number("models")],
            &rows,
        );
    }
    told
}

impl Set {
    fn run(&self, file: &Path) -> Outcome {
        let mut set = SetPrice::new(&self.provider, &self.model, self.input, self.output);
        set.cached_input = self.cached_input;
        set.cache_write = self.cache_write;
        set.reasoning = self.reasoning;
        set.valid_from = self.from;
        let price = write(file, set)?;
        Ok(Answer::fine(
            table(std::slice::from_ref(&price)),
            json!(price),
        ))
    }
}

impl Again {
    fn run(&self, file: &Path) -> Outcome {
        // Requests of this very moment, too.
        let to = self
            .to
            .unwrap_or_else(|| Utc::now() + TimeDelta::microseconds(1));
        let mut again = Reprice::new(self.from, to);
        again.provider.clone_from(&self.provider);
        again.model.clone_from(&self.model);
        let report = write(file, again)?;
        let mut facts = Facts::default();
        facts.add("repriced", text::count(report.repriced, "request"));
        facts.add("unknown", text::count(report.unknown, "request"));
        Ok(Answer::fine(facts.into_text(), json!(report)))
    }
}

/// Reads a file of prices. Only a plain one: a pipe may never end.
fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let failed = |error| Error::io(format_args!("cannot read {shown}"), error);
    /// As large as the store takes a text, and more than the file has had.
    const MOST: u64 = 16 << 20;
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let why = "must be a plain file";
            return Err(Error::invalid("json", why));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::not_found("path", format_args!("file {shown}")));
        }
        Err(error) => return Err(failed(error)),
    }
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| Error::invalid("json", "is no text"))
}

/// Makes a change in a file that no bot has open, and that needs no migration.
fn write<M: Mutation>(file: &Path, message: M) -> Result<M::Output> {
    with_store(config(file), async |store| store.write(message).await)
}
