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
use super::facts::{COSTS, CURRENT, Facts, MESSAGES, NOTHING, TOOL_USES};
use super::generations::only_the_first;
use super::usage::LLM;
use crate::domain::columns::{flag, id, integer};
use crate::error::{Error, ErrorKind, Result};
use crate::migration::{Counted, Then, Waiting};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use rusqlite::{Params, Statement};

/// How many messages wait until it is worthwhile to count them. With more at once, more of them change the same rows:
/// the day, the user, the session. Fewer are counted by each answer anew, a microsecond or two each.
const MESSAGES_AT_ONCE: u32 = 768;

/// The same for tool uses, of which a message has several.
const TOOL_USES_AT_ONCE: u32 = 2_048;

/// If the newest rows that wait hold so many bytes of texts, those that wait are counted at once: a message's cost comes
/// after its texts, and an answer has to read past them. Not all rows that wait are looked at, which would read each
/// row as often as it is asked whether rows are due. The writer asks after some 512 changed rows, of which an
/// interaction has some eight; of rows that come by themselves, more than these may come in between.
const NEWEST: u32 = 128;
const BYTES_OF_NEWEST: u32 = 512 << 10;

/// Adds the rows of a piece to the rollups.
type Add = fn(&WriteTx<'_>, Piece) -> Result<()>;

/// Rows to be counted: those after an id, up to another.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// For which generation. Only what has days has more than one.
    pub(super) generation: i64,
    /// How the first id is compared.
    pub(super) after: &'static str,
    pub(super) ids: [i64; 2],
}

impl Piece {
    /// No id is smaller than the first, so that one would never be after the last row that is counted.
    pub(super) fn comparison(last: i64) -> &'static str {
        if last == NOTHING { ">=" } else { ">" }
    }
}

/// The rollups of a schema.
pub(super) struct Set {
    /// The table of the ids up to which rows are counted.
    pub(super) counted: &'static str,
    /// Its row that says, by the largest id, that everything was counted once.
    pub(super) once: &'static str,
    /// What is counted, in this order.
    pub(super) sources: &'static [Part],
    /// The tables of counts.
    pub(super) rollups: &'static [&'static str],
    /// Whether as many rows are counted as there are. While rows are counted for the first time, for minutes perhaps,
    /// it shows that another program has used `REPLACE`, which fires no trigger for what it removes.
    pub(super) adds_up: fn(&ReadTx<'_>) -> Result<bool>,
    /// What else to do when all counts are discarded, before it is written down that nothing is counted.
    pub(super) forget: fn(&WriteTx<'_>) -> Result<()>,
}

/// A table whose rows are counted, and how.
pub(super) struct Part {
    pub(super) facts: &'static Facts,
    pub(super) add: Add,
    /// When it is time; `None` if its rows never wait.
    pub(super) due: Option<Due>,
}

/// It is time to count rows when so many wait, or so many bytes.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) rows: u32,
    /// The bytes that an answer reads past in one row, as SQL; `None` if they are few.
    pub(super) bytes: Option<&'static str>,
}

/// The rollups of messages, tool uses and costs.
pub(super) const BOT: Set = Set {
    counted: "botstore_counted",
    // Costs are counted to the last row.
    once: COSTS.table,
    sources: &[
        Part {
            facts: &MESSAGES,
            add: add_messages,
            due: Some(Due {
                rows: MESSAGES_AT_ONCE,
                bytes: Some(
                    "coalesce(octet_length(prompt), 0) + coalesce(octet_length(response), 0)",
                ),
            }),
        },
        Part {
            facts: &TOOL_USES,
            add: add_tool_uses,
            due: Some(Due {
                rows: TOOL_USES_AT_ONCE,
                bytes: Some("coalesce(octet_length(tool_input), 0)"),
            }),
        },
        Part {
            facts: &COSTS,
            add: add_costs,
            due: None,
        },
    ],
    rollups: &super::ROLLUPS,
    adds_up,
    forget: |tx| {
        only_the_first(tx)?;
        // Somebody may have dropped the table.
        let zone = format!(
            "INSERT INTO botstore_zone SELECT {CURRENT}, '0000-01-01 00:00:00', 0, 'UTC'
             WHERE NOT EXISTS (SELECT 1 FROM botstore_zone)"
        );
        match run(tx, &zone, [])? {
            0 => Ok(()),
            _ => LLM.forget_later(tx),
        }
    },
};

impl Set {
    /// Whether the file has these rollups.
    pub(super) fn exist(&self, tx: &ReadTx<'_>) -> Result<bool> {
        sqlite::has_table(tx.conn(), self.counted)
    }

