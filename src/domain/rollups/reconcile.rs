//! Compares rollups with a full count.

use super::generations::Generations;
use super::recount::{Recount, Rollup};
use super::sources::SOURCES;
use crate::domain::columns::integer;
use crate::domain::limits::compare as limits;
use crate::error::Result;
use crate::operation::{Lane, Query, ReadTx};
use crate::sqlite::{Cell, cells};
use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many differences a report names.
const NAMED: usize = 100;

/// Compares the rollups with a full count of the rows that they cover, on one snapshot. Changes nothing. The newest
/// rows, some hundred, may wait to be counted; answers read them one by one. While they are counted by another
/// [time zone](crate::Config::time_zone), both counts are compared, each up to the rows that it covers.
///
/// For administrators: the answer is about all users.
///
/// Reads all messages, tool uses, requests to models and daily costs: some seconds for each million. It needs some 90
/// bytes of memory for each day of each session, 70 for each tool of each session, or 150 for each model that a user
/// asked in a chat on a day, whichever is most; and part of that again if a table has surplus rows. For tools, for an occasional drill, and after somebody has changed the
/// rollups by hand, or another program has used `REPLACE`, which fires no trigger for the rows that it removes.
/// Otherwise the triggers keep the rollups right.
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
    /// How many rows of the rollups differ from the count.
    pub differences: usize,
    /// The first hundred of them.
    pub named: Vec<RollupDifference>,
}

/// A row of the rollups that differs from the count. Long texts are cut to their first 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RollupDifference {
    /// The table of rollups.
    pub table: String,
    /// Which row, such as `user_id 42, day "2026-03-10"`.
    pub row: String,
    /// The row's values; `None` if the row is missing.
    pub stored: Option<String>,
    /// The counted values; `None` if the row should not exist.
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

/// A row of the rollups that differs from the count.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) rollup: Arc<Rollup>,
    pub(super) key: Vec<Cell>,
    /// The row's values without its key, if the row exists.
    pub(super) stored: Option<Vec<Cell>>,
    /// The counted values, if the row should exist.
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
            stored: counts(&self.stored),
            counted: counts(&self.counted),
        }
    }
}

/// Passes each row of the rollups that differs from a full count to `report`.
pub(super) fn compare(tx: &ReadTx<'_>, mut report: impl FnMut(Difference)) -> Result<()> {
    let generations = Generations::of(tx)?;
    for source in &SOURCES {
        let generations: Vec<_> = match source.facts.have_days() {
            true => generations
                .into_iter()
                .flat_map(Generations::all)
                .map(Some)
                .collect(),
            false => vec![None],
        };
        for generation in generations {
            let recount = Recount::of(source, generation, tx)?;
            for rollup in &recount.rollups {
                compare_one(tx, &recount, rollup, &mut report)?;
            }
        }
    }
    compare_counters(tx, report)
}

/// Compares the counters of limits. A counter that is missing is none: it is counted when it is asked for.
fn compare_counters(tx: &ReadTx<'_>, mut report: impl FnMut(Difference)) -> Result<()> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let rollup = Arc::new(Rollup {
        name: limits::TABLE,
        generation: None,
        key: names(&limits::KEY),
        counts: names(&limits::COUNTS),
    });
    let cells = |counts: [i64; 3]| Some(counts.map(Cell::Integer).to_vec());
    limits::compare(tx, |found| {
        report(Difference {
            rollup: Arc::clone(&rollup),
            key: found.key,
            stored: cells(found.stored),
            counted: cells(found.counted),
        });
    })
}

/// Looks up each counted row in the file; then searches for surplus rows, if the file has more rows. A merge of
/// two ordered statements was turned down: a file in UTF-16 orders texts differently.
fn compare_one(
    tx: &ReadTx<'_>,
    recount: &Recount,
    rollup: &Arc<Rollup>,
    report: &mut impl FnMut(Difference),
) -> Result<()> {
    let (name, columns, is_row) = (rollup.name, rollup.columns(), rollup.is_row());
    let lookup = format!("SELECT {columns} FROM {name} WHERE {is_row}");
    let key = || 0..rollup.key.len();
    let counts = || key().end..key().end + rollup.counts.len();
    let look_up =
        |key: &[Cell]| tx.maybe(&lookup, params_from_iter(key), |row| cells(row, counts()));
    let mut differs = |key, stored, counted| {
        let rollup = Arc::clone(rollup);
        report(Difference {
            rollup,
            key,
            stored,
            counted,
        });
    };
    let mut found = 0_i64;
    recount.for_each(rollup, |row| {
        let (key, counted) = (cells(row, key())?, cells(row, counts())?);
        let stored = look_up(&key)?;
        found += i64::from(stored.is_some());
        if stored.as_ref() != Some(&counted) {
            differs(key, stored, Some(counted));
        }
        Ok(())
    })?;
    let sql = format!("SELECT count(*) FROM {name} WHERE {}", rollup.is_one());
    let all: i64 = tx.one(&sql, [], |row| integer(row, 0))?;
    if all == found {
        return Ok(());
    }
    recount.for_each_surplus(rollup, tx, |row| {
        let key = cells(row, key())?;
        let stored = look_up(&key)?;
        differs(key, stored, None);
        Ok(())
    })
}
