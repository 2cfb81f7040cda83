//! Makes the tables of a new file: all at once, as the steps leave them. Running the steps one by one takes three times
//! as long as the rest of opening, since later steps replace much of what earlier ones make.

use super::step::{Left, failed, transaction};
use super::{Program, SchemaDef, ledger};
use crate::error::Result;
use crate::operation::WriteTx;
use rusqlite::Connection;

/// The separator between the statements of a list.
const APART: &str = ";\n\n";

/// What all steps of a schema leave in a new file. `tests/given_files/new_file.rs` compares.
#[derive(Clone, Copy)]
pub(crate) struct Whole {
    /// The tables, indexes, views and triggers, each as SQLite stores it.
    pub(crate) objects: &'static str,
    /// The rows, as statements that insert them.
    pub(crate) rows: &'static str,
}

impl Whole {
    /// The statements that make the objects, one by one.
    pub(super) fn statements(&self) -> impl Iterator<Item = &'static str> {
        self.objects.trim_end().split(APART)
    }
}

/// Makes the tables of the schemas in one transaction, up to the first schema of which only the steps are known: these
/// run afterwards.
pub(super) fn make(schemas: &[SchemaDef], conn: &Connection, program: &Program<'_>) -> Result<()> {
    let known: Vec<_> = schemas
        .iter()
        .map_while(|schema| Some((schema, schema.whole?)))
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    tracing::info!("making the tables of a new file");
    let made = transaction(conn, program.clock, |tx| {
        // A new file has applied nothing, so its ledger is not an old one either.
        ledger::prepare(tx, |_| Ok(()))?;
        let mut known = known.iter();
        known.try_for_each(|(schema, whole)| fill(tx, schema, whole))
    });
    let what = format_args!("making the tables of a new file");
    made.map_err(|error| failed(error, what, Left::AsBefore))
}

fn fill(tx: &WriteTx<'_>, schema: &SchemaDef, whole: &Whole) -> Result<()> {
    tx.conn().execute_batch(whole.objects)?;
    tx.conn().execute_batch(whole.rows)?;
    let mut steps = schema.migrations.iter();
    steps.try_for_each(|step| ledger::record(tx, schema.name, step))
}