    /// Has the next count discard the counts first: one of their tables may be missing until then.
    fn forget_later(&self, tx: &WriteTx<'_>) -> Result<()> {
        if self.exist(tx)? {
            run(tx, &format!("DELETE FROM {}", self.counted), [])?;
        }
        Ok(())
    }

    /// The rows of the table of ids.
    fn rows(&self) -> impl Iterator<Item = &'static str> {
        let sources = self.sources.iter().map(|part| part.facts.table);
        let once = Some(self.once).filter(|once| sources.clone().all(|table| table != *once));
        sources.chain(once)
    }

    /// A condition for the rows of the table of ids from which answers are counted.
    fn answers(&self) -> String {
        let rows = self.rows().map(|source| {
            let mut parts = self.sources.iter();
            let part = parts.find(|part| part.facts.table == source);
            let generation = part.map_or("0", |part| part.facts.answers_from());
            format!("source = '{source}' AND generation = {generation}")
        });
        rows.collect::<Vec<_>>().join(" OR ")
    }

    /// The tables that are counted by the days of a zone.
    pub(super) fn by_day(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.sources.iter();
        let parts = parts.filter(|part| part.facts.have_days());
        parts.map(|part| part.facts.table)
    }
}

/// How many rows are counted at once, to bound memory, where all are counted in one transaction.
const AT_ONCE_AGAIN: i64 = 100_000;

/// The row id up to which costs are counted once they were counted: all that there may be.
const ALL: i64 = i64::MAX;

/// Whether the file has rollups that were never counted to the end.
pub(super) fn are_missing(tx: &ReadTx<'_>, set: &Set) -> Result<bool> {
    Ok(set.exist(tx)? && !are_counted_once(tx, set)?)
}

pub(super) fn are_counted_once(tx: &ReadTx<'_>, set: &Set) -> Result<bool> {
    let (Set { counted, once, .. }, answers) = (set, set.answers());
    let sql = format!(
        "SELECT count(*) = ?1 AND max(last_id) FILTER (WHERE source = '{once}') = ?2 FROM {counted} WHERE {answers}"
    );
    tx.one(&sql, (set.rows().count() as i64, ALL), |row| flag(row, 0))
}

/// Whether so many rows wait that it is time to count them.
pub(super) fn are_due(tx: &ReadTx<'_>, set: &Set) -> Result<bool> {
    if !set.exist(tx)? {
        return Ok(false);
    }
    if !are_counted_once(tx, set)? {
        return Ok(true);
    }
    for source in set.sources {
        if source.is_due(tx)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Part {
    /// Whether so many rows wait. As many as their ids span, at most: to count them would read each.
    fn is_due(&self, tx: &ReadTx<'_>) -> Result<bool> {
        let Some(Due { rows, bytes }) = self.due else {
            return Ok(false);
        };
        let (Facts { table, id, .. }, last) = (self.facts, self.facts.last_id());
        let mut sql = format!(
            "SELECT (SELECT max({id}) FROM {table}) - (SELECT min({id}) FROM {table} WHERE {id} > {last}) >= ?1"
        );
        if let Some(bytes) = bytes {
            // The length of a text is in front of the row: no text is read for it.
            sql += &format!(
                " OR (SELECT total(bytes) FROM (SELECT {bytes} AS bytes FROM {table} WHERE {id} > {last}
                                               ORDER BY {id} DESC LIMIT {NEWEST})) >= {BYTES_OF_NEWEST}"
            );
        }
        tx.one(&sql, [rows - 1], |row| flag(row, 0))
    }
}

/// Empties the rollups: all rows wait to be counted.
pub(super) fn forget(tx: &WriteTx<'_>, set: &Set) -> Result<()> {
    if !set.exist(tx)? {
        return Ok(());
    }
    for table in set.rollups.iter().chain([&set.counted]) {
        run(tx, &format!("DELETE FROM {table}"), [])?;
    }
    (set.forget)(tx)?;
    let by_day: Vec<_> = set.by_day().collect();
    for source in set.rows() {
        let generations = match by_day.contains(&source) {
            true => "SELECT ?1, generation, ?2 FROM botstore_total",
            false => "VALUES (?1, 0, ?2)",
        };
        let sql = format!("INSERT INTO {} {generations}", set.counted);
        run(tx, &sql, (source, NOTHING))?;
    }
    Ok(())
}

