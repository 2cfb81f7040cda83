//! What the applied steps of a file made, for a comparison with its schema.

use super::{ObjectKind, UnknownObject, UnknownObjects, bounded, kind_of};
use crate::error::Result;
use crate::migration::reference::{Object, Ran, Reference};
use crate::migration::{SchemaDef, found, ledger, progress};
use crate::operation::ReadTx;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

/// What the applied steps made.
pub(super) struct Known {
    pub(super) objects: Vec<Object>,
    /// The known definitions, under each name.
    texts: HashMap<(bool, String), HashSet<Object>>,
    /// The names of tables.
    pub(super) tables: HashSet<String>,
    /// The schema that made an object.
    makers: HashMap<(bool, String), &'static str>,
    /// Schemas with steps in the file that could not all be run: such a step may have dropped what the
    /// others made.
    cut_short: HashSet<&'static str>,
    /// Indexes of a bot that serve as well as the steps' indexes of the same names.
    of_the_bot: HashSet<Object>,
    /// The database in which the steps have run.
    reference: Reference,
}

impl Known {
    pub(super) fn of(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<Self> {
        let reference = Reference::new()?;
        let (mut makers, mut cut_short) = (HashMap::new(), HashSet::new());
        let mut perhaps_there = HashSet::new();
        for schema in schemas {
            let done = ledger::last(tx, schema.name)?;
            let ran = reference.run(schema, schema.steps(1..=done), |_, _| Ok(()))?;
            if ran == Ran::InPart || done > schema.last() {
                cut_short.insert(schema.name);
            }
            for object in reference.objects()? {
                let key = object.key();
                if !perhaps_there.contains(&key) {
                    makers.entry(key).or_insert(schema.name);
                }
            }
            // Objects that may exist but need not: those of a partly applied step, and those that the
            // first steps find in an adopted file, which may have been cut short between two steps.
            let begun = progress::of(tx, schema.name)?.map_or(0, |begun| begun.step);
            let perhaps = schema.steps(done + 1..=begun.max(schema.legacy.steps));
            reference.run(schema, perhaps, |_, _| Ok(()))?;
            let keys = reference.objects()?.into_iter().map(|object| object.key());
            perhaps_there.extend(keys.filter(|key| !makers.contains_key(key)));
        }
        let mut objects = reference.objects()?;
        for schema in schemas {
            if let Some((from, to)) = (schema.legacy.respelled)(tx)? {
                for object in objects.iter_mut().filter(|object| object.is_trigger()) {
                    object.sql = object.sql.replace(&from, &to);
                }
            }
        }
        let mut known = Self {
            objects: Vec::new(),
            texts: HashMap::new(),
            tables: HashSet::new(),
            makers,
            cut_short,
            of_the_bot: of_the_bot(tx, &reference)?,
            reference,
        };
        for object in &objects {
            known.add(object);
            if object.kind == "table" && object.is_kept {
                known.tables.insert(object.name.to_ascii_lowercase());
            }
        }
        for (name, sql) in schemas.iter().flat_map(|schema| schema.legacy.views) {
            let (name, sql) = ((*name).to_owned(), (*sql).to_owned());
            known.add(&Object {
                kind: "view".to_owned(),
                table: name.clone(),
                name,
                sql,
                is_kept: false,
            });
        }
        known.objects = objects;
        Ok(known)
    }

    /// Returns the schema that made an object, unless an unknown step may have dropped the object
    /// since.
    pub(super) fn sure_maker(&self, object: &Object) -> Option<&'static str> {
        let maker = self.makers.get(&object.key())?;
        (!self.cut_short.contains(maker)).then_some(*maker)
    }

    /// Whether an object of the file has the definition that a step gave it.
    pub(super) fn has(&self, object: &Object) -> bool {
        let texts = self.texts.get(&object.key());
        texts.is_some_and(|texts| texts.contains(&squeezed(object)))
    }

    /// Returns the columns that steps gave a table and that the file's table of this name does not have.
    pub(super) fn missing_columns(&self, tx: &ReadTx<'_>, table: &Object) -> Result<Vec<String>> {
        let steps = ReadTx::new(self.reference.conn(), tx.now());
        let there = columns(tx, table)?;
        let is_there =
            |column: &String| there.iter().any(|other| other.eq_ignore_ascii_case(column));
        let mut missing = columns(&steps, table)?;
        missing.retain(|column| !is_there(column));
        Ok(missing)
    }

    /// Whether it is an index that existed before the steps and keeps its form.
    pub(super) fn is_the_bots(&self, object: &Object) -> bool {
        self.of_the_bot.contains(object)
    }

