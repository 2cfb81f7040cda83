//! The table in which a file records the steps that it has applied.

use super::{Migration, SchemaDef, found};
use crate::error::{Error, ErrorKind, Result, excerpt, quote};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// `down_sql` is kept too, so that a program that does not know a step can run it, once somebody has
/// read it. A program that knows the step undoes it with its own text.
///
/// Not STRICT: an SQLite before 3.37 cannot read a file with such a table.
const CREATE: &str = "CREATE TABLE botstore_ledger (
    schema     TEXT    NOT NULL CHECK (typeof(schema) = 'text'),
    step       INTEGER NOT NULL CHECK (typeof(step) = 'integer'),
    name       TEXT    NOT NULL CHECK (typeof(name) = 'text'),
    up_sql     TEXT    NOT NULL CHECK (typeof(up_sql) = 'text'),
    down_sql   TEXT    NOT NULL CHECK (typeof(down_sql) = 'text'),
    checksum   TEXT    NOT NULL CHECK (typeof(checksum) = 'text'),
    applied_at TEXT    NOT NULL CHECK (typeof(applied_at) = 'text'),
    PRIMARY KEY (schema, step)
) WITHOUT ROWID";

/// How far a schema is applied in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SchemaStep {
    /// The schema's name.
    pub schema: String,
    /// Its last applied step.
    pub step: u32,
}

/// One applied step.
pub(super) struct Entry {
    pub(super) step: u32,
    pub(super) name: String,
    pub(super) up_sql: String,
    pub(super) down_sql: String,
    checksum: String,
}

pub(super) fn exists(tx: &ReadTx<'_>) -> Result<bool> {
    sqlite::has_table(tx.conn(), "botstore_ledger")
}

/// Returns the steps of a schema that the file has applied, in order.
pub(super) fn applied(tx: &ReadTx<'_>, schema: &str) -> Result<Vec<Entry>> {
    if !exists(tx)? {
        return Ok(Vec::new());
    }
    tx.all(
        "SELECT step, name, up_sql, down_sql, checksum FROM botstore_ledger
         WHERE schema = ?1 ORDER BY step",
        [schema],
        |row| {
            Ok(Entry {
                step: row.get(0)?,
                name: row.get(1)?,
                up_sql: row.get(2)?,
                down_sql: row.get(3)?,
                checksum: row.get(4)?,
            })
        },
    )
}

/// Returns the last applied step of a schema; 0 if there is none.
pub(super) fn last(tx: &ReadTx<'_>, schema: &str) -> Result<u32> {
    if !exists(tx)? {
        return Ok(0);
    }
    let sql = "SELECT coalesce(max(step), 0) FROM botstore_ledger WHERE schema = ?1";
    tx.one(sql, [schema], |row| Ok(row.get(0)?))
}

/// Returns the schemas with steps in the file, in the order of their first steps.
pub(super) fn schemas(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    if !exists(tx)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT schema FROM botstore_ledger GROUP BY schema ORDER BY min(applied_at), schema";
    tx.all(sql, [], |row| Ok(row.get(0)?))
}

/// Returns the last applied step of each schema.
pub(crate) fn steps(tx: &ReadTx<'_>) -> Result<Vec<SchemaStep>> {
    tx.all(
        "SELECT schema, max(step) FROM botstore_ledger GROUP BY schema ORDER BY schema",
        [],
        |row| {
            Ok(SchemaStep {
                schema: row.get(0)?,
                step: row.get(1)?,
            })
        },
    )
}

/// Whether the ledger is the STRICT table of programs before step 8 of the bot's schema.
pub(super) fn is_old(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT upper(sql) LIKE '%) STRICT%' FROM sqlite_schema
               WHERE type = 'table' AND name = 'botstore_ledger' AND rootpage > 0";
    let strict = tx.maybe(sql, [], |row| Ok(row.get(0)?))?;
    Ok(strict.unwrap_or(false))
}

/// Creates the ledger, or rebuilds that of an older program. `write_found` records what the steps of
/// that program found, while that can still be derived.
///
/// No step does this, since no step may touch the ledger. It is part of the next step, up or down.
pub(super) fn prepare(
    tx: &WriteTx<'_>,
    write_found: impl FnOnce(&WriteTx<'_>) -> Result<()>,
) -> Result<()> {
    if !exists(tx)? {
        // Left over from a ledger that somebody has dropped.
        found::forget(tx)?;
        tx.execute(CREATE, [])?;
        return Ok(());
    }
    if !is_old(tx)? {
        return Ok(());
    }
    write_found(tx)?;
    let sql =
        "SELECT schema, step, name, up_sql, down_sql, checksum, applied_at FROM botstore_ledger";
    let rows = tx.all(sql, [], |row| {
        let cells = (0..7).map(|at| Ok(row.get::<_, Value>(at)?));
        cells.collect::<Result<Vec<_>>>()
    })?;
    tx.execute("DROP TABLE botstore_ledger", [])?;
    tx.execute(CREATE, [])?;
    for row in rows {
        let sql = "INSERT INTO botstore_ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        tx.execute(sql, params_from_iter(row))?;
    }
    Ok(())
}

pub(super) fn record(tx: &WriteTx<'_>, schema: &str, migration: &Migration) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_ledger (schema, step, name, up_sql, down_sql, checksum, applied_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            schema,
            migration.step,
            migration.name,
            migration.up,
            migration.down,
            checksum(migration.up, migration.down),
            tx.now_text(),
        ),
    )?;
    Ok(())
}

