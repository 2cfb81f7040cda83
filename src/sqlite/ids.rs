//! Id counters: for each table with AUTOINCREMENT SQLite keeps the last id. After the largest integer
//! it can give no further one.

use crate::error::Result;
use rusqlite::Connection;

/// The id counter of a table.
pub(crate) struct IdCounter {
    pub(crate) table: String,
    /// The value in `sqlite_sequence`; `None` before the first row.
    pub(crate) last: Option<i64>,
    /// The largest id in the table; `None` if it is empty.
    pub(crate) largest: Option<i64>,
}

impl IdCounter {
    /// The number after which the next id comes.
    pub(crate) fn reached(&self) -> i64 {
        self.last.max(self.largest).unwrap_or(0)
    }
}

/// Returns the counters of all tables with AUTOINCREMENT.
pub(crate) fn id_counters(conn: &Connection) -> Result<Vec<IdCounter>> {
    // Without such a table there is no `sqlite_sequence` either.
    let sql = "SELECT name FROM sqlite_schema
               WHERE type = 'table' AND rootpage > 0 AND sql LIKE '%AUTOINCREMENT%'
                 AND EXISTS (SELECT 1 FROM sqlite_schema s
                             WHERE s.name = 'sqlite_sequence' AND s.rootpage > 0)";
    let mut tables = conn.prepare(sql)?;
    let tables = tables.query_map([], |row| row.get::<_, String>(0))?;
    let tables: Vec<_> = tables.collect::<rusqlite::Result<_>>()?;
    tables
        .into_iter()
        .map(|table| {
            // CAST reads the value as SQLite does, whatever it is.
            let sql = "SELECT max(CAST(seq AS INTEGER)) FROM sqlite_sequence WHERE name = ?1";
            let last = conn.query_row(sql, [&table], |row| row.get(0))?;
            let quoted = table.replace('"', "\"\"");
            let sql = format!("SELECT CAST(max(rowid) AS INTEGER) FROM \"{quoted}\"");
            let largest = conn.query_row(&sql, [], |row| row.get(0))?;
            Ok(IdCounter {
                table,
                last,
                largest,
            })
        })
        .collect()
}

/// Returns the tables that have used up their ids.
pub(crate) fn tables_without_ids(conn: &Connection) -> Vec<String> {
    let counters = id_counters(conn).unwrap_or_default().into_iter();
    let full = counters.filter(|counter| counter.reached() == i64::MAX);
    full.map(|counter| counter.table).collect()
}
