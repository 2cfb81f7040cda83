//! Applies the steps that a file lacks. The caller has made the backup before. Undoing steps is in
//! `way_back`.

use super::counting::count;
use super::found::{self, Found};
use super::plan::{Plan, pending, refuse_unknown};
use super::reference::Makers;
use super::step::{Left, Rebuild, Stepper, step_failed, transaction};
use super::{
    Migration, Program, SchemaDef, ledger, new_file, objects, pieces, progress, reference,
};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Authorizer, for_mutations};
use rusqlite::Connection;
use std::path::Path;

/// Opens the connection that writes to a file. Its lock is held, and the file is ours or can become so.
pub(crate) fn connect(path: &Path, program: &Program<'_>) -> Result<Connection> {
    let conn = connect_to_any(path, program)?;
    refuse_unknown(&conn, path, program)?;
    refuse_objects(&conn, path, program)?;
    make_writer(&conn, path, program)?;
    Ok(conn)
}

/// Does the same for a file whose steps this program may not know, to undo them. The connection is not
/// the writer yet: see [`make_writer`].
pub(crate) fn connect_to_take_back(path: &Path, program: &Program<'_>) -> Result<Connection> {
    let conn = connect_to_any(path, program)?;
    refuse_objects(&conn, path, program)?;
    Ok(conn)
}

fn connect_to_any(path: &Path, program: &Program<'_>) -> Result<Connection> {
    let mut conn = sqlite::connect(path, &program.sqlite)?;
    sqlite::mind_time_opening(&mut conn, path, &program.sqlite)?;
    // Checked before anything is read: without its WAL a file of ours may look foreign.
    sqlite::refuse_damaged_wal(&conn, path, &program.sqlite)?;
    Ok(conn)
}

pub(super) fn refuse_objects(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<()> {
    let tx = ReadTx::new(conn, program.clock.now());
    objects::refuse_objects(&tx, program, path).map_err(|e| match e.kind() {
        ErrorKind::Untrusted => e,
        _ => sqlite::name_file(e, path),
    })
}

/// Makes the connection the one that writes.
///
/// Until a store takes it over, it spills its cache into temporary files.
pub(crate) fn make_writer(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<()> {
    sqlite::make_writer(conn, path, &program.sqlite)?;
    sqlite::use_temporary_files(conn, path)?;
    sqlite::recover_wal(conn)
}

/// Returns the steps that [`apply`] would run.
pub(crate) fn missing(
    schemas: &[SchemaDef],
    conn: &Connection,
    program: &Program<'_>,
) -> Result<Plan> {
    let tx = ReadTx::new(conn, program.clock.now());
    pending(schemas, |schema| ledger::last(&tx, schema.name))
}

/// Refuses a file with steps after the last one of `schema`.
pub(crate) fn refuse_beyond(
    conn: &Connection,
    schema: &SchemaDef,
    program: &Program<'_>,
) -> Result<()> {
    let has = ledger::last(&ReadTx::new(conn, program.clock.now()), schema.name)?;
    if schema.last() < has {
        let why = format!(
            "must be at least {has}, the file's step; botstore::schema::rollback takes steps back"
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

/// Whether a step of these schemas is partly applied.
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

/// Applies the missing steps of these schemas, which are all of the program's or some of them. Then it
/// makes again the objects that steps found in a form that does not serve them.
pub(crate) fn apply(
    schemas: &[SchemaDef],
    conn: &mut Connection,
    program: &Program<'_>,
) -> Result<()> {
    let has_rows = has_tables(conn)?;
    if !has_rows {
        new_file::make(schemas, conn, program)?;
    }
    let mut done = Vec::new();
    for schema in schemas {
        let tx = ReadTx::new(conn, program.clock.now());
        done.push(ledger::last(&tx, schema.name)?);
    }
    let is_behind = |(schema, done): (&SchemaDef, &u32)| schema.last() > *done;
    if !schemas.iter().zip(&done).any(is_behind) {
        return Ok(());
    }
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
            // In a new file each step is one transaction, so one sync.
            let (done, left) = if migration.in_pieces && has_rows {
                let ceiling = program.sqlite.wal_ceiling_bytes;
                // Such a step fails if an object of it exists that it has not made itself.
                let record = |tx: &WriteTx<'_>| record(tx, Found::default());
                let done = pieces::run(&stepper, schema, migration, ceiling, record);
                (done, Left::Begun)
            } else {
                let sql = schema.spelled(&look, migration.up)?;
                let done = stepper.run(schema.name, rebuild, &sql, |tx| {
                    // A later step that found no object has no rows to protect.
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
    drop(stepper);
    // A bot's index with the name of a step's index may be a different one.
    objects::make_again(conn, program)?;
    Ok(())
}

/// Runs each schema's `opened` on a file with all its steps, and computes missing counts.
pub(crate) fn opened(conn: &mut Connection, program: &Program<'_>) -> Result<()> {
    objects::run_own_triggers(conn, program)?;
    let guard = Authorizer::install(conn, for_mutations)?;
    transaction(conn, program.clock, |tx| {
        let tx = tx.guarded_by(&guard);
        let mut schemas = program.schemas.iter();
        guard.during(|| schemas.try_for_each(|schema| (schema.opened)(&tx)))
    })?;
    count(conn, program)
}
