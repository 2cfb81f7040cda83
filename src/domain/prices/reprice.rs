//! Computes costs again.

use super::cost::Tokens;
use super::lookup;
use crate::domain::columns::{amount, cell, integer, maybe_count, maybe_nanos, maybe_text};
use crate::domain::page;
use crate::domain::usage::CostSource;
use crate::domain::{Usd, costs, messages};
use crate::error::{Error, Result};
use crate::operation::{Mutation, Piece, Place, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Computes what requests of a span of time cost again, by the prices that held when they were made. Only of those
/// whose cost the store has computed itself or nobody knows: what the provider said and what the bot guessed stays, and
/// so does what [`EditMessage`](crate::messages::EditMessage) has changed to another cost. A request without a price any more has no
/// known cost again.
///
/// With a request change its message, the counters of session and user, the day's costs and the statistics. Its audit
/// row, which says what was done at the time, does not. All of them agree at any moment.
///
/// Reads the requests of the span in pieces of at most 10,000 that aim at 20 ms each; other changes run in between. If
/// it fails, or its caller gives up, what it has computed so far stays: send it again for the rest. As part of another
/// mutation it runs in one piece. A price that changes meanwhile holds for the requests that come later.
///
/// For administrators: it changes what all users have spent.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a span that ends before it begins, and for a request whose tokens cost
/// more than 9,000,000 dollars: the error names its price. What was computed before stays.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::{Usd, interactions::SaveInteraction, prices::{Reprice, SetPrice}, usage::Usage};
///
/// let began = store.now();
/// let usage = Usage::new("acme", "parrot-2").input_tokens(1_000).output_tokens(100);
/// store.write(SaveInteraction::new(42, "s-1", "Hello").creating("/srv").usage(usage)).await?;
/// // The price was not known then.
/// let (input, output) = (Usd::from_dollars(3.0)?, Usd::from_dollars(15.0)?);
/// store.write(SetPrice::new("acme", "parrot-2", input, output).valid_from(began)).await?;
/// # store.clock().advance(std::time::Duration::from_secs(1));
/// let done = store.write(Reprice::new(began, store.now())).await?;
/// assert_eq!((done.repriced, done.unknown), (1, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reprice {
    /// The first instant of the span.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// Only requests to this provider; `None` for all.
    #[serde(default)]
    pub provider: Option<String>,
    /// Only requests for this model; `None` for all.
    #[serde(default)]
    pub model: Option<String>,
}

impl Reprice {
    /// All requests from one time until before another.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self {
            from,
            to,
            provider: None,
            model: None,
        }
    }

    /// Only requests to this provider.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Only requests for this model, as [`Usage::model`](field@crate::usage::Usage::model) names it.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

/// What has been computed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RepriceReport {
    /// How many requests have another cost now, or one for the first time, or none any more.
    pub repriced: u64,
    /// How many have no known cost now.
    pub unknown: u64,
}

impl RepriceReport {
    /// A report, for a test of your own.
    pub fn new(repriced: u64, unknown: u64) -> Self {
        Self { repriced, unknown }
    }
}

impl Mutation for Reprice {
    type Output = RepriceReport;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<RepriceReport> {
        if self.to < self.from {
            return Err(Error::invalid("to", "must not be before from"));
        }
        let (changed, left) = tx.in_pieces_that_leave(|place, rows| self.piece(tx, place, rows))?;
        Ok(RepriceReport::new(changed as u64, left as u64))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("provider", self.provider.as_deref());
        texts.name("model", self.model.as_deref());
    }
}

/// The ids of the next requests that are no messages. Two statements, as those of messages: SQLite seeks in an index by
/// both columns of the key only if the first is given.
const OTHERS: [&str; 2] = [
    "SELECT at, usage_id FROM botstore_usage INDEXED BY botstore_usage_other
     WHERE usage_id < 0 AND at = ?1 AND usage_id > ?2 AND at < ?3 ORDER BY usage_id LIMIT ?4",
    "SELECT at, usage_id FROM botstore_usage INDEXED BY botstore_usage_other
     WHERE usage_id < 0 AND at > ?1 AND ?2 IS NOT NULL AND at < ?3 ORDER BY at, usage_id LIMIT ?4",
];

/// The ids of the next messages, which may have used no model. An index of usage by time would cost each interaction
/// a page.
const MESSAGES: [&str; 2] = [
    "SELECT timestamp, message_id FROM messages INDEXED BY idx_messages_timestamp
     WHERE timestamp = ?1 AND message_id > ?2 AND message_id >= 0 AND timestamp < ?3 ORDER BY message_id LIMIT ?4",
    "SELECT timestamp, message_id FROM messages INDEXED BY idx_messages_timestamp
     WHERE timestamp > ?1 AND ?2 IS NOT NULL AND message_id >= 0 AND timestamp < ?3 ORDER BY timestamp, message_id LIMIT ?4",
];

impl Reprice {
    /// Looks at the next rows: first at requests that are no messages, whose ids are below 0, and then at messages. A
    /// place before the first message has the last id.
    fn piece(&self, tx: &WriteTx<'_>, place: &Place, rows: u32) -> Result<Piece> {
        let before_all = (Cell::text(self.just_before()), i64::MAX);
        let are_messages = place.as_ref().is_some_and(|(_, id)| *id >= 0);
        let after = place.as_ref().unwrap_or(&before_all);
        let ids = self.next(
            tx,
            if are_messages { MESSAGES } else { OTHERS },
            after,
            rows,
        )?;
        let (mut changed, mut left) = (0, 0);
        for (_, id) in &ids {
            let Some(request) = self.request(tx, *id)? else {
                continue;
            };
            let cost = request.cost(tx)?;
            left += usize::from(cost.is_none());
            changed += usize::from(request.change(tx, cost)?);
        }
        let is_full = ids.len() == rows as usize;
        let next = match ids.into_iter().next_back() {
            Some(last) if is_full => Some(Some(last)),
            _ if are_messages => None,
            _ => Some(Some(before_all)),
        };
        Ok(Piece {
            changed,
            left,
            next,
        })
    }

