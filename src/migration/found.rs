//! What steps found in the file before they ran. They did not make it, so it stays when they are
//! undone.

use super::SchemaDef;
use super::ledger;
use super::reference::{Made, Object};
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use std::collections::{BTreeMap, HashMap};

/// A table beside the ledger, not a column of it, because older programs write to the ledger. It exists
/// only if there is something to record.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS botstore_found (
    schema TEXT    NOT NULL CHECK (typeof(schema) = 'text'),
    step   INTEGER NOT NULL CHECK (typeof(step) = 'integer'),
    kind   TEXT    NOT NULL CHECK (typeof(kind) = 'text'), -- table, index, view, trigger; or rows
    name   TEXT    NOT NULL CHECK (typeof(name) = 'text'),
    sql    TEXT    CHECK (typeof(sql) IN ('text', 'null')), -- see Was
    PRIMARY KEY (schema, step, kind, name)
) WITHOUT ROWID";

/// For a table that was created before it had that column.
const ADD_SQL: &str = "ALTER TABLE botstore_found
    ADD COLUMN sql TEXT CHECK (typeof(sql) IN ('text', 'null'))";

/// The kind of a record that the step added no row.
const ROWS: &str = "rows";

/// What one step found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Objects that the step makes and that already existed.
    objects: Vec<Was>,
    /// Whether the step changed no row; then undoing it must not change any either.
    rows: bool,
}

/// An object that already existed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Was {
    kind: String,
    name: String,
    /// The SQL of an index that differs from the step's. It may have been replaced since, and a program
    /// that uses the file after the step is undone wants its own.
    sql: Option<String>,
}

