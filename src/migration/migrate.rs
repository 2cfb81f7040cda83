//! Brings an open file to the steps that this program knows, or back. Whoever calls this has made the
//! backup from before.

use super::found::{self, Found};
use super::plan::{Plan, PlannedStep, pending, refuse_unknown};
use super::reference::Makers;
use super::step::{Rebuild, Stepper, transaction};
use super::{Migration, Program, SchemaDef, ledger, objects, pieces, progress, reference};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Authorizer, for_mutations};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// The connection that writes to a file whose lock is held, and that is ours or can become so.
pub(crate) fn connect(path: &Path, program: &Program<'_>) -> Result<Connection> {
    let conn = connect_to_any(path, program)?;
    refuse_unknown(&conn, path, program)?;
    refuse_objects(&conn, path, program)?;
    make_writer(&conn, path, program)?;
    Ok(conn)
}

/// The same for a file with steps that this program may not know, which are to be taken back. It is not
/// one that writes yet: see [`make_writer`].
pub(crate) fn connect_to_take_back(path: &Path, program: &Program<'_>) -> Result<Connection> {
    let conn = connect_to_any(path, program)?;
    refuse_objects(&conn, path, program)?;
    Ok(conn)
}

fn connect_to_any(path: &Path, program: &Program<'_>) -> Result<Connection> {
    let mut conn = sqlite::connect(path, &program.sqlite)?;
    sqlite::mind_time_opening(&mut conn, path, &program.sqlite)?;
    // Before anything is read of it: without its WAL a file of ours may look like another's.
    sqlite::refuse_damaged_wal(&conn, path, &program.sqlite)?;
    Ok(conn)
}

