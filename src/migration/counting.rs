//! Counts a schema's rows in pieces, each in its own transaction: what waits when a file is opened, and
//! some hundred rows at a time while a store is open. The file records the progress, so a killed process
//! continues at the next opening.
//!
//! A piece is a number of rows, not one table of counts: the rows of a table are what grows over the
//! years. The time that a piece took determines the size of the next.

use super::step::transaction;
use super::wal::Wal;
use super::{Counted, Program, Recounted, SchemaDef, Then};
use crate::error::{Error, Result, quote};
use crate::operation::{ReadTx, WriteTx};
use crate::time::Clock;
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// The time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// How long a piece should take: many times as long as its sync, and a fraction of the time for which
/// another program waits for the lock.
const AIM: Duration = Duration::from_millis(200);

/// How long a piece should take beside the work of an open store, whose callers wait meanwhile.
const AIM_BESIDE: Duration = Duration::from_millis(10);

/// The size of the first piece. Small, because SQLite has to read a prompt of megabytes to get past it.
const FIRST_ROWS: i64 = 16;

/// A bound on memory: a piece's counts take at most some 300 bytes a row.
const MOST_ROWS: i64 = 100_000;

/// A bound on the time that the writer is occupied, if another program has written many rows.
const MOST_AT_ONCE: i64 = 4_000;

/// Counts the rows of each schema until few wait.
pub(crate) fn count(conn: &Connection, program: &Program<'_>) -> Result<()> {
    for schema in program.schemas {
        let tx = ReadTx::new(conn, program.clock.now());
        if (schema.counts.are_due)(&tx)? {
            count_one(conn, program, schema).map_err(|e| failed(e, schema))?;
        }
    }
    Ok(())
}

/// Which rows that wait are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Those of a table of which so many wait that it is time.
    Due,
    /// However few.
    Any,
}

/// Counting asks for no time, and the host's clock may panic where the writer has nothing to answer for it.
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

/// Counts rows of each schema that wait, on the connection of an open store, between two transactions. It leaves the
/// rest to the next time if there are many thousand.
pub(crate) fn count_waiting(
    conn: &Connection,
    program: &Program<'_>,
    waiting: Waiting,
) -> Result<()> {
    for SchemaDef { counts, .. } in program.schemas {
        let tx = ReadTx::new(conn, NoClock.now());
        let counts_any = waiting == Waiting::Any && !counts.tables.is_empty();
        if counts_any || (counts.are_due)(&tx)? {
            let count = |tx: &WriteTx<'_>| (counts.count)(tx, MOST_AT_ONCE, waiting);
            transaction(conn, &NoClock, |tx| match waiting {
                // One table at a time, so that mutations wait for a few milliseconds at most.
                Waiting::Due => count(tx).map(|_| ()),
                Waiting::Any => {
                    while let Counted::UpTo(.., Then::Others) = count(tx)? {}
                    Ok(())
                }
            })?;
        }
    }
    Ok(())
}

/// How many rows the next piece beside the work of a store has.
pub(crate) struct Pace {
    rows: i64,
    /// Of which table the last one was.
    table: &'static str,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rows: FIRST_ROWS,
            table: "",
        }
    }
}

impl Pace {
    /// How many rows of this table the next piece has.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        match self.table == table {
            true => self.rows,
            // The row sizes of one table say nothing about another's.
            false => FIRST_ROWS,
        }
    }

    fn note(&mut self, table: &'static str, took: Duration) {
        self.rows = adapted(self.rows(table), took, AIM_BESIDE).min(MOST_AT_ONCE);
        self.table = table;
    }
}

/// Does a piece of what is to be done beside the work of an open store, on its connection, between two transactions.
pub(crate) fn recount(
    conn: &Connection,
    program: &Program<'_>,
    pace: &mut Pace,
) -> Result<Recounted> {
    for SchemaDef { counts, .. } in program.schemas {
        let tx = ReadTx::new(conn, NoClock.now());
        if !(counts.is_behind)(&tx)? {
            continue;
        }
        let done = transaction(conn, &NoClock, |tx| {
            let began = Instant::now();
            let done = (counts.recount)(tx, pace)?;
            if let Recounted::UpTo { table, .. } | Recounted::Removed(table) = done {
                pace.note(table, began.elapsed());
            }
            Ok(done)
        })?;
        match &done {
            Recounted::UpTo { table, last_id, .. } => {
                tracing::debug!(
                    table,
                    last_id,
                    "counted a piece of the rows by another time zone"
                );
            }
            Recounted::All(zone) => {
                tracing::info!(zone, "statistics have the days of another time zone now");
            }
            Recounted::Removed(table) => tracing::debug!(table, "removed counts of before"),
            Recounted::GivenUp => tracing::warn!(
                "somebody has deleted how far rows are counted by another time zone; the next opening begins again"
            ),
            Recounted::Nothing => continue,
        }
        return Ok(done);
    }
    Ok(Recounted::Nothing)
}

fn count_one(conn: &Connection, program: &Program<'_>, schema: &SchemaDef) -> Result<()> {
    tracing::info!(schema = schema.name, "counting the rows for statistics");
    let mut wal = Wal::new(conn, program.sqlite.wal_ceiling_bytes)?;
    let (mut rows, mut reported) = (FIRST_ROWS, Instant::now());
    loop {
        let counted = transaction(conn, program.clock, |tx| piece(tx, schema, &mut rows))?;
        wal.after_a_piece()?;
        let Counted::UpTo(table, last_id, _) = counted else {
            tracing::info!(schema = schema.name, "the rows are counted");
            return Ok(());
        };
        tracing::debug!(table, last_id, "counted a piece of the rows");
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            tracing::info!(table, last_id, "counting rows");
        }
    }
}

/// Counts a piece of up to `rows` rows, and sets `rows` for the next.
fn piece(tx: &WriteTx<'_>, schema: &SchemaDef, rows: &mut i64) -> Result<Counted> {
    let began = Instant::now();
    let counted = (schema.counts.count)(tx, *rows, Waiting::Any)?;
    *rows = match counted {
        // The row sizes of one table say nothing about another's.
        Counted::UpTo(_, _, Then::Others) => FIRST_ROWS,
        _ => adapted(*rows, began.elapsed(), AIM),
    };
    Ok(counted)
}

/// Returns the size of the next piece, which is to take as long as `aim`, if this many rows took this long.
fn adapted(rows: i64, took: Duration, aim: Duration) -> i64 {
    let share = aim.as_secs_f64() / took.as_secs_f64().max(1e-6);
    let rows = rows as f64 * share.clamp(0.125, 8.0);
    (rows as i64).clamp(1, MOST_ROWS)
}

fn failed(error: Error, schema: &SchemaDef) -> Error {
    let kind = error.kind();
    error.because(
        kind,
        format_args!(
            "counting the rows of schema {} failed and the next opening continues it",
            quote(schema.name)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_piece_comes_to_the_time_that_it_should_take_and_stays_in_its_bounds() {
        // A machine that takes this long for a row.
        for (micros, expected) in [
            (0, MOST_ROWS..=MOST_ROWS),
            (20, 9_500..=10_500),
            (10_000, 19..=21),
            (1_000_000, 1..=1),
        ] {
            let mut rows = FIRST_ROWS;
            for _ in 0..20 {
                rows = adapted(rows, Duration::from_micros(micros) * rows as u32, AIM);
            }
            assert!(expected.contains(&rows), "{micros} µs: {rows} rows");
        }
    }
}
