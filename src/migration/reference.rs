//! What steps make, as SQLite writes it down: found out by running them on an empty database in
//! memory, which stays without rows. To read it out of their SQL would take a parser of our own.

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
    /// All that there are.
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

    /// Its name as SQLite compares it: triggers have names of their own.
    pub(super) fn key(&self) -> (bool, String) {
        (self.is_trigger(), self.name.to_ascii_lowercase())
    }

    /// Whether SQLite made it by itself.
    pub(super) fn is_sqlites(&self) -> bool {
        self.sql.is_empty() || self.name.starts_with("sqlite_")
    }
}

/// Something that a step makes, as the step leaves it.
pub(super) struct Made {
    pub(super) schema: String,
    pub(super) step: u32,
    pub(super) object: Object,
}

/// What steps make.
pub(super) struct Reference {
    conn: Connection,
    owners: Owners,
    seen: HashSet<(bool, String)>,
    made: Vec<Made>,
    /// Schemas of which not all steps could be run.
    cut_short: HashSet<String>,
}

impl Reference {
    pub(super) fn new() -> Result<Self> {
        let mut conn = sqlite::in_memory()?;
        sqlite::leave_rows_out(&mut conn)?;
        Ok(Self {
            conn,
            owners: Owners::default(),
            seen: HashSet::new(),
            made: Vec::new(),
            cut_short: HashSet::new(),
        })
    }

    /// The database in memory.
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Runs steps of a schema that this program knows. Where one cannot be run on a database without
    /// rows, what it and the later ones make is not known.
    pub(super) fn run(&mut self, schema: &SchemaDef, steps: &[Migration]) -> Result<()> {
        for migration in steps {
            let done = self.conn.execute_batch(migration.up);
            self.note(schema.name, migration.step)?;
            if let Err(error) = done {
                self.cut_short.insert(schema.name.to_owned());
                tracing::debug!(schema = schema.name, migration.step, %error, "not on an empty file");
                break;
            }
        }
        Ok(())
    }

    /// The same for steps that only a file knows, after somebody has said that its SQL may be run:
    /// guarded as on the file itself.
    fn run_trusted(&mut self, schema: &str, steps: &[Entry]) -> Result<()> {
        sqlite::confine(&mut self.conn)?;
        let rules = StepRules::new(&self.conn, self.owners.clone())?;
        let guard = Authorizer::install(&mut self.conn, for_steps(&rules))?;
        for entry in steps {
            rules.begin(&self.conn, schema)?;
            let done = guard.during(|| self.conn.execute_batch(&entry.up_sql));
            self.note(schema, entry.step)?;
            if done.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Notes what is new.
    fn note(&mut self, schema: &str, step: u32) -> Result<()> {
        for object in Object::all(&self.conn)? {
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
        Ok(())
    }

    /// The schema that made something, if all of its steps could be run: else a later one may have
    /// dropped it.
    pub(super) fn sure_maker(&self, object: &Object) -> Option<&str> {
        let made = self.made.iter();
        let mut made = made.filter(|made| made.object.key() == object.key());
        let maker = made.next()?.schema.as_str();
        (!self.cut_short.contains(maker)).then_some(maker)
    }
}

/// Who makes what.
pub(super) struct Makers {
    pub(super) owners: Owners,
    pub(super) made: Vec<Made>,
}

impl From<Reference> for Makers {
    fn from(Reference { owners, made, .. }: Reference) -> Self {
        Self { owners, made }
    }
}

/// Who has made what, or would, of these schemas.
pub(super) fn makers(schemas: &[SchemaDef]) -> Result<Makers> {
    known(schemas).map(Makers::from)
}

/// The same with the other schemas that are in the file, by the SQL that it brings along.
pub(super) fn makers_with_trusted(schemas: &[SchemaDef], tx: &ReadTx<'_>) -> Result<Makers> {
    let mut reference = known(schemas)?;
    for name in ledger::schemas(tx)? {
        if !schemas.iter().any(|schema| schema.name == name) {
            reference.run_trusted(&name, &ledger::applied(tx, &name)?)?;
        }
    }
    Ok(reference.into())
}

fn known(schemas: &[SchemaDef]) -> Result<Reference> {
    let mut reference = Reference::new()?;
    for schema in schemas {
        reference.run(schema, schema.migrations)?;
    }
    Ok(reference)
}
