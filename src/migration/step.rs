//! Runs one step of a schema.

use super::found::Found;
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Authorizer, Owners, StepRules, for_steps};
use crate::time::Clock;
use rusqlite::Connection;
use std::fmt;

/// Whether a step rebuilds a table.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Rebuild {
    Yes,
    No,
}

/// Runs steps on the writer's connection, before there is a writer.
pub(super) struct Stepper<'a> {
    conn: &'a Connection,
    clock: &'a dyn Clock,
    rules: StepRules,
    guard: Authorizer,
}

impl<'a> Stepper<'a> {
    /// `owners` says which schema made which object.
    pub(super) fn new(
        conn: &'a mut Connection,
        clock: &'a dyn Clock,
        owners: Owners,
    ) -> Result<Self> {
        let rules = StepRules::new(conn, owners)?;
        // Refused before such a statement runs. Checking afterwards whether the transaction still
        // exists would not undo what a COMMIT made permanent, and would miss a BEGIN after it.
        let guard = Authorizer::install(conn, for_steps(&rules))?;
        Ok(Self {
            conn,
            clock,
            rules,
            guard,
        })
    }

    /// From now on no step drops what this one found. If it also found rows, no step deletes rows from
    /// these tables.
    ///
    /// A `DELETE` cannot be skipped by the authorizer as a `DROP` can, so a temporary trigger skips its
    /// rows. Searching the step's text for such statements was turned down.
    pub(super) fn keep(&self, found: &Found, tables: &[&str]) -> Result<()> {
        self.rules.keep(found.names());
        let sql = "SELECT name FROM temp.sqlite_schema WHERE name GLOB 'botstore_keeps_*'";
        let mut old = self.conn.prepare(sql)?;
        let old = old.query_map([], |row| row.get::<_, String>(0))?;
        for name in old.collect::<rusqlite::Result<Vec<_>>>()? {
            self.conn
                .execute_batch(&format!("DROP TRIGGER temp.\"{name}\""))?;
        }
        for (at, table) in tables.iter().filter(|_| found.keeps_rows()).enumerate() {
            if !sqlite::has_table(self.conn, table)? {
                continue;
            }
            let table = table.replace('"', "\"\"");
            self.conn.execute_batch(&format!(
                "CREATE TEMP TRIGGER botstore_keeps_{at} BEFORE DELETE ON main.\"{table}\" BEGIN
                     SELECT RAISE(IGNORE); END"
            ))?;
        }
        Ok(())
    }

    /// Restores the form in which a step found an index, unless new rows do not allow that.
    ///
    /// The form is SQL from the file. Of it only one statement runs, which must create an index and
    /// obeys the rules of steps; afterwards the index must have exactly this SQL.
    pub(super) fn give_back(&self, schema: &str, index: &str, form: &str) -> Result<()> {
        let reads = |tx: &ReadTx<'_>| {
            let sql = "SELECT count(*) > 0 FROM sqlite_schema
                       WHERE type = 'index' AND name = ?1 AND sql = ?2";
            tx.one(sql, (index, form), |row| Ok(row.get::<_, bool>(0)?))
        };
        if reads(&self.look())? {
            return Ok(());
        }
        let refused = || Error::new(ErrorKind::Conflict, "it does not make that index");
        let make = |conn: &Connection| {
            let mut begins = ["CREATE INDEX ", "CREATE UNIQUE INDEX "].iter();
            if !begins.any(|begin| form.starts_with(begin)) {
                return Err(refused());
            }
            let name = index.replace('"', "\"\"");
            conn.execute_batch(&format!("DROP INDEX IF EXISTS main.\"{name}\""))?;
            conn.prepare(form)?.execute([])?;
            Ok(())
        };
        let done = self.piece(schema, make, |tx, ()| match reads(tx)? {
            true => Ok(()),
            false => Err(refused()),
        });
        use ErrorKind::{Conflict, Invalid, Sql};
        match done {
            Err(error) if matches!(error.kind(), Conflict | Invalid | Sql) => {
                tracing::warn!(index, %error, "the index's earlier form cannot be restored");
                Ok(())
            }
            done => done,
        }
    }

    /// The connection, for use outside of steps.
    pub(super) fn conn(&self) -> &'a Connection {
        self.conn
    }

    /// Reads the file, outside of steps.
    pub(super) fn look(&self) -> ReadTx<'a> {
        ReadTx::new(self.conn, self.clock.now())
    }

    /// Runs a piece of a step, and records that it is done, in one transaction.
    pub(super) fn piece<T>(
        &self,
        schema: &str,
        work: impl FnOnce(&Connection) -> Result<T>,
        write_down: impl FnOnce(&WriteTx<'_>, &T) -> Result<()>,
    ) -> Result<T> {
        transaction(self.conn, self.clock, |tx| {
            let done = self.guarded(schema, work)?;
            write_down(tx, &done)?;
            Ok(done)
        })
    }

    /// Runs a step's SQL and its change of the ledger in one transaction.
    pub(super) fn run(
        &self,
        schema: &str,
        rebuild: Rebuild,
        sql: &str,
        write_down: impl FnOnce(&WriteTx<'_>) -> Result<()>,
    ) -> Result<()> {
        let conn = self.conn;
        let orphans_before = match rebuild {
            Rebuild::Yes => {
                // Set here because the pragma has no effect inside a transaction.
                conn.pragma_update(None, "foreign_keys", false)?;
                orphans(conn)?
            }
            Rebuild::No => 0,
        };
        let done = transaction(conn, self.clock, |tx| {
            self.guarded(schema, |conn| Ok(conn.execute_batch(sql)?))?;
            if rebuild == Rebuild::Yes {
                let left = orphans(conn)?;
                if left > orphans_before {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        format!(
                            "it leaves {} rows that refer to missing rows",
                            left - orphans_before
                        ),
                    ));
                }
            }
            write_down(tx)
        });
        if rebuild == Rebuild::Yes {
            conn.pragma_update(None, "foreign_keys", true)?;
        }
        done
    }

    fn guarded<T>(&self, schema: &str, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.rules.begin(self.conn, schema)?;
        let done = self.guard.during(|| {
            let done = work(self.conn)?;
            self.rules.look_back(self.conn)?;
            Ok(done)
        });
        // A virtual table may ignore the refusal, or report it with an error of its own.
        match self.rules.refused() {
            Some(why) => Err(Error::new(ErrorKind::Invalid, why)),
            None => done,
        }
    }
}

