//! Finds objects that applied steps made and somebody has dropped since, and makes them again.

use super::known::Known;
use super::{ObjectKind, UnknownObjects, bounded, kind_of};
use crate::error::{ErrorKind, Result};
use crate::migration::reference::Object;
use crate::migration::step::transaction;
use crate::migration::{Program, SchemaDef, ledger};
use crate::operation::ReadTx;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// An object that an applied step made and that the file no longer has, or an index that somebody has
/// altered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MissingObject {
    /// The schema whose step made it.
    pub schema: String,
    /// What it is.
    pub kind: ObjectKind,
    /// Its name; for a column, preceded by its table's name. At most 200 characters.
    pub name: String,
    /// The table or view that it is on; otherwise its own name.
    pub table: String,
    /// Whether opening the file makes it again. A table with rows of its own is not made again, nor is a
    /// column: a backup has the contents.
    pub made_again: bool,
}

impl fmt::Display for MissingObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {:?}", self.kind, self.name)
    }
}

/// A missing object, with the SQL that makes it again.
pub(super) struct Missing {
    pub(super) report: MissingObject,
    object: Object,
    /// Whether the file has another index of that name.
    is_altered: bool,
    /// Whether counts were not kept up to date while it was missing.
    keeps_counts: bool,
}

/// Returns the objects of the applied steps that are not among those that are `there`.
pub(super) fn missing(
    tx: &ReadTx<'_>,
    schemas: &[SchemaDef],
    known: &Known,
    there: &[Object],
) -> Result<Vec<Missing>> {
    let mut found = Vec::new();
    if !ledger::exists(tx)? {
        return Ok(found);
    }
    let there: HashMap<_, _> = there.iter().map(|other| (other.key(), other)).collect();
    for object in known.objects.iter().filter(|object| !object.is_sqlites()) {
        let same = there.get(&object.key());
        // What happens to other altered objects is up to UnknownTriggers.
        let is_altered = same.is_some_and(|same| {
            let are_indexes = object.kind == "index" && same.kind == "index";
            are_indexes && same.sql != object.sql && !known.has(same) && !known.is_the_bots(same)
        });
        let columns = match same {
            Some(same) if object.kind == "table" && same.kind == "table" && !known.has(same) => {
                known.missing_columns(tx, object)?
            }
            _ => Vec::new(),
        };
        if same.is_some() && !is_altered && columns.is_empty() {
            continue;
        }
        let Some(maker) = known.sure_maker(object) else {
            continue;
        };
        let Some(schema) = schemas.iter().find(|schema| schema.name == maker) else {
            continue;
        };
        if !columns.is_empty() {
            found.extend(columns.iter().map(|column| Missing {
                report: MissingObject {
                    schema: schema.name.to_owned(),
                    kind: ObjectKind::Column,
                    name: bounded(&format!("{}.{column}", object.name), 200),
                    table: bounded(&object.table, 200),
                    made_again: false,
                },
                object: object.clone(),
                is_altered: false,
                keeps_counts: false,
            }));
            continue;
        }
        let is_table = object.kind == "table";
        let counts = schema.counts.tables.contains(&object.name.as_str());
        found.push(Missing {
            report: MissingObject {
                schema: schema.name.to_owned(),
                kind: kind_of(object),
                name: bounded(&object.name, 200),
                table: bounded(&object.table, 200),
                made_again: !is_table || counts,
            },
            object: object.clone(),
            is_altered,
            keeps_counts: object.is_trigger() || counts,
        });
    }
    Ok(found)
}

/// Makes missing objects of the applied steps again, and discards counts that were not kept up to date
/// meanwhile. Returns how the file's schema differed before.
///
/// Runs before any step, up or down, because a step may drop what an earlier one made.
pub(crate) fn make_again(conn: &mut Connection, program: &Program<'_>) -> Result<UnknownObjects> {
    let tx = ReadTx::new(conn, program.clock.now());
    if !ledger::exists(&tx)? {
        return Ok(UnknownObjects::default());
    }
    let (difference, missing) = super::look(&tx, program.schemas)?;
    for Missing { report, .. } in missing.iter().filter(|missing| !missing.report.made_again) {
        tracing::warn!(
            object = %report, schema = report.schema,
            "this object was dropped: restore a backup"
        );
    }
    let again = || missing.iter().filter(|missing| missing.report.made_again);
    for schema in program.schemas {
        let of_schema = || again().filter(|missing| missing.report.schema == schema.name);
        if of_schema().next().is_none() {
            continue;
        }
        // In one transaction, so that no trigger counts before the old counts are discarded.
        transaction(conn, program.clock, |tx| {
            for missing in of_schema().filter(|missing| missing.object.kind != "index") {
                unless_impossible(missing, make(conn, missing))?;
            }
            match of_schema().any(|missing| missing.keeps_counts) {
                true => (schema.counts.forget)(tx),
                false => Ok(()),
            }
        })?;
    }
    // Each in its own transaction: building an index may take minutes.
    for missing in again().filter(|missing| missing.object.kind == "index") {
        // An altered index that cannot be replaced stays as it is.
        unless_impossible(
            missing,
            transaction(conn, program.clock, |_| make(conn, missing)),
        )?;
    }
    Ok(difference)
}

/// Ignores an object that new rows, or a missing table, do not allow: it stays missing, and the file
/// can still be opened. An error of the disk is returned.
fn unless_impossible(missing: &Missing, done: Result<()>) -> Result<()> {
    match done {
        Err(error) if matches!(error.kind(), ErrorKind::Sql | ErrorKind::Conflict) => {
            let report = &missing.report;
            tracing::warn!(
                object = %report, %error,
                "a missing or altered object cannot be made again"
            );
            Ok(())
        }
        done => done,
    }
}

/// Makes one object again.
fn make(conn: &Connection, missing: &Missing) -> Result<()> {
    let Missing { report, object, .. } = missing;
    tracing::warn!(
        object = %report, schema = report.schema,
        "this object was dropped or altered, and is made again"
    );
    let drop = match missing.is_altered {
        true => format!(
            "DROP INDEX main.\"{}\";\n",
            object.name.replace('"', "\"\"")
        ),
        false => String::new(),
    };
    Ok(conn.execute_batch(&(drop + &object.sql))?)
}
