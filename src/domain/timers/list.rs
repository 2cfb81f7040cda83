//! Timers that have not run.

use crate::domain::columns::{count, id, json, maybe_time, text, time};
use crate::domain::page::{self, Found, Order, Page, PageRequest, Room};
use crate::error::Result;
use crate::operation::{Query, ReadTx, TimerId};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A timer that has not run yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingTimer {
    /// Its id.
    pub timer_id: TimerId,
    /// Its message's [`Timer::NAME`](crate::Timer::NAME).
    pub name: String,
    /// Its message.
    pub message: Option<Value>,
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// When it was scheduled.
    pub created_at: DateTime<Utc>,
    /// When it is tried next. `None` if it waits for a store that is opened with its name registered, or has
    /// failed too often.
    pub try_at: Option<DateTime<Utc>>,
    /// How often it has failed since a store was opened with its name registered.
    pub failures: u64,
}

impl PendingTimer {
    /// A timer for a test of your own.
    pub fn new(
        timer_id: impl Into<TimerId>,
        name: impl Into<String>,
        due_at: DateTime<Utc>,
    ) -> Self {
        Self {
            timer_id: timer_id.into(),
            name: name.into(),
            message: None,
            due_at,
            created_at: due_at,
            try_at: Some(due_at),
            failures: 0,
        }
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<PendingTimer>> {
    let Some(timer_id) = id(row, 0)? else {
        return Ok(None);
    };
    Ok(Some(PendingTimer {
        timer_id: timer_id.into(),
        name: text(row, 1)?,
        message: json(row, 2)?,
        due_at: time(row, 3)?,
        created_at: time(row, 4)?,
        try_at: maybe_time(row, 5)?,
        failures: count(row, 6)?,
    }))
}

/// Lists the timers that have not run, newest first: in the order in which they were scheduled. Reads a page.
///
/// For administrators: the answer is about all timers, and holds their messages.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::timers::Timers;
///
/// assert!(store.read(Timers::new()).await?.items.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timers {
    /// Only timers of this name; `None` for all.
    pub name: Option<String>,
    /// Which page.
    pub page: PageRequest,
}

impl Timers {
    /// The first page of all, of 50 timers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only timers of this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for Timers {
    type Output = Page<PendingTimer>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<PendingTimer>> {
        let (room, page) = (&mut Room::of(tx), &self.page);
        match &self.name {
            None => {
                let found = Found::Rows(
                    "SELECT timer_id, name, message, due_at, created_at, try_at, failures
                     FROM botstore_timer WHERE timer_id <= ?1 ORDER BY timer_id DESC LIMIT ?2",
                );
                page::read_by_id(
                    tx,
                    room,
                    (page, Order::NewestFirst, found),
                    &[],
                    from_row,
                    4,
                )
            }
            Some(name) => {
                let found = Found::Rows(
                    "SELECT timer_id, name, message, due_at, created_at, try_at, failures
                     FROM botstore_timer INDEXED BY botstore_timer_name
                     WHERE name = ?3 AND timer_id <= ?1 ORDER BY timer_id DESC LIMIT ?2",
                );
                page::read_by_id(
                    tx,
                    room,
                    (page, Order::NewestFirst, found),
                    &[name],
                    from_row,
                    4,
                )
            }
        }
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("name", self.name.as_deref());
        self.page.texts(texts);
    }
}
