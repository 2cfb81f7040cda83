//! Many rows into a new file, quickly.

use botstore::rusqlite::{Connection, Result, Statement, ToSql};
use std::path::Path;

/// Rows of one statement. Each statement on a table with AUTOINCREMENT looks up and writes the
/// table's last id, which takes longer than a row.
const ROWS_AT_ONCE: usize = 32;

/// Messages of one transaction: about as many pages as the processor's cache holds.
const MESSAGES_AT_ONCE: i64 = 5_000;

/// Opens the file for the rows. It has no journal and is not synced: it is new, and removed if
/// something fails.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "OFF")?;
    conn.pragma_update(None, "synchronous", "OFF")?;
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Rows come before those that they refer to: a user is written when its counters are known.
    conn.pragma_update(None, "foreign_keys", false)?;
    // Also what is sorted in memory while an index is made, and twice that with a thread.
    conn.pragma_update(None, "cache_size", -(128 << 10))?;
    conn.pragma_update(None, "threads", 2)?;
    Ok(conn)
}

/// Drops the indexes that rows are quicker without, and gives their SQL. Partial ones stay: nearly
/// all rows are left out of them, so that keeping them is quicker than another look at each row.
pub(crate) fn drop_indexes(conn: &Connection) -> Result<Vec<String>> {
    let mut found = conn.prepare(
        "SELECT name, sql FROM sqlite_schema
         WHERE type = 'index' AND sql IS NOT NULL AND sql NOT LIKE '%WHERE%' ORDER BY rowid",
    )?;
    let found: Result<Vec<(String, String)>> = found
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect();
    let mut indexes = Vec::new();
    for (name, sql) in found? {
        conn.execute_batch(&format!("DROP INDEX \"{name}\""))?;
        indexes.push(sql);
    }
    Ok(indexes)
}

pub(crate) fn make_indexes(conn: &Connection, indexes: &[String]) -> Result<()> {
    indexes.iter().try_for_each(|sql| conn.execute_batch(sql))
}

/// Leaves the file as a store does: with a WAL, and on the disk.
pub(crate) fn close(conn: Connection) -> Result<()> {
    conn.pragma_update(None, "locking_mode", "NORMAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.close().map_err(|(_, error)| error)
}

/// The tables of the file.
pub(crate) struct File<'a> {
    conn: &'a Connection,
    pub(crate) users: Table<'a>,
    pub(crate) sessions: Table<'a>,
    pub(crate) messages: Table<'a>,
    pub(crate) tools: Table<'a>,
    pub(crate) events: Table<'a>,
    pub(crate) tokens: Table<'a>,
    pub(crate) costs: Table<'a>,
}

impl<'a> File<'a> {
    pub(crate) fn new(conn: &'a Connection) -> Result<Self> {
        let file = Self {
            conn,
            users: Table::new(
                conn,
                "users",
                "user_id, telegram_username, first_seen, last_active, is_allowed, total_cost, \
                 message_count, session_count",
            )?,
            sessions: Table::new(
                conn,
                "sessions",
                "rowid, session_id, user_id, project_path, created_at, last_used, total_cost, \
                 total_turns, message_count, is_active",
            )?,
            messages: Table::new(
                conn,
                "messages",
                "message_id, session_id, user_id, timestamp, prompt, response, cost, duration_ms, \
                 error",
            )?,
            tools: Table::new(
                conn,
                "tool_usage",
                "id, session_id, message_id, tool_name, tool_input, timestamp, success, \
                 error_message",
            )?,
            events: Table::new(
                conn,
                "audit_log",
                "id, user_id, event_type, event_data, success, timestamp, ip_address",
            )?,
            tokens: Table::new(
                conn,
                "user_tokens",
                "token_id, user_id, token_hash, created_at, expires_at, is_active",
            )?,
            costs: Table::new(
                conn,
                "cost_tracking",
                "id, user_id, date, daily_cost, request_count",
            )?,
        };
        conn.execute_batch("BEGIN")?;
        Ok(file)
    }

    /// Adds a message, and commits now and then.
    pub(crate) fn add_message(&mut self, row: &[&dyn ToSql]) -> Result<()> {
        self.messages.add(row)?;
        if self.messages.rows % MESSAGES_AT_ONCE == 0 {
            self.conn.execute_batch("COMMIT; BEGIN")?;
        }
        Ok(())
    }

    /// Writes what is left, and gives how many rows each table has.
    pub(crate) fn finish(self) -> Result<Vec<(&'static str, i64)>> {
        let tables = [
            self.users,
            self.sessions,
            self.messages,
            self.tools,
            self.events,
            self.tokens,
            self.costs,
        ];
        let rows: Result<Vec<_>> = tables.into_iter().map(Table::finish).collect();
        self.conn.execute_batch("COMMIT")?;
        rows
    }
}

/// Rows on their way into a table, with their ids first.
pub(crate) struct Table<'a> {
    name: &'static str,
    insert: Statement<'a>,
    columns: usize,
    rows: i64,
}

impl<'a> Table<'a> {
    fn new(conn: &'a Connection, name: &'static str, columns: &'static str) -> Result<Self> {
        let count = columns.split(',').count();
        let row = format!("({})", vec!["?"; count].join(", "));
        let rows = vec![row; ROWS_AT_ONCE].join(", ");
        // What is not bound is NULL: so the same statement inserts the last few.
        let sql = format!(
            "INSERT INTO {name} ({columns})
             SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"
        );
        Ok(Self {
            name,
            insert: conn.prepare(&sql)?,
            columns: count,
            rows: 0,
        })
    }

    /// The id of the next row.
    pub(crate) fn next(&self) -> i64 {
        self.rows + 1
    }

    pub(crate) fn add(&mut self, row: &[&dyn ToSql]) -> Result<()> {
        debug_assert_eq!(row.len(), self.columns);
        let place = self.rows as usize % ROWS_AT_ONCE;
        let first = place * self.columns + 1;
        for (parameter, value) in (first..).zip(row) {
            self.insert.raw_bind_parameter(parameter, value)?;
        }
        self.rows += 1;
        if place + 1 == ROWS_AT_ONCE {
            self.insert.raw_execute()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(&'static str, i64)> {
        let left = self.rows as usize % ROWS_AT_ONCE;
        if left > 0 {
            for place in left..ROWS_AT_ONCE {
                let key = place * self.columns + 1;
                self.insert.raw_bind_parameter(key, None::<i64>)?;
            }
            self.insert.raw_execute()?;
        }
        Ok((self.name, self.rows))
    }
}
