//! Shows prices.

use super::{ModelPrice, lookup};
use crate::domain::page::{self, Cursor, Found, Names, Page, PageRequest, Room};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The price of a model that holds at a time, by default now; `None` if it has none then. Reads one row.
///
/// For administrators: the answer is what all users pay.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::{Usd, prices::{Price, SetPrice}};
///
/// let set = SetPrice::new("openai", "gpt-5", Usd::from_dollars(1.25)?, Usd::from_dollars(10.0)?);
/// store.write(set).await?;
/// let price = store.read(Price::new("openai", "gpt-5")).await?;
/// assert_eq!(price.unwrap().output, Usd::from_dollars(10.0)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Price {
    /// Who runs the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// When; `None` is now, by the store's clock.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

impl Price {
    /// The price of this model of this provider now.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            at: None,
        }
    }

    /// The price that held, or will hold, at this time.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }
}

impl Query for Price {
    type Output = Option<ModelPrice>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<ModelPrice>> {
        let at = time::format(time::to_micros(self.at.unwrap_or(tx.now())));
        lookup::held(tx, &self.provider, &self.model, &at)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("provider", self.provider.as_str());
        texts.name("model", self.model.as_str());
    }
}

/// Lists all prices, former and future ones too: by provider, then by model, then the oldest first. Reads a page.
///
/// For administrators: the answer is what all users pay.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::prices::Prices;
///
/// assert!(store.read(Prices::new()).await?.items.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prices {
    /// Only those of this provider; `None` for all.
    #[serde(default)]
    pub provider: Option<String>,
    /// Which page.
    #[serde(default)]
    pub page: PageRequest,
}

impl Prices {
    /// The first page of all, of 50 prices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of this provider.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for Prices {
    type Output = Page<ModelPrice>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ModelPrice>> {
        let (room, rows) = (&mut Room::of(tx), self.page.rows()?);
        let mut after = self.page.after_names()?;
        let from_row = |row: &Row<'_>| ModelPrice::read(row).map(Some);
        let cursor = |row: &Row<'_>| {
            let price = ModelPrice::read(row)?;
            let (provider, model) = (&price.provider, &price.model);
            Ok(Cursor::of_names(provider, model, price.valid_from))
        };
        let Some(provider) = &self.provider else {
            let found = Found::Rows(
                "SELECT provider, model, valid_from, input, cached_input, cache_write, output, reasoning
                 FROM botstore_price WHERE (provider, model, valid_from) > (?1, ?2, ?3)
                 ORDER BY provider, model, valid_from LIMIT ?4",
            );
            let bound = (&after.first, &after.second, &after.at, rows + 1);
            return page::read(tx, room, (rows, found), bound, from_row, cursor);
        };
        // A place is one in the list of all prices.
        match after.first.cmp(provider) {
            Ordering::Less => after = Names::default(),
            Ordering::Equal => {}
            Ordering::Greater => return Ok(Page::default()),
        }
        let found = Found::Rows(
            "SELECT provider, model, valid_from, input, cached_input, cache_write, output, reasoning
             FROM botstore_price WHERE provider = ?1 AND (model, valid_from) > (?2, ?3)
             ORDER BY model, valid_from LIMIT ?4",
        );
        let bound = (provider, &after.second, &after.at, rows + 1);
        page::read(tx, room, (rows, found), bound, from_row, cursor)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("provider", self.provider.as_deref());
        self.page.texts_of_names(texts);
    }
}
