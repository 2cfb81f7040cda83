//! Rollups: what statistics are made of, kept by triggers (`migrations/botstore/0007_rollups.up.sql`)
//! in the transaction that changes what they count, so that an answer costs what it shows and not
//! what the bot has lived through.
//!
//! Opening fills them once for a file from before they were there, in pieces (`filling`). [`ReconcileRollups`] compares
//! them with a full count, and [`Store::repair_rollups`](crate::Store::repair_rollups) mends them.

mod filling;
mod reconcile;
mod recount;
mod repair;
mod sources;

pub use reconcile::{ReconcileRollups, RollupDifference, RollupReport};
pub(crate) use repair::FindRepairs;

use super::columns::{count, flag, integer};
use crate::error::{ErrorKind, Result};
use crate::migration::{Counts, Respelling};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use chrono::{DateTime, FixedOffset, NaiveDate, Offset, TimeDelta, Utc};
use rusqlite::{Connection, ToSql};

/// What migrations know of the rollups.
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
        if !exist(tx)? {
            return Ok(());
        }
        // The row goes with the table.
        let sql = "INSERT OR IGNORE INTO botstore_total VALUES (1, 0, 0, 0, 0, 0, 0)";
        tx.execute(sql, [])?;
        tx.execute("UPDATE botstore_total SET filled = 0", [])?;
        filling::stop(tx)
    },
    count: filling::count,
    meanwhile: filling::guards,
};

/// The one row that says more than counts is in it.
const TOTAL: &str = "botstore_total";

/// Looks at the rollups at each opening, before those that are missing are counted.
pub(super) fn look(tx: &WriteTx<'_>) -> Result<()> {
    let (filled, _) = state(tx)?;
    if !filled {
        return Ok(());
    }
    tx.as_the_store(|tx| match is_endless(tx)? {
        true => (COUNTS.forget)(tx),
        // Of a file that a program from before there were pieces has filled in the midst of one.
        false => filling::stop(tx),
    })
}

/// Whether a sum is past what costs come to: another program has written a cost without end. The triggers
/// added it up, and no other cost shows beside it. A full count leaves it out. Reads a row a day.
fn is_endless(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT count(*) FROM (SELECT cost FROM botstore_day UNION ALL SELECT cost FROM botstore_cost_day)
               WHERE NOT abs(0.0 + cost) < 1e18";
    Ok(tx.one(sql, [], |row| count(row, 0))? > 0)
}

/// Takes sums without end out of the rollups, so that what is subtracted from them leaves a number: NaN is
/// NULL to SQLite, and a row with it refused. They are wrong then, and to be mended.
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

/// Runs a change that takes an amount from the sums. A sum without end refuses it: it is taken out, and the change
/// made again.
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

/// Moves the days of the rollups to another offset from UTC: writes the triggers anew with it, and has
/// everything counted again. Does nothing if the file has that offset; gives whether it has not. `triggers` finds
/// out those of the schema's steps, by name, which takes a run of them all: what the file has is not run.
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
    tracing::info!(day_offset, "the bot's day begins elsewhere now");
    transaction.commit()?;
    Ok(true)
}

/// Whether the file has rollups.
fn exist(tx: &ReadTx<'_>) -> Result<bool> {
    sqlite::has_table(tx.conn(), "botstore_total")
}

/// What stands in the file's triggers in place of what stands in the step's.
pub(super) fn respelled(tx: &ReadTx<'_>) -> Result<Option<Respelling>> {
    if !exist(tx)? {
        return Ok(None);
    }
    let sql = "SELECT day_offset FROM botstore_total LIMIT 1";
    let offset = tx.maybe(sql, [], |row| integer(row, 0))?;
    Ok(offset.map(|offset| (quoted(0), quoted(offset))))
}

/// The offset as it stands in the triggers, and where rows are counted as they count them.
fn quoted(day_offset: i64) -> String {
    format!("'{day_offset:+} minutes'")
}

/// Today, where the bot's day is.
pub(super) fn today(tx: &ReadTx<'_>) -> Result<NaiveDate> {
    let offset = TimeDelta::try_minutes(day_offset(tx)?).unwrap_or_default();
    let local = tx.now().checked_add_signed(offset).unwrap_or(tx.now());
    Ok(local.date_naive())
}

/// Where the file's day begins, for what is no statistic. UTC where the file does not say: a table that somebody has
/// emptied keeps no store from opening.
pub(crate) fn offset_of_day(tx: &ReadTx<'_>) -> FixedOffset {
    let minutes = day_offset(tx).unwrap_or(0);
    let seconds = i32::try_from(minutes)
        .ok()
        .and_then(|minutes| minutes.checked_mul(60));
    let offset = seconds.and_then(FixedOffset::east_opt);
    offset.unwrap_or_else(|| Utc.fix())
}

/// The day's offset of the file, in minutes.
pub(super) fn day_offset(tx: &ReadTx<'_>) -> Result<i64> {
    state(tx).map(|(_, day_offset)| day_offset)
}
