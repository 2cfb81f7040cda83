//! Lists, one page at a time.
//!
//! Every list has a total order, newest first; messages also oldest first, by [`Order`]. Messages, tool uses,
//! events and tokens are in the order in which they were saved, which is that of their ids, whatever the clock
//! did meanwhile: a clock that is set back must not put an answer before its question. Sessions and users are in
//! the order of a time, then of their ids. A page says where it ended, and the next one begins there. So rows
//! that are added meanwhile shift nothing.
//!
//! Another program may have left a value that is no time. In a list by time, its row stands where SQLite sorts
//! the value: a number and an empty text come last, a word or bytes first. A row whose time is NULL is missing
//! from lists in the order of that time; [`CheckFile`](super::integrity::CheckFile) names it, and a repair sets
//! the time to the epoch.

mod names;
mod order;
mod paged;
mod reading;

pub(super) use names::Names;
pub use order::Order;
pub use paged::Paged;
pub(super) use reading::{Found, LOOKED_AT, Room, fills, read, read_all, read_by_id};

use super::columns;
use crate::error::{Error, Result};
use crate::operation::ReadTx;
use crate::sqlite::Cell;
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most rows in one page; a request for more gets this many.
pub const MAX_LIMIT: u32 = 1_000;

pub(super) const DEFAULT_LIMIT: u32 = 50;

/// After every time, and after the text or bytes that a file may hold in place of one: SQLite sorts bytes last.
const END_OF_TIME: [u8; 64] = [0xff; 64];

/// Which page of a list. The default is the first, of 50 rows.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::page::PageRequest;
/// use botstore::users::ListUsers;
///
/// let mut request = PageRequest::first(100);
/// loop {
///     let page = store.read(ListUsers::new().page(request.clone())).await?;
///     for user in &page.items { /* … */ }
///     let Some(next) = page.next else { break };
///     request = request.after(next);
/// }
/// # Ok(()) }
/// ```
///
/// [`Store::pages`](crate::Store::pages) runs this loop by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PageRequest {
    /// The number of rows, from 1, capped at [`MAX_LIMIT`]. A page of large rows may have fewer: see [`Page`].
    pub limit: u32,
    /// Where the previous page ended.
    pub after: Option<Cursor>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(DEFAULT_LIMIT)
    }
}

impl PageRequest {
    /// The first page, of this many rows.
    pub fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The next page, of the same length: it begins after `cursor`.
    pub fn after(&self, cursor: Cursor) -> Self {
        Self {
            limit: self.limit,
            after: Some(cursor),
        }
    }

    /// A cursor may hold a session's id from an old file, so it may be longer than a name.
    pub(in crate::domain) fn texts(&self, texts: &mut Texts) {
        if let Some(Cursor {
            place: Place::Text(_, id),
        }) = &self.after
        {
            texts.looked_for("after", id.as_str());
        }
    }

    /// The number of rows to ask SQLite for.
    pub(super) fn rows(&self) -> Result<u32> {
        limit("limit", self.limit)
    }

    /// The first id that a row may have, in a list in the order of ids. The cursor's time does not matter, so
    /// cursors of old versions, whose lists were in the order of time, work too.
    pub(super) fn first_id(&self, order: Order) -> Result<i64> {
        match &self.after {
            None => Ok(order.of(i64::MAX, i64::MIN)),
            Some(Cursor {
                place: Place::Integer(_, id) | Place::Row(id),
            }) => Ok(order.of(id.saturating_sub(1), id.saturating_add(1))),
            Some(_) => Err(foreign_cursor()),
        }
    }

    /// The key after which the rows come, in a list by time: a time and an id.
    pub(super) fn after_key(&self, tx: &ReadTx<'_>, list: &List) -> Result<(Cell, Cell)> {
        let Some(Cursor { place }) = &self.after else {
            let first = match list.ids {
                Ids::Integer => Cell::Integer(i64::MAX),
                Ids::Text { .. } => Cell::text(""),
            };
            return Ok((Cell::Blob(END_OF_TIME.into()), first));
        };
        let id = match (place, list.ids) {
            (Place::Integer(_, id), Ids::Integer) => Cell::Integer(*id),
            (Place::Text(_, id), Ids::Text { .. }) => Cell::text(id.as_str()),
            (Place::Row(row), _) => {
                return tx
                    .maybe(list.key_of_row, [row], columns::key)?
                    .ok_or_else(gone);
            }
            _ => return Err(foreign_cursor()),
        };
        let (Place::Integer(at, _) | Place::Text(at, _)) = place else {
            return Err(gone());
        };
        Ok((Cell::text(time::format(*at)), id))
    }
}

fn foreign_cursor() -> Error {
    Error::invalid("after", "is a cursor of another list")
}

fn gone() -> Error {
    Error::invalid(
        "after",
        "points to a row that no longer exists: start again with the first page",
    )
}

/// The columns that order a list by time.
#[derive(Clone, Copy)]
pub(super) struct List {
    /// The column of the time.
    pub(super) time: usize,
    pub(super) ids: Ids,
    /// Selects the time and the id of the row whose rowid is `?1`, unchanged.
    pub(super) key_of_row: &'static str,
}

/// The id that orders rows of one time: the first column that a list selects.
#[derive(Clone, Copy)]
pub(super) enum Ids {
    /// The rowid.
    Integer,
    /// A text; the rowid is in this column.
    Text { rowid: usize },
}

