//! Undoes steps, newest first: which ones, with whose SQL, and what stays in the file. The caller has
//! made the backup before.

use super::found::{self, Found};
use super::migrate::refuse_objects;
use super::plan::{Plan, PlannedStep};
use super::reference::Makers;
use super::step::{Left, Rebuild, Stepper, step_failed};
use super::{BuildsOn, Program, ledger, progress, reference};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::ReadTx;
use crate::sqlite;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// What happens to steps to be undone that this program does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownSteps {
    /// Nothing is undone, and the error shows their SQL. It comes from the file, so anybody who could
    /// write the file may have written it.
    #[default]
    Refuse,
    /// The SQL from the file is run. For somebody who has read it. Even then it can neither reach
    /// outside the file nor change the tables of another schema.
    Trust,
}

/// A plan to undo steps, which can be shown before anything is changed.
pub(crate) struct WayBack {
    schema: String,
    /// Those of schemas that build on this one come first.
    steps: Vec<PlannedStep>,
    /// Which step made which object, for all schemas.
    makers: Makers,
    /// What the steps of this program's schema found.
    found: BTreeMap<u32, Found>,
}

impl WayBack {
    /// Plans to undo the steps of `schema` after step `to`, and before them those of the schemas whose triggers need
    /// one of these.
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
                "step {} of schema {schema:?} is only partly applied: open the file with the bot, or \
                 run botstore migrate, which completes it, and then take it back; or restore the backup \
                 from before the upgrade",
                begun.step
            );
            return Err(Error::new(ErrorKind::Migration, why));
        }
        let mut steps = Vec::new();
        for other in program.schemas {
            let needs = |on: BuildsOn| on.schema == schema && to < on.step;
            if other.builds_on.is_some_and(needs) && ledger::last(&tx, other.name)? > 0 {
                steps.extend(steps_back(&tx, program, other.name, 0, unknown)?);
            }
        }
        steps.extend(steps_back(&tx, program, schema, to, unknown)?);
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
            let keeps = found.get(&step.step).filter(|_| step.schema == schema);
            let keeps = keeps.into_iter();
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
            schema: schema.to_owned(),
            steps,
            makers,
            found,
        })
    }

    /// Returns what it would do.
    pub(crate) fn into_plan(self) -> Plan {
        Plan {
            steps: self.steps,
            ..Plan::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Undoes the steps; returns what it did.
    pub(crate) fn take(self, conn: &mut Connection, program: &Program<'_>) -> Result<Plan> {
        let mut done = Plan::default();
        let Makers { owners, made, .. } = self.makers;
        let found_by = |step: &PlannedStep| {
            let found = self.found.get(&step.step);
            found.filter(|_| step.schema == self.schema)
        };
        let stepper = Stepper::new(conn, program.clock, owners)?;
        let there_before: Vec<_> = self.found.values().flat_map(Found::tables).collect();
        // Before the steps, so that a killed process still finds the step in the ledger and the form
        // recorded.
        for step in &self.steps {
            for (index, form) in found_by(step).into_iter().flat_map(Found::forms) {
                stepper.give_back(&step.schema, index, form)?;
            }
        }
        for step in self.steps {
            let found = found_by(&step).cloned().unwrap_or_default();
            stepper.keep(&found, &there_before)?;
            let known = program
                .schemas
                .iter()
                .find(|known| known.name == step.schema);
            let sql = match known {
                Some(schema) => schema.spelled(&stepper.look(), &step.sql)?,
                None => step.sql.clone(),
            };
            // Always as a rebuild: what stays may refer to what this step drops.
            stepper
                .run(&step.schema, Rebuild::Yes, &sql, |tx| {
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

/// Returns what undoing the steps of `schema` after step `to` would do to the file at `given`. Changes
/// nothing.
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

/// Returns the steps to undo, newest first, with the SQL for it: this program's own text; the file's
/// only for trusted steps that this program does not know.
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
            "this program does not know all of these steps of schema {schema:?}, and the SQL that \
             takes them back comes from the file; it was not run. Restore the backup from before the \
             upgrade or use the newer program; or read this SQL, and allow it if you trust \
             it:{foreign}\n---"
        ),
    ))
}

/// Returns as much of a file's SQL as fits into a sentence.
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
