//! Brings a file to the steps that this program knows, or back.

use super::plan::{Plan, PlannedStep, applied_up_to, pending, refuse_unknown};
use super::step::{Rebuild, Stepper, transaction};
use super::{SchemaDef, ledger};
use crate::backup::{self, Upgrading};
use crate::config::{BeforeUpgrade, Config};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::ReadTx;
use crate::sqlite::{self, FileLock, Guard, for_mutations};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Applies what is missing to a file that no store has open, as opening would; gives what it did.
pub fn apply(config: impl Into<Config>) -> Result<Plan> {
    let config = config.into();
    config.check()?;
    let path = sqlite::resolve(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    let mut conn = connect(&path, &config)?;
    Ok(upgrade(&mut conn, &path, &config, Upgrading::ByHand)?.plan)
}

/// Applies the steps of `schema` up to step `to`, and those of no other schema, to a file that no
/// store has open; gives what it did. For an upgrade in parts, with a look at the file in between:
/// no store opens it without applying the rest.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) for a file that is not there and for a schema that `config`
/// does not have; [`Invalid`](ErrorKind::Invalid) for a step that the schema does not have, or that
/// the file has gone past.
///
/// ```
/// # fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bot.db");
/// use botstore::schema;
///
/// schema::apply(&path)?;
/// schema::rollback(&path, "botstore", 3)?;
/// let done = schema::apply_to(&path, "botstore", 5)?;
/// assert_eq!(done.steps.len(), 2);
/// # Ok(()) }
/// ```
pub fn apply_to(config: impl Into<Config>, schema: &str, to: u32) -> Result<Plan> {
    let config = config.into();
    config.check()?;
    let path = sqlite::existing(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    let known = config.schemas.iter().find(|known| known.name == schema);
    let mut only = *known.ok_or_else(|| {
        Error::not_found(
            "schema",
            format_args!("schema {} in this configuration", quote(schema)),
        )
    })?;
    if to > only.last() {
        let why = format!("must be at most {}, the schema's last step", only.last());
        return Err(Error::invalid("to", &why));
    }
    let mut conn = connect(&path, &config)?;
    let has = applied_up_to(&ReadTx::new(&conn, config.clock.now()), &only)?;
    if to < has {
        let why = format!(
            "must be at least {has}, which the file has; botstore::schema::rollback takes steps back"
        );
        return Err(Error::invalid("to", &why));
    }
    only.migrations = &only.migrations[..to as usize];
    Ok(migrate(&[only], &mut conn, &path, &config, Upgrading::ByHand)?.plan)
}

/// The connection that writes to a file whose lock is held, and that is ours or can become so.
pub(crate) fn connect(path: &Path, config: &Config) -> Result<Connection> {
    backup::settle(path)?;
    let conn = sqlite::connect(path, config)?;
    // Before anything is read of it: without its log a file of ours may look like another's.
    sqlite::refuse_damaged(&conn, path, config)?;
    refuse_unknown(&conn, path, config)?;
    make_writer(&conn, path, config)?;
    Ok(conn)
}

fn make_writer(conn: &Connection, path: &Path, config: &Config) -> Result<()> {
    sqlite::make_writer(conn, path, config)?;
    sqlite::take_in(conn)
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
    let path = sqlite::existing(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    backup::settle(&path)?;
    let mut conn = sqlite::connect(&path, &config)?;
    sqlite::refuse_damaged(&conn, &path, &config)?;
    let applied = {
        let tx = ReadTx::new(&conn, config.clock.now());
        ledger::applied(&tx, schema)?
    };
    if applied.is_empty() {
        return Err(Error::not_found(
            "schema",
            format_args!("schema {} in this file", quote(schema)),
        ));
    }
    make_writer(&conn, &path, &config)?;
    let back: Vec<_> = applied.into_iter().filter(|e| e.step > to).rev().collect();
    if !back.is_empty() && config.before_upgrade == BeforeUpgrade::Backup {
        backup::before_upgrade(&mut conn, &path, &config, Upgrading::ByHand)?;
    }
    let mut done = Plan::default();
    let stepper = Stepper::new(&mut conn, &config)?;
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

/// What an upgrade did.
pub(crate) struct Upgraded {
    pub(crate) plan: Plan,
    /// Where the backup from before is, if it is in the clear and its folder's are not.
    pub(crate) clear_copy: Option<PathBuf>,
}

/// Applies what is missing, and lets the schemas look at the file; gives what it did.
pub(crate) fn upgrade(
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    upgrading: Upgrading,
) -> Result<Upgraded> {
    let schemas = &config.schemas;
    let done = migrate(schemas, conn, path, config, upgrading)?;
    let guard = Guard::install(conn, for_mutations)?;
    transaction(conn, config, |tx| {
        guard.during(|| schemas.iter().try_for_each(|schema| (schema.opened)(tx)))
    })?;
    Ok(done)
}

/// Applies what is missing of these schemas, after a backup if the file holds anything; gives what
/// it did.
fn migrate(
    schemas: &[SchemaDef],
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    upgrading: Upgrading,
) -> Result<Upgraded> {
    let (todo, has_tables) = {
        let tx = ReadTx::new(conn, config.clock.now());
        let has_tables = "SELECT count(*) > 0 FROM sqlite_schema";
        (
            pending(schemas, |schema| applied_up_to(&tx, schema))?,
            tx.one(has_tables, [], |row| Ok(row.get::<_, bool>(0)?))?,
        )
    };
    let mut clear_copy = None;
    if !todo.steps.is_empty() && has_tables && config.before_upgrade == BeforeUpgrade::Backup {
        clear_copy = backup::before_upgrade(conn, path, config, upgrading)?;
    }
    if !todo.steps.is_empty() {
        apply_steps(schemas, conn, config)?;
    }
    Ok(Upgraded {
        plan: todo,
        clear_copy,
    })
}

fn apply_steps(schemas: &[SchemaDef], conn: &mut Connection, config: &Config) -> Result<()> {
    let mut done = Vec::new();
    for schema in schemas {
        done.push(applied_up_to(
            &ReadTx::new(conn, config.clock.now()),
            schema,
        )?);
    }
    let stepper = Stepper::new(conn, config)?;
    for (schema, done) in schemas.iter().zip(done) {
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

fn step_failed(error: Error, doing: &str, schema: &str, step: u32, name: &str) -> Error {
    let kind = match error.kind() {
        kind @ (ErrorKind::DiskFull | ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::Busy) => kind,
        _ => ErrorKind::Migration,
    };
    error.because(
        kind,
        format_args!(
            "{doing} step {step} ({}) of schema {} failed and the file is as it was before it",
            quote(name),
            quote(schema)
        ),
    )
}
