//! Runs a step that touches every row of a growing table in pieces, each in its own transaction. The
//! file records the progress, so a killed process continues at the next opening. The memory, WAL and
//! lock time of a piece do not grow with the file.
//!
//! **The pieces are the step's own text**, which stays as it was released. An index is built by itself.
//! An `UPDATE` first runs for one range of row ids after another, and then once as a whole, for the few
//! rows that another program has written meanwhile. The ledger gets the step with the last piece. Until
//! then every program that could use the file before still can: rows have the old or the new form, and
//! there may be additional indexes.
//!
//! Turned down: one statement, with SQLite's journal in a file. Its memory is bounded too, but its
//! changes stay in the WAL until its end, and a killed process begins again. Also turned down: a new
//! table, filled in pieces and then renamed. It needs the disk space of the table once more, and other
//! programs do not see what is in it.

use super::progress::{self, Progress};
use super::reference::Reference;
use super::step::Stepper;
use super::wal::Wal;
use super::{Migration, SchemaDef};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::WriteTx;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection};
use std::time::{Duration, Instant};

/// The time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// About how much a piece writes into the WAL. Large enough that its sync is a small part of it.
const PIECE_BYTES: i64 = 8 << 20;

/// The size of the first piece. Small, because a row may have megabytes.
const FIRST_ROWS: i64 = 16;

/// A bound for rows that need no change: reading them costs little, but not nothing.
const MOST_ROWS: i64 = 100_000;

/// A part of a step's SQL.
struct Part {
    sql: String,
    /// The table, if this part is an `UPDATE` of its rows.
    rewrites: Option<String>,
}

/// Applies a step from where it was cut short. `record` writes it into the ledger, with the last piece.
pub(super) fn run(
    stepper: &Stepper<'_>,
    schema: &SchemaDef,
    migration: &Migration,
    wal_ceiling_bytes: u64,
    record: impl Fn(&WriteTx<'_>) -> Result<()>,
) -> Result<()> {
    let parts = parts(schema, migration)?;
    let step = migration.step;
    let begun = progress::of(&stepper.look(), schema.name)?.filter(|begun| begun.step == step);
    let from = begun.unwrap_or(Progress {
        step,
        ..Progress::default()
    });
    if begun.is_some() {
        tracing::info!(schema = schema.name, step, "continuing an interrupted step");
    }
    let of = parts.len() as u32;
    if from.part >= of {
        return Err(Error::new(
            ErrorKind::Migration,
            "the step's recorded progress lies beyond the step's end, so another program wrote it; \
             restore a backup",
        ));
    }
    let mut wal = Wal::new(stepper.conn(), wal_ceiling_bytes)?;
    for (number, part) in (0..of).zip(&parts).skip(from.part as usize) {
        let at = number + 1;
        tracing::info!(
            schema = schema.name,
            step,
            part = at,
            of,
            "migrating in pieces"
        );
        let here = Progress {
            step,
            part: number,
            next_row: from.next_row.filter(|_| number == from.part),
        };
        if let Some(table) = &part.rewrites {
            rewrite(stepper, schema.name, here, table, &part.sql, &mut wal)?;
        }
        let run = |conn: &Connection| Ok(conn.execute_batch(&part.sql)?);
        stepper.piece(schema.name, run, |tx, ()| {
            if at < of {
                let (part, next_row) = (at, None);
                return progress::keep(
                    tx,
                    schema.name,
                    Progress {
                        step,
                        part,
                        next_row,
                    },
                );
            }
            progress::end(tx)?;
            record(tx)
        })?;
        wal.after_a_piece()?;
    }
    Ok(())
}

/// Runs an `UPDATE` for one range of rows after another.
fn rewrite(
    stepper: &Stepper<'_>,
    schema: &str,
    here: Progress,
    table: &str,
    sql: &str,
    wal: &mut Wal<'_>,
) -> Result<()> {
    let find = format!(
        "SELECT max(rowid) FROM (SELECT rowid FROM {table} WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2)"
    );
    let update = within_a_range(sql)?;
    let mut next = Some(here.next_row.unwrap_or(i64::MIN));
    let (mut rows, mut reported) = (FIRST_ROWS, Instant::now());
    while let Some(first) = next {
        let piece = |conn: &Connection| {
            let mut find = conn.prepare_cached(&find)?;
            let last: Option<i64> = find.query_row((first, rows), |row| row.get(0))?;
            if let Some(last) = last {
                conn.prepare_cached(&update)?.execute((first, last))?;
            }
            Ok(last)
        };
        let last = stepper.piece(schema, piece, |tx, last| {
            let next_row = last.and_then(|last| last.checked_add(1));
            match next_row {
                None => Ok(()),
                Some(_) => progress::keep(tx, schema, Progress { next_row, ..here }),
            }
        })?;
        next = last.and_then(|last| last.checked_add(1));
        tracing::debug!(table, rows, last_id = last, "rewrote a piece of the rows");
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            tracing::info!(table, last_id = last, "rewriting rows");
        }
        let (written, wanted) = (wal.after_a_piece()?, wal.frames_in(PIECE_BYTES));
        // At least one frame, so that pieces also grow where no row needs a change.
        rows = (rows * wanted / written.max(1)).clamp(rows / 8, rows * 8);
        rows = rows.clamp(1, MOST_ROWS);
    }
    Ok(())
}

