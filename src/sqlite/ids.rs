//! Counters of ids: SQLite keeps for each table with AUTOINCREMENT the last one that it gave, and gives
//! none any more when that is the largest number.

use crate::error::Result;
use rusqlite::Connection;

/// A table whose ids are counted.
pub(crate) struct IdCounter {
    pub(crate) table: String,
    /// What `sqlite_sequence` says; `None` before the first row.
    pub(crate) last: Option<i64>,
    /// The largest id in the table; `None` if it is empty.
    pub(crate) largest: Option<i64>,
}

impl IdCounter {
    /// The number that the next id comes after.
    pub(crate) fn reached(&self) -> i64 {
        self.last.max(self.largest).unwrap_or(0)
    }
}

/// The counters of all such tables.
pub(crate) fn id_counters(conn: &Connection) -> Result<Vec<IdCounter>> {
    // Where there is no such table, SQLite has made no `sqlite_sequence` either.
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
            // As SQLite reads it, whatever it is.
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

/// The tables that have given their last id.
pub(crate) fn tables_without_ids(conn: &Connection) -> Vec<String> {
    let counters = id_counters(conn).unwrap_or_default().into_iter();
    let full = counters.filter(|counter| counter.reached() == i64::MAX);
    full.map(|counter| counter.table).collect()
}
