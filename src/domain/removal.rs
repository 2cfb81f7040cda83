//! Removes many rows in pieces: a limited number in each.

use super::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Piece, Place, WriteTx};
use crate::sqlite::Cell;
use rusqlite::{ToSql, params_from_iter};

/// How many rows a piece may still remove.
pub(super) struct Allowance {
    rows: u32,
}

impl Allowance {
    pub(super) fn of(rows: u32) -> Self {
        Self { rows }
    }

    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    pub(super) fn spend(&mut self, rows: usize) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        self.rows = self.rows.saturating_sub(rows);
    }

    /// Removes rows that belong to `of`, as many as the allowance permits. Returns whether all of them are
    /// removed and some allowance is left.
    pub(super) fn spend_on(
        &mut self,
        tx: &WriteTx<'_>,
        rows: &Rows,
        of: &dyn ToSql,
    ) -> Result<bool> {
        let keys = tx.all(rows.find, (of, self.rows), columns::cells)?;
        for key in keys {
            unless_referred_to(tx.execute(rows.remove, params_from_iter(key)))?;
            self.spend(1);
        }
        Ok(self.rows > 0)
    }
}

/// Rows that belong to another row. One statement that removes them all was turned down, since SQLite may change
/// its plan: with statistics from a time when the table had a handful of rows, each piece would read the whole
/// table.
pub(super) struct Rows {
    /// Selects the keys of the rows that belong to `?1`, at most `?2` of them.
    pub(super) find: &'static str,
    /// Removes the row with this key.
    pub(super) remove: &'static str,
}

/// Removes one row, when no other row of the store's tables belongs to it any more.
pub(super) fn remove_row(tx: &WriteTx<'_>, sql: &str, key: &dyn ToSql) -> Result<()> {
    unless_referred_to(tx.execute(sql, [key]))?;
    Ok(())
}

/// Removing a row fails with `NotFound` only if a row refers to it, and that is in a table of the bot's own.
fn unless_referred_to(removed: Result<usize>) -> Result<usize> {
    removed.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(
            ErrorKind::Conflict,
            "a row in one of the bot's own tables refers to a row that would be deleted: delete the \
             referring row first, or declare the reference with ON DELETE CASCADE",
        )
        .with_source(error),
        _ => error,
    })
}

/// Which row is deleted with all that hangs on it: so that a later piece takes no row that got the id when the one
/// that was meant was gone.
#[derive(Clone)]
pub(super) struct Target {
    /// Of a row that is gone, the next new one may get it.
    pub(super) rowid: i64,
    /// When the row says that it was made, as it says so.
    pub(super) made_at: Cell,
}

impl Target {
    /// Whether a piece that begins here may go on with this row. That of a row that was there already only becomes
    /// earlier, by a history that is brought along: one that is later is another's.
    pub(super) fn is_of(&self, begun: &Place) -> bool {
        let Some((made_at, rowid)) = begun else {
            return true;
        };
        let is_earlier = match (&self.made_at, made_at) {
            (Cell::Text(now), Cell::Text(then)) => now < then,
            _ => false,
        };
        self.rowid == *rowid && (is_earlier || self.made_at == *made_at)
    }
}

/// What a piece has done, that is the last where all is gone. What is left of the target is the first that the
/// next piece finds.
pub(super) fn piece(changed: usize, is_done: bool, target: Target) -> Piece {
    let begun: Place = Some((target.made_at, target.rowid));
    let next = (!is_done).then_some(begun);
    Piece::of(changed, next)
}

/// What a piece makes of a target that is not there: between two pieces, somebody else has removed the rest.
pub(super) fn gone_meanwhile(begun: &Place, unknown: impl FnOnce() -> Error) -> Result<Piece> {
    match begun {
        Some(_) => Ok(Piece::of(0, None)),
        None => Err(unknown()),
    }
}
