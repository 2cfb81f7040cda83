//! Checks the version of SQLite. A program links only one (`links = "sqlite3"`), and the host may have
//! chosen it.

use crate::error::{Error, ErrorKind, Result};
use rusqlite::Connection;

/// 3.51.0, the first that can report the length of the WAL without copying it. An older one treats
/// `wal_checkpoint(NOOP)` as PASSIVE, and would copy after each batch.
const OLDEST: i32 = 3_051_000;

/// Fails if SQLite is too old.
pub(crate) fn refuse_old() -> Result<()> {
    refuse_older(rusqlite::version_number(), rusqlite::version())
}

fn refuse_older(number: i32, version: &str) -> Result<()> {
    if number >= OLDEST {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::OldSqlite,
        format!(
            "this program is linked with SQLite {version}, and the store needs 3.51.0 or newer: use \
             rusqlite 0.39 or newer with its own SQLite (unset LIBSQLITE3_SYS_USE_PKG_CONFIG), or \
             update the system's"
        ),
    ))
}

/// Warns if SQLite was built in a way that makes the store slow.
pub(crate) fn warn_of_shared_cache(conn: &Connection) -> Result<()> {
    let sql = "SELECT sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT')";
    if conn.query_row(sql, [], |row| row.get(0))? {
        tracing::warn!(
            version = rusqlite::version(),
            "SQLite was built with SQLITE_ENABLE_MEMORY_MANAGEMENT, so all connections share one \
             page cache and wait for one another: set \
             LIBSQLITE3_FLAGS=-USQLITE_ENABLE_MEMORY_MANAGEMENT in the [env] of .cargo/config.toml \
             and build again"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_that_would_copy_where_it_is_only_asked_is_refused() {
        for (number, version) in [(3_040_001, "3.40.1"), (3_050_004, "3.50.4")] {
            let error = refuse_older(number, version).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OldSqlite);
            assert!(error.to_string().contains(version), "{error}");
        }
        refuse_older(3_051_000, "3.51.0").unwrap();
        refuse_old().unwrap();
    }
}
