//! Rollups: the counts and sums behind statistics. They cover the rows up to an id; the rows after it wait to be
//! counted, some hundred at once (`count`), and answers add them (`now`). A row that is counted already, and changes
//! or goes, is counted by triggers in the transaction that changes it
//! (`migrations/botstore/0012_lazy_rollups.up.sql`). So the cost of an answer depends on its size and not on the
//! bot's age, and saving a message writes no page of counts but that of the day's costs.
//!
//! Those of what requests to models used (`usage`) are a set of their own, in a schema of its own.
//!
//! [`ReconcileRollups`] compares them with a full count, and
//! [`Store::repair_rollups`](crate::Store::repair_rollups) repairs them.

mod adding;
mod background;
mod count;
mod facts;
mod generations;
pub(super) mod now;
mod reconcile;
mod recount;
mod repair;
mod sources;
pub(super) mod spent;
mod usage;
mod whole_days;
mod zone;

pub use reconcile::{ReconcileRollups, RollupDifference, RollupReport};
pub(crate) use repair::FindRepairs;
pub(crate) use usage::COUNTS as USAGE_COUNTS;
pub(super) use usage::now as usage_now;
pub(super) use whole_days::whole_days;
pub(super) use zone::{FIRST_DAY, LAST_DAY, first_day, is_utc, today, zone_of_days};
pub(crate) use zone::{Recounts, Zones, agree_on_zone, shown_zone};

use super::columns::{self, integer};
use super::sessions;
use crate::error::Result;
use crate::migration::{Counts, Respelling};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use count::BOT;

/// What migrations and the engine need to know about the rollups.
pub(crate) const COUNTS: Counts = Counts {
    tables: &[
        "botstore_counted",
        "botstore_zone",
        TOTAL,
        "botstore_day",
        "botstore_user_total",
        "botstore_user_day",
        "botstore_session_day",
        "botstore_session_user",
        "botstore_tool",
        "botstore_session_tool",
        "botstore_user_tool",
        "botstore_cost_day",
        "botstore_message_count",
        "botstore_tool_count",
        "botstore_cost_count",
        // Not rollups, but as easily made again.
        "botstore_session_recent",
        "botstore_session_import",
    ],
    are_missing: |tx| count::are_missing(tx, &BOT),
    are_due: |tx| count::are_due(tx, &BOT),
    forget: |tx| {
        sessions::fill_recent(tx)?;
        count::forget(tx, &BOT)
    },
    count: |tx, rows, waiting| count::count(tx, &BOT, rows, waiting),
    // Of all sets.
    is_behind: background::is_behind,
    recount: background::recount,
};

/// The tables of counts, except the one of a single row.
const ROLLUPS: [&str; 9] = [
    "botstore_day",
    "botstore_user_total",
    "botstore_user_day",
    "botstore_session_day",
    "botstore_session_user",
    "botstore_tool",
    "botstore_session_tool",
    "botstore_user_tool",
    "botstore_cost_day",
];

/// The table of one row.
const TOTAL: &str = "botstore_total";

/// Removes what an older version of this program left in the file if it was killed while it counted: a table, and
/// triggers that restarted its count.
pub(super) fn look(tx: &WriteTx<'_>) -> Result<()> {
    if !sqlite::has_table(tx.conn(), "botstore_filling")? {
        return Ok(());
    }
    tx.as_the_store(|tx| {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'botstore_filling_*'";
        for name in tx.all(sql, [], |row| columns::text(row, 0))? {
            let name = name.replace('"', "\"\"");
            tx.execute(&format!("DROP TRIGGER main.\"{name}\""), [])?;
        }
        tx.execute("DROP TABLE main.botstore_filling", [])?;
        Ok(())
    })
}

/// How triggers of steps 7 to 10 spell the offset of the day in the steps, and in a file that has them or gets them
/// back. Triggers of step 12 look the offset up.
pub(super) fn respelled(tx: &ReadTx<'_>) -> Result<Option<Respelling>> {
    let quoted = |minutes: i64| format!("'{minutes:+} minutes'");
    let of_step_7 = "SELECT 1 FROM pragma_table_info('botstore_total') WHERE name = 'day_offset'";
    let sql = if tx.maybe(of_step_7, [], |_| Ok(()))?.is_some() {
        "SELECT day_offset FROM botstore_total LIMIT 1"
    } else if sqlite::has_table(tx.conn(), "botstore_zone")? {
        // As step 12 takes it back. Somebody may have dropped the table that says which generation answers.
        "SELECT CASE WHEN count(*) = 1 AND max(offset_seconds) % 60 = 0 THEN max(offset_seconds) / 60 ELSE 0 END
         FROM botstore_zone WHERE generation = (SELECT min(generation) FROM botstore_zone)"
    } else {
        return Ok(None);
    };
    let offset = tx.maybe(sql, [], |row| integer(row, 0))?;
    Ok(offset.map(|offset| (quoted(0), quoted(offset))))
}