impl List {
    /// The place of a row. A row whose time or id a cursor cannot spell exactly is named by its rowid.
    pub(super) fn cursor(&self, row: &Row<'_>) -> Result<Cursor> {
        let at = columns::canonical_time(row, self.time)?;
        let rowid = |column| columns::integer(row, column);
        let place = match (at, self.ids) {
            (Some(at), Ids::Integer) => Place::Integer(at, rowid(0)?),
            (None, Ids::Integer) => Place::Row(rowid(0)?),
            (at, Ids::Text { rowid: column }) => {
                let id = row.get_ref(0)?.as_str().ok();
                match at.zip(id) {
                    Some((at, id)) => Place::Text(at, id.to_owned()),
                    None => Place::Row(rowid(column)?),
                }
            }
        };
        Ok(Cursor { place })
    }
}

/// A limit from 1, at most [`MAX_LIMIT`].
pub(super) fn limit(field: &'static str, limit: u32) -> Result<u32> {
    if limit == 0 {
        return Err(Error::invalid(field, "must be at least 1"));
    }
    Ok(limit.min(MAX_LIMIT))
}

/// The instant this long before `now`; `None` if it is before the calendar's beginning.
pub(super) fn ago(now: DateTime<Utc>, time: Duration) -> Option<DateTime<Utc>> {
    now.checked_sub_signed(TimeDelta::from_std(time).ok()?)
}

/// The last instant that the file's spelling can express.
pub(super) fn latest() -> DateTime<Utc> {
    Utc.timestamp_micros(253_402_300_799_999_999)
        .single()
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The first instant of a span that ends now. An instant in the span is less than `within` ago, as in the Python
/// bot: one that is exactly `within` ago is not in it.
pub(super) fn since(now: DateTime<Utc>, within: Duration) -> DateTime<Utc> {
    ago(now, within).map_or(DateTime::<Utc>::MIN_UTC, |start| {
        let next = start.checked_add_signed(TimeDelta::microseconds(1));
        next.unwrap_or(start)
    })
}

/// One page of a list.
///
/// It has at most as many rows as requested, and at most as many bytes as
/// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes) says; but one row always fits. A page that is
/// not full need not be the last: look at `next`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The rows, newest first unless the query has another [`Order`].
    pub items: Vec<T>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page with these rows, for a test of your own.
    pub fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self::new(Vec::new(), None)
    }
}

/// A place in a list. Its text fits into the data of a Telegram button (64 bytes) if a session's id in it is a
/// UUID.
///
/// ```
/// # use botstore::page::Cursor;
/// let cursor: Cursor = "1773156600000000.42".parse()?;
/// assert_eq!(cursor.to_string(), "1773156600000000.42");
/// # Ok::<_, botstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub struct Cursor {
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Integer(DateTime<Utc>, i64),
    Text(DateTime<Utc>, String),
    /// The row with this rowid, whose time or id a cursor cannot spell exactly.
    Row(i64),
}

impl Cursor {
    /// The place of a row in a list in the order of ids: its first column is the id.
    fn by_id(row: &Row<'_>, time: usize) -> Result<Self> {
        let place = Place::Integer(columns::time(row, time)?, columns::integer(row, 0)?);
        Ok(Self { place })
    }

    /// The place of a row whose first column is the rowid.
    fn by_rowid(row: &Row<'_>) -> Result<Self> {
        let place = Place::Row(columns::integer(row, 0)?);
        Ok(Self { place })
    }
}

/// The text before the rowid, in a cursor of [`Place::Row`].
const ROW: &str = "row ";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Microseconds since the epoch; the separator says which kind of id follows.
        match &self.place {
            Place::Integer(at, id) => write!(f, "{}.{id}", at.timestamp_micros()),
            Place::Text(at, id) => write!(f, "{}:{id}", at.timestamp_micros()),
            Place::Row(row) => write!(f, "{ROW}{row}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("after", "is not a cursor that a page gave");
        if let Some(row) = text.strip_prefix(ROW) {
            let place = Place::Row(row.parse().map_err(|_| wrong())?);
            return Ok(Self { place });
        }
        let split = text.find(['.', ':']).ok_or_else(wrong)?;
        let (at, id) = (&text[..split], &text[split + 1..]);
        let at = at.parse().map_err(|_| wrong())?;
        let at = Utc.timestamp_micros(at).single().ok_or_else(wrong)?;
        let place = match text.as_bytes()[split] {
            b'.' => Place::Integer(at, id.parse().map_err(|_| wrong())?),
            _ => Place::Text(at, id.to_owned()),
        };
        Ok(Self { place })
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl TryFrom<String> for Cursor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_cursor_survives_text_and_json() {
        let at = Utc.timestamp_micros(-5).unwrap();
        for place in [
            Place::Integer(at, -9),
            Place::Text(at, "a.b:c".to_owned()),
            Place::Row(i64::MIN),
        ] {
            let cursor = Cursor { place };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
            let json = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
        }
        for text in [
            "",
            "x",
            "1",
            "1.x",
            ".5",
            "99999999999999999999.1",
            "row",
            "row x",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn limits_are_from_one_and_capped() {
        assert_eq!(
            PageRequest::first(0).rows().unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(PageRequest::first(1_000_000).rows().unwrap(), 1_000);
    }
}
