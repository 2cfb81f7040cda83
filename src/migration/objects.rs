//! Objects in a file's schema that no applied step made. Triggers, views, virtual tables, generated
//! columns and indexes are code that SQLite runs when the store reads or writes.

mod again;
mod known;

pub use again::MissingObject;
pub(crate) use again::make_again;

use super::reference::Object;
use super::{Program, SchemaDef, ledger};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::ReadTx;
use crate::sqlite;
use again::Missing;
use known::{Known, Listed};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What the store does about triggers and other code in a file that no step made: see
/// [`Config::unknown_triggers`](crate::Config::unknown_triggers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownTriggers {
    /// The file is refused with [`Untrusted`](ErrorKind::Untrusted) if it has anything that
    /// [`unknown_objects`](crate::schema::unknown_objects) lists. The file is not changed.
    Refuse,
    /// No trigger of the file runs on the store's connections, not even one that is added while the
    /// file is open. The store runs the triggers of its steps from the program's own text, as temporary
    /// triggers; while a step runs, no trigger runs. The file is not changed, and other programs still
    /// run its triggers.
    Disable,
    /// They run: an operator may have put them there. [`StoreEvent::UnknownObjects`] and
    /// [`Health::unknown_objects`] report them.
    ///
    /// [`StoreEvent::UnknownObjects`]: crate::StoreEvent::UnknownObjects
    /// [`Health::unknown_objects`]: crate::Health::unknown_objects
    #[default]
    Allow,
}

/// What an [`UnknownObject`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObjectKind {
    /// A trigger, which runs when its table is written.
    Trigger,
    /// A view.
    View,
    /// A virtual table, such as one of FTS5.
    VirtualTable,
    /// A computed column.
    GeneratedColumn,
    /// An index, on a table that a step made, that may refuse a row or computes something: a unique or
    /// partial index, or one on an expression. Plain indexes are not listed.
    Index,
    /// A table that a step made and whose definition has changed. Other plain tables are not listed.
    Table,
    /// A column that a step gave a table and that the table no longer has. Only [`MissingObject`] has this
    /// kind.
    Column,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trigger => "trigger",
            Self::View => "view",
            Self::VirtualTable => "virtual table",
            Self::GeneratedColumn => "generated column",
            Self::Index => "index",
            Self::Table => "table",
            Self::Column => "column",
        })
    }
}

/// An object in a file's schema that no applied step of a known schema made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnknownObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name; for a column, preceded by its table's name. At most 200 characters.
    pub name: String,
    /// The table or view that it is on; otherwise its own name.
    pub table: String,
    /// Whether a step made an object of this name with another definition.
    pub altered: bool,
    /// The first 1,000 characters of its SQL.
    pub sql: String,
}

/// How a file's schema differs from what the applied steps of the known schemas made: objects that no
/// step made, and missing objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnknownObjects {
    /// How many objects no step made.
    pub total: u64,
    /// The first hundred of these objects.
    pub first: Vec<UnknownObject>,
    /// Schemas in the file's ledger that this program does not know. They may have made the objects.
    pub unknown_schemas: Vec<String>,
    /// Objects that applied steps made and somebody has dropped since, and indexes that somebody has
    /// altered. Opening the file makes them again, except for columns, and tables that hold more than
    /// counts.
    #[serde(default)]
    pub missing: Vec<MissingObject>,
}

impl UnknownObjects {
    /// Whether the file has no object that no step made. Objects may be missing all the same.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Explains SQL that fails for what somebody has dropped and only a backup has.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let mut missing = self.missing.iter();
        match missing.find(|missing| !missing.made_again) {
            Some(lost) if error.kind() == ErrorKind::Sql => {
                let why = format!("{lost} that a step made is missing; restore a backup");
                error.because(ErrorKind::Corrupt, why)
            }
            _ => error,
        }
    }

    /// Whether an object that a step made was replaced by another.
    pub fn has_altered(&self) -> bool {
        self.first.iter().any(|object| object.altered)
    }

    fn add(&mut self, object: UnknownObject) {
        self.total += 1;
        if self.first.len() < NAMED {
            self.first.push(object);
        }
    }
}

/// How many objects are listed.
const NAMED: usize = 100;

/// Names a few of the objects.
impl fmt::Display for UnknownObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        for (at, object) in self.first.iter().take(SHOWN).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let UnknownObject { kind, name, .. } = object;
            write!(f, "{comma}the {kind} {name:?}")?;
        }
        match self.total {
            total if total > SHOWN as u64 => write!(f, " and {} more", total - SHOWN as u64),
            _ => Ok(()),
        }
    }
}

