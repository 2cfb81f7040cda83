//! Counts everything anew, in memory.

use super::sources::Source;
use crate::domain::columns::integer;
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Cell, cells};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Params, Row, params_from_iter};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the WAL tells how far counting is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How many rows are grouped at once. SQLite sorts them in memory, in some 150 bytes each; what the
/// processor's cache holds is sorted fastest.
const PIECE: i64 = 4_000;

/// A table of rollups.
#[derive(Debug)]
pub(super) struct Rollup {
    pub(super) name: &'static str,
    /// The columns of its key.
    pub(super) key: Vec<String>,
    /// Its other columns, if it has any.
    pub(super) counts: Vec<String>,
    /// The one of those that triggers on other rollups count.
    distinct: Option<&'static str>,
}

impl Rollup {
    /// All columns, the key first.
    pub(super) fn columns(&self) -> String {
        [&self.key[..], &self.counts[..]].concat().join(", ")
    }

    /// The condition that is true of one row; its key is bound from the first parameter on.
    pub(super) fn is_row(&self) -> String {
        let parts = self.key.iter().zip(1..);
        let parts: Vec<_> = parts
            .map(|(column, at)| format!("{column} = ?{at}"))
            .collect();
        parts.join(" AND ")
    }
}

/// Which rows of a table are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// The ids of the first and the last.
    pub(super) from: i64,
    pub(super) to: i64,
    /// So many of them at most, from the first.
    pub(super) most: i64,
}

impl Rows {
    pub(super) const ALL: Self = Self {
        from: i64::MIN,
        to: i64::MAX,
        most: i64::MAX,
    };
}

/// The rollups of a [`Source`] as they should be, in a database in memory. It takes some 90 bytes for each
/// session's day, or 70 for each tool that a session used.
///
/// The connection that reads the file cannot count there: it cannot write, not even to a temporary table.
/// One `GROUP BY` over all rows was turned down: SQLite sorts them in memory, 150 bytes each. So was a
/// second implementation of the triggers in Rust, with maps: it was twice as fast and not quite the same.
pub(super) struct Recount {
    conn: Connection,
    pub(super) rollups: Vec<Arc<Rollup>>,
    /// The id of the first row that was not counted, if there may be one.
    pub(super) next: Option<i64>,
}

impl Recount {
    /// Reads and counts rows of a source. `day_offset` is in minutes.
    pub(super) fn of(
        source: &Source,
        tx: &ReadTx<'_>,
        day_offset: i64,
        rows: Rows,
    ) -> Result<Self> {
        let conn = sqlite::scratch()?;
        conn.execute_batch(source.schema)?;
        let next = count(source, tx, &conn, day_offset, rows)?;
        let mut rollups = Vec::new();
        for of in source.rollups {
            let (name, distinct) = (of.name, of.distinct);
            let view = conn.prepare(&format!("SELECT * FROM {name}"))?;
            let columns = (0..view.column_count()).map(|at| Ok(view.column_name(at)?.to_owned()));
            let mut key = columns.collect::<Result<Vec<_>>>()?;
            let counts = key.split_off(of.key.len());
            rollups.push(Arc::new(Rollup {
                name,
                key,
                counts,
                distinct,
            }));
        }
        Ok(Self {
            conn,
            rollups,
            next,
        })
    }

    /// Looks at each row that there should be, in the order of the key.
    pub(super) fn for_each(
        &self,
        rollup: &Rollup,
        look: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let (name, columns, key) = (rollup.name, rollup.columns(), rollup.key.join(", "));
        let sql = format!("SELECT {columns} FROM {name} ORDER BY {key}");
        for_each(&self.conn, &sql, look)
    }

