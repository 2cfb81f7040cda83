//! Prepared statements: each is prepared once on a connection.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// More than the number of statements, so that none is prepared twice.
const CAPACITY: usize = 256;

/// Lets the connection keep its statements.
///
/// Their plans do not depend on the values that are bound. Otherwise SQLite marks a statement as expired when another
/// value is bound to a parameter that may matter for the plan (an equality, a `LIMIT`), and rusqlite's cache unbinds all
/// values after each use: so nearly every query would be prepared anew each time, which takes longer than a point read.
/// The price: a `LIKE` or `GLOB` whose pattern is bound searches no index; write the bounds as a range.
pub(super) fn keep(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(CAPACITY);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_prepared_once_whatever_is_bound() {
        let conn = Connection::open_in_memory().unwrap();
        keep(&conn).unwrap();
        conn.execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
             CREATE INDEX t_a ON t(a);
             CREATE INDEX t_b ON t(b) WHERE b = 1;
             INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2), ('z', 3);
             ANALYZE;",
        )
        .unwrap();
        for sql in [
            "SELECT * FROM t WHERE a = ?1",
            "SELECT * FROM t WHERE a = ?1 AND b = 1",
            "SELECT * FROM t WHERE b = ?1",
            "SELECT * FROM t WHERE a IS ?1",
            "SELECT * FROM t WHERE a IN (?1, 'y')",
            "SELECT * FROM t WHERE a > ?1 ORDER BY a",
            "SELECT * FROM t WHERE a BETWEEN ?1 AND 'z'",
            "SELECT * FROM t WHERE a LIKE ?1",
            "SELECT * FROM t WHERE a GLOB ?1",
            "SELECT * FROM t WHERE id = ?1",
            "SELECT * FROM t ORDER BY id LIMIT ?1",
            "SELECT * FROM t ORDER BY a LIMIT 1 OFFSET ?1",
            "SELECT * FROM t UNION ALL SELECT * FROM t LIMIT ?1",
            "SELECT (SELECT a FROM t WHERE b = ?1 LIMIT ?1)",
            "UPDATE t SET b = 1 WHERE a = ?1 AND b = ?1",
            "DELETE FROM t WHERE b = ?1 AND a = 'x'",
            "INSERT INTO t (a) SELECT a FROM t WHERE b = ?1 LIMIT ?1",
        ] {
            // Numbers first, of which some are special to the planner, and one twice.
            for value in [0, 1, 1, 2, 7, -1] {
                let mut statement = conn.prepare_cached(sql).unwrap();
                let mut rows = statement.query([value]).unwrap();
                while rows.next().unwrap().is_some() {}
                drop(rows);
                let again = statement.get_status(StatementStatus::RePrepare);
                assert_eq!(again, 0, "{sql}: {value}");
            }
        }
    }
}
