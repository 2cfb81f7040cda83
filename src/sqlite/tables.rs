//! Which tables a file has.

use crate::error::Result;
use rusqlite::{Connection, OptionalExtension};

/// Whether there is a table of this name that stores rows. A view or a virtual table has no page, and
/// its answer may have no end.
pub(crate) fn has_table(conn: &Connection, name: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0";
    let found = conn.prepare_cached(sql)?.query_row([name], |_| Ok(()));
    Ok(found.optional()?.is_some())
}