    /// A text before all times of the span, and after all others before them.
    fn just_before(&self) -> String {
        let last = whole_micros(self.from).checked_sub_signed(TimeDelta::microseconds(1));
        // Another program may have written a time before the epoch.
        last.filter(|last| *last > DateTime::UNIX_EPOCH)
            .map_or_else(String::new, time::format)
    }

    fn next(
        &self,
        tx: &ReadTx<'_>,
        [same, later]: [&str; 2],
        (at, id): &(Cell, i64),
        rows: u32,
    ) -> Result<Vec<(Cell, i64)>> {
        let to = time::format(whole_micros(self.to).min(page::latest()));
        let key = |row: &Row<'_>| Ok((cell(row, 0)?, integer(row, 1)?));
        let mut found = tx.all(same, (at, id, &to, rows), key)?;
        let rest = rows - found.len() as u32;
        found.extend(tx.all(later, (at, id, &to, rest), key)?);
        Ok(found)
    }

    /// The request, if its cost is to be computed again.
    fn request(&self, tx: &ReadTx<'_>, usage_id: i64) -> Result<Option<Request>> {
        tx.maybe(
            "SELECT user_id, at, provider_name, response_model, request_model, input_tokens, cache_read_input_tokens,
                    cache_creation_input_tokens, output_tokens, reasoning_output_tokens, cost_nanos, cost_source
             FROM botstore_usage
             WHERE usage_id = ?1 AND (cost_source IS NULL OR cost_source = 'catalogue')
               AND (?2 IS NULL OR provider_name = ?2) AND (?3 IS NULL OR request_model = ?3)",
            (usage_id, &self.provider, &self.model),
            |row| {
                Ok(Request {
                    usage_id,
                    user_id: cell(row, 0)?,
                    at: cell(row, 1)?,
                    provider: maybe_text(row, 2)?,
                    models: [maybe_text(row, 3)?, maybe_text(row, 4)?],
                    tokens: Tokens {
                        input: maybe_count(row, 5)?,
                        cached_input: maybe_count(row, 6)?,
                        cache_write: maybe_count(row, 7)?,
                        output: maybe_count(row, 8)?,
                        reasoning: maybe_count(row, 9)?,
                    },
                    cost: match cell(row, 11)? {
                        Cell::Null => None,
                        _ => maybe_nanos(row, 10)?,
                    },
                })
            },
        )
    }
}

/// The first time from this one on that a file can hold: those have microseconds.
fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    let last = time.checked_add_signed(TimeDelta::nanoseconds(999));
    time::to_micros(last.unwrap_or(time))
}

/// A request whose cost is computed again. Its ids are raw values, since those in an odd file may have any type.
struct Request {
    usage_id: i64,
    user_id: Cell,
    at: Cell,
    provider: Option<String>,
    /// The one that answered, and the one that was asked for.
    models: [Option<String>; 2],
    tokens: Tokens,
    /// What it cost so far, if that is known.
    cost: Option<Usd>,
}

impl Request {
    /// What it costs.
    fn cost(&self, tx: &ReadTx<'_>) -> Result<Option<Usd>> {
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let models = self.models.each_ref().map(Option::as_deref);
        lookup::cost(tx, provider, models, &self.at, self.tokens)
    }

    /// Writes a new cost everywhere. Returns whether it is another one.
    fn change(&self, tx: &WriteTx<'_>, cost: Option<Usd>) -> Result<bool> {
        if cost == self.cost {
            return Ok(false);
        }
        let counted = cost.unwrap_or(Usd::ZERO);
        if !self.count_message(tx, counted)? {
            self.count_other(tx, counted)?;
        }
        // After the message, whose trigger says that somebody has corrected it.
        tx.execute(
            "UPDATE botstore_usage SET cost_nanos = ?2, cost_source = ?3 WHERE usage_id = ?1",
            (
                self.usage_id,
                cost.map(Usd::nanos),
                cost.map(|_| CostSource::Catalogue.as_str()),
            ),
        )?;
        Ok(true)
    }

    /// Counts the cost for the message, and returns whether there is one.
    fn count_message(&self, tx: &WriteTx<'_>, cost: Usd) -> Result<bool> {
        let message = tx.maybe(
            "SELECT session_id, user_id, substr(timestamp, 1, 10), cost FROM messages WHERE message_id = ?1",
            [self.usage_id],
            |row| Ok((cell(row, 0)?, cell(row, 1)?, cell(row, 2)?, amount(row, 3)?)),
        )?;
        let Some((session_id, user_id, day, old)) = message else {
            return Ok(false);
        };
        if old != cost {
            let sql = "UPDATE messages SET cost = ?2 WHERE message_id = ?1";
            tx.execute(sql, (self.usage_id, cost.dollars()))?;
            let more = cost.nanos().saturating_sub(old.nanos());
            messages::count_more(tx, (&session_id, &user_id, &day), more)?;
        }
        Ok(true)
    }

    /// Counts the cost for a request that is no message.
    fn count_other(&self, tx: &WriteTx<'_>, cost: Usd) -> Result<()> {
        let more = cost - self.cost.unwrap_or(Usd::ZERO);
        let day = match &self.at {
            Cell::Text(at) => Cell::Text(at[..at.len().min(10)].to_vec()),
            other => other.clone(),
        };
        costs::recount(tx, &self.user_id, &day, (more.nanos(), 0))
    }
}
