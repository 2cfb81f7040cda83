//! Compares rollups with a full count, and mends what differs.

use super::count::{self, Counted};
use super::table::{Counts, Key, Names, Part, Rows, TABLES, TOTAL, Table};
use crate::engine::Handle;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Lane, Mutation, Query, ReadTx, WriteTx};
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};

/// How many differences a report names.
const NAMED: usize = 100;

/// How many rows are mended in one mutation.
const CHUNK: usize = 500;

/// The second comparison finds what was counted wrongly during the first repair.
const MAX_REPAIRS: usize = 5;

/// Sums may differ by this much: US dollars.
const TOLERANCE: f64 = 1e-9;

/// Compares the rollups with a full count of what they count, on one snapshot. Changes nothing.
///
/// For administrators: it tells of all users.
///
/// Reads all messages, tool uses and daily costs: some seconds for each million. Meanwhile it takes
/// some 350 bytes of memory for each session and 170 for each user's day. For tools, a drill now and
/// then, and for whoever has written to the rollups by hand; the triggers keep them right.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::rollups::ReconcileRollups;
///
/// let report = store.read(ReconcileRollups).await?;
/// assert_eq!(report.differences, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileRollups;

/// The answer to [`ReconcileRollups`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RollupReport {
    /// How many rows of rollups are not what was counted.
    pub differences: usize,
    /// The first hundred of them.
    pub named: Vec<RollupDifference>,
    deltas: Vec<Delta>,
    repairs: i64,
}

/// A row of rollups that is not what was counted.
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

/// What has to be added to a row to put it right. Added and not written over: what is counted
/// between the comparison and the repair stays counted.
#[derive(Clone, Debug)]
struct Delta {
    table: usize,
    user_id: i64,
    first: String,
    second: String,
    numbers: [i64; 5],
    cost: f64,
    is_due: bool,
}

impl Query for ReconcileRollups {
    const LANE: Lane = Lane::Analytics;
    type Output = RollupReport;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<RollupReport> {
        let day_offset = super::day_offset(tx)?;
        let Counted { mut names, tables } = count::count(tx, day_offset)?;
        let mut report = RollupReport {
            repairs: repairs(tx)?,
            ..RollupReport::default()
        };
        for (at, (table, counted)) in TABLES.iter().zip(tables).enumerate() {
            compare(at, table, tx, &mut names, counted, &mut report)?;
        }
        report.differences = report.deltas.len();
        Ok(report)
    }
}

fn repairs(tx: &ReadTx<'_>) -> Result<i64> {
    tx.one("SELECT repairs FROM botstore_total", [], |row| {
        Ok(row.get(0)?)
    })
}

/// Notes where a table is not what was counted. The rows that it has are looked at one by one, so
/// that they are not in memory too.
fn compare(
    at: usize,
    table: &Table,
    tx: &ReadTx<'_>,
    names: &mut Names,
    mut counted: Rows,
    report: &mut RollupReport,
) -> Result<()> {
    let mut look = |names: &Names, key, is: Option<Counts>, due: Option<Counts>| {
        if is.is_some() == due.is_some() && same(names, is, due) {
            return;
        }
        let words = |counts: Option<Counts>| counts.map(|counts| in_words(table, names, &counts));
        if report.named.len() < NAMED {
            report.named.push(RollupDifference {
                table: table.name.to_owned(),
                row: table.name_row(names, &key),
                says: words(is),
                counted: words(due),
            });
        }
        report.deltas.push(delta(at, names, key, is, due));
    };
    table.each(tx, names, |names, key, is| {
        look(names, key, Some(is), counted.remove(&key));
    })?;
    let mut missing: Vec<_> = counted.all().copied().collect();
    missing.sort_unstable();
    for key in missing {
        look(names, key, None, Some(counted.of(&key)));
    }
    Ok(())
}

fn same(names: &Names, is: Option<Counts>, due: Option<Counts>) -> bool {
    let (is, due) = (is.unwrap_or_default(), due.unwrap_or_default());
    let (a, b) = (is.cost.value(), due.cost.value());
    // Sums of many messages have fewer digits to spare behind the point.
    let tolerance = TOLERANCE.max(b.abs() * 1e-12);
    is.numbers == due.numbers
        && (a - b).abs() <= tolerance
        && names.text(is.day) == names.text(due.day)
}

fn delta(table: usize, names: &Names, key: Key, is: Option<Counts>, due: Option<Counts>) -> Delta {
    let (from, to) = (is.unwrap_or_default(), due.unwrap_or_default());
    Delta {
        table,
        user_id: key.user_id,
        first: names.text(key.first).to_owned(),
        second: names.text(key.second).to_owned(),
        numbers: std::array::from_fn(|at| to.numbers[at].saturating_sub(from.numbers[at])),
        cost: to.cost.value() - from.cost.value(),
        is_due: due.is_some(),
    }
}

fn in_words(table: &Table, names: &Names, counts: &Counts) -> String {
    let numbers = table.numbers.iter().zip(counts.numbers);
    let mut words: Vec<_> = numbers.map(|(name, n)| format!("{name} {n}")).collect();
    for amount in table.amounts {
        words.push(match *amount {
            "cost" => format!("cost {}", counts.cost.value()),
            name => format!("{name} {}", names.text(counts.day)),
        });
    }
    words.join(", ")
}

