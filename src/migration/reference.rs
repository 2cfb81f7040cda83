//! What steps make, as SQLite stores it: found out by running them on an empty database in memory.
//! Reading it out of their SQL would take a parser of our own.

use super::ledger::{self, Entry};
use super::{Migration, SchemaDef};
use crate::error::Result;
use crate::operation::ReadTx;
use crate::sqlite::{self, Authorizer, Owners, StepRules, for_steps};
use rusqlite::Connection;
use std::collections::HashSet;

/// A row of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    /// `table`, `index`, `view` or `trigger`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) table: String,
    /// Empty for what SQLite makes by itself.
    pub(super) sql: String,
    /// Whether it has a page: a view or a virtual table has none.
    pub(super) is_kept: bool,
}

impl Object {
    /// Returns all objects of the database.
    pub(super) fn all(conn: &Connection) -> Result<Vec<Self>> {
        let sql = "SELECT type, name, tbl_name, coalesce(sql, ''), coalesce(rootpage, 0) > 0
                   FROM sqlite_schema ORDER BY rowid";
        let mut objects = conn.prepare(sql)?;
        let objects = objects.query_map([], |row| {
            Ok(Self {
                kind: row.get(0)?,
                name: row.get(1)?,
                table: row.get(2)?,
                sql: row.get(3)?,
                is_kept: row.get(4)?,
            })
        })?;
        Ok(objects.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn is_trigger(&self) -> bool {
        self.kind == "trigger"
    }

    /// Its name as SQLite compares it. Triggers have a namespace of their own.
    pub(super) fn key(&self) -> (bool, String) {
        (self.is_trigger(), self.name.to_ascii_lowercase())
    }

    /// Whether SQLite made it by itself.
    pub(super) fn is_sqlites(&self) -> bool {
        self.sql.is_empty() || self.name.starts_with("sqlite_")
    }
}

/// An object that a step makes, as the step leaves it.
pub(super) struct Made {
    pub(super) schema: String,
    pub(super) step: u32,
    pub(super) object: Object,
}

/// Whether all steps could be run.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ran {
    All,
    InPart,
}

/// A database in which steps run, to see what they make.
pub(super) struct Reference {
    conn: Connection,
}

impl Reference {
    pub(super) fn new() -> Result<Self> {
        let mut conn = sqlite::in_memory()?;
        sqlite::leave_rows_out(&mut conn)?;
        Ok(Self { conn })
    }

    /// The database in memory.
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Returns the objects that the steps have made and not dropped.
    pub(super) fn objects(&self) -> Result<Vec<Object>> {
        Object::all(&self.conn)
    }

    /// Runs steps of a schema that this program knows, and calls `look` with the objects after each. If
    /// a step cannot run on a database without rows, it stops there, and the objects of this and later
    /// steps stay unknown.
    pub(super) fn run<'a>(
        &self,
        schema: &SchemaDef,
        steps: impl IntoIterator<Item = &'a Migration>,
        mut look: impl FnMut(&Self, &Migration) -> Result<()>,
    ) -> Result<Ran> {
        for migration in steps {
            let done = self.conn.execute_batch(migration.up);
            look(self, migration)?;
            if let Err(error) = done {
                tracing::debug!(
                    schema = schema.name, migration.step, %error,
                    "a step failed on an empty file"
                );
                return Ok(Ran::InPart);
            }
        }
        Ok(Ran::All)
    }

    /// Does the same for steps that only the file knows, after somebody has said that their SQL may be
    /// run. They are confined as on the file itself.
    fn run_trusted(&mut self, schema: &str, steps: &[Entry], makers: &mut Makers) -> Result<()> {
        sqlite::confine(&mut self.conn)?;
        let rules = StepRules::new(&self.conn, makers.owners.clone())?;
        let guard = Authorizer::install(&mut self.conn, for_steps(&rules))?;
        for entry in steps {
            rules.begin(&self.conn, schema)?;
            let done = guard.during(|| self.conn.execute_batch(&entry.up_sql));
            makers.note(schema, entry.step, Object::all(&self.conn)?);
            if done.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Which step made which object. Recorded after each step, since a later one may drop the object.
#[derive(Default)]
pub(super) struct Makers {
    pub(super) owners: Owners,
    pub(super) made: Vec<Made>,
    seen: HashSet<(bool, String)>,
}

impl Makers {
    /// Records the new objects.
    fn note(&mut self, schema: &str, step: u32, objects: Vec<Object>) {
        for object in objects {
            let is_trigger = object.is_trigger();
            if self.seen.insert((is_trigger, object.name.clone())) {
                self.owners.note(is_trigger, &object.name, schema);
                if !object.is_sqlites() {
                    let schema = schema.to_owned();
                    self.made.push(Made {
                        schema,
                        step,
                        object,
                    });
                }
            }
        }
    }

    /// Records what all steps of these schemas make.
    fn note_all(&mut self, reference: &Reference, schemas: &[SchemaDef]) -> Result<()> {
        for schema in schemas {
            reference.run(schema, schema.migrations, |reference, migration| {
                self.note(schema.name, migration.step, reference.objects()?);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Returns which step of these schemas made, or would make, which object.
pub(super) fn makers(schemas: &[SchemaDef]) -> Result<Makers> {
    let mut makers = Makers::default();
    makers.note_all(&Reference::new()?, schemas)?;
    Ok(makers)
}

/// Does the same, and also for the other schemas in the file, by the SQL that the file brings along.
pub(super) fn makers_with_trusted(schemas: &[SchemaDef], tx: &ReadTx<'_>) -> Result<Makers> {
    let (mut reference, mut makers) = (Reference::new()?, Makers::default());
    makers.note_all(&reference, schemas)?;
    for name in ledger::schemas(tx)? {
        if !schemas.iter().any(|schema| schema.name == name) {
            reference.run_trusted(&name, &ledger::applied(tx, &name)?, &mut makers)?;
        }
    }
    Ok(makers)
}
