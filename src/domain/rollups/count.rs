//! Counts the rows that wait, in pieces that are transactions of their own.
//!
//! **A piece moves the row id up to which a table is counted**, and adds the rows between to the rollups. What the
//! rollups hold is a function of the rows up to that id, before a piece and after it. So it does not matter who is
//! killed when, and what other programs write in between: a row that is counted is watched by the triggers, and one
//! that is not is counted later, as it is then.
//!
//! The first count of a file is the same as any later one, only longer.
//!
//! Turned down: to count a range of ids while triggers count what comes after it. Then a change of a row in the range
//! needed further triggers, which had the count begin again.

use super::adding::{add_costs, add_messages, add_tool_uses};
use super::facts::{COSTS, Facts, MESSAGES, NOTHING, TOOL_USES};
use super::{ROLLUPS, exist};
use crate::domain::columns::{flag, id, integer};
use crate::error::Result;
use crate::migration::{Counted, Then, Waiting};
use crate::operation::{ReadTx, WriteTx};
use rusqlite::{Params, Row, Statement};

/// How many messages wait until it is worthwhile to count them. With more at once, more of them change the same rows:
/// the day, the user, the session. Fewer are counted by each answer anew, a microsecond or two each.
const MESSAGES_AT_ONCE: u32 = 768;

/// The same for tool uses, of which a message has several.
const TOOL_USES_AT_ONCE: u32 = 2_048;

/// If the newest rows that wait hold so many bytes of texts, those that wait are counted at once: a message's cost comes
/// after its texts, and an answer has to read past them. Not all rows that wait are looked at, which would read each
/// row as often as it is asked whether rows are due: it is asked at least once in so many rows.
const NEWEST: u32 = 128;
const BYTES_OF_NEWEST: u32 = 512 << 10;