impl RollupReport {
    /// The repair in pieces that each hold the writer for a moment.
    fn into_repairs(self) -> impl Iterator<Item = MendRollups> {
        let first = self.repairs;
        let chunks: Vec<Vec<Delta>> = self.deltas.chunks(CHUNK).map(<[_]>::to_vec).collect();
        (first..)
            .zip(chunks)
            .map(|(expected, deltas)| MendRollups { expected, deltas })
    }
}

/// Compares and mends until nothing differs; gives what differed at first.
pub(crate) async fn repair(dispatch: &Handle) -> Result<RollupReport> {
    let first = dispatch.read(ReconcileRollups).await?;
    let mut report = first.clone();
    for _ in 0..MAX_REPAIRS {
        if report.differences == 0 {
            return Ok(first);
        }
        for mend in report.into_repairs() {
            dispatch.write(mend).await?;
        }
        report = dispatch.read(ReconcileRollups).await?;
    }
    let why = "the rollups differ again after each repair: something else changes them";
    Err(Error::new(ErrorKind::Conflict, why))
}

/// Adds what is missing to some rows of rollups.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) when another repair came in between.
#[derive(Clone, Debug)]
struct MendRollups {
    /// How many repairs there have been before this one.
    expected: i64,
    deltas: Vec<Delta>,
}

impl Mutation for MendRollups {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        if repairs(tx)? != self.expected {
            let why = "another repair has mended some of it: compare again";
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        tx.as_the_store(|tx| {
            let sql = "UPDATE botstore_total SET repairing = 1, repairs = repairs + 1";
            tx.execute(sql, [])?;
            self.deltas.iter().try_for_each(|delta| delta.apply(tx))?;
            tx.execute("UPDATE botstore_total SET repairing = 0", [])?;
            Ok(())
        })
    }
}

impl Delta {
    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let table = &TABLES[self.table];
        let mut keys: Vec<&dyn ToSql> = Vec::new();
        for (_, part) in table.key {
            keys.push(match part {
                Part::User => &self.user_id,
                Part::First => &self.first,
                Part::Second => &self.second,
            });
        }
        let place = |at: usize| format!("?{}", at + 1);
        let is_row = if self.table == TOTAL {
            "id = 1".to_owned()
        } else {
            let parts = table.key.iter().enumerate();
            let parts: Vec<_> = parts
                .map(|(at, (c, _))| format!("{c} = {}", place(at)))
                .collect();
            parts.join(" AND ")
        };
        if table.numbers.is_empty() {
            let columns: Vec<_> = table.key.iter().map(|(column, _)| *column).collect();
            let places: Vec<_> = (0..keys.len()).map(place).collect();
            let sql = match self.is_due {
                true => format!(
                    "INSERT OR IGNORE INTO {} ({}) VALUES ({})",
                    table.name,
                    columns.join(", "),
                    places.join(", ")
                ),
                false => format!("DELETE FROM {} WHERE {is_row}", table.name),
            };
            tx.execute(&sql, &keys[..])?;
            return Ok(());
        }
        self.add(tx, table, &is_row, keys)
    }

    /// Adds to the row's counts; makes the row if it is missing, and removes it if nothing is left.
    fn add(
        &self,
        tx: &WriteTx<'_>,
        table: &Table,
        is_row: &str,
        keys: Vec<&dyn ToSql>,
    ) -> Result<()> {
        let has = |amount| table.amounts.contains(&amount);
        let mut columns: Vec<&str> = table.numbers.to_vec();
        columns.extend(has("cost").then_some("cost"));
        let mut values = keys.clone();
        values.extend(
            self.numbers
                .iter()
                .take(table.numbers.len())
                .map(|n| n as &dyn ToSql),
        );
        if has("cost") {
            values.push(&self.cost);
        }
        let added: Vec<_> = (columns.iter().zip(keys.len() + 1..))
            .map(|(column, at)| format!("{column} = {column} + ?{at}"))
            .collect();
        let sql = format!(
            "UPDATE {} SET {} WHERE {is_row}",
            table.name,
            added.join(", ")
        );
        if tx.execute(&sql, &values[..])? == 0 {
            let mut all: Vec<&str> = table.key.iter().map(|(column, _)| *column).collect();
            all.extend(&columns);
            let mut places: Vec<_> = (1..=values.len()).map(|at| format!("?{at}")).collect();
            if has("last_day") {
                all.push("last_day");
                places.push("''".to_owned());
            }
            let sql = format!(
                "INSERT INTO {} ({}) VALUES ({})",
                table.name,
                all.join(", "),
                places.join(", ")
            );
            tx.execute(&sql, &values[..])?;
        }
        if self.table != TOTAL && !self.is_due {
            let left: Vec<_> = table.numbers.iter().map(|n| format!("{n} = 0")).collect();
            let left = left.join(" AND ");
            let sql = format!("DELETE FROM {} WHERE {is_row} AND {left}", table.name);
            tx.execute(&sql, &keys[..])?;
        }
        if has("last_day") {
            tx.execute(
                // Days that are mended only after this are seen by the next comparison.
                "UPDATE botstore_user_total SET last_day = coalesce(
                     (SELECT max(day) FROM botstore_user_day WHERE user_id = ?1), '')
                 WHERE user_id = ?1",
                [self.user_id],
            )?;
        }
        Ok(())
    }
}
