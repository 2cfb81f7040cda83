//! Odd values: values that their columns should not hold. Finds and repairs them. `columns` decides which values
//! are odd, and what is shown in their place.

use super::columns::{Judged, Kind, TABLES, Table, integer};
use super::integrity::Findings;
use crate::error::{Result, quote};
use crate::operation::{Lane, Mutation, Query, ReadTx, WriteTx};
use crate::sqlite::{self, Cell};
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many rows one statement reads.
const ROWS: i64 = 1_000;

/// A piece of a repair ends after this many values, or this many bytes of them.
const VALUES: usize = 200;
const BYTES: usize = 4 << 20;

/// A value that its column should not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OddValue {
    /// The table.
    pub table: String,
    /// The row, by its rowid.
    pub row: i64,
    /// The column.
    pub column: String,
    /// What the column holds. For secrets and people's texts, only the type and the length.
    pub holds: String,
    /// Why the value is odd, and what is shown in its place.
    pub why: String,
    /// What a repair writes in its place, which is also what is shown; `None` if the value stays, since the row
    /// is found by it.
    pub becomes: Option<String>,
}

/// An odd value that a repair replaces. It holds the whole old and new values, people's texts too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValueRepair {
    /// The table.
    pub table: String,
    /// The row, by its rowid.
    pub row: i64,
    /// The column.
    pub column: String,
    /// The old value's type, by SQLite's `typeof`.
    pub held: String,
    /// The old value. Bytes, and a text that is no UTF-8, are `{"hex": "…"}`; a number that JSON cannot express
    /// is a text.
    pub old: Value,
    /// The new value.
    pub new: Value,
}

/// The result of a repair of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RepairedValues {
    /// How many values were replaced.
    pub written: u64,
    /// How many were not: another change came first, or the file's own triggers refuse the new value.
    pub left: u64,
}

/// Passes each value of up to [`ROWS`] rows from this rowid on to `look`; returns the rowid to continue from.
fn look_at(
    tx: &ReadTx<'_>,
    table: &Table,
    from: i64,
    mut look: impl FnMut(i64, &str, Kind, ValueRef<'_>) -> Result<()>,
) -> Result<Option<i64>> {
    // Another program may have dropped the table, which is reported elsewhere.
    if !sqlite::has_table(tx.conn(), table.name)? {
        return Ok(None);
    }
    let names: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let sql = format!(
        "SELECT rowid, {} FROM {} WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2",
        names.join(", "),
        table.name
    );
    let mut last = None;
    tx.all(&sql, (from, ROWS), |row| {
        let rowid = integer(row, 0)?;
        last = Some(rowid);
        for (at, (name, kind)) in table.columns.iter().enumerate() {
            look(rowid, name, *kind, row.get_ref(at + 1)?)?;
        }
        Ok(())
    })?;
    Ok(last.and_then(|last: i64| last.checked_add(1)))
}

/// All values that their columns should not hold. Reads all rows.
pub(super) fn values(tx: &ReadTx<'_>) -> Result<Findings<OddValue>> {
    let mut found = Findings::default();
    for table in &TABLES {
        let mut next = Some(i64::MIN);
        while let Some(from) = next {
            next = look_at(tx, table, from, |row, column, kind, value| {
                let becomes = match kind.judge(value) {
                    Judged::Fine => return Ok(()),
                    Judged::Kept => None,
                    Judged::ShownAs(_) if kind.is_private() => Some("the shown value".to_owned()),
                    Judged::ShownAs(new) => Some(new.to_string()),
                };
                found.add(OddValue {
                    table: table.name.to_owned(),
                    row,
                    column: column.to_owned(),
                    holds: in_words(kind, value),
                    why: kind.in_words().to_owned(),
                    becomes,
                });
                Ok(())
            })?;
        }
    }
    Ok(found)
}

fn in_words(kind: Kind, value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(_) | ValueRef::Real(_) if kind.is_private() => "a number".to_owned(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => {
            Cell::from(value).to_string()
        }
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !kind.is_private() => format!("the text {}", quote(text)),
            Ok(_) => format!("a text of {} bytes", bytes.len()),
            Err(_) => format!("a text of {} bytes that is not UTF-8", bytes.len()),
        },
    }
}

/// Finds the next odd values that a repair can replace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FindOddValues {
    from: Place,
}