/// Removes a step, and with the last one the table: a file without steps is as it was before the first.
pub(super) fn remove(tx: &WriteTx<'_>, schema: &str, step: u32) -> Result<()> {
    tx.execute(
        "DELETE FROM botstore_ledger WHERE schema = ?1 AND step = ?2",
        (schema, step),
    )?;
    found::remove(tx, schema, step)?;
    let sql = "SELECT count(*) FROM botstore_ledger";
    if tx.one(sql, [], |row| Ok(row.get::<_, i64>(0)?))? == 0 {
        tx.execute("DROP TABLE botstore_ledger", [])?;
    }
    Ok(())
}

/// Refuses a file with an applied step that this program does not know, or knows with another text.
pub(super) fn compare(schema: &SchemaDef, applied: &[Entry]) -> Result<()> {
    for entry in applied {
        let Some(known) = schema.step(entry.step) else {
            return Err(Error::new(
                ErrorKind::NewerSchema,
                format!(
                    "the file has step {} ({}) of schema {:?}, and this program knows its steps up to \
                     {}: run the newer program, or restore the backup from before its upgrade",
                    entry.step,
                    quote(&entry.name),
                    schema.name,
                    schema.last()
                ),
            ));
        };
        compare_step(schema.name, entry, known)?;
    }
    Ok(())
}

/// Returns both texts from the first line in which they differ.
fn from_where_they_differ<'a>(mut one: &'a str, mut other: &'a str) -> (&'a str, &'a str) {
    while let (Some((line, rest)), Some((same, rest_of_other))) =
        (one.split_once('\n'), other.split_once('\n'))
        && line == same
    {
        (one, other) = (rest, rest_of_other);
    }
    (one, other)
}

/// Refuses a step whose text, up or down, differs between this program and the ledger.
pub(super) fn compare_step(schema: &str, entry: &Entry, known: &Migration) -> Result<()> {
    let changed = |advice: &str, which: &str, theirs: &str, ours: &str| {
        let (theirs, ours) = (normalised(theirs), normalised(ours));
        let (theirs, ours) = from_where_they_differ(&theirs, &ours);
        Err(Error::new(
            ErrorKind::ChangedMigration,
            format!(
                "step {} ({}) of schema {schema:?} differs from the step that was applied to the \
                 file{which}. {advice}\n\
                 --- applied to the file\n{}\n--- in this program\n{}\n---",
                entry.step,
                quote(&entry.name),
                excerpt(theirs),
                excerpt(ours)
            ),
        ))
    };
    let advice = "Put the old text back and make the change in a new step.";
    if !reads_as(&entry.up_sql, known.up) {
        return changed(advice, "", &entry.up_sql, known.up);
    }
    if !reads_as(&entry.down_sql, known.down) {
        let advice = "If no program of yours ever had that text, another program wrote it into the \
                      file, and it was not run: restore a backup.";
        let which = ", in its down SQL";
        return changed(advice, which, &entry.down_sql, known.down);
    }
    // Older rows have a checksum of the up text alone.
    let is_of = |sum: String| sum == entry.checksum;
    if !is_of(checksum(known.up, known.down)) && !is_of(digest(&normalised(known.up))) {
        let advice = "Another program changed the file's ledger: restore a backup.";
        let which = ", by its checksum";
        return changed(advice, which, &entry.up_sql, known.up);
    }
    Ok(())
}

/// SHA-256 of both normalised texts, separated by a byte that neither contains.
fn checksum(up: &str, down: &str) -> String {
    digest(&format!("{}\0{}", normalised(up), normalised(down)))
}

/// SHA-256 in hexadecimal.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn reads_as(one: &str, other: &str) -> bool {
    one == other || normalised(one) == normalised(other)
}

/// The SQL without what an editor or a checkout changes: carriage returns, blanks at the ends of lines,
/// and empty lines at both ends.
fn normalised(sql: &str) -> String {
    let lines: Vec<_> = sql.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn line_ends_and_trailing_blanks_do_not_count_and_words_do() {
        let sql = "CREATE TABLE a (\n  b TEXT\n);";
        let same = "CREATE TABLE a (  \r\n  b TEXT\t\r\n);\r\n\r\n";
        for (one, other) in [(sql, same), (same, sql)] {
            assert_eq!(checksum(one, ""), checksum(other, ""));
            assert_eq!(checksum("", one), checksum("", other));
        }
        for changed in [
            "CREATE TABLE a (\n  b BLOB\n);",
            "CREATE TABLE a (\n b TEXT\n);",
        ] {
            assert_ne!(checksum(sql, ""), checksum(changed, ""));
            assert_ne!(checksum("", sql), checksum("", changed));
        }
        assert_ne!(checksum(sql, ""), checksum("", sql));
    }
}