fn refuse_objects(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<()> {
    let tx = ReadTx::new(conn, program.clock.now());
    objects::refuse_objects(&tx, program, path).map_err(|e| match e.kind() {
        ErrorKind::Untrusted => e,
        _ => sqlite::name_file(e, path),
    })
}

/// Makes the connection the one that writes.
///
/// Until a store has it, what does not fit into its cache goes into temporary files.
pub(crate) fn make_writer(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<()> {
    sqlite::make_writer(conn, path, &program.sqlite)?;
    sqlite::use_temporary_files(conn, path)?;
    sqlite::recover_wal(conn)
}

/// What [`apply`] would do.
pub(crate) fn missing(
    schemas: &[SchemaDef],
    conn: &Connection,
    program: &Program<'_>,
) -> Result<Plan> {
    let tx = ReadTx::new(conn, program.clock.now());
    pending(schemas, |schema| ledger::last(&tx, schema.name))
}

/// Refuses a file that has gone past the last step of `schema`.
pub(crate) fn refuse_beyond(
    conn: &Connection,
    schema: &SchemaDef,
    program: &Program<'_>,
) -> Result<()> {
    let has = ledger::last(&ReadTx::new(conn, program.clock.now()), schema.name)?;
    if schema.last() < has {
        let why = format!(
            "must be at least {has}, which the file has; botstore::schema::rollback takes steps back"
        );
        return Err(Error::invalid("to", &why));
    }
    Ok(())
}

/// Whether the file holds anything that a step could lose.
pub(crate) fn has_tables(conn: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) > 0 FROM sqlite_schema";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

/// Whether a step of these schemas is applied in part.
pub(crate) fn has_begun(
    schemas: &[SchemaDef],
    conn: &Connection,
    program: &Program<'_>,
) -> Result<bool> {
    let tx = ReadTx::new(conn, program.clock.now());
    for schema in schemas {
        if progress::of(&tx, schema.name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Applies what is missing of these schemas, which are all of the program's or fewer.
pub(crate) fn apply(
    schemas: &[SchemaDef],
    conn: &mut Connection,
    program: &Program<'_>,
) -> Result<()> {
    let mut done = Vec::new();
    for schema in schemas {
        let tx = ReadTx::new(conn, program.clock.now());
        done.push(ledger::last(&tx, schema.name)?);
    }
    let is_behind = |(schema, done): (&SchemaDef, &u32)| schema.last() > *done;
    if !schemas.iter().zip(&done).any(is_behind) {
        return Ok(());
    }
    let has_rows = has_tables(conn)?;
    let Makers { owners, made, .. } = reference::makers(program.schemas)?;
    let stepper = Stepper::new(conn, program.clock, owners)?;
    for (schema, done) in schemas.iter().zip(done) {
        for migration in schema.migrations.iter().filter(|m| m.step > done) {
            let rebuild = if migration.rebuilds {
                Rebuild::Yes
            } else {
                Rebuild::No
            };
            let Migration { step, name, .. } = *migration;
            tracing::info!(schema = schema.name, step, name, "migrating");
            let makes = made.iter();
            let makes = makes.filter(|made| made.schema == schema.name && made.step == step);
            let look = stepper.look();
            let found = Found::before(&look, makes.map(|made| &made.object))?;
            let changes = look.conn().total_changes();
            let record = |tx: &WriteTx<'_>, found: Found| {
                ledger::prepare(tx, |tx| found::write_derived(tx, program.schemas, &made))?;
                ledger::record(tx, schema.name, migration)?;
                found.record(tx, schema.name, step)
            };
            // A new file is made in one sync a step.
            let (done, left) = if migration.in_pieces && has_rows {
                let ceiling = program.sqlite.wal_ceiling_bytes;
                // Such a step fails where something it makes is there, unless it has made that itself.
                let record = |tx: &WriteTx<'_>| record(tx, Found::default());
                let done = pieces::run(&stepper, schema, migration, ceiling, record);
                (done, Left::Begun)
            } else {
                let done = stepper.run(schema.name, rebuild, migration.up, |tx| {
                    // Later steps have no rows of their own in what they found.
                    let found = match step <= schema.legacy.steps || !found.is_empty() {
                        true => found.after(tx.conn().total_changes() - changes),
                        false => found,
                    };
                    record(tx, found)
                });
                (done, Left::AsBefore)
            };
            done.map_err(|e| step_failed(e, "applying", schema.name, (step, name), left))?;
        }
    }
    Ok(())
}

/// Lets the schemas look at a file that has all their steps.
pub(crate) fn opened(conn: &mut Connection, program: &Program<'_>) -> Result<()> {
    objects::run_own_triggers(conn, program)?;
    let guard = Authorizer::install(conn, for_mutations)?;
    transaction(conn, program.clock, |tx| {
        let tx = tx.guarded_by(&guard);
        let mut schemas = program.schemas.iter();
        guard.during(|| schemas.try_for_each(|schema| (schema.opened)(&tx)))
    })
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

/// The way from the steps that a file has to fewer. To be looked at before anything is changed.
pub(crate) struct WayBack {
    steps: Vec<PlannedStep>,
    /// Of everything that schemas have made.
    makers: Makers,
    /// What the steps of this program's schema found.
    found: BTreeMap<u32, Found>,
}

impl WayBack {
    /// Takes back the steps of `schema` after step `to`.
    pub(crate) fn new(
        conn: &Connection,
        program: &Program<'_>,
        schema: &str,
        to: u32,
        unknown: UnknownSteps,
    ) -> Result<Self> {
        let tx = ReadTx::new(conn, program.clock.now());
        if let Some(begun) = progress::of(&tx, schema)? {
            let why = format!(
                "step {} of schema {schema:?} is applied in part: open the file with the bot, or run \
                 botstore migrate, which goes on with it, and then take it back; or restore the backup \
                 from before the upgrade",
                begun.step
            );
            return Err(Error::new(ErrorKind::Migration, why));
        }
        let mut steps = steps_back(&tx, program, schema, to, unknown)?;
        let makers = match unknown {
            UnknownSteps::Refuse => reference::makers(program.schemas)?,
            UnknownSteps::Trust => reference::makers_with_trusted(program.schemas, &tx)?,
        };
        let ours = program.schemas.iter().find(|known| known.name == schema);
        let found = match ours {
            Some(ours) => found::of_schema(&tx, ours, &makers.made)?,
            None => BTreeMap::new(),
        };
        for step in steps.iter_mut().filter(|_| ours.is_some()) {
            let keeps = found.get(&step.step).into_iter();
            let keeps = keeps.flat_map(Found::tables_and_views);
            step.keeps = keeps.map(str::to_owned).collect();
            let makes = makers.made.iter().filter(|made| {
                let of_step = made.schema == step.schema && made.step == step.step;
                let is_table = matches!(made.object.kind.as_str(), "table" | "view");
                of_step && is_table
            });
            let drops = makes.map(|made| made.object.name.clone());
            step.drops = drops.filter(|name| !step.keeps.contains(name)).collect();
        }
        Ok(Self {
            steps,
            makers,
            found,
        })
    }

    /// What it would do.
    pub(crate) fn into_plan(self) -> Plan {
        Plan {
            steps: self.steps,
            ..Plan::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Goes it; gives what it did.
    pub(crate) fn take(self, conn: &mut Connection, program: &Program<'_>) -> Result<Plan> {
        let mut done = Plan::default();
        let Makers { owners, made, .. } = self.makers;
        let stepper = Stepper::new(conn, program.clock, owners)?;
        let there_before: Vec<_> = self.found.values().flat_map(Found::tables).collect();
        for step in self.steps {
            let found = self.found.get(&step.step).cloned().unwrap_or_default();
            stepper.keep(&found, &there_before)?;
            // Always as a rebuild: what a step back drops may be referred to by what stays.
            stepper
                .run(&step.schema, Rebuild::Yes, &step.sql, |tx| {
                    ledger::prepare(tx, |tx| found::write_derived(tx, program.schemas, &made))?;
                    ledger::remove(tx, &step.schema, step.step)
                })
                .map_err(|e| {
                    let which = (step.step, &*step.name);
                    step_failed(e, "taking back", &step.schema, which, Left::AsBefore)
                })?;
            done.steps.push(step);
        }
        Ok(done)
    }
}

/// What taking back the steps of `schema` after step `to` would do to the file at `given`. Changes nothing.
pub(crate) fn plan_back(
    given: &Path,
    program: &Program<'_>,
    schema: &str,
    to: u32,
    unknown: UnknownSteps,
) -> Result<Plan> {
    sqlite::refuse_unsettled(given)?;
    let path = sqlite::existing(given)?;
    sqlite::refuse_damaged_wal_unlocked(&path, &program.sqlite)?;
    sqlite::inspect(&path, &program.sqlite, |conn| {
        refuse_objects(conn, &path, program)?;
        Ok(WayBack::new(conn, program, schema, to, unknown)?.into_plan())
    })
}

/// The steps to take back, newest first, with the SQL that does it: this program's own, never the
/// file's, but for steps that it does not know and that somebody trusts.
fn steps_back(
    tx: &ReadTx<'_>,
    program: &Program<'_>,
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
    let ours = program.schemas.iter().find(|known| known.name == schema);
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
            ..PlannedStep::default()
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

/// What a step that failed leaves of itself.
#[derive(Clone, Copy)]
enum Left {
    AsBefore,
    /// The pieces that are done.
    Begun,
}

fn step_failed(
    error: Error,
    doing: &str,
    schema: &str,
    (step, name): (u32, &str),
    left: Left,
) -> Error {
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
        Left::Begun => "the next opening goes on where it was cut short",
    };
    error.because(
        kind,
        format_args!(
            "{doing} step {step} ({}) of schema {} failed and {left}",
            quote(name),
            quote(schema)
        ),
    )
}
