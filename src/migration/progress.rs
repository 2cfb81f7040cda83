//! The progress of a step that runs in pieces: a table beside the ledger, which exists only during such
//! a step. A column of the ledger was turned down: the ledger lists only complete steps, and its
//! readers need not know about pieces.

use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS botstore_progress (
    schema   TEXT    NOT NULL PRIMARY KEY,
    step     INTEGER NOT NULL,
    part     INTEGER NOT NULL,
    next_row INTEGER
) WITHOUT ROWID";

/// The progress of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) step: u32,
    /// How many of its parts are done.
    pub(super) part: u32,
    /// The first row of the next part that is not done; none if that part has not begun.
    pub(super) next_row: Option<i64>,
}

/// Returns the step of a schema that has begun and not ended.
pub(super) fn of(tx: &ReadTx<'_>, schema: &str) -> Result<Option<Progress>> {
    if !sqlite::has_table(tx.conn(), "botstore_progress")? {
        return Ok(None);
    }
    let sql = "SELECT step, part, next_row FROM botstore_progress WHERE schema = ?1";
    tx.maybe(sql, [schema], |row| {
        Ok(Progress {
            step: row.get(0)?,
            part: row.get(1)?,
            next_row: row.get(2)?,
        })
    })
}

pub(super) fn keep(tx: &WriteTx<'_>, schema: &str, progress: Progress) -> Result<()> {
    let Progress {
        step,
        part,
        next_row,
    } = progress;
    tx.execute(CREATE, [])?;
    let sql = "INSERT INTO botstore_progress (schema, step, part, next_row) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (schema) DO UPDATE SET
                   step = excluded.step, part = excluded.part, next_row = excluded.next_row";
    tx.execute(sql, (schema, step, part, next_row))?;
    Ok(())
}

/// Records that the step has ended.
pub(super) fn end(tx: &WriteTx<'_>) -> Result<()> {
    // Only one step runs at a time, so the table has no other.
    tx.execute("DROP TABLE IF EXISTS botstore_progress", [])?;
    Ok(())
}
