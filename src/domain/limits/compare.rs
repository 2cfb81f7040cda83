//! Compares counters with the rows.

use super::counters::{Counts, counts, reserved};
use super::state::Subjects;
use super::sums;
use super::windows::{Window, Zoned};
use crate::domain::columns::{cells, text};
use crate::error::Result;
use crate::operation::ReadTx;
use crate::sqlite::{self, Cell};
use chrono::{DateTime, Utc};

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
    let zone = Zoned::of(tx);
    let rows = tx.all(
        "SELECT scope, who, ends, per, starts, cost, requests, tokens FROM botstore_spent",
        [],
        |row| {
            let key: Vec<Cell> = cells(row)?.into_iter().take(KEY.len()).collect();
            let window = Window::of_row(&text(row, 3)?, text(row, 4)?, text(row, 2)?);
            Ok((text(row, 0)?, key, window, counts(row, 5)?))
        },
    )?;
    for (kind, key, window, stored) in rows {
        let subjects = key.get(1).and_then(|who| Subjects::of_row(&kind, who));
        let subject = subjects.as_ref().and_then(|subjects| subjects.get(&kind));
        let counted = match (subject, window) {
            (Some(subject), Some(window)) if window.is_open() => {
                reserved(tx, subject, DateTime::<Utc>::MIN_UTC)?
            }
            (Some(subject), Some(window)) => sums::spent(tx, subject, &window, &zone)?,
            // Nobody's, or of a period that this program does not know: nothing reads it.
            _ => continue,
        };
        if counted != stored {
            report(Difference {
                key,
                stored,
                counted,
            });
        }
    }
    Ok(())
}
