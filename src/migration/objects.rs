//! What is in a file's schema that no applied step made: triggers, views, virtual tables and the like
//! are code that SQLite runs when the store reads or writes.

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

/// What is done about triggers, and whatever else would be run, that a file has and no step made: see
/// [`Config::unknown_triggers`](crate::Config::unknown_triggers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownTriggers {
    /// The file is refused with [`Untrusted`](ErrorKind::Untrusted) if it has anything that
    /// [`unknown_objects`](crate::schema::unknown_objects) lists. It stays as it is.
    Refuse,
    /// No trigger of the file runs on the store's connections, those that somebody adds while it is
    /// open included. Those that steps made run from the programs' own text, as temporary triggers;
    /// while a step runs, none does. The file stays as it is; other programs still run its triggers.
    Disable,
    /// They run: an operator may have put them there. [`StoreEvent::UnknownObjects`] and
    /// [`Health::unknown_objects`] tell of them.
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
    /// A trigger: runs when its table is written.
    Trigger,
    /// A view.
    View,
    /// A virtual table, such as one of FTS5.
    VirtualTable,
    /// A column that is computed.
    GeneratedColumn,
    /// An index that may refuse a row or that computes something: unique, partial or of an
    /// expression, on a table that a step made. Plain ones are not listed.
    Index,
    /// A table that a step made and that now reads differently. Plain tables of others are not listed.
    Table,
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
        })
    }
}

/// Something in a file's schema that no applied step of a schema known here made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnknownObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name; of a column, with its table's in front. At most 200 characters.
    pub name: String,
    /// The table or view that it is on; its own name if it is on none.
    pub table: String,
    /// Whether a step made something of this name that reads differently.
    pub altered: bool,
    /// Its SQL, as far as the first 1,000 characters.
    pub sql: String,
}

/// What is in a file's schema that no applied step of a schema known here made, and what is not there that
/// one made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnknownObjects {
    /// How many.
    pub total: u64,
    /// The first hundred.
    pub first: Vec<UnknownObject>,
    /// Schemas whose steps the file has and that are not known here: they may have made them.
    pub unknown_schemas: Vec<String>,
    /// What applied steps made and somebody has dropped since; and indexes that somebody has altered. Opening
    /// the file makes it again, but for tables that hold more than counts.
    #[serde(default)]
    pub missing: Vec<MissingObject>,
}

impl UnknownObjects {
    /// Whether there is nothing that no step made. Something may be missing all the same.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether something that a step made was replaced by something else.
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

/// How many are told one by one.
const NAMED: usize = 100;

/// A few of them in words.
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

/// What is in the schema of the file at `given` that no applied step made. Changes nothing.
pub(crate) fn unknown_objects(given: &Path, program: &Program<'_>) -> Result<UnknownObjects> {
    sqlite::refuse_unsettled(given)?;
    let path = sqlite::existing(given)?;
    sqlite::inspect(&path, &program.sqlite, |conn| {
        let tx = ReadTx::new(conn, program.clock.now());
        unknown_in(&tx, program.schemas).map_err(|e| sqlite::name_file(e, &path))
    })
}

/// The same on a connection.
pub(crate) fn unknown_in(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<UnknownObjects> {
    Ok(look(tx, schemas)?.0)
}

/// The same with what makes again what is missing.
fn look(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<(UnknownObjects, Vec<Missing>)> {
    let there = Object::all(tx.conn())?;
    let (mut found, mut missing) = (UnknownObjects::default(), Vec::new());
    if let Some(others) = Listed::of(tx, schemas)?.difference(&there) {
        let known = Known::of(tx, schemas)?;
        for object in others {
            known.compare(tx, object, &mut found)?;
        }
        missing = again::missing(tx, schemas, &known, &there)?;
        found.missing = missing.iter().map(|missing| missing.told.clone()).collect();
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

/// Refuses a file that has any, where that is asked for.
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
            "{} has what no step of this program made, and this configuration refuses that: {found}. \
             Look at it (botstore status, or sqlite3's .schema); drop it, or open the file with \
             UnknownTriggers::Allow or Disable",
            path.display()
        ),
    ))
}

/// Refuses a file in which something else stands where a step made a table: a view or a virtual
/// table answers what it likes, and its answer may have no end.
pub(super) fn refuse_stand_ins(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<()> {
    let mut pageless = Object::all(tx.conn())?;
    pageless.retain(|object| !object.is_kept && matches!(object.kind.as_str(), "table" | "view"));
    let listed = Listed::of(tx, schemas)?;
    // The first is the Python bot's, before there is a list to hold against its file.
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

/// The triggers that the applied steps made, by name, as the file has them if nobody has changed them.
pub(crate) fn own_triggers(
    tx: &ReadTx<'_>,
    schemas: &[SchemaDef],
) -> Result<Vec<(String, String)>> {
    let known = Known::of(tx, schemas)?;
    let triggers = known.objects.into_iter().filter(Object::is_trigger);
    Ok(triggers
        .map(|trigger| (trigger.name, trigger.sql))
        .collect())
}

/// Where the triggers of the file do not run, has those that steps made run from the program's own
/// text, as temporary ones of this connection.
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