/// A table's index in [`TABLES`], and a rowid.
#[derive(Clone, Copy, Debug)]
struct Place(usize, i64);

impl Default for Place {
    fn default() -> Self {
        Self(0, i64::MIN)
    }
}

/// Some of the odd values.
#[derive(Debug)]
pub(crate) struct FoundOddValues {
    pub(crate) repair: SetRight,
    /// The query for the rest.
    pub(crate) rest: Option<FindOddValues>,
}

impl Query for FindOddValues {
    const LANE: Lane = Lane::Analytics;
    type Output = FoundOddValues;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<FoundOddValues> {
        let mut values = Vec::new();
        let mut bytes = 0;
        let Place(mut number, mut from) = self.from;
        while let Some(table) = TABLES.get(number) {
            // A row without an owner is left as it is.
            let (mut ownerless, mut enough) = (None, None);
            let next = look_at(tx, table, from, |row, column, kind, value| {
                if enough.is_some_and(|last| last < row) {
                    return Ok(());
                }
                let new = match kind.judge(value) {
                    Judged::Fine => return Ok(()),
                    Judged::Kept => {
                        if kind == Kind::Owner {
                            ownerless = Some(row);
                            values.retain(|odd: &Odd| odd.row != row || odd.table != table.name);
                        }
                        return Ok(());
                    }
                    Judged::ShownAs(new) => new,
                };
                if ownerless != Some(row) {
                    let old = Cell::from(value);
                    bytes += old.owned_bytes() + new.owned_bytes();
                    values.push(Odd {
                        table: table.name,
                        column: column.to_owned(),
                        row,
                        old,
                        new,
                    });
                }
                if values.len() >= VALUES || bytes >= BYTES {
                    enough = Some(row);
                }
                Ok(())
            })?;
            let next = enough.map_or(next, |last: i64| last.checked_add(1));
            (number, from) = match next {
                Some(next) => (number, next),
                None => (number + 1, i64::MIN),
            };
            if enough.is_some() {
                break;
            }
        }
        let place = Place(number, from);
        Ok(FoundOddValues {
            repair: SetRight { values },
            rest: (number < TABLES.len()).then_some(FindOddValues { from: place }),
        })
    }
}

/// A value and its replacement.
#[derive(Clone, Debug)]
struct Odd {
    table: &'static str,
    column: String,
    row: i64,
    old: Cell,
    new: Cell,
}

/// Replaces odd values that have not changed since; returns how many.
#[derive(Clone, Debug)]
pub(crate) struct SetRight {
    values: Vec<Odd>,
}

impl SetRight {
    /// The changes it would make, for a report.
    pub(crate) fn report(&self) -> Vec<ValueRepair> {
        let reported = self.values.iter().map(|odd| ValueRepair {
            table: odd.table.to_owned(),
            row: odd.row,
            column: odd.column.clone(),
            held: type_of(&odd.old).to_owned(),
            old: in_json(&odd.old),
            new: in_json(&odd.new),
        });
        reported.collect()
    }

    /// The same repair, one value at a time, so that a value that a bot's trigger refuses does not hold up the
    /// others.
    pub(crate) fn one_by_one(self) -> impl Iterator<Item = Self> {
        self.values
            .into_iter()
            .map(|odd| Self { values: vec![odd] })
    }
}

impl Mutation for SetRight {
    type Output = u64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<u64> {
        let mut written = 0;
        for odd in &self.values {
            let Odd { table, column, .. } = odd;
            let sql = format!(
                "UPDATE {table} SET {column} = ?1 WHERE rowid = ?2 AND {column} IS ?3
                 AND typeof({column}) = ?4"
            );
            let done = tx.execute(&sql, (&odd.new, odd.row, &odd.old, type_of(&odd.old)))?;
            written += done as u64;
        }
        Ok(written)
    }
}

fn type_of(cell: &Cell) -> &'static str {
    match cell {
        Cell::Null => "null",
        Cell::Integer(_) => "integer",
        Cell::Real(_) => "real",
        Cell::Text(_) => "text",
        Cell::Blob(_) => "blob",
    }
}

fn in_json(cell: &Cell) -> Value {
    let hex = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "hex": digits })
    };
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => json!(number),
        Cell::Real(number) if number.is_finite() => json!(number),
        Cell::Real(number) => json!(number.to_string()),
        Cell::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => hex(bytes),
        },
        Cell::Blob(bytes) => hex(bytes),
    }
}
