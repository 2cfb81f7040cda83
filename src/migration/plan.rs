//! The difference between a file and this program.

use super::{MissingObject, Program, SchemaDef, UnknownObjects, ledger, objects};
use crate::error::{ErrorKind, Result};
use crate::files;
use crate::operation::ReadTx;
use crate::sqlite;
use rusqlite::Connection;
use std::fmt;
use std::path::Path;

/// A step that would be applied when the file opens, or that was applied or undone.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// The schema's name.
    pub schema: String,
    /// The number of the step.
    pub step: u32,
    /// The name of the step.
    pub name: String,
    /// The SQL that is run.
    pub sql: String,
    /// For a step that is undone: the tables and views that it drops, with their contents. Empty for
    /// steps that this program does not know.
    #[serde(default)]
    pub drops: Vec<String>,
    /// For a step that is undone: the tables and views that its SQL would drop and that stay, because
    /// they existed before the step.
    #[serde(default)]
    pub keeps: Vec<String>,
}

/// The difference between a file and this program: the steps, in the order in which they run, and the
/// repairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// Objects that applied steps made, that somebody has dropped or altered since, and that opening
    /// makes again.
    #[serde(default)]
    pub missing: Vec<MissingObject>,
    /// Schemas whose counts are missing and that opening computes.
    #[serde(default)]
    pub uncounted: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.missing.is_empty() && self.uncounted.is_empty()
    }

    /// Adds the missing objects that opening makes again.
    pub(crate) fn with_missing(mut self, found: &UnknownObjects) -> Self {
        let made_again = found.missing.iter().filter(|missing| missing.made_again);
        self.missing = made_again.cloned().collect();
        self
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing to do");
        }
        let steps = self.steps.iter();
        let steps = steps.map(|step| format!("{} {:04} {}", step.schema, step.step, step.name));
        let missing = self
            .missing
            .iter()
            .map(|object| format!("make again: {object}"));
        let uncounted = self.uncounted.iter();
        let uncounted = uncounted.map(|schema| format!("count the rows of {schema}"));
        let lines = steps.chain(missing).chain(uncounted);
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Returns what opening the file at `given` would apply. Changes nothing.
pub(crate) fn plan(given: &Path, program: &Program<'_>) -> Result<Plan> {
    sqlite::refuse_unsettled(given)?;
    if sqlite::is_missing(given)? {
        return pending(program.schemas, |_| Ok(0));
    }
    let path = sqlite::resolve(given)?;
    sqlite::refuse_damaged_wal_unlocked(&path, &program.sqlite)?;
    sqlite::inspect(&path, &program.sqlite, |conn| {
        let plan = plan_in(conn, &path, program)?;
        let tx = ReadTx::new(conn, program.clock.now());
        Ok(plan.with_missing(&objects::unknown_in(&tx, program.schemas)?))
    })
}

/// Does the same for an open file, in a transaction. Leaves out missing objects, which take longer to
/// find.
pub(crate) fn plan_in(conn: &Connection, path: &Path, program: &Program<'_>) -> Result<Plan> {
    let schemas = program.schemas;
    let tx = ReadTx::new(conn, program.clock.now());
    refuse(&tx, schemas, path)?;
    objects::refuse_objects(&tx, program, path)?;
    let mut plan = pending(schemas, |schema| ledger::last(&tx, schema.name))?;
    for schema in schemas {
        if (schema.counts.are_missing)(&tx)? {
            plan.uncounted.push(schema.name.to_owned());
        }
    }
    Ok(plan)
}

/// Refuses a foreign file before anything, such as a lock, is created beside it. If a lock file exists
/// already, the caller that takes the lock checks.
pub(crate) fn refuse_foreign(path: &Path, program: &Program<'_>) -> Result<()> {
    if files::is_taken(&sqlite::beside(path, ".lock")) || !files::is_taken(path) {
        return Ok(());
    }
    match plan(path, program) {
        Err(error) if error.kind() == ErrorKind::ForeignFile => Err(error),
        // Any other error means that the file was once ours, or will be reported again.
        _ => Ok(()),
    }
}

/// Refuses a file that is not ours, is too new, or has applied a step that has changed since. Changes
/// nothing, so a refused file stays as it is.
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
                ..PlannedStep::default()
            });
        }
    }
    Ok(plan)
}
