//! Counts all rows into the rollups, in pieces that are transactions of their own. If the process is killed,
//! counting continues at the next opening, however much other programs have written meanwhile.
//!
//! **Counting covers a range of ids, and the triggers count the rest.** When counting begins, the rollups of a
//! table are empty, and the table's last id is written down (`last_row`). Each piece takes the next rows up to
//! that id, and adds to the rollups what the triggers would have added if they had seen the rows inserted. A row
//! that is inserted later has a higher id, and the triggers count it at once, whichever program writes it.
//!
//! **Changes that would be counted wrongly make counting of that table begin again.** One kind is a change of a
//! row that is not counted yet: the triggers subtract it from sums that do not contain it. The other kind makes
//! the triggers read all rows of a table of which a part is counted. Further triggers detect both
//! (`botstore_filling_*`); they are in the file while it is counted. A bot that only saves causes neither.
//! Another program's `REPLACE` removes rows without firing a trigger; so at the end the number of counted rows
//! is compared with the number of rows.
//!
//! Turned down: to record other programs' changes and count them at the end, which repeats all that the triggers
//! do. Also turned down: to count into tables beside the rollups, since another program's change of a counted
//! row would then be in neither.

use super::recount::{Recount, Rows};
use super::sources::{SOURCES, Source};
use super::{TOTAL, day_offset};
use crate::domain::columns::{flag, integer, text};
use crate::error::Result;
use crate::migration::{Counted, Meanwhile, Then};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;

/// `next_row` is the first row that is not counted yet, and `restarts` how often counting began again.
const CREATE: &str = "CREATE TABLE botstore_filling (
    source   TEXT    NOT NULL PRIMARY KEY,
    phase    TEXT    NOT NULL CHECK (phase IN ('clearing', 'counting', 'counted')),
    next_row INTEGER,
    last_row INTEGER,
    restarts INTEGER NOT NULL
) WITHOUT ROWID";

/// After this many restarts, the table is counted in one transaction.
const MOST_RESTARTS: i64 = 3;

/// A trigger that makes counting of a source begin again.
struct Guard {
    name: &'static str,
    after: &'static str,
    table: &'static str,
    source: &'static str,
    when: &'static str,
}

/// A row whose id changes leaves the range or enters it, so that counts as a change. Times are compared to the
/// second, instead of days by the bot's offset: a time that is only spelled otherwise is no change.
const GUARDS: [Guard; 9] = [
    Guard {
        name: "message_changed",
        after: "UPDATE OF message_id, session_id, user_id, timestamp, cost, duration_ms, error",
        table: "messages",
        source: "messages",
        when: "phase = 'counting' AND (old.message_id BETWEEN next_row AND last_row
            OR old.message_id <> new.message_id
            OR old.session_id IS NOT new.session_id OR old.user_id IS NOT new.user_id
            OR datetime(substr(old.timestamp, 1, 19)) IS NOT datetime(substr(new.timestamp, 1, 19)))",
    },
    Guard {
        name: "message_removed",
        after: "DELETE",
        table: "messages",
        source: "messages",
        when: "phase = 'counting'",
    },
    Guard {
        name: "tool_changed",
        after: "UPDATE OF id, session_id, tool_name, success",
        table: "tool_usage",
        source: "tool_usage",
        when: "phase = 'counting' AND (old.id BETWEEN next_row AND last_row OR old.id <> new.id
            OR old.session_id IS NOT new.session_id OR old.tool_name IS NOT new.tool_name)",
    },
    Guard {
        name: "tool_removed",
        after: "DELETE",
        table: "tool_usage",
        source: "tool_usage",
        when: "phase = 'counting'",
    },
    // A `REPLACE` of a session is an INSERT, too.
    Guard {
        name: "session_added",
        after: "INSERT",
        table: "sessions",
        source: "tool_usage",
        when: "phase <> 'clearing'
            AND EXISTS (SELECT 1 FROM tool_usage t WHERE t.session_id = new.session_id)",
    },
    Guard {
        name: "session_moved",
        after: "UPDATE OF session_id, user_id",
        table: "sessions",
        source: "tool_usage",
        when: "phase = 'counting'
            AND (old.session_id IS NOT new.session_id OR old.user_id IS NOT new.user_id)",
    },
    Guard {
        name: "session_removed",
        after: "DELETE",
        table: "sessions",
        source: "tool_usage",
        when: "phase = 'counting'
            AND EXISTS (SELECT 1 FROM tool_usage t WHERE t.session_id = old.session_id)",
    },
    Guard {
        name: "cost_changed",
        after: "UPDATE OF id, date, daily_cost, request_count",
        table: "cost_tracking",
        source: "cost_tracking",
        when: "phase = 'counting' AND (old.id BETWEEN next_row AND last_row OR old.id <> new.id)",
    },
    Guard {
        name: "cost_removed",
        after: "DELETE",
        table: "cost_tracking",
        source: "cost_tracking",
        when: "phase = 'counting' AND old.id BETWEEN next_row AND last_row",
    },
];

