//! Adds many rows to the rollups at once, table by table.
//!
//! The triggers of step 12 add one row, or one group of rows, to all tables; here each row of a rollup is written
//! once, whatever the number of groups in it, and in the order of its key. Where each message is in another session, that
//! takes two thirds of the time. Both come to the same, which tests compare with a full count.

mod messages;
mod tools;

pub(super) use messages::{Days, add_messages};
pub(super) use tools::add_tool_uses;

use super::count::{Piece, prepare};
use super::facts::{COSTS, Facts, sum};
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite::Cell;
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Params, Statement};
use std::cmp::Ordering;

/// A value as a key of a map. A text and a blob of the same bytes are two.
#[derive(Clone)]
pub(super) struct Key(pub(super) Cell);

impl Key {
    /// The kind of the value, and the value.
    fn parts(&self) -> (u8, i64, &[u8]) {
        match &self.0 {
            Cell::Null => (0, 0, &[]),
            Cell::Integer(number) => (1, *number, &[]),
            Cell::Real(number) => (2, number.to_bits() as i64, &[]),
            Cell::Text(bytes) => (3, 0, bytes),
            Cell::Blob(bytes) => (4, 0, bytes),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

/// Adds costs to the rollups: they are counted at once only when all are, and their triggers do it.
pub(super) fn add_costs(tx: &WriteTx<'_>, piece: Piece) -> Result<()> {
    let Piece { after, ids, .. } = piece;
    let Facts {
        inbox, rows, id, ..
    } = COSTS;
    let keys: Vec<_> = COSTS.key_names().collect();
    let sums: Vec<_> = COSTS.sum_names().collect();
    let (names, keys) = ([&*keys, &*sums].concat().join(", "), keys.join(", "));
    let sums = sums.into_iter().map(sum);
    let sums: String = sums
        .map(|sum| format!(", CAST({sum} AS INTEGER)"))
        .collect();
    let select = COSTS.select();
    let sql = format!(
        "INSERT INTO {inbox} ({rows}, {names})
         SELECT count(*), {keys}{sums} FROM ({select} WHERE {id} {after} ?1 AND {id} <= ?2) GROUP BY {keys}"
    );
    prepare(tx, &sql)?.execute(ids)?;
    Ok(())
}

/// Selects the facts of the rows after `?1` up to `?2`, after their ids. A time stands for its day.
pub(super) fn rows_of(facts: &Facts, after: &str) -> String {
    let (select, id) = (facts.select_times(), facts.id);
    format!("{select} WHERE {id} {after} ?1 AND {id} <= ?2")
}

/// Adds to a row, or creates it. Two statements, since most rows exist: `ON CONFLICT` with `RETURNING` would do it in
/// one, for which SQLite makes a table each time.
pub(super) struct Addition<'a> {
    add: Statement<'a>,
    create: Statement<'a>,
}

impl<'a> Addition<'a> {
    /// Both statements have the same parameters.
    pub(super) fn new(tx: &'a WriteTx<'_>, add: &str, create: &str) -> Result<Self> {
        Ok(Self {
            add: prepare(tx, add)?,
            create: prepare(tx, create)?,
        })
    }

    /// Returns whether the row is new.
    pub(super) fn run(&mut self, row: impl Params + Copy) -> Result<bool> {
        let is_new = self.add.execute(row)? == 0;
        if is_new {
            self.create.execute(row)?;
        }
        Ok(is_new)
    }
}
