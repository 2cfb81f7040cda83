//! What the applied steps of a file made, to hold its schema against.

use super::{ObjectKind, UnknownObject, UnknownObjects, bounded};
use crate::error::Result;
use crate::migration::reference::{Object, Reference};
use crate::migration::{SchemaDef, ledger};
use crate::operation::ReadTx;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

/// What stands between the statements of a list.
const LISTED_APART: &str = ";\n\n";

/// What the applied steps made.
pub(super) struct Known {
    pub(super) objects: Vec<Object>,
    /// What reads so is known, under each name.
    texts: HashMap<(bool, String), HashSet<Object>>,
    /// The names of tables.
    pub(super) tables: HashSet<String>,
}

impl Known {
    pub(super) fn of(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<Self> {
        let reference = Reference::new()?;
        let has_ledger = ledger::exists(tx)?;
        for schema in schemas {
            let steps = match has_ledger {
                true => ledger::last(tx, schema.name)?,
                // Of a file that is to be taken over, what these steps find there.
                false => schema.legacy.steps,
            };
            let applied = schema.migrations.iter().filter(|known| known.step <= steps);
            reference.run(schema, applied, |_| Ok(()))?;
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

    fn add(&mut self, object: &Object) {
        let texts = self.texts.entry(key(object)).or_default();
        texts.insert(squeezed(object));
    }

    /// Adds what is not known.
    pub(super) fn compare(
        &self,
        tx: &ReadTx<'_>,
        object: &Object,
        found: &mut UnknownObjects,
    ) -> Result<()> {
        let texts = self.texts.get(&key(object));
        if texts.is_some_and(|texts| texts.contains(&squeezed(object))) {
            return Ok(());
        }
        let altered = texts.is_some();
        let kind = match object.kind.as_str() {
            "trigger" => ObjectKind::Trigger,
            "view" => ObjectKind::View,
            "index" => match altered || self.acts(tx, object)? {
                true => ObjectKind::Index,
                false => return Ok(()),
            },
            _ if !object.is_kept => ObjectKind::VirtualTable,
            _ => {
                generated(tx, object, found)?;
                match altered {
                    true => ObjectKind::Table,
                    false => return Ok(()),
                }
            }
        };
        found.add(UnknownObject {
            kind,
            name: bounded(&object.name, 200),
            table: bounded(&object.table, 200),
            altered,
            sql: bounded(&object.sql, 1000),
        });
        Ok(())
    }

    /// Whether an index does more than to find rows of a table that a step made.
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

/// The columns of a table that are computed.
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

fn key(object: &Object) -> (bool, String) {
    (object.is_trigger(), object.name.to_ascii_lowercase())
}

/// Whether SQLite has made it by itself, or the ledger has.
pub(super) fn is_of_no_step(object: &Object) -> bool {
    object.is_kept && (object.name.starts_with("sqlite_") || object.name == "botstore_ledger")
}

/// What objects read that all steps of a schema make, where the program brings that along. To find it
/// out by running the steps takes half as long as all else that opening does, and nearly every file has
/// nothing else.
pub(super) struct Listed {
    texts: HashSet<String>,
    squeezed: OnceCell<HashSet<String>>,
}

impl Listed {
    /// Of the schemas that have all their steps in this file.
    pub(super) fn of(tx: &ReadTx<'_>, schemas: &[SchemaDef]) -> Result<Self> {
        let mut texts = HashSet::new();
        for schema in schemas {
            let Some(listed) = schema.legacy.listed else {
                continue;
            };
            if ledger::last(tx, schema.name)? != schema.last() {
                continue;
            }
            let respelled = (schema.legacy.respelled)(tx)?;
            texts.extend(
                listed
                    .trim_end()
                    .split(LISTED_APART)
                    .map(|sql| match &respelled {
                        Some((from, to)) if sql.starts_with("CREATE TRIGGER ") => {
                            sql.replace(from, to)
                        }
                        _ => sql.to_owned(),
                    }),
            );
        }
        let squeezed = OnceCell::new();
        Ok(Self { texts, squeezed })
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

/// The object without what does not matter to SQLite: blanks, comments, and capitals outside of quotes.
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
    let mut squeezed = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let (taken, kept) = match c {
            '\'' | '"' | '`' => {
                let end = rest[1..].find(c).map_or(rest.len(), |at| at + 2);
                (end, &rest[..end])
            }
            '[' => {
                let end = rest.find(']').map_or(rest.len(), |at| at + 1);
                (end, &rest[..end])
            }
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), " "),
            '/' if rest.starts_with("/*") => {
                let end = rest[2..].find("*/").map_or(rest.len(), |at| at + 4);
                (end, " ")
            }
            c if c.is_ascii_whitespace() => (1, " "),
            c => (c.len_utf8(), &rest[..c.len_utf8()]),
        };
        if matches!(c, '\'' | '"' | '`' | '[') {
            squeezed += kept;
        } else if kept != " " {
            squeezed += &kept.to_ascii_lowercase();
        } else if !squeezed.ends_with(' ') {
            squeezed.push(' ');
        }
        rest = &rest[taken..];
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
