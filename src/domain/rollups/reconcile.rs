//! Compares rollups with a full count.

use super::recount::{Recount, Rollup, Rows};
use super::sources::SOURCES;
use crate::domain::columns::integer;
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::sqlite::{Cell, cells};
use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many differences a report names.
const NAMED: usize = 100;

/// Sums may differ by this much: US dollars.
const TOLERANCE: f64 = 1e-9;

/// Compares the rollups with a full count of what they count, on one snapshot. Changes nothing.
///
/// For administrators: it tells of all users.
///
/// Reads all messages, tool uses and daily costs: some seconds for each million. Meanwhile it takes some 90
/// bytes of memory for each day of each session, or 70 for each tool that each session used, whichever are
/// more; and a part of that once more where a table has rows that it should not have. For tools, a drill now
/// and then, and for whoever has written to the rollups by hand, or with `REPLACE` by another program, which fires no
/// trigger there; the triggers keep them right.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let store = botstore::Store::open(folder.path().join("bot.db")).await?;
/// use botstore::rollups::ReconcileRollups;
///
/// let report = store.read(ReconcileRollups::new()).await?;
/// assert_eq!(report.differences, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReconcileRollups;

impl ReconcileRollups {
    /// All rollups.
    pub fn new() -> Self {
        Self
    }
}

/// The answer to [`ReconcileRollups`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RollupReport {
    /// How many rows of rollups are not what was counted.
    pub differences: usize,
    /// The first hundred of them.
    pub named: Vec<RollupDifference>,
}

/// A row of rollups that is not what was counted. Of long texts it has the first 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RollupDifference {
    /// The table of rollups.
    pub table: String,
    /// Which row, such as `user_id 42, day "2026-03-10"`.
    pub row: String,
    /// What it says; `None` if it is missing.
    pub says: Option<String>,
    /// What was counted; `None` if there should be no such row.
    pub counted: Option<String>,
}

impl Query for ReconcileRollups {
    const LANE: Lane = Lane::Analytics;
    type Output = RollupReport;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<RollupReport> {
        let mut report = RollupReport::default();
        compare(tx, |difference| report.note(&difference))?;
        Ok(report)
    }
}

impl RollupReport {
    pub(super) fn note(&mut self, difference: &Difference) {
        self.differences += 1;
        if self.named.len() < NAMED {
            self.named.push(difference.in_words());
        }
    }
}

/// A row of rollups that is not what was counted.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) rollup: Arc<Rollup>,
    pub(super) key: Vec<Cell>,
    /// What the row says beside its key, if it is there.
    pub(super) says: Option<Vec<Cell>>,
    /// What it should say, if it should be there.
    pub(super) counted: Option<Vec<Cell>>,
}

impl Difference {
    fn in_words(&self) -> RollupDifference {
        let words = |columns: &[String], cells: &[Cell]| {
            let words = columns.iter().zip(cells);
            let words: Vec<_> = words
                .map(|(column, cell)| format!("{column} {cell}"))
                .collect();
            words.join(", ")
        };
        let counts = |cells: &Option<Vec<Cell>>| {
            let cells = cells.as_ref();
            cells.map(|cells| words(&self.rollup.counts, cells))
        };
        RollupDifference {
            table: self.rollup.name.to_owned(),
            row: words(&self.rollup.key, &self.key),
            says: counts(&self.says),
            counted: counts(&self.counted),
        }
    }
}

/// Tells of each row of rollups that is not what a full count says.
pub(super) fn compare(tx: &ReadTx<'_>, mut tell: impl FnMut(Difference)) -> Result<()> {
    let day_offset = super::day_offset(tx)?;
    for source in &SOURCES {
        let recount = Recount::of(source, tx, day_offset, Rows::ALL)?;
        for rollup in &recount.rollups {
            compare_one(tx, &recount, rollup, &mut tell)?;
        }
    }
    Ok(())
}

/// Looks each row up in the file that there should be, and then for others if the file has more. A merge of
/// two ordered statements was turned down: a file in UTF-16 has another order of texts.
fn compare_one(
    tx: &ReadTx<'_>,
    recount: &Recount,
    rollup: &Arc<Rollup>,
    tell: &mut impl FnMut(Difference),
) -> Result<()> {
    let (name, columns, is_row) = (rollup.name, rollup.columns(), rollup.is_row());
    let lookup = format!("SELECT {columns} FROM {name} WHERE {is_row}");
    let key = || 0..rollup.key.len();
    let counts = || key().end..key().end + rollup.counts.len();
    let said = |key: &[Cell]| tx.maybe(&lookup, params_from_iter(key), |row| cells(row, counts()));
    let mut differs = |key, says, counted| {
        let rollup = Arc::clone(rollup);
        tell(Difference {
            rollup,
            key,
            says,
            counted,
        });
    };
    let mut found = 0_i64;
    recount.for_each(rollup, |row| {
        let (key, counted) = (cells(row, key())?, cells(row, counts())?);
        let says = said(&key)?;
        found += i64::from(says.is_some());
        let same = says
            .as_ref()
            .is_some_and(|says| says.iter().zip(&counted).all(same));
        if !same {
            differs(key, says, Some(counted));
        }
        Ok(())
    })?;
    let all: i64 = tx.one(&format!("SELECT count(*) FROM {name}"), [], |row| {
        integer(row, 0)
    })?;
    if all == found {
        return Ok(());
    }
    recount.for_each_surplus(rollup, tx, |row| {
        let key = cells(row, key())?;
        let says = said(&key)?;
        differs(key, says, None);
        Ok(())
    })
}

/// Whether a value is what was counted.
fn same((says, counted): (&Cell, &Cell)) -> bool {
    let (a, b) = match (says, counted) {
        (&Cell::Real(a), &Cell::Real(b)) => (a, b),
        (&Cell::Real(a), &Cell::Integer(b)) => (a, b as f64),
        (&Cell::Integer(a), &Cell::Real(b)) => (a as f64, b),
        _ => return says == counted,
    };
    // Sums of many messages have fewer digits to spare behind the point.
    a == b || (a - b).abs() <= TOLERANCE.max(b.abs() * 1e-12)
}