impl Guard {
    fn to_trigger(&self) -> Meanwhile {
        let Self {
            name,
            after,
            table,
            source,
            when,
        } = self;
        let name = format!("botstore_filling_{name}");
        let sql = format!(
            "CREATE TRIGGER {name} AFTER {after} ON {table} BEGIN
    UPDATE botstore_filling SET phase = 'clearing', restarts = restarts + 1
    WHERE source = '{source}' AND {when};
END"
        );
        Meanwhile { name, table, sql }
    }
}

/// The triggers that exist while rows are counted.
pub(super) fn guards() -> Vec<Meanwhile> {
    GUARDS.iter().map(Guard::to_trigger).collect()
}

/// The progress of counting a source.
struct Filling {
    source: &'static Source,
    phase: String,
    next_row: i64,
    last_row: i64,
    restarts: i64,
}

/// Counts the next piece, or first removes up to `rows` old rows of the rollups.
pub(super) fn count(tx: &WriteTx<'_>, rows: i64) -> Result<Counted> {
    begin(tx)?;
    let sources = sources(tx)?;
    let (filling, last_id, then) = match sources.iter().find(|one| one.phase != "counted") {
        Some(filling) if filling.phase == "clearing" => {
            (filling, None, clear(tx, filling.source, rows)?)
        }
        Some(filling) => {
            let (last_id, then) = count_rows(tx, filling, rows)?;
            (filling, Some(last_id), then)
        }
        None => match one_that_differs(tx, &sources)? {
            Some(filling) => {
                let sql = "UPDATE botstore_filling SET phase = 'clearing', restarts = restarts + 1
                           WHERE source = ?1";
                tx.execute(sql, [filling.source.table])?;
                (filling, None, Then::Others)
            }
            None => return end(tx),
        },
    };
    let is_disturbed = sources.iter().any(|one| one.restarts >= MOST_RESTARTS);
    let then = if is_disturbed { Then::Alone } else { then };
    Ok(Counted::UpTo(filling.source.table, last_id, then))
}

/// Creates the table and the triggers, and begins counting, unless all of them exist. If a trigger is missing,
/// the changes of other programs are unknown.
fn begin(tx: &WriteTx<'_>) -> Result<()> {
    let guards = guards();
    let sql =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 AND sql = ?2";
    let mut are_there = sqlite::has_table(tx.conn(), "botstore_filling")?;
    for guard in &guards {
        are_there &= tx.one(sql, (&guard.name, &guard.sql), |row| flag(row, 0))?;
    }
    if are_there {
        return Ok(());
    }
    stop(tx)?;
    tx.execute(CREATE, [])?;
    for guard in &guards {
        tx.execute(&guard.sql, [])?;
    }
    for source in &SOURCES {
        let sql =
            "INSERT INTO botstore_filling (source, phase, restarts) VALUES (?1, 'clearing', 0)";
        tx.execute(sql, [source.table])?;
    }
    Ok(())
}

/// Removes the table and the triggers of counting, but not the counts.
pub(super) fn stop(tx: &WriteTx<'_>) -> Result<()> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'botstore_filling_*'";
    for name in tx.all(sql, [], |row| text(row, 0))? {
        let name = name.replace('"', "\"\"");
        tx.execute(&format!("DROP TRIGGER main.\"{name}\""), [])?;
    }
    tx.execute("DROP TABLE IF EXISTS main.botstore_filling", [])?;
    Ok(())
}

