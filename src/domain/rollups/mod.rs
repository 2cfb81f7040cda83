//! Rollups: the counts and sums behind statistics. Triggers keep them
//! (`migrations/botstore/0007_rollups.up.sql`), in the transaction that changes the counted rows. So the cost of
//! an answer depends on its size, and not on the bot's age.
//!
//! Opening fills them once, in pieces (`filling`), for a file without them. [`ReconcileRollups`] compares them
//! with a full count, and [`Store::repair_rollups`](crate::Store::repair_rollups) repairs them.

mod filling;
mod reconcile;
mod recount;
mod repair;
mod sources;

pub use reconcile::{ReconcileRollups, RollupDifference, RollupReport};
pub(crate) use repair::FindRepairs;

use super::columns::{count, flag, integer};
use super::sessions;
use crate::error::{ErrorKind, Result};
use crate::migration::{Counts, Respelling};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use chrono::{DateTime, FixedOffset, NaiveDate, Offset, TimeDelta, Utc};
use rusqlite::{Connection, ToSql};

/// What migrations need to know about the rollups.
pub(crate) const COUNTS: Counts = Counts {
    tables: &[
        TOTAL,
        "botstore_day",
        "botstore_user_total",
        "botstore_user_day",
        "botstore_session_day",
        "botstore_tool",
        "botstore_session_tool",
        "botstore_user_tool",
        "botstore_cost_day",
        // Not rollups, but as easily made again.
        "botstore_session_recent",
        "botstore_session_import",
    ],
    are_missing: |tx| {
        if !exist(tx)? {
            return Ok(false);
        }
        let filled = tx.maybe("SELECT filled FROM botstore_total LIMIT 1", [], |row| {
            integer(row, 0)
        })?;
        Ok(filled != Some(1))
    },
    forget: |tx| {
        sessions::fill_recent(tx)?;
        if !exist(tx)? {
            return Ok(());
        }
        // The table's only row may be missing.
        let sql = "INSERT OR IGNORE INTO botstore_total VALUES (1, 0, 0, 0, 0, 0, 0)";
        tx.execute(sql, [])?;
        tx.execute("UPDATE botstore_total SET filled = 0", [])?;
        filling::stop(tx)
    },
    count: filling::count,
    meanwhile: filling::guards,
};

/// The table of one row, which also holds whether the rollups are filled, and the day's offset.
const TOTAL: &str = "botstore_total";

/// Checks the rollups at each opening, before missing ones are counted.
pub(super) fn look(tx: &WriteTx<'_>) -> Result<()> {
    let (filled, _) = state(tx)?;
    if !filled {
        return Ok(());
    }
    tx.as_the_store(|tx| match is_endless(tx)? {
        true => (COUNTS.forget)(tx),
        // An old version, which fills in one piece, may have finished a filling that was under way.
        false => filling::stop(tx),
    })
}

/// Whether a sum is too large for costs, because another program has written an infinite cost. The triggers
/// added it, and it hides all other costs. A full count leaves it out. Reads one row for each day.
fn is_endless(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT count(*) FROM (SELECT cost FROM botstore_day UNION ALL SELECT cost FROM botstore_cost_day)
               WHERE NOT abs(0.0 + cost) < 1e18";
    Ok(tx.one(sql, [], |row| count(row, 0))? > 0)
}

/// Sets infinite sums in the rollups to 0, so that a subtraction leaves a number: infinity minus infinity is
/// NaN, which SQLite stores as NULL, and the row refuses NULL. The sums are then wrong, and need a repair.
pub(super) fn make_finite(tx: &WriteTx<'_>) -> Result<()> {
    tx.as_the_store(|tx| {
        for (table, column) in [
            ("botstore_day", "cost"),
            ("botstore_user_day", "cost"),
            ("botstore_user_total", "cost"),
            ("botstore_cost_day", "cost"),
            ("botstore_cost_day", "requests"),
        ] {
            let sql =
                format!("UPDATE {table} SET {column} = 0 WHERE NOT abs(0.0 + {column}) < 1e18");
            tx.execute(&sql, [])?;
        }
        Ok(())
    })
}

