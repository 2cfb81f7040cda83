//! A table as SQLite describes it: its columns, its keys and its references.

use crate::domain::columns::{flag, integer, maybe_text, text};
use crate::error::Result;
use crate::operation::ReadTx;
use std::collections::BTreeMap;

/// A table. Names are spelled as declared; compare them without regard to case, as SQLite does.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) primary: Primary,
    /// Its unique keys. They include the primary key if SQLite keeps an index for it.
    pub(super) unique: Vec<Unique>,
    pub(super) references: Vec<Reference>,
    /// Those of `WITHOUT ROWID`, `STRICT`, `CHECK`, `COLLATE` and `ON CONFLICT` that it has.
    pub(super) clauses: Vec<&'static str>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The declared type.
    pub(super) kind: String,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    pub(super) in_key: bool,
    pub(super) is_generated: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Primary {
    None,
    /// `INTEGER PRIMARY KEY`: the column is the rowid, and SQLite assigns the next one.
    RowId(String),
    Columns(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Unique {
    /// Sorted by name, each with its collation if that is not the default.
    pub(super) columns: Vec<String>,
    /// Whether it is a constraint of the table, and not an index that was added.
    pub(super) is_constraint: bool,
}

#[derive(Debug)]
pub(super) struct Reference {
    pub(super) from: Vec<String>,
    pub(super) table: String,
    /// `None` stands for the primary key of the other table.
    pub(super) to: Vec<Option<String>>,
}

/// How SQLite converts a value for a column: <https://sqlite.org/datatype3.html>, 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    pub(super) fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

impl Table {
    /// The table with this name; `None` if there is none. The caller refuses a view or a virtual table before.
    pub(super) fn read(tx: &ReadTx<'_>, name: &str) -> Result<Option<Self>> {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1)";
        let Some(declared) = tx.maybe(sql, [name], |row| text(row, 0))? else {
            return Ok(None);
        };
        let columns = columns(tx, name)?;
        let unique = unique(tx, name)?;
        let sql = "SELECT wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'";
        let (without_rowid, strict) =
            tx.one(sql, [name], |row| Ok((flag(row, 0)?, flag(row, 1)?)))?;
        Ok(Some(Self {
            primary: primary(tx, name, &columns, without_rowid)?,
            references: references(tx, name)?,
            clauses: clauses(&declared, without_rowid, strict),
            columns,
            unique,
        }))
    }
}

fn columns(tx: &ReadTx<'_>, table: &str) -> Result<Vec<Column>> {
    let sql = "SELECT name, type, \"notnull\", coalesce(lower(dflt_value), 'null') <> 'null', pk > 0, hidden
               FROM pragma_table_xinfo(?1) ORDER BY cid";
    tx.all(sql, [table], |row| {
        Ok(Column {
            name: text(row, 0)?,
            kind: text(row, 1)?,
            not_null: flag(row, 2)?,
            has_default: flag(row, 3)?,
            in_key: flag(row, 4)?,
            is_generated: integer(row, 5)? > 0,
        })
    })
}

fn primary(
    tx: &ReadTx<'_>,
    table: &str,
    columns: &[Column],
    without_rowid: bool,
) -> Result<Primary> {
    let key = columns.iter().filter(|column| column.in_key);
    let mut key: Vec<_> = key.map(|column| column.name.clone()).collect();
    // `INT PRIMARY KEY` and `INTEGER PRIMARY KEY DESC` have an index, and are not the rowid.
    let sql = "SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'";
    let has_index = without_rowid || tx.one(sql, [table], |row| integer(row, 0))? > 0;
    Ok(match key.pop() {
        None => Primary::None,
        Some(column) if key.is_empty() && !has_index => Primary::RowId(column),
        Some(column) => {
            key.push(column);
            key.sort();
            Primary::Columns(key)
        }
    })
}

fn unique(tx: &ReadTx<'_>, table: &str) -> Result<Vec<Unique>> {
    // A partial index is unique only for some rows, and an index of an expression is no key.
    let sql = "SELECT name, origin <> 'c' FROM pragma_index_list(?1) AS of_table
               WHERE \"unique\" = 1 AND partial = 0
                 AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(of_table.name) WHERE cid = -2)";
    let indexes: Vec<(String, bool)> =
        tx.all(sql, [table], |row| Ok((text(row, 0)?, flag(row, 1)?)))?;
    let sql = "SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1";
    let unique = indexes.into_iter().map(|(index, is_constraint)| {
        let mut columns = tx.all(sql, [&index], |row| {
            let (column, collation) = (text(row, 0)?, text(row, 1)?);
            Ok(match collation.eq_ignore_ascii_case("BINARY") {
                true => column,
                false => format!("{column} COLLATE {collation}"),
            })
        })?;
        columns.sort();
        Ok(Unique {
            columns,
            is_constraint,
        })
    });
    unique.collect()
}

fn references(tx: &ReadTx<'_>, table: &str) -> Result<Vec<Reference>> {
    let sql =
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq";
    let mut references = BTreeMap::<i64, Reference>::new();
    tx.all(sql, [table], |row| {
        let table = text(row, 1)?;
        let reference = references.entry(integer(row, 0)?).or_insert(Reference {
            from: Vec::new(),
            table,
            to: Vec::new(),
        });
        reference.from.push(text(row, 2)?);
        reference.to.push(maybe_text(row, 3)?);
        Ok(())
    })?;
    Ok(references.into_values().collect())
}

/// Finds in the SQL text the clauses that no PRAGMA reports.
fn clauses(sql: &str, without_rowid: bool, strict: bool) -> Vec<&'static str> {
    let words = bare_words(sql);
    let has_word = |word: &str| words.iter().any(|found| found == word);
    let on_conflict = words
        .windows(2)
        .any(|two| two[0] == "on" && two[1] == "conflict");
    [
        (without_rowid, "WITHOUT ROWID"),
        (strict, "STRICT"),
        (has_word("check"), "CHECK"),
        (has_word("collate"), "COLLATE"),
        (on_conflict, "ON CONFLICT"),
    ]
    .into_iter()
    .filter_map(|(has, clause)| has.then_some(clause))
    .collect()
}