fn sources(tx: &ReadTx<'_>) -> Result<Vec<Filling>> {
    let sql =
        "SELECT phase, coalesce(next_row, 0), coalesce(last_row, 0), restarts FROM botstore_filling
               WHERE source = ?1";
    let sources = SOURCES.iter().map(|source| {
        tx.one(sql, [source.table], |row| {
            Ok(Filling {
                source,
                phase: text(row, 0)?,
                next_row: integer(row, 1)?,
                last_row: integer(row, 2)?,
                restarts: integer(row, 3)?,
            })
        })
    });
    sources.collect()
}

/// Removes up to `rows` rows of a source's rollups; when none is left, counting begins.
fn clear(tx: &WriteTx<'_>, source: &Source, rows: i64) -> Result<Then> {
    // The triggers that keep distinct counts must not count these removals.
    tx.execute("UPDATE botstore_total SET repairing = 1", [])?;
    let mut left = rows;
    for rollup in source.rollups.iter().filter(|rollup| rollup.name != TOTAL) {
        let (name, key) = (rollup.name, rollup.key.join(", "));
        let sql =
            format!("DELETE FROM {name} WHERE ({key}) IN (SELECT {key} FROM {name} LIMIT ?1)");
        left -= tx.execute(&sql, [left])? as i64;
    }
    if left > 0 {
        if source.rollups.iter().any(|rollup| rollup.name == TOTAL) {
            tx.execute("UPDATE botstore_total SET users = 0, sessions = 0", [])?;
        }
        let table = source.table;
        let sql = format!(
            "UPDATE botstore_filling SET phase = 'counting', next_row = ?1,
                 last_row = (SELECT coalesce(max(rowid), ?1) FROM {table})
             WHERE source = ?2"
        );
        tx.execute(&sql, (i64::MIN, table))?;
    }
    tx.execute("UPDATE botstore_total SET repairing = 0", [])?;
    Ok(if left > 0 { Then::Others } else { Then::More })
}

/// Counts up to `rows` rows; returns the last id that is counted.
fn count_rows(tx: &WriteTx<'_>, filling: &Filling, rows: i64) -> Result<(i64, Then)> {
    let range = Rows {
        from: filling.next_row,
        to: filling.last_row,
        most: rows,
    };
    let recount = Recount::of(filling.source, tx, day_offset(tx)?, range)?;
    for rollup in recount.rollups.iter().filter(|one| one.name != TOTAL) {
        recount.add(rollup, tx)?;
    }
    let (phase, up_to, then) = match recount.next {
        Some(next) => ("counting", next.saturating_sub(1), Then::More),
        None => ("counted", filling.last_row, Then::Others),
    };
    let sql = "UPDATE botstore_filling SET phase = ?1, next_row = ?2 WHERE source = ?3";
    tx.execute(sql, (phase, recount.next, filling.source.table))?;
    Ok((up_to, then))
}

/// A source whose counted rows do not match its rows. A source that was counted in this transaction is skipped:
/// no other program could interfere.
fn one_that_differs<'a>(tx: &ReadTx<'_>, sources: &'a [Filling]) -> Result<Option<&'a Filling>> {
    for filling in sources
        .iter()
        .filter(|filling| filling.restarts < MOST_RESTARTS)
    {
        if !tx.one(filling.source.adds_up, [], |row| flag(row, 0))? {
            return Ok(Some(filling));
        }
    }
    Ok(None)
}

/// Ends counting: all rows are counted.
fn end(tx: &WriteTx<'_>) -> Result<Counted> {
    // A sum of several pieces may have become too large for an integer.
    let sql = "UPDATE botstore_cost_day SET requests = CAST(requests AS INTEGER)
               WHERE typeof(requests) <> 'integer'";
    tx.execute(sql, [])?;
    let sql = "UPDATE botstore_total SET filled = 1, repairing = 0, repairs = repairs + 1";
    tx.execute(sql, [])?;
    stop(tx)?;
    Ok(Counted::All)
}
