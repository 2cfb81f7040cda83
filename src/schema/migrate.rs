//! Brings a file to the steps that this program knows, or back.

use super::{SchemaDef, check_definitions, ledger};
use crate::backup;
use crate::config::{BeforeUpgrade, Config};
use crate::domain;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, FileLock};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One step that opening the file would apply, or that was applied or taken back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlannedStep {
    /// The schema's name.
    pub schema: String,
    /// The number of the step.
    pub step: u32,
    /// The name of the step.
    pub name: String,
    /// The SQL that is run.
    pub sql: String,
}

/// The steps between a file and this program, in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("nothing to do");
        }
        for (index, step) in self.steps.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(
                f,
                "{line_end}{} {:04} {}",
                step.schema, step.step, step.name
            )?;
        }
        Ok(())
    }
}

/// What opening a store with this configuration would apply. Changes nothing, not even when the
/// file is missing.
///
/// # Errors
/// Those with which [`Store::open`](crate::Store::open) would refuse the file.
///
/// ```
/// # fn main() -> botstore::Result<()> {
/// let plan = botstore::schema::plan("a-file-that-is-not-there.db")?;
/// assert_eq!(plan.steps[0].schema, "botstore");
/// # Ok(()) }
/// ```
pub fn plan(config: impl Into<Config>) -> Result<Plan> {
    let config = config.into();
    config.check()?;
    let schemas = all_schemas(&config)?;
    if !config.path.exists() {
        return pending(&schemas, |_| Ok(0));
    }
    let path = sqlite::resolve(&config.path)?;
    let conn = open_to_look(&path, &config)?;
    let tx = ReadTx::new(&conn, config.clock.now());
    refuse(&tx, &schemas, &path)?;
    pending(&schemas, |schema| applied_up_to(&tx, schema))
}