/// Returns the same `UPDATE` for the rows from `?1` to `?2`.
fn within_a_range(sql: &str) -> Result<String> {
    let (change, condition) = sql.split_once("WHERE").ok_or_else(|| {
        let why = "a step in pieces has an UPDATE without a WHERE";
        Error::new(ErrorKind::Migration, why)
    })?;
    let condition = condition.trim_end().trim_end_matches(';');
    Ok(format!(
        "{change} WHERE rowid BETWEEN ?1 AND ?2 AND ({condition})"
    ))
}

/// Returns the parts of a step, in order. SQLite itself splits the statements, on a database in memory
/// without rows.
fn parts(schema: &SchemaDef, migration: &Migration) -> Result<Vec<Part>> {
    let reference = Reference::new()?;
    let before = migration.step as usize - 1;
    reference.run(schema, &schema.migrations[..before], |_, _| Ok(()))?;
    let mut statements = Batch::new(reference.conn(), migration.up);
    let mut parts: Vec<Part> = Vec::new();
    let mut goes_on = false;
    while let Some(mut statement) = statements.next()? {
        let sql = statement.expanded_sql().unwrap_or_default();
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        let words: Vec<_> = words(&sql).take(2).collect();
        let rewrites = match words[..] {
            ["UPDATE", table] => Some(table.to_owned()),
            _ => None,
        };
        let is_alone = rewrites.is_some() || matches!(words[..], ["CREATE", "INDEX"]);
        match parts.last_mut().filter(|_| goes_on && !is_alone) {
            Some(part) => part.sql += &sql,
            None => parts.push(Part { sql, rewrites }),
        }
        goes_on = !is_alone;
    }
    Ok(parts)
}

/// Returns the words of a statement, without the comments before it.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql.trim_start();
    while rest.starts_with("--") {
        rest = rest
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Schema;

    /// The bot's schema up to the step that rewrites rows.
    struct Bot;

    impl Schema for Bot {
        const NAME: &'static str = "bot";
        const MIGRATIONS: &'static [Migration] = &[
            Migration::new(
                1,
                "seed",
                include_str!("../../migrations/botstore/0001_seed.up.sql"),
                "",
            ),
            Migration::new(
                2,
                "one_time_spelling",
                include_str!("../../migrations/botstore/0003_one_time_spelling.up.sql"),
                "",
            ),
        ];
    }

    #[test]
    fn the_parts_of_a_step_are_its_text_and_each_update_finds_its_rows_by_their_ids() {
        let schema = SchemaDef::of::<Bot>();
        let step = &Bot::MIGRATIONS[1];
        let parts = parts(&schema, step).unwrap();
        let text: String = parts.iter().map(|part| &*part.sql).collect();
        assert_eq!(text.trim(), step.up.trim());
        let rewrites = parts.iter().filter_map(|part| part.rewrites.as_deref());
        let rewrites = Vec::from_iter(rewrites);
        let tables = [
            "users",
            "sessions",
            "messages",
            "tool_usage",
            "audit_log",
            "user_tokens",
        ];
        assert_eq!(rewrites, tables);
        assert_eq!(parts.len(), 2 * tables.len(), "and an index for each");

        let reference = Reference::new().unwrap();
        reference
            .run(&schema, Bot::MIGRATIONS, |_, _| Ok(()))
            .unwrap();
        for part in parts.iter().filter(|part| part.rewrites.is_some()) {
            let sql = within_a_range(&part.sql).unwrap();
            let mut plan = reference
                .conn()
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let plan: String = plan.query_row([0, 0], |row| row.get(3)).unwrap();
            assert!(plan.contains("(rowid>? AND rowid<?)"), "{plan}");
        }
    }

    #[test]
    fn what_is_small_goes_together_and_an_index_by_itself() {
        let schema = SchemaDef::of::<Bot>();
        let step = Migration::new(
            3,
            "more",
            "-- Why; and what for.
             CREATE TABLE a (b);
             INSERT INTO a VALUES (';');
             CREATE INDEX c ON users(user_id);
             CREATE TRIGGER d AFTER INSERT ON a BEGIN DELETE FROM a; SELECT 1; END;
             CREATE VIEW e AS SELECT 1;",
            "",
        );
        let parts = parts(&schema, &step).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].sql.contains("CREATE TABLE a") && parts[0].sql.contains("INSERT"));
        assert_eq!(words(&parts[1].sql).nth(2), Some("c"));
        assert!(parts[2].sql.contains("END;") && parts[2].sql.contains("CREATE VIEW"));
    }
}
