//! What a database contains: read from the original, written into the manifest, and compared with every
//! copy.

use super::manifest::Checksum;
use crate::error::{Error, ErrorKind, Result};
use crate::migration::{self, SchemaStep};
use crate::operation::ReadTx;
use crate::sqlite::has_table;
use chrono::DateTime;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a backed-up database contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Contents {
    /// The last applied step of each schema; empty for a file without a ledger.
    pub schemas: Vec<SchemaStep>,
    /// The size of a page, in bytes.
    pub page_bytes: u32,
    /// The number of pages in the copy.
    pub pages: u64,
    /// The number of rows in each table.
    pub rows: BTreeMap<String, u64>,
    /// Rows with a reference to a missing row. Zero, unless an adopted file brought such rows along.
    pub orphans: u64,
    /// Size and checksum of the restored database file.
    pub database: Checksum,
}

/// What the original contains, read inside the snapshot that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inventory {
    pub(crate) store_id: Option<String>,
    pub(crate) schemas: Vec<SchemaStep>,
    pub(crate) rows: BTreeMap<String, u64>,
}

impl Inventory {
    pub(crate) fn read(conn: &Connection) -> Result<Self> {
        let schemas = match has_table(conn, "botstore_ledger")? {
            true => migration::steps(&ReadTx::new(conn, DateTime::UNIX_EPOCH))?,
            false => Vec::new(),
        };
        Ok(Self {
            store_id: Self::store_id(conn)?,
            schemas,
            rows: rows_by_table(conn)?,
        })
    }

    /// Returns the store's random id; `None` for a file that has none yet.
    pub(super) fn store_id(conn: &Connection) -> Result<Option<String>> {
        if !has_table(conn, "botstore_store")? {
            return Ok(None);
        }
        Ok(conn.query_row("SELECT store_id FROM botstore_store", [], |row| row.get(0))?)
    }
}

/// Checks a copy: SQLite's integrity check, the references, and the same steps and rows as the
/// original. Returns how many rows refer to a missing row.
pub(super) fn check(copy: &Connection, original: &Inventory) -> Result<u64> {
    let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("SQLite's integrity check of the copy failed: {verdict}"),
        ));
    }
    let mut expected = original.clone();
    // Older manifests counted the rows of virtual tables too.
    for table in virtual_tables(copy)? {
        expected.rows.remove(&table);
    }
    if Inventory::read(copy)? != expected {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the copy's rows or schema steps differ from the original's",
        ));
    }
    let sql = "SELECT count(*) FROM pragma_foreign_key_check";
    Ok(count(copy.query_row(sql, [], |row| row.get(0))?))
}

fn count(rows: i64) -> u64 {
    rows.max(0) as u64
}

fn virtual_tables(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND coalesce(rootpage, 0) <= 0";
    let mut names = conn.prepare(sql)?;
    let names = names.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Counts only tables that store rows: a virtual table may answer anything, and may never end.
fn rows_by_table(conn: &Connection) -> Result<BTreeMap<String, u64>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0";
    let mut names = conn.prepare(sql)?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    let mut rows = BTreeMap::new();
    for name in names {
        let name = name?;
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let counted = conn.query_row(&sql, [], |row| row.get(0))?;
        rows.insert(name, count(counted));
    }
    Ok(rows)
}