/// The words of an SQL text outside quotes and comments, in lower case.
fn bare_words(sql: &str) -> Vec<String> {
    let mut bare = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let closing = match c {
            '\'' | '"' | '`' => Some((1, c.to_string())),
            '[' => Some((1, "]".to_owned())),
            '-' if rest.starts_with("--") => Some((2, "\n".to_owned())),
            '/' if rest.starts_with("/*") => Some((2, "*/".to_owned())),
            _ => None,
        };
        let taken = match closing {
            Some((begins, end)) => {
                bare.push(' ');
                let found = rest[begins..].find(&end);
                found.map_or(rest.len(), |at| begins + at + end.len())
            }
            None => {
                bare.push(c.to_ascii_lowercase());
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = bare
        .split(|c| !is_of_a_word(c))
        .filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinities_are_those_of_sqlite() {
        for (declared, affinity) in [
            ("INTEGER", Affinity::Integer),
            ("BIGINT", Affinity::Integer),
            ("VARCHAR(255)", Affinity::Text),
            ("", Affinity::Blob),
            ("DOUBLE", Affinity::Real),
            ("TIMESTAMP", Affinity::Numeric),
            ("BOOLEAN", Affinity::Numeric),
            ("json", Affinity::Numeric),
        ] {
            assert_eq!(Affinity::of(declared), affinity, "{declared}");
        }
    }

    #[test]
    fn words_in_quotes_and_comments_are_none() {
        let sql = "CREATE TABLE \"check\" ([collate] TEXT -- check\n, b TEXT DEFAULT 'on conflict'
                   /* strict */, c INT ON  CONFLICT REPLACE)";
        assert_eq!(clauses(sql, false, false), ["ON CONFLICT"]);
        assert_eq!(
            clauses("create table a (b Check (b > 0))", true, true),
            ["WITHOUT ROWID", "STRICT", "CHECK"]
        );
    }
}
