//! Generations of rollups: each has counted by the zone that has its number in `botstore_zone`.
//!
//! Those that have a row in `botstore_total` exist, two at most. Answers come from the smaller one. If there is a
//! larger one, it is being counted by the zone that the bot wants now, up to the rows that the smaller one covers; then
//! it takes the smaller one's place. Rows of other generations are left over, and are deleted.
//!
//! Turned down: a second set of tables, which would have to be renamed or copied in the end.

use super::TOTAL;
use super::count::{BOT, Set, run};
use super::facts::{CURRENT, NOTHING};
use super::sources::{RollupOf, SOURCES};
use super::usage::LLM;
use crate::domain::columns::{id, integer};
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;

/// The generations of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generations {
    /// From which answers come.
    pub(super) current: i64,
    /// Which is being counted.
    pub(super) next: Option<i64>,
}

impl Generations {
    /// `None` if somebody has deleted them.
    pub(super) fn of(tx: &ReadTx<'_>) -> Result<Option<Self>> {
        let sql = "SELECT generation FROM botstore_total ORDER BY generation LIMIT 2";
        let found = tx.all(sql, [], |row| integer(row, 0))?;
        Ok(found.first().map(|&current| Self {
            current,
            next: found.get(1).copied(),
        }))
    }

    pub(super) fn all(self) -> impl Iterator<Item = i64> {
        [self.current].into_iter().chain(self.next)
    }
}

/// The sets that the file has.
pub(super) fn sets(tx: &ReadTx<'_>) -> Result<Vec<&'static Set>> {
    let mut sets = Vec::new();
    for set in [&BOT, &LLM] {
        if set.exist(tx)? {
            sets.push(set);
        }
    }
    Ok(sets)
}

/// The tables of rollups by the days of a zone that the file has, except the one that says which generations exist.
pub(super) fn by_day(tx: &ReadTx<'_>) -> Result<Vec<&'static RollupOf>> {
    let sources = SOURCES.iter().filter(|source| source.facts.have_days());
    let tables = sources.flat_map(|source| source.rollups);
    let mut found = Vec::new();
    for table in tables.filter(|table| table.name != TOTAL) {
        if sqlite::has_table(tx.conn(), table.name)? {
            found.push(table);
        }
    }
    Ok(found)
}

/// Begins a generation of which nothing is counted. Returns its number, which no row has that is left over; `None` if
/// there is no such number.
pub(super) fn begin(tx: &WriteTx<'_>) -> Result<Option<i64>> {
    let mut last = tx.one("SELECT max(generation) FROM botstore_total", [], |row| {
        id(row, 0)
    })?;
    for table in by_day(tx)? {
        let sql = format!("SELECT max(generation) FROM {}", table.name);
        last = last.max(tx.one(&sql, [], |row| id(row, 0))?);
    }
    let Some(next) = last.and_then(|last| last.checked_add(1)) else {
        return Ok(None);
    };
    // Another than the current one's, so that a repair which was found for that one mends nothing of this one.
    let total = "INSERT INTO botstore_total SELECT ?1, 0, 0, max(repairs) + 1 FROM botstore_total";
    run(tx, total, [next])?;
    for set in sets(tx)? {
        for source in set.by_day() {
            let sql = format!("INSERT INTO {} VALUES (?1, ?2, ?3)", set.counted);
            run(tx, &sql, (source, next, NOTHING))?;
        }
    }
    Ok(Some(next))
}

/// Has a generation be none any more. Its rows are left over.
pub(super) fn end(tx: &WriteTx<'_>, generation: i64) -> Result<()> {
    run(
        tx,
        "DELETE FROM botstore_total WHERE generation = ?1",
        [generation],
    )?;
    discard_others(tx)
}

/// Deletes what says of other generations that they exist.
pub(super) fn discard_others(tx: &WriteTx<'_>) -> Result<()> {
    const OTHERS: &str = "generation NOT IN (SELECT generation FROM botstore_total)";
    run(tx, &format!("DELETE FROM botstore_zone WHERE {OTHERS}"), [])?;
    for set in sets(tx)? {
        let sql = format!("DELETE FROM {} WHERE source = ?1 AND {OTHERS}", set.counted);
        for source in set.by_day() {
            run(tx, &sql, [source])?;
        }
    }
    Ok(())
}

/// Has only the generation exist from which answers come, of which nothing is counted.
pub(super) fn only_the_first(tx: &WriteTx<'_>) -> Result<()> {
    // Somebody may have dropped one of these tables.
    let first = format!(
        "SELECT coalesce({CURRENT}, (SELECT min(generation) FROM botstore_zone), 0),
                coalesce((SELECT max(repairs) FROM botstore_total), 0) + 1"
    );
    let (first, repairs) = tx.one(&first, [], |row| Ok((integer(row, 0)?, integer(row, 1)?)))?;
    run(tx, "DELETE FROM botstore_total", [])?;
    let total = "INSERT INTO botstore_total VALUES (?1, 0, 0, ?2)";
    run(tx, total, [first, repairs])?;
    discard_others(tx)
}

/// A generation of which a table has rows, though it is none.
pub(super) fn left_over(tx: &ReadTx<'_>, table: &str) -> Result<Option<i64>> {
    let sql = format!("SELECT min(generation) FROM {table} WHERE generation > ?1");
    let exists = "SELECT 1 FROM botstore_total WHERE generation = ?1";
    // There are few, and each is found at once.
    let mut after = NOTHING;
    while let Some(found) = tx.one(&sql, [after], |row| id(row, 0))? {
        if tx.maybe(exists, [found], |_| Ok(()))?.is_none() {
            return Ok(Some(found));
        }
        after = found;
    }
    Ok(None)
}