/// Counts the next piece, of up to `rows` rows of one table.
pub(super) fn count(tx: &WriteTx<'_>, set: &Set, rows: i64, waiting: Waiting) -> Result<Counted> {
    let (known, counted, answers) = (set.rows().count() as i64, set.counted, set.answers());
    let sql = format!("SELECT count(*) = ?1 FROM {counted} WHERE {answers}");
    if !tx.one(&sql, [known], |row| flag(row, 0))? {
        forget(tx, set)?;
    }
    let is_first = are_missing(tx, set)?;
    // The first count leaves nothing.
    let waiting = if is_first { Waiting::Any } else { waiting };
    if let Some((table, last_id, then)) = count_one(tx, set, rows, waiting)? {
        return Ok(Counted::UpTo(table, last_id, then));
    }
    if is_first {
        if !(set.adds_up)(tx)? {
            tracing::info!(
                "another program has replaced rows that were counted; all are counted again, at once"
            );
            forget(tx, set)?;
            while count_one(tx, set, AT_ONCE_AGAIN, Waiting::Any)?.is_some() {}
        }
        counted_to(tx, set, (set.once, 0), ALL)?;
    }
    Ok(Counted::All)
}

/// Counts up to `rows` rows of the first table that has rows which wait. Returns the table, the last row's id, and
/// what comes next; `None` if no row waits.
///
/// Generations that cover the same rows of a table go on together. So one that has caught up with the current one
/// stays where that is, however fast rows come, while it catches up with the other tables.
fn count_one(
    tx: &WriteTx<'_>,
    set: &Set,
    rows: i64,
    waiting: Waiting,
) -> Result<Option<(&'static str, i64, Then)>> {
    for source in set.sources {
        if waiting == Waiting::Due && !source.is_due(tx)? {
            continue;
        }
        let Part { facts, add, .. } = source;
        let Facts { table, id: key, .. } = facts;
        let last = facts.last_id();
        let last = tx.one(&format!("SELECT {last}"), [], |row| integer(row, 0))?;
        let after = Piece::comparison(last);
        let sql = format!(
            "SELECT max(id) FROM
                 (SELECT {key} AS id FROM {table} WHERE {key} {after} ?1 ORDER BY {key} LIMIT ?2)"
        );
        if let Some(to) = tx.one(&sql, (last, rows), |row| id(row, 0))? {
            let counted = set.counted;
            let current = facts.answers_from();
            let sql = format!(
                "SELECT generation FROM {counted}
                 WHERE source = ?1 AND (last_id = ?2 OR generation = {current})"
            );
            for generation in tx.all(&sql, (table, last), |row| integer(row, 0))? {
                let ids = [last, to];
                add(
                    tx,
                    Piece {
                        generation,
                        after,
                        ids,
                    },
                )?;
                counted_to(tx, set, (table, generation), to)?;
            }
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

fn adds_up(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = format!(
        "SELECT (SELECT coalesce(sum(messages), 0) FROM botstore_day WHERE generation = {CURRENT})
                    = (SELECT count(*) FROM messages WHERE typeof(user_id) = 'integer')
                  AND (SELECT coalesce(sum(uses), 0) FROM botstore_tool) = (SELECT count(*) FROM tool_usage)
                  AND (SELECT coalesce(sum(users), 0) FROM botstore_cost_day)
                    = (SELECT count(*) FROM cost_tracking)
                  AND (SELECT coalesce(sum(uses), 0) FROM botstore_user_tool)
                    = (SELECT coalesce(sum(t.uses), 0) FROM botstore_session_tool t
                       JOIN sessions s ON s.session_id = t.session_id)"
    );
    tx.one(&sql, [], |row| flag(row, 0))
}

/// Writes down how far a source is counted for a generation.
pub(super) fn counted_to(
    tx: &WriteTx<'_>,
    set: &Set,
    (source, generation): (&str, i64),
    last_id: i64,
) -> Result<()> {
    let sql = format!(
        "UPDATE {} SET last_id = ?1 WHERE source = ?2 AND generation = ?3",
        set.counted
    );
    if run(tx, &sql, (last_id, source, generation))? == 0 {
        // The same rows would be counted again.
        let why =
            "how far rows are counted cannot be written down: something in the file prevents it";
        return Err(Error::new(ErrorKind::Sql, why));
    }
    Ok(())
}

/// Not from the cache of statements: the guard is not asked about a statement there, and the next who uses its text
/// may be an operation.
pub(super) fn prepare<'a>(tx: &'a WriteTx<'_>, sql: &str) -> Result<Statement<'a>> {
    Ok(tx.conn().prepare(sql)?)
}

pub(super) fn run(tx: &WriteTx<'_>, sql: &str, params: impl Params) -> Result<usize> {
    Ok(prepare(tx, sql)?.execute(params)?)
}
