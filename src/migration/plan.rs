//! What lies between a file and this program.

use super::{Program, SchemaDef, ledger, objects};
use crate::error::Result;
use crate::operation::ReadTx;
use crate::sqlite;
use rusqlite::Connection;
use std::fmt;
use std::path::Path;

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

/// What opening the file at `given` would apply. Changes nothing.
pub(crate) fn plan(given: &Path, program: &Program<'_>) -> Result<Plan> {
    sqlite::refuse_unsettled(given)?;
    if sqlite::is_missing(given)? {
        return pending(program.schemas, |_| Ok(0));
    }
    let path = sqlite::resolve(given)?;
    sqlite::refuse_damaged_wal_unlocked(&path, &program.sqlite)?;
    sqlite::inspect(&path, &program.sqlite, |conn| plan_in(conn, &path, program))
}

/// The same of a file that is open, in a transaction.
pub(crate) fn plan_in(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<Plan> {
    let schemas = program.schemas;
    let tx = ReadTx::new(conn, program.clock.now());
    refuse(&tx, schemas, path)?;
    objects::refuse_objects(&tx, program, path)?;
    pending(schemas, |schema| ledger::last(&tx, schema.name))
}

/// Refuses a file that is not ours, too new, or applied a step that has changed since. Changes
/// nothing, so that a refused file stays as it is.
pub(crate) fn refuse_unknown(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<()> {
    let tx = ReadTx::new(conn, program.clock.now());
    refuse(&tx, program.schemas, path)
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
    objects::refuse_stand_ins(tx, schemas).map_err(|e| sqlite::name_file(e, path))
}

pub(super) fn pending(
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