    fn add(&mut self, object: &Object) {
        let texts = self.texts.entry(object.key()).or_default();
        texts.insert(squeezed(object));
    }

    /// Adds the object to `found` if it is unknown.
    pub(super) fn compare(
        &self,
        tx: &ReadTx<'_>,
        object: &Object,
        found: &mut UnknownObjects,
    ) -> Result<()> {
        if self.has(object) {
            return Ok(());
        }
        let altered = self.texts.contains_key(&object.key()) && !self.is_the_bots(object);
        let kind = kind_of(object);
        let is_reported = match kind {
            ObjectKind::Index => altered || self.acts(tx, object)?,
            ObjectKind::Table => {
                generated(tx, object, found)?;
                altered
            }
            _ => true,
        };
        if !is_reported {
            return Ok(());
        }
        found.add(UnknownObject {
            kind,
            name: bounded(&object.name, 200),
            table: bounded(&object.table, 200),
            altered,
            sql: bounded(&object.sql, 1000),
        });
        Ok(())
    }

    /// Whether an index does more than find rows of a table that a step made.
    fn acts(&self, tx: &ReadTx<'_>, index: &Object) -> Result<bool> {
        if !self.tables.contains(&index.table.to_ascii_lowercase()) {
            return Ok(false);
        }
        let sql = "SELECT count(*) > 0 FROM pragma_index_list(?1) WHERE name = ?2
                   AND (\"unique\" <> 0 AND origin = 'c' OR partial <> 0)";
        let params = (&index.table, &index.name);
        let special: bool = tx.one(sql, params, |row| Ok(row.get(0)?))?;
        let sql = "SELECT count(*) > 0 FROM pragma_index_xinfo(?1) WHERE cid = -2";
        Ok(special || tx.one(sql, [&index.name], |row| Ok(row.get(0)?))?)
    }
}

/// Returns the indexes that steps found in another form and that serve as well: they contain all rows,
/// and begin with the columns of the step's index. They may have more columns, or enforce a key on
/// them.
fn of_the_bot(tx: &ReadTx<'_>, reference: &Reference) -> Result<HashSet<Object>> {
    let mut of_the_bot = HashSet::new();
    let forms = found::forms(tx)?;
    if forms.is_empty() {
        return Ok(of_the_bot);
    }
    let steps = ReadTx::new(reference.conn(), tx.now());
    for object in Object::all(tx.conn())? {
        let is_form = |(name, sql): &(String, String)| *name == object.name && *sql == object.sql;
        if !forms.iter().any(is_form) {
            continue;
        }
        let (bots, ours) = (keys(tx, &object.name)?, keys(&steps, &object.name)?);
        if bots.is_some_and(|bots| ours.is_some_and(|ours| bots.starts_with(&ours))) {
            of_the_bot.insert(object);
        }
    }
    Ok(of_the_bot)
}

/// Returns the columns of an index, with directions and collations; `None` if the index leaves rows out
/// or computes something.
fn keys(tx: &ReadTx<'_>, index: &str) -> Result<Option<Vec<(String, bool, String)>>> {
    let sql = "SELECT count(*) > 0
               FROM sqlite_schema AS object, pragma_index_list(object.tbl_name) AS list
               WHERE object.type = 'index' AND object.name = ?1 AND list.name = ?1 AND partial = 0";
    if !tx.one(sql, [index], |row| Ok(row.get::<_, bool>(0)?))? {
        return Ok(None);
    }
    let sql = "SELECT lower(name), \"desc\", upper(coll) FROM pragma_index_xinfo(?1)
               WHERE key = 1 ORDER BY seqno";
    let keys = tx.all(sql, [index], |row| {
        let (name, descends, collation): (Option<String>, _, _) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(name.map(|name| (name, descends, collation)))
    })?;
    Ok(keys.into_iter().collect())
}

fn columns(tx: &ReadTx<'_>, table: &Object) -> Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_xinfo(?1) ORDER BY cid";
    tx.all(sql, [&table.name], |row| Ok(row.get(0)?))
}

/// Adds the computed columns of a table.
fn generated(tx: &ReadTx<'_>, table: &Object, found: &mut UnknownObjects) -> Result<()> {
    let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden IN (2, 3) ORDER BY cid";
    for column in tx.all(sql, [&table.name], |row| Ok(row.get::<_, String>(0)?))? {
        found.add(UnknownObject {
            kind: ObjectKind::GeneratedColumn,
            name: bounded(&format!("{}.{column}", table.name), 200),
            table: bounded(&table.name, 200),
            altered: false,
            sql: bounded(&table.sql, 1000),
        });
    }
    Ok(())
}

/// Whether SQLite made the object by itself, or it belongs to the ledger.
fn is_of_no_step(object: &Object) -> bool {
    let is_ledger = || matches!(object.name.as_str(), "botstore_ledger" | "botstore_found");
    object.is_kept && (object.name.starts_with("sqlite_") || object.kind == "table" && is_ledger())
}

/// The definitions of everything that a schema's steps make, if the program has that list. Running the
/// steps to find out takes half as long as the rest of opening, and nearly every file has nothing else.
pub(super) struct Listed {
    texts: HashSet<String>,
    squeezed: OnceCell<HashSet<String>>,
    /// Whether the list covers all steps in the file.
    is_whole: bool,
}

impl Listed {
    /// The lists of the schemas that have all their steps in this file.
    pub(super) fn of(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<Self> {
        let (mut texts, mut is_whole) = (HashSet::new(), true);
        for schema in schemas {
            let last = ledger::last(tx, schema.name)?;
            let Some(whole) = schema.whole.filter(|_| last == schema.last()) else {
                is_whole &= last == 0;
                continue;
            };
            let respelled = (schema.legacy.respelled)(tx)?;
            texts.extend(whole.statements().map(|sql| match &respelled {
                Some((from, to)) if sql.starts_with("CREATE TRIGGER ") => sql.replace(from, to),
                _ => sql.to_owned(),
            }));
        }
        let squeezed = OnceCell::new();
        Ok(Self {
            texts,
            squeezed,
            is_whole,
        })
    }

    /// Returns the objects that are not in the list; `None` if there are none and nothing of the list
    /// is missing.
    pub(super) fn difference<'a>(&self, there: &'a [Object]) -> Option<Vec<&'a Object>> {
        let made = there.iter().filter(|object| !is_of_no_step(object));
        let (listed, others): (Vec<_>, Vec<_>) = made.partition(|object| self.has(object));
        // Names are unique, and so are the texts.
        let is_same = self.is_whole && others.is_empty() && listed.len() == self.texts.len();
        (!is_same).then_some(others)
    }

