//! Lists, a page at a time.
//!
//! Every list has a total order, newest first. Messages, tool uses, events and tokens are in the order in
//! which they were saved, which is that of their ids, whatever the clock did meanwhile: a clock that is set
//! back must not put an answer before its question. Sessions and users are in the order of a time, then of
//! their ids. A page says where it ended, and the next one begins there, so that rows that arrive meanwhile
//! shift nothing.

mod reading;

pub(super) use reading::{Found, LOOKED_AT, Room, fills, read, read_by_id};

use crate::error::{Error, Result};
use crate::limits::Texts;
use crate::time;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most rows in one page; a request for more gets this many.
pub const MAX_LIMIT: u32 = 1_000;

const DEFAULT_LIMIT: u32 = 50;

/// Later than every time that a file holds, as text.
const END_OF_TIME: &str = "~";

/// Which page of a list. The default is the first, with 50 rows.
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
///     let page = store.read(ListUsers { page: request.clone() }).await?;
///     for user in &page.items { /* … */ }
///     let Some(next) = page.next else { break };
///     request = request.after(next);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PageRequest {
    /// How many rows, from 1. More than [`MAX_LIMIT`] are given as that many. Large rows may be fewer:
    /// see [`Page`].
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(DEFAULT_LIMIT)
    }
}

impl PageRequest {
    /// The first page, of so many rows.
    pub fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The page of the same length that begins where another ended.
    pub fn after(&self, cursor: Cursor) -> Self {
        Self {
            limit: self.limit,
            after: Some(cursor),
        }
    }

    /// A cursor may hold the id of a session that an old file has.
    pub(in crate::domain) fn texts(&self, texts: &mut Texts) {
        if let Some(Cursor {
            id: Id::Text(id), ..
        }) = &self.after
        {
            texts.looked_for("after", id.as_str());
        }
    }

    /// The number of rows to ask SQLite for.
    pub(super) fn rows(&self) -> Result<u32> {
        limit("limit", self.limit)
    }

    /// The largest id that a row may have, in a list that is in the order of its ids. Where the page before
    /// ended at the same time does not matter: cursors from before such lists were in this order hold too.
    pub(super) fn up_to_id(&self) -> Result<i64> {
        match &self.after {
            None => Ok(i64::MAX),
            Some(Cursor {
                id: Id::Integer(id),
                ..
            }) => Ok(id.saturating_sub(1)),
            Some(_) => Err(foreign_cursor()),
        }
    }

    /// The key that the rows must come after, in a list by time whose ids are integers.
    pub(super) fn after_integer(&self) -> Result<(String, i64)> {
        match &self.after {
            None => Ok((END_OF_TIME.to_owned(), i64::MAX)),
            Some(Cursor {
                at,
                id: Id::Integer(id),
            }) => Ok((time::format(*at), *id)),
            Some(_) => Err(foreign_cursor()),
        }
    }

    /// The same in a list whose ids are texts.
    pub(super) fn after_text(&self) -> Result<(String, &str)> {
        match &self.after {
            None => Ok((END_OF_TIME.to_owned(), "")),
            Some(Cursor {
                at,
                id: Id::Text(id),
            }) => Ok((time::format(*at), id)),
            Some(_) => Err(foreign_cursor()),
        }
    }
}

fn foreign_cursor() -> Error {
    Error::invalid("after", "is a cursor of another list")
}

/// A limit from 1, at most [`MAX_LIMIT`].
pub(super) fn limit(field: &'static str, limit: u32) -> Result<u32> {
    if limit == 0 {
        return Err(Error::invalid(field, "must be at least 1"));
    }
    Ok(limit.min(MAX_LIMIT))
}

/// The instant this long before `now`; `None` if the calendar does not reach that far.
pub(super) fn ago(now: DateTime<Utc>, time: Duration) -> Option<DateTime<Utc>> {
    now.checked_sub_signed(TimeDelta::from_std(time).ok()?)
}

/// The last instant that has a spelling of its own.
pub(super) fn latest() -> DateTime<Utc> {
    Utc.timestamp_micros(253_402_300_799_999_999)
        .single()
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The first instant of a span that ends now: less than `within` ago, as the seed has it, so what
/// is exactly that old is out.
pub(super) fn since(now: DateTime<Utc>, within: Duration) -> DateTime<Utc> {
    ago(now, within).map_or(DateTime::<Utc>::MIN_UTC, |start| {
        let next = start.checked_add_signed(TimeDelta::microseconds(1));
        next.unwrap_or(start)
    })
}

/// One page of a list.
///
/// It has at most as many rows as were asked for, and at most as many bytes as
/// [`Config::max_answer_bytes`](crate::Config::max_answer_bytes) says, but at least one row. So a page that
/// is not full need not be the last: go by `next`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
}

/// A place in a list. Its text is short enough for the data of a Telegram button (64 bytes), as
/// long as the session id in it is a UUID.
///
/// ```
/// # use botstore::page::Cursor;
/// let cursor: Cursor = "1773156600000000.42".parse()?;
/// assert_eq!(cursor.to_string(), "1773156600000000.42");
/// # Ok::<_, botstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cursor {
    at: DateTime<Utc>,
    id: Id,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Id {
    Integer(i64),
    Text(String),
}

impl Cursor {
    pub(super) fn integer(at: DateTime<Utc>, id: i64) -> Self {
        Self {
            at,
            id: Id::Integer(id),
        }
    }

    pub(super) fn text(at: DateTime<Utc>, id: &str) -> Self {
        Self {
            at,
            id: Id::Text(id.to_owned()),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Microseconds since the epoch; the separator tells what kind of id follows.
        let at = self.at.timestamp_micros();
        match &self.id {
            Id::Integer(id) => write!(f, "{at}.{id}"),
            Id::Text(id) => write!(f, "{at}:{id}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("after", "is not a cursor that a page gave");
        let split = text.find(['.', ':']).ok_or_else(wrong)?;
        let (at, id) = (&text[..split], &text[split + 1..]);
        let at = at.parse().map_err(|_| wrong())?;
        let at = Utc.timestamp_micros(at).single().ok_or_else(wrong)?;
        let id = match text.as_bytes()[split] {
            b'.' => Id::Integer(id.parse().map_err(|_| wrong())?),
            _ => Id::Text(id.to_owned()),
        };
        Ok(Self { at, id })
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
        for cursor in [Cursor::integer(at, -9), Cursor::text(at, "a.b:c")] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
            let json = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
        }
        for text in ["", "x", "1", "1.x", ".5", "99999999999999999999.1"] {
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

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let request = PageRequest::first(1).after(Cursor::text(Utc::now(), "s"));
        assert!(request.after_integer().is_err());
        assert!(request.after_text().is_ok());
    }
}
