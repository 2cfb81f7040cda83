//! Reads a page: the one place that bounds an answer, in rows and bytes.

use super::{Cursor, MAX_LIMIT, Order, Page, PageRequest};
use crate::domain::columns;
use crate::error::Result;
use crate::operation::ReadTx;
use rusqlite::{Params, Row, ToSql};

/// How many rows a walk along the ids may visit for each row of its page.
pub(in crate::domain) const LOOKED_AT: u32 = 4;

/// How many bytes an answer may still take. The lists of one answer share one `Room`.
pub(in crate::domain) struct Room {
    bytes: usize,
}

impl Room {
    /// The room of an answer of which nothing has been read.
    pub(in crate::domain) fn of(tx: &ReadTx<'_>) -> Self {
        let bytes = tx.limits().max_answer_bytes;
        Self { bytes }
    }

    /// Takes the room for what is in the answer however large it is.
    pub(in crate::domain) fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// How to find the rows of a page, and one more, which shows that another page follows.
#[derive(Clone, Copy)]
pub(in crate::domain) enum Found {
    /// A statement that selects them.
    Rows(&'static str),
    /// A statement that selects their ids, and one that selects the row of the id `?1`. For rows that need
    /// sorting: one statement for both would sort all rows with their texts.
    Ids {
        ids: &'static str,
        row: &'static str,
    },
}

/// Reads a page of at most `rows` rows. `from_row` leaves a row out by returning `None`; `cursor` returns a
/// row's place.
pub(in crate::domain) fn read<T>(
    tx: &ReadTx<'_>,
    room: &mut Room,
    (rows, found): (u32, Found),
    bound: impl Params,
    mut from_row: impl FnMut(&Row<'_>) -> Result<Option<T>>,
    cursor: impl Fn(&Row<'_>) -> Result<Cursor>,
) -> Result<Page<T>> {
    let mut page = Filling {
        items: Vec::new(),
        rows,
        seen: 0,
        last: None,
        room,
        is_over: false,
    };
    let mut take = |page: &mut Filling<'_, T>, row: &Row<'_>| {
        let goes_in = page.has_room(row);
        if goes_in {
            page.last = Some(cursor(row)?);
            page.items.extend(from_row(row)?);
        }
        Ok(goes_in)
    };
    match found {
        Found::Rows(sql) => tx.each_while(sql, bound, |row| take(&mut page, row))?,
        Found::Ids { ids, row } => {
            for id in tx.all(ids, bound, |row| columns::integer(row, 0))? {
                if page.is_over {
                    break;
                }
                tx.each_while(row, [id], |row| take(&mut page, row))?;
            }
        }
    }
    let next = page.last.filter(|_| page.is_over);
    let items = page.items;
    Ok(Page { items, next })
}

/// Reads a page of a list in the order of ids. The statement selects rows from the id `?1` on, at most `?2` of
/// them; `what` is bound from `?3` on. Its first column is the id, and column `time` has the time.
pub(in crate::domain) fn read_by_id<T>(
    tx: &ReadTx<'_>,
    room: &mut Room,
    (page, order, found): (&PageRequest, Order, Found),
    what: &[&dyn ToSql],
    from_row: impl FnMut(&Row<'_>) -> Result<Option<T>>,
    time: usize,
) -> Result<Page<T>> {
    let (first, rows) = (page.first_id(order)?, page.rows()?);
    let limit = rows + 1;
    let bound = with(&first, &limit, what);
    let cursor = |row: &Row<'_>| Cursor::by_id(row, time);
    read(tx, room, (rows, found), &bound[..], from_row, cursor)
}

/// Reads the rows that belong to another row, `?1`; `?2` is how many to select at most. Their first column is the
/// rowid. What has no room is not there, and the page says so.
pub(in crate::domain) fn read_all<T>(
    tx: &ReadTx<'_>,
    room: &mut Room,
    sql: &'static str,
    of: &dyn ToSql,
    from_row: impl FnMut(&Row<'_>) -> Result<Option<T>>,
) -> Result<Page<T>> {
    let found = (MAX_LIMIT, Found::Rows(sql));
    read(
        tx,
        room,
        found,
        (of, MAX_LIMIT + 1),
        from_row,
        Cursor::by_rowid,
    )
}

/// Whether the next `look_at` rows fill a page of a list by id that leaves rows out. `probe` counts the rows
/// that the page would take, of the next `?2` rows from the id `?1` on; `what` is bound from `?3` on.
///
/// No index has the rows of a span of time by id. So there are two ways to find the page. A walk along the ids
/// is quick if most of the next rows are in the span. Otherwise a list of all users sorts the ids of all rows in the
/// span, which an index by time holds, and a user's events take its least and its greatest id as bounds. This decides. To sort always was turned down: most requests are for the first
/// page of a long span.
pub(in crate::domain) fn fills(
    tx: &ReadTx<'_>,
    (page, order): (&PageRequest, Order),
    (probe, look_at): (&str, u32),
    what: &[&dyn ToSql],
) -> Result<bool> {
    let (first, rows) = (page.first_id(order)?, page.rows()?);
    let bound = with(&first, &look_at, what);
    let found = tx.one(probe, &bound[..], |row| columns::count(row, 0))?;
    Ok(found > u64::from(rows))
}

fn with<'b>(first: &'b i64, limit: &'b u32, what: &[&'b dyn ToSql]) -> Vec<&'b dyn ToSql> {
    let bound: [&dyn ToSql; 2] = [first, limit];
    bound.iter().chain(what).copied().collect()
}

/// A page that is being read.
struct Filling<'r, T> {
    items: Vec<T>,
    rows: u32,
    /// How many rows have been taken, including those that `from_row` left out.
    seen: u32,
    /// The place of the last row taken.
    last: Option<Cursor>,
    room: &'r mut Room,
    /// Whether a row had no room in the page.
    is_over: bool,
}

impl<T> Filling<'_, T> {
    /// Takes the room for a row; false if the room is too small.
    fn has_room(&mut self, row: &Row<'_>) -> bool {
        let bytes = columns::bytes(row);
        let too_large = self.seen > 0 && bytes > self.room.bytes;
        self.is_over = too_large || self.seen == self.rows;
        if !self.is_over {
            self.seen += 1;
            self.room.bytes = self.room.bytes.saturating_sub(bytes);
        }
        !self.is_over
    }
}