/// Returns the objects in the schema of the file at `given` that no applied step made. Changes nothing.
pub(crate) fn unknown_objects(given: &Path, program: &Program<'_>) -> Result<UnknownObjects> {
    sqlite::refuse_unsettled(given)?;
    let path = sqlite::existing(given)?;
    sqlite::inspect(&path, &program.sqlite, |conn| {
        let tx = ReadTx::new(conn, program.clock.now());
        unknown_in(&tx, program.schemas).map_err(|e| sqlite::name_file(e, &path))
    })
}

/// Does the same on a connection.
pub(crate) fn unknown_in(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<UnknownObjects> {
    Ok(look(tx, schemas)?.0)
}

/// Does the same, and returns how to make the missing objects again.
fn look(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<(UnknownObjects, Vec<Missing>)> {
    let there = Object::all(tx.conn())?;
    let (mut found, mut missing) = (UnknownObjects::default(), Vec::new());
    if let Some(others) = Listed::of(tx, schemas)?.difference(&there) {
        let known = Known::of(tx, schemas)?;
        for object in others {
            known.compare(tx, object, &mut found)?;
        }
        missing = again::missing(tx, schemas, &known, &there)?;
        found.missing = missing
            .iter()
            .map(|missing| missing.report.clone())
            .collect();
    }
    for name in ledger::schemas(tx)? {
        if !schemas.iter().any(|schema| schema.name == name) {
            found.unknown_schemas.push(bounded(&name, 200));
        }
    }
    Ok((found, missing))
}

fn kind_of(object: &Object) -> ObjectKind {
    match object.kind.as_str() {
        "trigger" => ObjectKind::Trigger,
        "view" => ObjectKind::View,
        "index" => ObjectKind::Index,
        _ if !object.is_kept => ObjectKind::VirtualTable,
        _ => ObjectKind::Table,
    }
}

/// Refuses a file with unknown objects, if the program is configured so.
pub(crate) fn refuse_objects(tx: &ReadTx<'_>, program: &Program<'_>, path: &Path) -> Result<()> {
    if program.unknown_triggers != UnknownTriggers::Refuse {
        return Ok(());
    }
    let found = unknown_in(tx, program.schemas)?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Untrusted,
        format!(
            "{} has objects that no step of this program made, and this configuration refuses them: \
             {found}. Inspect them (botstore status, or sqlite3's .schema); drop them, or open the \
             file with UnknownTriggers::Allow or Disable",
            path.display()
        ),
    ))
}

/// Refuses a file with a view or a virtual table in the place of a table that a step made. Such an
/// object may answer anything, and its answer may have no end.
pub(super) fn refuse_stand_ins(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<()> {
    let mut pageless = Object::all(tx.conn())?;
    pageless.retain(|object| !object.is_kept && matches!(object.kind.as_str(), "table" | "view"));
    let listed = Listed::of(tx, schemas)?;
    // `daily_stats` is a view of the Python bot; its file is checked before there is a list.
    pageless.retain(|object| object.name != "daily_stats" && !listed.has(object));
    if pageless.is_empty() {
        return Ok(());
    }
    let known = Known::of(tx, schemas)?;
    let mut names = pageless.iter().map(|object| &object.name);
    match names.find(|name| known.tables.contains(&name.to_ascii_lowercase())) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::ForeignFile,
            format!(
                "its {:?} is a view or a virtual table, where a table should be; restore a backup",
                bounded(name, 200)
            ),
        )),
    }
}

/// Returns the triggers that the applied steps made, by name, with the text that an unchanged file has.
fn own_triggers(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<Vec<(String, String)>> {
    let known = Known::of(tx, schemas)?;
    let triggers = known.objects.into_iter().filter(Object::is_trigger);
    Ok(triggers
        .map(|trigger| (trigger.name, trigger.sql))
        .collect())
}

/// If the file's triggers do not run, runs the triggers that steps made from the program's own text, as
/// temporary triggers of this connection.
pub(crate) fn run_own_triggers(conn: &Connection, program: &Program<'_>) -> Result<()> {
    const BEGINS: &str = "CREATE TRIGGER ";
    if program.unknown_triggers != UnknownTriggers::Disable {
        return Ok(());
    }
    let tx = ReadTx::new(conn, program.clock.now());
    for (name, sql) in own_triggers(&tx, program.schemas)? {
        let quoted = name.replace('"', "\"\"");
        conn.execute_batch(&format!("DROP TRIGGER IF EXISTS temp.\"{quoted}\""))?;
        if let Some(rest) = sql.strip_prefix(BEGINS) {
            conn.execute_batch(&format!("CREATE TEMP TRIGGER {rest}"))?;
        }
    }
    Ok(())
}

fn bounded(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