/// Runs a change that subtracts an amount from the sums. An infinite sum makes it fail; then the sum is set to
/// 0, and the change runs again.
pub(super) fn subtracting(tx: &WriteTx<'_>, sql: &str, bound: &[&dyn ToSql]) -> Result<usize> {
    match tx.execute(sql, bound) {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            make_finite(tx)?;
            tx.execute(sql, bound)
        }
        changed => changed,
    }
}

/// Whether the rollups are filled, and the day's offset in minutes.
fn state(tx: &ReadTx<'_>) -> Result<(bool, i64)> {
    tx.one("SELECT filled, day_offset FROM botstore_total", [], |row| {
        Ok((flag(row, 0)?, integer(row, 1)?))
    })
}

/// Changes the offset of the rollups' days from UTC: rewrites the triggers with the new offset, and has all rows
/// counted again. Returns whether the offset was another; if it was not, does nothing. `triggers` returns those
/// of the schema's steps, by name. It runs all steps to find them, since the file's own SQL is never run.
pub(crate) fn set_day_offset(
    conn: &mut Connection,
    triggers: impl FnOnce(&ReadTx<'_>) -> Result<Vec<(String, String)>>,
    day_offset: i32,
    now: DateTime<Utc>,
) -> Result<bool> {
    let transaction = conn.transaction()?;
    let tx = ReadTx::new(&transaction, now);
    let (_, old) = state(&tx)?;
    let new = i64::from(day_offset);
    if old == new {
        return Ok(false);
    }
    for (name, sql) in triggers(&tx)? {
        if sql.contains(&quoted(old)) {
            let sql = sql.replace(&quoted(old), &quoted(new));
            transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS main.{name}"))?;
            transaction.execute_batch(&sql)?;
        }
    }
    let sql = "UPDATE botstore_total SET day_offset = ?1";
    transaction.execute(sql, [new])?;
    (COUNTS.forget)(&WriteTx::new(&transaction, now))?;
    tracing::info!(day_offset, "the bot's day offset has changed");
    transaction.commit()?;
    Ok(true)
}

/// Whether the file has rollups.
fn exist(tx: &ReadTx<'_>) -> Result<bool> {
    sqlite::has_table(tx.conn(), "botstore_total")
}

/// The spelling of the offset in the steps' triggers, and the one in the file's.
pub(super) fn respelled(tx: &ReadTx<'_>) -> Result<Option<Respelling>> {
    if !exist(tx)? {
        return Ok(None);
    }
    let sql = "SELECT day_offset FROM botstore_total LIMIT 1";
    let offset = tx.maybe(sql, [], |row| integer(row, 0))?;
    Ok(offset.map(|offset| (quoted(0), quoted(offset))))
}

/// The offset as the triggers and the counting statements spell it.
fn quoted(day_offset: i64) -> String {
    format!("'{day_offset:+} minutes'")
}

/// Today, by the bot's offset.
pub(super) fn today(tx: &ReadTx<'_>) -> Result<NaiveDate> {
    let offset = TimeDelta::try_minutes(day_offset(tx)?).unwrap_or_default();
    let local = tx.now().checked_add_signed(offset).unwrap_or(tx.now());
    Ok(local.date_naive())
}

/// The offset of the file's day, for other purposes than statistics. UTC if the file does not say: an emptied
/// table must not keep a store from opening.
pub(crate) fn offset_of_day(tx: &ReadTx<'_>) -> FixedOffset {
    let minutes = day_offset(tx).unwrap_or(0);
    let seconds = i32::try_from(minutes)
        .ok()
        .and_then(|minutes| minutes.checked_mul(60));
    let offset = seconds.and_then(FixedOffset::east_opt);
    offset.unwrap_or_else(|| Utc.fix())
}

/// The offset of the file's day, in minutes.
pub(super) fn day_offset(tx: &ReadTx<'_>) -> Result<i64> {
    state(tx).map(|(_, day_offset)| day_offset)
}