/// Opens a file only to look at it. On a file whose log was emptied and removed, a connection that
/// reads would make a `-wal` and a `-shm` and leave them there; one that takes the file for
/// immutable does not. Without a log nobody has such a file open, or nobody has written yet.
fn open_to_look(path: &Path, config: &Config) -> Result<Connection> {
    if !cfg!(unix) || !has_log_mode(path) || sqlite::beside(path, "-wal").exists() {
        return sqlite::open_reader(path, config);
    }
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte == b'/' || byte.is_ascii_alphanumeric() {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    Ok(Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?)
}

/// Whether the file says of itself that it has a log: <https://sqlite.org/fileformat2.html>.
fn has_log_mode(path: &Path) -> bool {
    let mut header = [0; 19];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header[18] == 2
}

/// Applies what is missing to a file that no store has open, as opening would; gives what it did.
pub fn apply(config: impl Into<Config>) -> Result<Plan> {
    let config = config.into();
    config.check()?;
    // Before there is a file.
    all_schemas(&config)?;
    let path = sqlite::resolve(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    let conn = sqlite::connect(&path, &config)?;
    refuse_unknown(&conn, &path, &config)?;
    sqlite::make_writer(&conn, &path, &config)?;
    upgrade(&conn, &path, &config)
}

/// Takes back the steps of `schema` after step `to`, newest first, in a file that no store has
/// open; gives what it did. Rows in tables that a step made go with the table: a backup is taken
/// first, as before an upgrade.
///
/// The SQL is what the file's ledger keeps, so this also works for steps that this program does
/// not know.
pub fn rollback(config: impl Into<Config>, schema: &str, to: u32) -> Result<Plan> {
    let config = config.into();
    config.check()?;
    if !config.path.exists() {
        let file = format!("file {}", config.path.display());
        return Err(Error::not_found("path", file));
    }
    let path = sqlite::resolve(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    let conn = sqlite::connect(&path, &config)?;
    let applied = {
        let tx = ReadTx::new(&conn, config.clock.now());
        ledger::applied(&tx, schema)?
    };
    if applied.is_empty() {
        return Err(Error::not_found(
            "schema",
            format_args!("schema {schema:?} in this file"),
        ));
    }
    sqlite::make_writer(&conn, &path, &config)?;
    let back: Vec<_> = applied.into_iter().filter(|e| e.step > to).rev().collect();
    if !back.is_empty() && config.before_upgrade == BeforeUpgrade::Backup {
        backup::before_upgrade(&conn, &path, config.clock.now())?;
    }
    let mut done = Plan::default();
    let stepper = Stepper::open(&path, &config)?;
    for entry in back {
        // Always as a rebuild: what a step back drops may be referred to by what stays.
        stepper
            .run(Rebuild::Yes, &entry.down_sql, |tx| {
                ledger::remove(tx, schema, entry.step)
            })
            .map_err(|e| step_failed(e, "taking back", schema, entry.step, &entry.name))?;
        done.steps.push(PlannedStep {
            schema: schema.to_owned(),
            step: entry.step,
            name: entry.name,
            sql: entry.down_sql,
        });
    }
    Ok(done)
}

/// This crate's schema, then the host's.
fn all_schemas(config: &Config) -> Result<Vec<SchemaDef>> {
    let mut schemas = vec![SchemaDef::of::<domain::BotSchema>()];
    schemas.extend(&config.schemas);
    check_definitions(&schemas)?;
    Ok(schemas)
}

/// Refuses a file that is not ours, too new, or applied a step that has changed since. Changes
/// nothing, so that a refused file stays as it is.
pub(crate) fn refuse_unknown(conn: &Connection, path: &Path, config: &Config) -> Result<()> {
    let tx = ReadTx::new(conn, config.clock.now());
    refuse(&tx, &all_schemas(config)?, path)
}

fn refuse(tx: &ReadTx<'_>, schemas: &[SchemaDef], path: &Path) -> Result<()> {
    let tables: i64 = tx
        .one("SELECT count(*) FROM sqlite_schema", [], |row| {
            Ok(row.get(0)?)
        })
        .map_err(|e| sqlite::name_file(e, path))?;
    if tables == 0 {
        return Ok(());
    }
    let has_ledger = ledger::exists(tx)?;
    for schema in schemas {
        if has_ledger {
            ledger::compare(schema, &ledger::applied(tx, schema.name)?)?;
        } else {
            (schema.recognise)(tx).map_err(|e| sqlite::name_file(e, path))?;
        }
    }
    Ok(())
}

/// Applies what is missing, after a backup if the file holds anything; gives what it did.
pub(crate) fn upgrade(conn: &Connection, path: &Path, config: &Config) -> Result<Plan> {
    let schemas = all_schemas(config)?;
    let read = || ReadTx::new(conn, config.clock.now());
    let todo = pending(&schemas, |schema| applied_up_to(&read(), schema))?;
    let has_tables: bool = read().one("SELECT count(*) > 0 FROM sqlite_schema", [], |row| {
        Ok(row.get(0)?)
    })?;
    if !todo.steps.is_empty() && has_tables && config.before_upgrade == BeforeUpgrade::Backup {
        backup::before_upgrade(conn, path, config.clock.now())?;
    }
    if !todo.steps.is_empty() {
        apply_steps(&schemas, path, config)?;
    }
    transaction(conn, config, |tx| {
        schemas.iter().try_for_each(|schema| (schema.opened)(tx))
    })?;
    Ok(todo)
}

fn apply_steps(schemas: &[SchemaDef], path: &Path, config: &Config) -> Result<()> {
    let stepper = Stepper::open(path, config)?;
    for schema in schemas {
        let done = applied_up_to(&ReadTx::new(&stepper.conn, config.clock.now()), schema)?;
        for migration in schema.migrations.iter().filter(|m| m.step > done) {
            let rebuild = if migration.rebuilds {
                Rebuild::Yes
            } else {
                Rebuild::No
            };
            tracing::info!(
                schema = schema.name,
                step = migration.step,
                name = migration.name,
                "migrating"
            );
            stepper
                .run(rebuild, migration.up, |tx| {
                    ledger::record(tx, schema.name, migration)
                })
                .map_err(|e| {
                    step_failed(e, "applying", schema.name, migration.step, migration.name)
                })?;
        }
    }
    Ok(())
}

fn applied_up_to(tx: &ReadTx<'_>, schema: &SchemaDef) -> Result<u32> {
    Ok(ledger::applied(tx, schema.name)?
        .last()
        .map_or(0, |entry| entry.step))
}

fn pending(
    schemas: &[SchemaDef],
    applied_up_to: impl Fn(&SchemaDef) -> Result<u32>,
) -> Result<Plan> {
    let mut plan = Plan::default();
    for schema in schemas {
        let done = applied_up_to(schema)?;
        for migration in schema.migrations.iter().filter(|m| m.step > done) {
            plan.steps.push(PlannedStep {
                schema: schema.name.to_owned(),
                step: migration.step,
                name: migration.name.to_owned(),
                sql: migration.up.to_owned(),
            });
        }
    }
    Ok(plan)
}

#[derive(Clone, Copy, PartialEq)]
enum Rebuild {
    Yes,
    No,
}

/// Runs steps, on a connection of its own: it refuses what a step may not do, and its foreign keys
/// may be off.
struct Stepper<'a> {
    conn: Connection,
    config: &'a Config,
    /// Whether a step's SQL runs, and not what is put around it.
    inside: Arc<AtomicBool>,
}

impl<'a> Stepper<'a> {
    fn open(path: &Path, config: &'a Config) -> Result<Self> {
        let mut conn = sqlite::connect(path, config)?;
        sqlite::make_writer(&conn, path, config)?;
        let inside = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&inside);
        conn.authorizer(Some(move |context: AuthContext<'_>| {
            // Asked before such a statement runs: looking afterwards whether the transaction is
            // still there would find what a COMMIT has kept, and miss a BEGIN after it.
            let ends = matches!(context.action, AuthAction::Transaction { .. });
            if ends && watched.load(Ordering::Relaxed) {
                Authorization::Deny
            } else {
                Authorization::Allow
            }
        }))?;
        Ok(Self {
            conn,
            config,
            inside,
        })
    }

    /// Runs a step's SQL and its change of the ledger in one transaction.
    fn run(
        &self,
        rebuild: Rebuild,
        sql: &str,
        write_down: impl FnOnce(&WriteTx<'_>) -> Result<()>,
    ) -> Result<()> {
        let conn = &self.conn;
        let orphans_before = match rebuild {
            Rebuild::Yes => {
                // Has no effect inside a transaction, hence here.
                conn.pragma_update(None, "foreign_keys", false)?;
                orphans(conn)?
            }
            Rebuild::No => 0,
        };
        let done = transaction(conn, self.config, |tx| {
            self.execute(sql)?;
            if rebuild == Rebuild::Yes {
                let left = orphans(conn)?;
                if left > orphans_before {
                    return Err(Error::new(
                        ErrorKind::Invalid,
                        format!(
                            "it leaves {} rows that refer to nothing",
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

    fn execute(&self, sql: &str) -> Result<()> {
        self.inside.store(true, Ordering::Relaxed);
        let done = self.conn.execute_batch(sql);
        self.inside.store(false, Ordering::Relaxed);
        done.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => Error::new(
                ErrorKind::Invalid,
                "its SQL begins or ends a transaction; leave BEGIN, COMMIT and ROLLBACK out of it",
            ),
            _ => error.into(),
        })
    }
}

fn orphans(conn: &Connection) -> Result<i64> {
    let sql = "SELECT count(*) FROM pragma_foreign_key_check";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

fn transaction<T>(
    conn: &Connection,
    config: &Config,
    work: impl FnOnce(&WriteTx<'_>) -> Result<T>,
) -> Result<T> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let result = work(&WriteTx::new(conn, config.clock.now()))
        .and_then(|value| Ok(conn.execute_batch("COMMIT").map(|()| value)?));
    if result.is_err() && !conn.is_autocommit() {
        // The error that brought us here is the one to tell; a failing rollback adds nothing,
        // since the connection is closed with the refusal to open.
        let _ = conn.execute_batch("ROLLBACK");
    }
    result
}

fn step_failed(error: Error, doing: &str, schema: &str, step: u32, name: &str) -> Error {
    let kind = match error.kind() {
        kind @ (ErrorKind::DiskFull | ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::Busy) => kind,
        _ => ErrorKind::Migration,
    };
    error.because(
        kind,
        format_args!(
            "{doing} step {step} ({name:?}) of schema {schema:?} failed and the file is as it was before it"
        ),
    )
}