    pub(super) fn has(&self, object: &Object) -> bool {
        let as_listed = || self.texts.iter().map(|text| squeeze(text)).collect();
        object.is_kept == matches!(object.kind.as_str(), "table" | "index")
            && (self.texts.contains(&object.sql)
                || self
                    .squeezed
                    .get_or_init(as_listed)
                    .contains(&squeeze(&object.sql)))
    }
}

/// The object without what SQLite ignores: blanks, comments, and capitals outside of quotes.
fn squeezed(object: &Object) -> Object {
    Object {
        kind: object.kind.clone(),
        name: object.name.to_ascii_lowercase(),
        table: object.table.to_ascii_lowercase(),
        sql: squeeze(&object.sql),
        is_kept: object.is_kept,
    }
}

fn squeeze(sql: &str) -> String {
    let is_special = |c: char| c.is_ascii_whitespace() || "'\"`[-/".contains(c);
    let mut squeezed = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '\'' | '"' | '`' => rest[1..].find(c).map(|at| at + 2),
            '[' => rest.find(']').map(|at| at + 1),
            '-' if rest.starts_with("--") => rest.find('\n'),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map(|at| at + 4),
            c if c.is_ascii_whitespace() => Some(1),
            c => {
                let next = rest[c.len_utf8()..].find(is_special);
                next.map(|at| at + c.len_utf8())
            }
        };
        let (taken, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_ignored =
            c.is_ascii_whitespace() || taken.starts_with("--") || taken.starts_with("/*");
        if !is_ignored {
            let begin = squeezed.len();
            squeezed.push_str(taken);
            if !matches!(c, '\'' | '"' | '`' | '[') {
                squeezed[begin..].make_ascii_lowercase();
            }
        } else if !squeezed.ends_with(' ') {
            squeezed.push(' ');
        }
        rest = after;
    }
    squeezed.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::squeeze;

    #[test]
    fn blanks_comments_and_capitals_do_not_count_and_texts_do() {
        let same = [
            "CREATE VIEW a AS SELECT b FROM c",
            "create view a as\r\n    select b -- why\n  /* where */ from c  ",
        ];
        assert_eq!(squeeze(same[0]), squeeze(same[1]));
        for (one, other) in [
            ("SELECT 'a  b'", "SELECT 'a b'"),
            ("SELECT 'A'", "SELECT 'a'"),
            ("SELECT \"A\"", "SELECT \"a\""),
            (
                "DELETE FROM a -- WHERE b\n WHERE c",
                "DELETE FROM a -- WHERE b WHERE c",
            ),
            ("SELECT '--'", "SELECT '"),
        ] {
            assert_ne!(squeeze(one), squeeze(other));
        }
    }
}