impl Found {
    /// Returns which of the objects that a step is about to make exist.
    pub(super) fn before<'a>(
        tx: &ReadTx<'_>,
        makes: impl Iterator<Item = &'a Object>,
    ) -> Result<Self> {
        let there = by_name(tx)?;
        let objects = makes.filter_map(|makes| {
            let there = there.get(&makes.key())?;
            let is_index = makes.kind == "index" && there.kind == "index";
            let is_other = is_index && there.sql != makes.sql;
            Some(Was {
                sql: is_other.then(|| there.sql.clone()),
                ..was(makes)
            })
        });
        Ok(Self {
            objects: objects.collect(),
            rows: false,
        })
    }

    /// Completes it after the step has run and changed this many rows.
    pub(super) fn after(mut self, changes: u64) -> Self {
        self.rows = changes == 0;
        self
    }

    /// The tables and views among them.
    pub(super) fn tables_and_views(&self) -> impl Iterator<Item = &str> {
        let found = self.objects.iter();
        let found = found.filter(|was| matches!(was.kind.as_str(), "table" | "view"));
        found.map(|was| was.name.as_str())
    }

    /// The tables among them.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        let found = self.objects.iter().filter(|was| was.kind == "table");
        found.map(|was| was.name.as_str())
    }

    /// All their names, and whether each is a trigger.
    pub(super) fn names(&self) -> impl Iterator<Item = (bool, &str)> {
        let found = self.objects.iter();
        found.map(|was| (was.kind == "trigger", was.name.as_str()))
    }

    /// The indexes that differ from the step's: names and SQL.
    pub(super) fn forms(&self) -> impl Iterator<Item = (&str, &str)> {
        let found = self.objects.iter();
        found.filter_map(|was| Some((was.name.as_str(), was.sql.as_deref()?)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn keeps_rows(&self) -> bool {
        self.rows
    }

    /// Records it, if there is anything to record.
    pub(super) fn record(&self, tx: &WriteTx<'_>, schema: &str, step: u32) -> Result<()> {
        // That no row was changed matters only if something existed before the steps.
        let matters = !self.objects.is_empty() || (self.rows && exists(tx)?);
        // An older program that undid the step left the records that it does not know.
        remove(tx, schema, step)?;
        if !matters {
            return Ok(());
        }
        tx.execute(CREATE, [])?;
        if !has_sql(tx)? {
            tx.execute(ADD_SQL, [])?;
        }
        let rows = Was {
            kind: ROWS.to_owned(),
            name: String::new(),
            sql: None,
        };
        for was in self.objects.iter().chain(self.rows.then_some(&rows)) {
            let sql = "INSERT INTO botstore_found (schema, step, kind, name, sql)
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            tx.execute(sql, (schema, step, &was.kind, &was.name, &was.sql))?;
        }
        Ok(())
    }
}

/// Returns what the applied steps of a schema found.
pub(super) fn of_schema(
    tx: &ReadTx<'_>,
    schema: &SchemaDef,
    made: &[Made],
) -> Result<BTreeMap<u32, Found>> {
    if ledger::is_old(tx)? {
        return derived(tx, schema, made);
    }
    let mut found = BTreeMap::<u32, Found>::new();
    if !exists(tx)? {
        return Ok(found);
    }
    let form = if has_sql(tx)? { "sql" } else { "NULL" };
    let sql = format!(
        "SELECT step, kind, name, {form} FROM botstore_found WHERE schema = ?1 ORDER BY step"
    );
    tx.all(&sql, [schema.name], |row| {
        let found = found.entry(row.get(0)?).or_default();
        let (kind, name, sql): (String, String, _) = (row.get(1)?, row.get(2)?, row.get(3)?);
        match kind.as_str() {
            ROWS => found.rows = true,
            _ => found.objects.push(Was { kind, name, sql }),
        }
        Ok(())
    })?;
    Ok(found)
}

/// Derives what steps found in an adopted file, if the program that ran them recorded nothing. If any
/// object of a step differs to the letter from what the step makes, the step counts as having found all
/// of its objects: a bot makes them in one go. So an object that was altered by hand since also counts
/// as found, and stays.
fn derived(tx: &ReadTx<'_>, schema: &SchemaDef, made: &[Made]) -> Result<BTreeMap<u32, Found>> {
    let there = by_name(tx)?;
    let applied = ledger::applied(tx, schema.name)?;
    let mut found = BTreeMap::new();
    for entry in applied
        .iter()
        .filter(|entry| entry.step <= schema.legacy.steps)
    {
        let made = made.iter();
        let made = made.filter(|made| made.schema == schema.name && made.step == entry.step);
        let both = made.filter_map(|made| Some((&made.object, there.get(&made.object.key())?)));
        let both: Vec<_> = both.collect();
        if both.iter().any(|(made, there)| made.sql != there.sql) {
            let objects = both.into_iter().map(|(made, _)| was(made));
            let of_step = Found {
                objects: objects.collect(),
                rows: true,
            };
            found.insert(entry.step, of_step);
        }
    }
    Ok(found)
}

/// Records what was derived, when the ledger of an older program is rebuilt.
pub(super) fn write_derived(tx: &WriteTx<'_>, schemas: &[SchemaDef], made: &[Made]) -> Result<()> {
    for schema in schemas {
        for (step, found) in derived(tx, schema, made)? {
            found.record(tx, schema.name, step)?;
        }
    }
    Ok(())
}

/// Forgets what a step found that is undone; drops the table with the last record.
pub(super) fn remove(tx: &WriteTx<'_>, schema: &str, step: u32) -> Result<()> {
    if !exists(tx)? {
        return Ok(());
    }
    let sql = "DELETE FROM botstore_found WHERE schema = ?1 AND step = ?2";
    tx.execute(sql, (schema, step))?;
    let sql = "SELECT count(*) FROM botstore_found";
    if tx.one(sql, [], |row| Ok(row.get::<_, i64>(0)?))? == 0 {
        forget(tx)?;
    }
    Ok(())
}

/// Forgets everything.
pub(super) fn forget(tx: &WriteTx<'_>) -> Result<()> {
    tx.execute("DROP TABLE IF EXISTS botstore_found", [])?;
    Ok(())
}

/// Returns the SQL of indexes that steps found in another form than theirs, by name.
pub(super) fn forms(tx: &ReadTx<'_>) -> Result<Vec<(String, String)>> {
    if !has_sql(tx)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT name, sql FROM botstore_found WHERE sql IS NOT NULL";
    tx.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn has_sql(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT count(*) > 0 FROM pragma_table_info('botstore_found') WHERE name = 'sql'";
    Ok(exists(tx)? && tx.one(sql, [], |row| Ok(row.get(0)?))?)
}

fn exists(tx: &ReadTx<'_>) -> Result<bool> {
    sqlite::has_table(tx.conn(), "botstore_found")
}

fn by_name(tx: &ReadTx<'_>) -> Result<HashMap<(bool, String), Object>> {
    let objects = Object::all(tx.conn())?.into_iter();
    Ok(objects.map(|object| (object.key(), object)).collect())
}

fn was(object: &Object) -> Was {
    Was {
        kind: object.kind.clone(),
        name: object.name.clone(),
        sql: None,
    }
}
