//! Reads a page: the one place that bounds an answer, in rows and in bytes.

use super::{Cursor, Order, Page, PageRequest};
use crate::domain::columns;
use crate::error::Result;
use crate::operation::ReadTx;
use rusqlite::{Params, Row, ToSql};

/// How many rows a walk down the ids may look at for each row of its page.
pub(in crate::domain) const LOOKED_AT: u32 = 4;

/// How many bytes an answer may still take. An answer of several lists has one for all of them.
pub(in crate::domain) struct Room {
    bytes: usize,
}

impl Room {
    /// That of an answer of which nothing has been read.
    pub(in crate::domain) fn of(tx: &ReadTx<'_>) -> Self {
        let bytes = tx.limits().max_answer_bytes;
        Self { bytes }
    }
}

/// How the rows of a page are found: one more than it has at most, which tells whether there is another page.
#[derive(Clone, Copy)]
pub(in crate::domain) enum Found {
    /// By a statement that gives them.
    Rows(&'static str),
    /// By one that gives their ids, and one that gives the row of the id `?1`. For rows that have to be sorted:
    /// one statement would sort them with their texts, all that there are.
    Ids {
        ids: &'static str,
        row: &'static str,
    },
}

/// Reads a page of at most so many rows. `from_row` leaves a row out by giving `None`; `cursor` says where a row
/// stands.
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

/// The same of a list that is in the order of its ids: the statement finds those from the id `?1` on, `?2` of them,
/// by `what`, which is bound from `?3` on. Its first column is the id, and `time` that of the time.
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

/// Whether a page by id that leaves some rows out is filled by the next `look_at` rows. `probe` counts how many it
/// would take of the next `?2` rows, from the id `?1` on, by what is bound from `?3` on.
///
/// What is in a span of time has no index by id. So either its page is found by walking down the ids, which is
/// quick where most of the next rows are in the span; or the ids of all that is in it are sorted, of which an
/// index by time has both. This tells which. To sort always was turned down: most asked for is the first page of
/// a long span.
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
    /// How many rows it has, with those that are left out.
    seen: u32,
    /// Where the last of them stands.
    last: Option<Cursor>,
    room: &'r mut Room,
    /// Whether there is a row that it has no room for.
    is_over: bool,
}

impl<T> Filling<'_, T> {
    /// Takes the room that a row needs, if there is so much.
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
