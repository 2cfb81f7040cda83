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
}

/// What steps make.
pub(super) struct Reference {
    conn: Connection,
}

impl Reference {
    pub(super) fn new() -> Result<Self> {
        let mut conn = sqlite::in_memory()?;
        sqlite::leave_rows_out(&mut conn)?;
        Ok(Self { conn })
    }

    /// What the steps that ran have made, and none has dropped.
    pub(super) fn objects(&self) -> Result<Vec<Object>> {
        Object::all(&self.conn)
    }

    /// Runs steps of a schema that this program knows, and has `look` at what there is after each. Where
    /// one cannot be run on a database without rows, what it and the later ones make is not known.
    pub(super) fn run<'a>(
        &self,
        schema: &SchemaDef,
        steps: impl IntoIterator<Item = &'a Migration>,
        mut look: impl FnMut(&Self) -> Result<()>,
    ) -> Result<()> {
        for migration in steps {
            let done = self.conn.execute_batch(migration.up);
            look(self)?;
            if let Err(error) = done {
                tracing::debug!(schema = schema.name, migration.step, %error, "not on an empty file");
                break;
            }
        }
        Ok(())
    }

    /// The same for steps that only a file knows, after somebody has said that its SQL may be run:
    /// guarded as on the file itself.
    fn run_trusted(&mut self, schema: &str, steps: &[Entry], makers: &mut Makers) -> Result<()> {
        sqlite::confine(&mut self.conn)?;
        let rules = StepRules::new(&self.conn, makers.owners.clone())?;
        let guard = Authorizer::install(&mut self.conn, for_steps(&rules))?;
        for entry in steps {
            rules.begin(&self.conn, schema)?;
            let done = guard.during(|| self.conn.execute_batch(&entry.up_sql));
            makers.note(schema, Object::all(&self.conn)?);
            if done.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Who has made what. It is looked at after each step, since a later one may drop what this one made.
#[derive(Default)]
struct Makers {
    owners: Owners,
    seen: HashSet<(bool, String)>,
}

impl Makers {
    /// Notes what is new.
    fn note(&mut self, schema: &str, objects: Vec<Object>) {
        for object in objects {
            let is_trigger = object.is_trigger();
            if self.seen.insert((is_trigger, object.name.clone())) {
                self.owners.note(is_trigger, &object.name, schema);
            }
        }
    }

    /// Notes what all steps of these schemas make.
    fn note_all(&mut self, reference: &Reference, schemas: &[SchemaDef]) -> Result<()> {
        for schema in schemas {
            reference.run(schema, schema.migrations, |reference| {
                self.note(schema.name, reference.objects()?);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Who has made what, or would, of these schemas.
pub(super) fn owners(schemas: &[SchemaDef]) -> Result<Owners> {
    let mut makers = Makers::default();
    makers.note_all(&Reference::new()?, schemas)?;
    Ok(makers.owners)
}

/// The same with the other schemas that are in the file, by the SQL that it brings along.
pub(super) fn owners_with_trusted(schemas: &[SchemaDef], tx: &ReadTx<'_>) -> Result<Owners> {
    let (mut reference, mut makers) = (Reference::new()?, Makers::default());
    makers.note_all(&reference, schemas)?;
    for name in ledger::schemas(tx)? {
        if !schemas.iter().any(|schema| schema.name == name) {
            reference.run_trusted(&name, &ledger::applied(tx, &name)?, &mut makers)?;
        }
    }
    Ok(makers.owners)
}
