//! Counts what a schema keeps counts of, in pieces, each a transaction of its own, before there is a store. The
//! file keeps how far it is, so who was killed goes on at the next opening; the counts are believed when the
//! last piece is in.
//!
//! A piece is so many rows, and not one table of counts: the rows of a table are what grows with the bot's
//! age. The time that a piece took says how many rows the next one has.

use super::step::transaction;
use super::wal::Wal;
use super::{Counted, Program, SchemaDef, Then};
use crate::error::{Error, Result, quote};
use crate::operation::{ReadTx, WriteTx};
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// How often it tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How long a piece should take: many times what its sync takes, and a fraction of what another program waits
/// for the lock.
const AIM: Duration = Duration::from_millis(200);

/// How many rows the first piece has: to find out what is behind a prompt of megabytes, SQLite reads it.
const FIRST_ROWS: i64 = 16;

/// What a piece counts is in memory, some 100 bytes a row at most.
const MOST_ROWS: i64 = 100_000;

/// Counts what is still to be counted of each schema.
pub(crate) fn count(conn: &Connection, program: &Program<'_>) -> Result<()> {
    for schema in program.schemas {
        let tx = ReadTx::new(conn, program.clock.now());
        if (schema.counts.are_missing)(&tx)? {
            count_one(conn, program, schema).map_err(|e| failed(e, schema))?;
        }
    }
    Ok(())
}

fn count_one(conn: &Connection, program: &Program<'_>, schema: &SchemaDef) -> Result<()> {
    tracing::info!(schema = schema.name, "counting the rows for statistics");
    let mut wal = Wal::new(conn, program.sqlite.wal_ceiling_bytes)?;
    let (mut rows, mut told) = (FIRST_ROWS, Instant::now());
    loop {
        let counted = transaction(conn, program.clock, |tx| piece(tx, schema, &mut rows))?;
        wal.after_a_piece()?;
        let Counted::UpTo(table, last_id, _) = counted else {
            tracing::info!(schema = schema.name, "the rows are counted");
            return Ok(());
        };
        tracing::debug!(table, last_id, "counted a piece of the rows");
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::info!(table, last_id, "counting rows");
        }
    }
}

/// Counts a piece of so many rows, and says how many the next one has. Counts all that is left where others have
/// changed again and again what was counted: so it comes to an end whatever they do.
fn piece(tx: &WriteTx<'_>, schema: &SchemaDef, rows: &mut i64) -> Result<Counted> {
    loop {
        let began = Instant::now();
        let counted = (schema.counts.count)(tx, *rows)?;
        *rows = match counted {
            // How large the rows of one table are says nothing of another's.
            Counted::UpTo(_, _, Then::Others) => FIRST_ROWS,
            _ => adapted(*rows, began.elapsed()),
        };
        if !matches!(counted, Counted::UpTo(_, _, Then::Alone)) {
            return Ok(counted);
        }
    }
}

/// How many rows to count, when so many took so long.
fn adapted(rows: i64, took: Duration) -> i64 {
    let share = AIM.as_secs_f64() / took.as_secs_f64().max(1e-6);
    let rows = rows as f64 * share.clamp(0.125, 8.0);
    (rows as i64).clamp(1, MOST_ROWS)
}

fn failed(error: Error, schema: &SchemaDef) -> Error {
    let kind = error.kind();
    error.because(
        kind,
        format_args!(
            "counting the rows of schema {} failed and the next opening goes on where it was cut short",
            quote(schema.name)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_piece_comes_to_the_time_that_it_should_take_and_stays_in_its_bounds() {
        // A machine on which a row takes so long.
        for (micros, expected) in [
            (0, MOST_ROWS..=MOST_ROWS),
            (20, 9_500..=10_500),
            (10_000, 19..=21),
            (1_000_000, 1..=1),
        ] {
            let mut rows = FIRST_ROWS;
            for _ in 0..20 {
                rows = adapted(rows, Duration::from_micros(micros) * rows as u32);
            }
            assert!(expected.contains(&rows), "{micros} µs: {rows} rows");
        }
    }
}