    /// Looks at the key of each row that the file has and should not have. Takes the memory of all keys of
    /// the file's table, so ask only if there is such a row.
    pub(super) fn for_each_surplus(
        &self,
        rollup: &Rollup,
        tx: &ReadTx<'_>,
        look: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let (name, key, places) = (rollup.name, rollup.key.join(", "), places(rollup.key.len()));
        let table = format!("CREATE TABLE kept ({key}, PRIMARY KEY ({key})) WITHOUT ROWID");
        self.conn.execute_batch(&table)?;
        let (select, insert) = (
            format!("SELECT {key} FROM {name}"),
            format!("INSERT INTO kept VALUES ({places})"),
        );
        insert_each(tx, &select, [], &self.conn, &insert, |_| Ok(()))?;
        let sql = format!("SELECT {key} FROM kept EXCEPT SELECT {key} FROM {name}");
        for_each(&self.conn, &sql, look)?;
        Ok(self.conn.execute_batch("DROP TABLE kept")?)
    }

    /// Adds to the file's rows what was counted here, as the triggers would have. How many different users or
    /// sessions there are is left to the triggers on the rollups.
    pub(super) fn add(&self, rollup: &Rollup, tx: &WriteTx<'_>) -> Result<()> {
        let (name, columns, key) = (rollup.name, rollup.columns(), rollup.key.join(", "));
        let counts = rollup.counts.iter();
        let counts = counts.filter(|column| Some(column.as_str()) != rollup.distinct);
        let sums: Vec<_> = counts.map(|column| sum(column)).collect();
        let or_add = match sums.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", sums.join(", ")),
        };
        let count = rollup.key.len() + rollup.counts.len();
        let places = places(count);
        let add = format!(
            "INSERT INTO {name} ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO {or_add}"
        );
        let mut distinct = rollup.counts.iter();
        let distinct = distinct.position(|column| Some(column.as_str()) == rollup.distinct);
        self.for_each(rollup, |row| {
            let mut cells = cells(row, 0..count)?;
            if let Some(at) = distinct {
                cells[rollup.key.len() + at] = Cell::Integer(0);
            }
            tx.execute(&add, params_from_iter(cells))?;
            Ok(())
        })
    }
}

/// How a column comes to its sum. A day is none.
fn sum(column: &str) -> String {
    match column {
        "last_day" => "last_day = max(last_day, excluded.last_day)".to_owned(),
        _ => format!("{column} = {column} + excluded.{column}"),
    }
}

/// Counts rows of a source into its table in memory, a piece at a time. Gives the first that was not counted,
/// if there may be one.
fn count(
    source: &Source,
    tx: &ReadTx<'_>,
    into: &Connection,
    day_offset: i64,
    rows: Rows,
) -> Result<Option<i64>> {
    let (of_the_step, of_the_file) = (super::quoted(0), super::quoted(day_offset));
    let select = source.select.replace(&of_the_step, &of_the_file);
    let (mut next, mut left, mut told) = (Some(rows.from), rows.most, Instant::now());
    while let Some(from) = next.filter(|&from| from <= rows.to && left > 0) {
        let (mut last, piece) = (None::<i64>, left.min(PIECE));
        let params = (from, piece, rows.to);
        insert_each(tx, &select, params, into, source.insert, |row| {
            last = last.max(Some(integer(row, row.as_ref().column_index("last")?)?));
            Ok(())
        })?;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::info!(table = source.table, last_id = last, "counting rows");
        }
        left -= piece;
        next = last.and_then(|last| last.checked_add(1));
    }
    Ok(next.filter(|&next| next <= rows.to))
}

/// Places for so many parameters.
pub(super) fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Looks at each row that a statement gives.
fn for_each(
    conn: &Connection,
    sql: &str,
    mut look: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look(row)?;
    }
    Ok(())
}

/// Has `insert` take in each row that `select` finds in the file, but for what it selects besides.
fn insert_each(
    tx: &ReadTx<'_>,
    select: &str,
    params: impl Params,
    into: &Connection,
    insert: &str,
    mut look: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut insert = into.prepare_cached(insert)?;
    tx.all(select, params, |row| {
        for at in 0..insert.parameter_count() {
            insert.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(row.get_ref(at)?))?;
        }
        insert.raw_execute()?;
        look(row)
    })?;
    Ok(())
}
