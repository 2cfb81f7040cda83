//! Brings a file to the steps that this program knows, or back.

use super::plan::{Plan, PlannedStep, applied_up_to, pending, refuse_unknown};
use super::step::{Rebuild, Stepper, transaction};
use super::{SchemaDef, ledger, objects, reference};
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
    let mut conn = sqlite::connect(path, config)?;
    sqlite::mind_time_opening(&mut conn, path, config)?;
    // Before anything is read of it: without its log a file of ours may look like another's.
    sqlite::refuse_damaged(&conn, path, config)?;
    refuse_unknown(&conn, path, config)?;
    refuse_objects(&conn, path, config)?;
    make_writer(&conn, path, config)?;
    Ok(conn)
}

fn refuse_objects(conn: &Connection, path: &Path, config: &Config) -> Result<()> {
    let tx = ReadTx::new(conn, config.clock.now());
    objects::refuse_objects(&tx, config, path).map_err(|e| match e.kind() {
        ErrorKind::Untrusted => e,
        _ => sqlite::name_file(e, path),
    })
}

fn make_writer(conn: &Connection, path: &Path, config: &Config) -> Result<()> {
    sqlite::make_writer(conn, path, config)?;
    sqlite::take_in(conn)
}

/// What is done with steps that the program does not know, when they are to be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownSteps {
    /// They stay, and all is refused: their SQL comes with the file, from whoever wrote it. The error
    /// shows it.
    #[default]
    Refuse,
    /// Their SQL is run as the file has it. For somebody who has read it. Even then it can neither
    /// reach outside the file nor change the tables of another schema.
    Trust,
}

/// Takes back the steps of `schema` after step `to`, newest first, in a file that no store has
/// open; gives what it did. Rows in tables that a step made go with the table: a backup is taken
/// first, as before an upgrade.
///
/// What is run is this program's own text of the steps, so `config` must have the schema. The same as
/// [`rollback_with`] and [`UnknownSteps::Refuse`].
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) for a file that is not there or that has no step of the schema;
/// [`Untrusted`](ErrorKind::Untrusted) when a step is unknown here;
/// [`ChangedMigration`](ErrorKind::ChangedMigration) when the file says another text of one than this
/// program, up or down; [`Migration`](ErrorKind::Migration) when one failed.
pub fn rollback(config: impl Into<Config>, schema: &str, to: u32) -> Result<Plan> {
    rollback_with(config, schema, to, UnknownSteps::Refuse)
}

/// [`rollback`], with a word on steps that this program does not know: those of a newer program, and
/// those of schemas that `config` does not have.
pub fn rollback_with(
    config: impl Into<Config>,
    schema: &str,
    to: u32,
    unknown: UnknownSteps,
) -> Result<Plan> {
    let config = config.into();
    config.check()?;
    let path = sqlite::existing(&config.path)?;
    let _lock = FileLock::acquire(&path)?;
    backup::settle(&path)?;
    let mut conn = sqlite::connect(&path, &config)?;
    sqlite::mind_time_opening(&mut conn, &path, &config)?;
    sqlite::refuse_damaged(&conn, &path, &config)?;
    refuse_objects(&conn, &path, &config)?;
    let (back, owners) = {
        let tx = ReadTx::new(&conn, config.clock.now());
        let back = ways_back(&tx, &config, schema, to, unknown)?;
        let owners = match unknown {
            UnknownSteps::Refuse => reference::owners(&config.schemas)?,
            UnknownSteps::Trust => reference::owners_with_trusted(&config.schemas, &tx)?,
        };
        (back, owners)
    };
    make_writer(&conn, &path, &config)?;
    if !back.is_empty() && config.before_upgrade == BeforeUpgrade::Backup {
        backup::before_upgrade(&mut conn, &path, &config, Upgrading::ByHand)?;
        sqlite::mind_time_opening(&mut conn, &path, &config)?;
    }
    let mut done = Plan::default();
    let stepper = Stepper::new(&mut conn, &config, owners)?;
    for step in back {
        // Always as a rebuild: what a step back drops may be referred to by what stays.
        stepper
            .run(schema, Rebuild::Yes, &step.sql, |tx| {
                ledger::remove(tx, schema, step.step)
            })
            .map_err(|e| step_failed(e, "taking back", schema, step.step, &step.name))?;
        done.steps.push(step);
    }
    Ok(done)
}

/// The steps to take back, newest first, with the SQL that does it: this program's own, never the
/// file's, but for steps that it does not know and that somebody trusts.
fn ways_back(
    tx: &ReadTx<'_>,
    config: &Config,
    schema: &str,
    to: u32,
    unknown: UnknownSteps,
) -> Result<Vec<PlannedStep>> {
    let applied = ledger::applied(tx, schema)?;
    if applied.is_empty() {
        return Err(Error::not_found(
            "schema",
            format_args!("schema {} in this file", quote(schema)),
        ));
    }
    let ours = config.schemas.iter().find(|known| known.name == schema);
    let mut back = Vec::new();
    let mut foreign = String::new();
    for entry in applied.into_iter().rev() {
        let known = ours.and_then(|schema| schema.step(entry.step));
        if let Some(known) = known {
            ledger::compare_step(schema, &entry, known)?;
        }
        if entry.step <= to {
            continue;
        }
        if known.is_none() && unknown == UnknownSteps::Refuse {
            foreign += &format!("\n--- step {} ({})\n", entry.step, quote(&entry.name));
            foreign += &excerpt(&entry.down_sql);
        }
        back.push(PlannedStep {
            schema: schema.to_owned(),
            step: entry.step,
            name: entry.name,
            sql: known.map_or(entry.down_sql, |known| known.down.to_owned()),
        });
    }
    if foreign.is_empty() {
        return Ok(back);
    }
    Err(Error::to_be_read(
        ErrorKind::Untrusted,
        format!(
            "this program does not know all of these steps of schema {schema:?}, and what would take \
             them back is SQL that the file brings along; it was not run. Restore the backup from \
             before the upgrade or use the newer program; or read this SQL, and say that you trust \
             it:{foreign}\n---"
        ),
    ))
}

/// As much of a file's SQL as fits into a sentence.
fn excerpt(sql: &str) -> String {
    const SHOWN: usize = 8 * 1024;
    if sql.len() <= SHOWN {
        return sql.to_owned();
    }
    let ends = sql.char_indices().map(|(at, _)| at);
    let end = ends.take_while(|&at| at <= SHOWN).last().unwrap_or(0);
    format!(
        "{}\n… and {} more bytes: see down_sql in botstore_ledger",
        &sql[..end],
        sql.len() - end
    )
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
    objects::run_own_triggers(conn, config)?;
    let guard = Guard::install(conn, for_mutations)?;
    transaction(conn, config, |tx| {
        let tx = tx.guarded_by(&guard);
        guard.during(|| schemas.iter().try_for_each(|schema| (schema.opened)(&tx)))
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
        sqlite::mind_time_opening(conn, path, config)?;
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
    let stepper = Stepper::new(conn, config, reference::owners(&config.schemas)?)?;
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
                .run(schema.name, rebuild, migration.up, |tx| {
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
