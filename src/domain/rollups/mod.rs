//! Rollups: what statistics are made of, kept by triggers (`migrations/botstore/0007_rollups.up.sql`)
//! in the transaction that changes what they count, so that an answer costs what it shows and not
//! what the bot has lived through.
//!
//! Opening fills them once for a file from before they were there. [`ReconcileRollups`] compares
//! them with a full count, and [`Store::repair_rollups`](crate::Store::repair_rollups) mends them.

mod count;
mod repair;
mod table;

pub(crate) use repair::repair;
pub use repair::{ReconcileRollups, RollupDifference, RollupReport};

use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rusqlite::Connection;

/// Fills the rollups of a file that has none yet. In the transaction of opening, so that a file is
/// either filled or still to be filled.
pub(super) fn fill_once(tx: &WriteTx<'_>) -> Result<()> {
    let (filled, day_offset) = state(tx)?;
    if filled {
        return Ok(());
    }
    let counted = count::count(tx, day_offset)?;
    count::fill(tx, &counted)
}

/// Whether the rollups are filled, and the day's offset in minutes.
fn state(tx: &ReadTx<'_>) -> Result<(bool, i64)> {
    tx.one("SELECT filled, day_offset FROM botstore_total", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Moves the days of the rollups to another offset from UTC: writes the triggers anew with it and
/// counts everything again. Does nothing if the file has that offset.
pub(crate) fn set_day_offset(
    conn: &mut Connection,
    day_offset: i32,
    now: DateTime<Utc>,
) -> Result<()> {
    let transaction = conn.transaction()?;
    let (_, old) = state(&ReadTx::new(&transaction, now))?;
    let new = i64::from(day_offset);
    if old == new {
        return Ok(());
    }
    let (from, to) = (quoted(old), quoted(new));
    let triggers: Vec<(String, String)> = {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'
                   AND name GLOB 'botstore_*' AND instr(sql, ?1) > 0";
        let mut found = transaction.prepare(sql)?;
        let found = found.query_map([&from], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.collect::<rusqlite::Result<_>>()?
    };
    for (name, sql) in triggers {
        let sql = sql.replace(&from, &to);
        transaction.execute_batch(&format!("DROP TRIGGER {name}; {sql}"))?;
    }
    let sql = "UPDATE botstore_total SET day_offset = ?1, filled = 0";
    transaction.execute(sql, [new])?;
    fill_once(&WriteTx::new(&transaction, now))?;
    tracing::info!(day_offset, "the bot's day begins elsewhere now");
    Ok(transaction.commit()?)
}

/// The offset as it stands in the triggers.
fn quoted(day_offset: i64) -> String {
    format!("'{}'", count::modifier(day_offset))
}

/// Today, where the bot's day is.
pub(super) fn today(tx: &ReadTx<'_>) -> Result<NaiveDate> {
    let offset = TimeDelta::try_minutes(day_offset(tx)?).unwrap_or_default();
    let local = tx.now().checked_add_signed(offset).unwrap_or(tx.now());
    Ok(local.date_naive())
}

/// The day's offset of the file, in minutes.
pub(super) fn day_offset(tx: &ReadTx<'_>) -> Result<i64> {
    state(tx).map(|(_, day_offset)| day_offset)
}
