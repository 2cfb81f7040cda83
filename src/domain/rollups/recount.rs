//! Counts all rows again, in memory.

use super::sources::Source;
use crate::domain::columns::integer;
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Cell, cells};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Params, Row, params_from_iter};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the log reports the progress of counting.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// How many rows are grouped at once. SQLite sorts them in memory, in some 150 bytes each; sorting is fastest in
/// the processor's cache.
const PIECE: i64 = 4_000;

/// A table of rollups.
#[derive(Debug)]
pub(super) struct Rollup {
    pub(super) name: &'static str,
    /// The columns of its key.
    pub(super) key: Vec<String>,
    /// Its other columns, if it has any.
    pub(super) counts: Vec<String>,
    /// The one of `counts` that triggers on other rollups keep.
    distinct: Option<&'static str>,
}

impl Rollup {
    /// All columns, the key first.
    pub(super) fn columns(&self) -> String {
        [&self.key[..], &self.counts[..]].concat().join(", ")
    }

    /// A condition for one row, whose key is bound from the first parameter on.
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
    /// The first and the last id.
    pub(super) from: i64,
    pub(super) to: i64,
    /// How many rows to count, at most.
    pub(super) most: i64,
}

impl Rows {
    pub(super) const ALL: Self = Self {
        from: i64::MIN,
        to: i64::MAX,
        most: i64::MAX,
    };
}

/// The rollups of a [`Source`] as they should be, in a database in memory. It takes some 90 bytes for each day
/// of a session, or 70 for each tool of a session.
///
/// The connection that reads the file cannot count: it may not write, even to a temporary table. One `GROUP BY`
/// over all rows was turned down: SQLite sorts them in memory, 150 bytes each. So was a second implementation of
/// the triggers in Rust, with maps: it was twice as fast and not quite the same.
pub(super) struct Recount {
    conn: Connection,
    pub(super) rollups: Vec<Arc<Rollup>>,
    /// The first id that was not counted, if rows may be left.
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

    /// Passes each counted row to `look`, in the order of the key.
    pub(super) fn for_each(
        &self,
        rollup: &Rollup,
        look: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let (name, columns, key) = (rollup.name, rollup.columns(), rollup.key.join(", "));
        let sql = format!("SELECT {columns} FROM {name} ORDER BY {key}");
        for_each(&self.conn, &sql, look)
    }

    /// Passes the key of each surplus row in the file to `look`. Holds all keys of the file's table in memory,
    /// so call it only if there is a surplus row.
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

    /// Adds these counts to the file's rows, as the triggers would have. The numbers of different users and
    /// sessions are left to the triggers on the rollups.
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

/// How two values of a column are combined: days by their maximum, counts by their sum.
fn sum(column: &str) -> String {
    match column {
        "last_day" => "last_day = max(last_day, excluded.last_day)".to_owned(),
        _ => format!("{column} = {column} + excluded.{column}"),
    }
}

/// Counts rows of a source into its table in memory, one piece at a time. Returns the first id that was not
/// counted, if rows may be left.
fn count(
    source: &Source,
    tx: &ReadTx<'_>,
    into: &Connection,
    day_offset: i64,
    rows: Rows,
) -> Result<Option<i64>> {
    let (of_the_step, of_the_file) = (super::quoted(0), super::quoted(day_offset));
    let select = source.select.replace(&of_the_step, &of_the_file);
    let (mut next, mut left, mut reported) = (Some(rows.from), rows.most, Instant::now());
    while let Some(from) = next.filter(|&from| from <= rows.to && left > 0) {
        let (mut last, piece) = (None::<i64>, left.min(PIECE));
        let params = (from, piece, rows.to);
        insert_each(tx, &select, params, into, source.insert, |row| {
            last = last.max(Some(integer(row, row.as_ref().column_index("last")?)?));
            Ok(())
        })?;
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            tracing::info!(table = source.table, last_id = last, "counting rows");
        }
        left -= piece;
        next = last.and_then(|last| last.checked_add(1));
    }
    Ok(next.filter(|&next| next <= rows.to))
}

/// This many placeholders.
pub(super) fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Passes each row of a statement to `look`.
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

/// Inserts each row that `select` finds in the file. Columns beyond the parameters of `insert` are only for
/// `look`.
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
