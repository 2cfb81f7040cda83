//! Counts all counted rows again, in memory.

use super::facts::NOTHING;
use super::sources::Source;
use crate::domain::columns::integer;
use crate::error::Result;
use crate::operation::ReadTx;
use crate::sqlite;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Params, Row};
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
    /// Whose rows, if there are generations.
    pub(super) generation: Option<i64>,
    /// The columns of its key.
    pub(super) key: Vec<String>,
    /// Its other columns.
    pub(super) counts: Vec<String>,
}

impl Rollup {
    /// All columns but the generation, the key first.
    pub(super) fn columns(&self) -> String {
        [&self.key[..], &self.counts[..]].concat().join(", ")
    }

    /// A condition for one row, whose key is bound from the first parameter on.
    pub(super) fn is_row(&self) -> String {
        let parts = self.key.iter().zip(1..);
        let parts = parts.map(|(column, at)| format!("{column} = ?{at}"));
        let parts: Vec<_> = [self.is_one()].into_iter().chain(parts).collect();
        parts.join(" AND ")
    }

    /// A row with this key, whose counts are all 0, as columns and values. The key is bound from the first parameter on.
    pub(super) fn fresh(&self) -> (String, String) {
        let (columns, places) = (self.columns(), places(self.key.len()));
        let zeros = ", 0".repeat(self.counts.len());
        match self.generation {
            Some(generation) if self.key != ["generation"] => (
                format!("generation, {columns}"),
                format!("{generation}, {places}{zeros}"),
            ),
            _ => (columns, places + &zeros),
        }
    }

    /// A condition for its rows.
    pub(super) fn is_one(&self) -> String {
        match self.generation {
            Some(generation) => format!("generation = {generation}"),
            None => "true".to_owned(),
        }
    }
}

/// The rollups of a [`Source`] as they should be, in a database in memory. It takes some 90 bytes for each day
/// of a session, or 70 for each tool of a session.
///
/// The connection that reads the file cannot count: it may not write, even to a temporary table. One `GROUP BY`
/// over all rows was turned down: SQLite sorts them in memory, 150 bytes each. So were maps in
/// Rust, which were twice as fast: they would share the mistakes of those that count.
pub(super) struct Recount {
    conn: Connection,
    pub(super) rollups: Vec<Arc<Rollup>>,
}

impl Recount {
    /// Reads and counts those rows of a source that the rollups of a generation cover, if there are generations.
    pub(super) fn of(source: &Source, generation: Option<i64>, tx: &ReadTx<'_>) -> Result<Self> {
        let conn = sqlite::scratch()?;
        conn.execute_batch(&source.schema())?;
        conn.execute(
            "CREATE TABLE counted AS SELECT ?1 AS generation",
            [generation],
        )?;
        count(source, generation, tx, &conn)?;
        let mut rollups = Vec::new();
        for of in source.rollups {
            let name = of.name;
            let view = conn.prepare(&format!("SELECT * FROM {name}"))?;
            let columns = (0..view.column_count()).map(|at| Ok(view.column_name(at)?.to_owned()));
            let mut key = columns.collect::<Result<Vec<_>>>()?;
            let counts = key.split_off(of.key.len());
            rollups.push(Arc::new(Rollup {
                name,
                generation,
                key,
                counts,
            }));
        }
        Ok(Self { conn, rollups })
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
            format!("SELECT {key} FROM {name} WHERE {}", rollup.is_one()),
            format!("INSERT INTO kept VALUES ({places})"),
        );
        insert_each(tx, &select, [], &self.conn, &insert, |_| Ok(()))?;
        let sql = format!("SELECT {key} FROM kept EXCEPT SELECT {key} FROM {name}");
        for_each(&self.conn, &sql, look)?;
        Ok(self.conn.execute_batch("DROP TABLE kept")?)
    }
}

/// Counts rows of a source into its table in memory, one piece at a time.
fn count(
    source: &Source,
    generation: Option<i64>,
    tx: &ReadTx<'_>,
    into: &Connection,
) -> Result<()> {
    let last_id = match generation {
        Some(generation) => source.facts.last_id_in(&generation.to_string()),
        None => source.facts.last_id(),
    };
    let last_id = format!("SELECT {last_id}");
    let to = tx.one(&last_id, [], |row| integer(row, 0))?;
    // Nothing is counted yet, though there may be a row with this id.
    let mut next = Some(NOTHING).filter(|_| to != NOTHING);
    let (select, mut reported) = (source.select(generation), Instant::now());
    while let Some(from) = next.filter(|&from| from <= to) {
        let mut last = None::<i64>;
        insert_each(tx, &select, (from, PIECE, to), into, source.insert, |row| {
            last = last.max(Some(integer(row, row.as_ref().column_index("last")?)?));
            Ok(())
        })?;
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            tracing::info!(table = source.facts.table, last_id = last, "counting rows");
        }
        next = last.and_then(|last| last.checked_add(1));
    }
    Ok(())
}

/// This many placeholders.
fn places(count: usize) -> String {
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
