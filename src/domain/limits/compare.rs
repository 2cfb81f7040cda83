//! Compares counters with the rows.

use super::counters::{Counts, counts};
use super::state::Subjects;
use super::sums;
use super::windows::{Window, Zoned};
use crate::domain::columns::{cells, text};
use crate::domain::rollups::spent;
use crate::error::Result;
use crate::operation::ReadTx;
use crate::sqlite::{self, Cell};
use rusqlite::Row;

/// The table of counters, the columns of its key, and its counts.
pub(in crate::domain) const TABLE: &str = "botstore_spent";
pub(in crate::domain) const KEY: [&str; 4] = ["scope", "who", "ends", "per"];
pub(in crate::domain) const COUNTS: [&str; 3] = ["cost", "requests", "tokens"];

/// A counter that differs from what the rows say.
pub(in crate::domain) struct Difference {
    pub(in crate::domain) key: Vec<Cell>,
    pub(in crate::domain) stored: Counts,
    pub(in crate::domain) counted: Counts,
}

/// Counts each counter again, and passes those that differ to `report`. Counters of days and longer are counted from
/// rollups, which are compared with the rows themselves: a counter of a year would read a year of rows, for each user.
pub(in crate::domain) fn compare(
    tx: &ReadTx<'_>,
    mut report: impl FnMut(Difference),
) -> Result<()> {
    if !sqlite::has_table(tx.conn(), TABLE)? {
        return Ok(());
    }
    let mut report = |key: &[Cell], stored: Counts, counted: Counts| {
        if counted != stored {
            report(Difference {
                key: key.to_vec(),
                stored,
                counted,
            });
        }
    };
    let zone = Zoned::of(tx);
    let rows = tx.all(
        "SELECT scope, who, ends, per, starts, cost, requests, tokens FROM botstore_spent WHERE +ends > ''",
        [],
        |row| {
            let window = Window::of_row(&text(row, 3)?, text(row, 4)?, text(row, 2)?);
            Ok((text(row, 0)?, key(row)?, window, counts(row, 5)?))
        },
    )?;
    // Nobody's, or of a period that this program does not know: nothing reads it.
    for (kind, key, window, stored) in rows {
        let subjects = Subjects::of_row(&kind, &key[1]);
        let subject = subjects.as_ref().and_then(|subjects| subjects.get(&kind));
        if let (Some(subject), Some(window)) = (subject, window) {
            let counted = sums::spent(tx, subject, &window, &zone)?;
            report(&key, stored, counted);
        }
    }
    let open = tx.all(&spent::open_counters(), [], |row| {
        Ok((text(row, 0)?, key(row)?, counts(row, 4)?, counts(row, 7)?))
    })?;
    for (kind, key, stored, counted) in open {
        if Subjects::of_row(&kind, &key[1]).is_some() {
            report(&key, stored, counted);
        }
    }
    Ok(())
}

/// The columns of the key, which are the first.
fn key(row: &Row<'_>) -> Result<Vec<Cell>> {
    Ok(cells(row)?.into_iter().take(KEY.len()).collect())
}