/// Adds the rows after an id, up to another, to the rollups. The text is how the first id is compared.
type Add = fn(&WriteTx<'_>, &str, [i64; 2]) -> Result<()>;

/// Costs come last: they are counted to the last row, and that says that everything was counted once.
const ORDER: [(&Facts, Add); 3] = [
    (&MESSAGES, add_messages),
    (&TOOL_USES, add_tool_uses),
    (&COSTS, add_costs),
];

/// How many rows are counted at once, to bound memory, where all are counted in one transaction.
const AT_ONCE_AGAIN: i64 = 100_000;

/// The row id up to which costs are counted once they were counted: all that there may be.
const ALL: i64 = i64::MAX;

/// Whether the file has rollups that were never counted to the end.
pub(super) fn are_missing(tx: &ReadTx<'_>) -> Result<bool> {
    Ok(exist(tx)? && !are_counted_once(tx)?)
}

fn are_counted_once(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT count(*) = 3 AND max(last_id) FILTER (WHERE source = 'cost_tracking') = ?1
               FROM botstore_counted";
    tx.one(sql, [ALL], |row| flag(row, 0))
}

/// Whether so many rows wait that it is time to count them.
pub(super) fn are_due(tx: &ReadTx<'_>) -> Result<bool> {
    if !exist(tx)? {
        return Ok(false);
    }
    if !are_counted_once(tx)? {
        return Ok(true);
    }
    Ok(is_due(tx, &MESSAGES)? || is_due(tx, &TOOL_USES)?)
}

/// Whether so many rows of one table wait. As many as their ids span, at most: to count them would read each.
fn is_due(tx: &ReadTx<'_>, facts: &Facts) -> Result<bool> {
    let (bytes, most) = match facts.table {
        "messages" => (
            "coalesce(octet_length(prompt), 0) + coalesce(octet_length(response), 0)",
            MESSAGES_AT_ONCE,
        ),
        "tool_usage" => ("coalesce(octet_length(tool_input), 0)", TOOL_USES_AT_ONCE),
        _ => return Ok(false),
    };
    let (Facts { table, id, .. }, last) = (facts, facts.last_id());
    // The length of a text is in front of the row: no text is read for it.
    let sql = format!(
        "SELECT (SELECT max({id}) FROM {table}) - (SELECT min({id}) FROM {table} WHERE {id} > {last}) >= ?1
             OR (SELECT total(bytes) FROM (SELECT {bytes} AS bytes FROM {table} WHERE {id} > {last}
                                           ORDER BY {id} DESC LIMIT ?2)) >= ?3"
    );
    let row = |row: &Row<'_>| Ok(row.get::<_, Option<bool>>(0)?.unwrap_or(false));
    tx.one(&sql, [most - 1, NEWEST, BYTES_OF_NEWEST], row)
}

/// Empties the rollups: all rows wait to be counted.
pub(super) fn forget(tx: &WriteTx<'_>) -> Result<()> {
    if !exist(tx)? {
        return Ok(());
    }
    for table in ROLLUPS {
        run(tx, &format!("DELETE FROM {table}"), [])?;
    }
    let total = "REPLACE INTO botstore_total
                 SELECT 1, 0, 0, coalesce(max(repairs), 0) + 1 FROM botstore_total";
    run(tx, total, [])?;
    run(tx, "DELETE FROM botstore_counted", [])?;
    for (facts, _) in ORDER {
        let sql = "INSERT INTO botstore_counted VALUES (?1, ?2)";
        run(tx, sql, (facts.table, NOTHING))?;
    }
    // Somebody may have dropped the table.
    let zone = "INSERT INTO botstore_zone SELECT '0000-01-01 00:00:00', 0, 'UTC'
                WHERE NOT EXISTS (SELECT 1 FROM botstore_zone)";
    run(tx, zone, [])?;
    Ok(())
}

/// Counts the next piece, of up to `rows` rows of one table.
pub(super) fn count(tx: &WriteTx<'_>, rows: i64, waiting: Waiting) -> Result<Counted> {
    let sources = "SELECT count(*) = 3 FROM botstore_counted
                   WHERE source IN ('messages', 'tool_usage', 'cost_tracking')";
    if !tx.one(sources, [], |row| flag(row, 0))? {
        forget(tx)?;
    }
    let is_first = are_missing(tx)?;
    // The first count leaves nothing.
    let waiting = if is_first { Waiting::Any } else { waiting };
    if let Some((table, last_id, then)) = count_one(tx, rows, waiting)? {
        return Ok(Counted::UpTo(table, last_id, then));
    }
    if is_first {
        if !adds_up(tx)? {
            tracing::info!(
                "another program has replaced rows that were counted; all are counted again, at once"
            );
            forget(tx)?;
            while count_one(tx, AT_ONCE_AGAIN, Waiting::Any)?.is_some() {}
        }
        counted_to(tx, &COSTS, ALL)?;
    }
    Ok(Counted::All)
}

/// Counts up to `rows` rows of the first table that has rows which wait. Returns the table, the last row's id, and
/// what comes next; `None` if no row waits.
fn count_one(
    tx: &WriteTx<'_>,
    rows: i64,
    waiting: Waiting,
) -> Result<Option<(&'static str, i64, Then)>> {
    for (facts, add) in ORDER {
        if waiting == Waiting::Due && !is_due(tx, facts)? {
            continue;
        }
        let Facts { table, id: key, .. } = facts;
        let last = facts.last_id();
        let last = tx.one(&format!("SELECT {last}"), [], |row| integer(row, 0))?;
        // No id is smaller than the first, so that one would never be after the last row that is counted.
        let after = if last == NOTHING { ">=" } else { ">" };
        let sql = format!(
            "SELECT max(id) FROM
                 (SELECT {key} AS id FROM {table} WHERE {key} {after} ?1 ORDER BY {key} LIMIT ?2)"
        );
        if let Some(to) = tx.one(&sql, (last, rows), |row| id(row, 0))? {
            add(tx, after, [last, to])?;
            counted_to(tx, facts, to)?;
            let more = format!("SELECT 1 FROM {table} WHERE {key} > ?1 LIMIT 1");
            let then = match tx.maybe(&more, [to], |_| Ok(()))? {
                Some(()) => Then::More,
                None => Then::Others,
            };
            return Ok(Some((table, to, then)));
        }
    }
    Ok(None)
}

/// Whether as many rows are counted as there are. While rows are counted for the first time, for minutes perhaps, it
/// shows that another program has used `REPLACE`, which fires no trigger for what it removes.
fn adds_up(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT (SELECT coalesce(sum(messages), 0) FROM botstore_day)
                    = (SELECT count(*) FROM messages WHERE typeof(user_id) = 'integer')
                  AND (SELECT coalesce(sum(uses), 0) FROM botstore_tool) = (SELECT count(*) FROM tool_usage)
                  AND (SELECT coalesce(sum(users), 0) FROM botstore_cost_day)
                    = (SELECT count(*) FROM cost_tracking)
                  AND (SELECT coalesce(sum(uses), 0) FROM botstore_user_tool)
                    = (SELECT coalesce(sum(t.uses), 0) FROM botstore_session_tool t
                       JOIN sessions s ON s.session_id = t.session_id)";
    tx.one(sql, [], |row| flag(row, 0))
}

fn counted_to(tx: &WriteTx<'_>, facts: &Facts, last_id: i64) -> Result<()> {
    let sql = "UPDATE botstore_counted SET last_id = ?1 WHERE source = ?2";
    run(tx, sql, (last_id, facts.table))?;
    Ok(())
}

/// Not from the cache of statements: the guard is not asked about a statement there, and the next who uses its text
/// may be an operation.
pub(super) fn prepare<'a>(tx: &'a WriteTx<'_>, sql: &str) -> Result<Statement<'a>> {
    Ok(tx.conn().prepare(sql)?)
}

fn run(tx: &WriteTx<'_>, sql: &str, params: impl Params) -> Result<usize> {
    Ok(prepare(tx, sql)?.execute(params)?)
}
