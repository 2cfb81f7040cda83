//! Repairs rollups that differ from a full count, while the bot goes on saving.

use super::facts::CURRENT;
use super::reconcile::{Difference, RollupReport, compare};
use crate::domain::columns::integer;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Lane, Mutation, Query, ReadTx, WriteTx};
use crate::sqlite::Cell;
use rusqlite::params_from_iter;

/// How many rows one mutation repairs.
const CHUNK: usize = 500;

/// How many rows to repair are kept in memory, some 400 bytes each. The next comparison finds the others.
const MOST: usize = 200_000;

/// Compares the rollups with a full count, as [`ReconcileRollups`](super::ReconcileRollups) does, and returns
/// the repairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FindRepairs;

/// The differences, and the repair in pieces, each of which occupies the writer for a moment.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    pub(crate) report: RollupReport,
    pub(crate) pieces: Vec<MendRollups>,
}

impl Query for FindRepairs {
    const LANE: Lane = Lane::Analytics;
    type Output = Repairs;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Repairs> {
        let mut found = Repairs::default();
        let mut expected = repairs(tx)?;
        compare(tx, |difference| {
            found.report.note(&difference);
            match found.pieces.last_mut() {
                _ if found.report.differences > MOST => {}
                Some(piece) if piece.rows.len() < CHUNK => piece.rows.push(difference),
                _ => {
                    let rows = vec![difference];
                    found.pieces.push(MendRollups { expected, rows });
                    expected += 1;
                }
            }
        })?;
        Ok(found)
    }
}

/// How many pieces of repairs the file has had. It grows, too, when another generation begins to answer.
fn repairs(tx: &ReadTx<'_>) -> Result<i64> {
    let sql = format!("SELECT repairs FROM botstore_total WHERE generation = {CURRENT}");
    tx.one(&sql, [], |row| integer(row, 0))
}

/// Corrects some rows of the rollups by adding the difference. It does not overwrite, so what is saved between
/// the comparison and the repair stays counted. To count the rows again here was turned down: one user's row may
/// need a million messages, and the writer would wait.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) if another repair ran in between, or a count by another time zone has ended.
#[derive(Debug)]
pub(crate) struct MendRollups {
    /// How many pieces the file had had before this one.
    expected: i64,
    rows: Vec<Difference>,
}

impl Mutation for MendRollups {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        if repairs(tx)? != self.expected {
            let why =
                "another repair, or another time zone, has changed the same rollups: compare again";
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        tx.as_the_store(|tx| {
            let sql = format!(
                "UPDATE botstore_total SET repairs = repairs + 1 WHERE generation = {CURRENT}"
            );
            tx.execute(&sql, [])?;
            self.rows.iter().try_for_each(|row| mend(row, tx))
        })
    }
}

/// Adds the difference to a row's counts. Creates the row if it is missing. Removes a surplus row whose counts
/// are all zero afterwards.
fn mend(row: &Difference, tx: &WriteTx<'_>) -> Result<()> {
    let (rollup, key) = (&row.rollup, &row.key);
    let (name, is_row) = (rollup.name, rollup.is_row());
    let (width, counts) = (key.len(), rollup.counts.len());
    if row.counted.is_some() {
        let (columns, values) = rollup.fresh();
        let sql = format!("INSERT OR IGNORE INTO {name} ({columns}) VALUES ({values})");
        tx.execute(&sql, params_from_iter(key))?;
    }
    let columns = rollup.counts.iter().zip(width + 1..);
    let sums = columns.map(|(column, at)| sum(column, at, at + counts));
    let sums: Vec<_> = sums.collect();
    let sql = format!("UPDATE {name} SET {} WHERE {is_row}", sums.join(", "));
    let nothing = vec![Cell::Integer(0); counts];
    let counted = row.counted.as_ref().unwrap_or(&nothing);
    let stored = row.stored.as_ref().unwrap_or(&nothing);
    let bound = [key, counted, stored].into_iter().flatten();
    tx.execute(&sql, params_from_iter(bound))?;
    if row.counted.is_none() {
        let is_nothing = |column| format!(" AND {column} IN (0, '')");
        let is_nothing: String = rollup.counts.iter().map(is_nothing).collect();
        let sql = format!("DELETE FROM {name} WHERE {is_row}{is_nothing}");
        tx.execute(&sql, params_from_iter(key))?;
    }
    Ok(())
}

/// How a column is corrected. `counted` and `stored` are the numbers of the parameters with the counted and the
/// stored value.
fn sum(column: &str, counted: usize, stored: usize) -> String {
    match column {
        // A day is no sum, and a later save may have written a later day.
        "last_day" => format!(
            "last_day = CASE last_day WHEN ?{stored} THEN ?{counted}
                        ELSE max(last_day, ?{counted}) END"
        ),
        // Adding cannot correct a value that is no integer, so the counted value replaces it.
        _ => format!(
            "{column} = CASE WHEN typeof({column} + (?{counted} - ?{stored})) = 'integer'
                             THEN {column} + (?{counted} - ?{stored}) ELSE ?{counted} END"
        ),
    }
}