fn orphans(conn: &Connection) -> Result<i64> {
    let sql = "SELECT count(*) FROM pragma_foreign_key_check";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

/// Commits what `work` does; rolls it back on an error.
pub(super) fn transaction<T>(
    conn: &Connection,
    clock: &dyn Clock,
    work: impl FnOnce(&WriteTx<'_>) -> Result<T>,
) -> Result<T> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let result = work(&WriteTx::new(conn, clock.now()))
        .and_then(|value| Ok(conn.execute_batch("COMMIT").map(|()| value)?));
    if result.is_err() && !conn.is_autocommit() {
        // The first error is the one to report. A failing rollback adds nothing, since the connection
        // is closed when opening fails.
        let _ = conn.execute_batch("ROLLBACK");
    }
    result
}

/// What a failed step leaves in the file.
#[derive(Clone, Copy)]
pub(super) enum Left {
    AsBefore,
    /// The finished pieces.
    Begun,
}

/// Makes the error for a step that failed.
pub(super) fn step_failed(
    error: Error,
    doing: &str,
    schema: &str,
    (step, name): (u32, &str),
    left: Left,
) -> Error {
    let (name, schema) = (quote(name), quote(schema));
    if makes_what_is_there(&error) {
        let why = format_args!(
            "{doing} step {step} ({name}) of schema {schema} would make what is in the file already, so \
             another program has removed rows from botstore_ledger; restore a backup"
        );
        return error.because(ErrorKind::Corrupt, why);
    }
    failed(
        error,
        format_args!("{doing} step {step} ({name}) of schema {schema}"),
        left,
    )
}

/// Whether a statement failed since an object with the store's own prefix exists. No other program's object has such
/// a name, so a step has run of which the ledger does not know. SQLite has no error code for that.
fn makes_what_is_there(error: &Error) -> bool {
    let said = error.to_string();
    let name = said
        .split_once(" already exists")
        .and_then(|(before, _)| before.rsplit(' ').next());
    error.kind() == ErrorKind::Sql && name.is_some_and(|name| name.starts_with("botstore_"))
}

/// Makes the error for a piece of migration that failed: what it was, such as "applying step 1".
pub(super) fn failed(error: Error, what: fmt::Arguments<'_>, left: Left) -> Error {
    let kind = match error.kind() {
        kind @ (ErrorKind::DiskFull
        | ErrorKind::Io
        | ErrorKind::TooManyFiles
        | ErrorKind::ReadOnly
        | ErrorKind::Corrupt
        | ErrorKind::Busy) => kind,
        _ => ErrorKind::Migration,
    };
    let left = match left {
        Left::AsBefore => "the file is as it was before it",
        Left::Begun => "the next opening continues it",
    };
    error.because(kind, format_args!("{what} failed and {left}"))
}
