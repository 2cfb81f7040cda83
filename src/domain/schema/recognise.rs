//! Decides whether a file without a ledger is the Python bot's: whether it has everything that this crate relies
//! on. The step that creates the bot's tables runs on an empty database in memory, and the file is compared with
//! the result. So the tables are described in one place only.
//!
//! A table may have further columns after the bot's own, as later versions of the bot add them, as long as this
//! crate can leave them out when it inserts a row. Every other declaration must be the same, unless the
//! difference affects no row. To take over other files and rebuild their tables was turned down: if two rows
//! have one key, nobody can tell which is right.

use super::shape::{Affinity, Column, Primary, Reference, Table};
use crate::domain::columns::text;
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::ReadTx;
use crate::sqlite;

/// The seven tables whose columns never change. A table comes after those to which it refers.
const TABLES: [&str; 7] = [
    "users",
    "sessions",
    "messages",
    "tool_usage",
    "audit_log",
    "user_tokens",
    "cost_tracking",
];

/// The table in which the bot records a file's version.
const VERSIONS: &str = "schema_version";

/// Later versions of the bot have dropped this reference: an event may be about somebody who is no user. This
/// crate creates the user's row itself.
const NO_LONGER: (&str, &str) = ("audit_log", "user_id");

/// Refuses a file that is not the bot's. `seed` is the SQL that creates the bot's tables.
pub(super) fn recognise(tx: &ReadTx<'_>, seed: &str) -> Result<()> {
    match stranger(tx, seed)? {
        None => Ok(()),
        Some(why) => Err(Error::new(ErrorKind::ForeignFile, why)),
    }
}

/// Why the file is not the bot's; `None` if it is.
fn stranger(tx: &ReadTx<'_>, seed: &str) -> Result<Option<String>> {
    if let Some(name) = part_of_a_store(tx)? {
        let name = quote(&name);
        return Ok(Some(format!(
            "it has {name}, which only a store makes, but no botstore_ledger: only a part of a \
             store's file was copied; copy all of it, or restore a backup"
        )));
    }
    if let Some(name) = stand_in(tx)? {
        let name = quote(&name);
        return Ok(Some(format!(
            "its {name} is a view or a virtual table, where the Python bot has a table"
        )));
    }
    let conn = sqlite::in_memory()?;
    conn.execute_batch(seed)?;
    let bots = ReadTx::new(&conn, tx.now());
    let mut found = Vec::new();
    for name in [VERSIONS].iter().chain(&TABLES) {
        found.push((*name, Table::read(tx, name)?, Table::read(&bots, name)?));
    }
    if let Some((_, None, _)) = found.first() {
        return Ok(Some(without_versions(&found)));
    }
    for (name, table, bots) in &found {
        if let (Some(table), Some(bots)) = (table, bots)
            && let Some(why) = difference(name, table, bots)
        {
            return Ok(Some(format!("its table {name:?} {why}")));
        }
    }
    let missing = |name: &str| {
        let is_missing = |(other, table, _): &(&str, Option<Table>, _)| {
            name.eq_ignore_ascii_case(other) && table.is_none()
        };
        found.iter().any(is_missing)
    };
    for (name, table, bots) in &found {
        let (Some(_), Some(bots)) = (table, bots) else {
            continue;
        };
        for reference in bots.references.iter().filter(|to| missing(&to.table)) {
            let (from, to) = (reference.from.join(", "), &reference.table);
            let sql = format!("SELECT 1 FROM {name} WHERE {from} IS NOT NULL LIMIT 1");
            if tx.maybe(&sql, [], |_| Ok(()))?.is_some() {
                return Ok(Some(format!(
                    "its table {to:?} is missing, and rows of {name:?} refer to it: only a part of the \
                     bot's file was copied; copy all of it"
                )));
            }
        }
    }
    Ok(None)
}

/// An object with a name of the store's own, which a file without a ledger should not have.
fn part_of_a_store(tx: &ReadTx<'_>) -> Result<Option<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE lower(name) GLOB 'botstore_*' ORDER BY rowid";
    tx.maybe(sql, [], |row| text(row, 0))
}

/// A view or a virtual table with the name of one of the bot's tables.
fn stand_in(tx: &ReadTx<'_>) -> Result<Option<String>> {
    let sql = "SELECT name FROM sqlite_schema
               WHERE lower(name) = ?1 AND type IN ('table', 'view') AND coalesce(rootpage, 0) <= 0";
    for table in TABLES.iter().chain([&VERSIONS]) {
        let found = tx.maybe(sql, [table], |row| text(row, 0))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn without_versions(found: &[(&str, Option<Table>, Option<Table>)]) -> String {
    match found.iter().find(|(_, table, _)| table.is_some()) {
        None => "it is an SQLite database, but neither this crate's nor the Python bot's; \
                 give the store a file of its own"
            .to_owned(),
        Some((name, ..)) => format!(
            "its table {VERSIONS:?} is missing, which every file of the Python bot has, although it \
             has a table {name:?}: if only a part of the bot's file was copied, copy all of it; \
             otherwise give the store a file of its own"
        ),
    }
}

/// The difference from the bot's table that rules this one out.
fn difference(name: &str, table: &Table, bots: &Table) -> Option<String> {
    columns(table, bots)
        // Only this distinguishes the bot's file from another with tables like these.
        .or_else(|| {
            (name == VERSIONS && table.columns.len() > 1)
                .then(|| "has additional columns".to_owned())
        })
        .or_else(|| keys(table, bots))
        .or_else(|| references(name, table, bots))
        .or_else(|| {
            let more = table
                .clauses
                .iter()
                .find(|clause| !bots.clauses.contains(clause))?;
            Some(format!("declares {more}, unlike the Python bot's"))
        })
}

fn columns(table: &Table, bots: &Table) -> Option<String> {
    for (at, expected) in bots.columns.iter().enumerate() {
        let Some(column) = table.columns.get(at) else {
            return Some(format!(
                "has no column {:?}, unlike the Python bot's",
                expected.name
            ));
        };
        let name = quote(&column.name);
        if !column.name.eq_ignore_ascii_case(&expected.name) {
            return Some(format!(
                "has as its column {} {name}, where the Python bot's has {:?}",
                at + 1,
                expected.name
            ));
        }
        if column.is_generated {
            return Some(format!("computes its column {name}"));
        }
        if !holds(column, expected) {
            return Some(format!(
                "declares its column {name} as {}, but the Python bot's declares it as {}",
                quote(&column.kind),
                expected.kind
            ));
        }
        if expected.not_null && !column.not_null && !column.in_key {
            return Some(format!(
                "has no NOT NULL at its column {name}, unlike the Python bot's"
            ));
        }
        // A column with a default is never NULL in a row that this crate inserts.
        let takes_null = !expected.not_null && !expected.has_default && !expected.in_key;
        if column.not_null && takes_null {
            return Some(format!(
                "has a NOT NULL at its column {name}, unlike the Python bot's"
            ));
        }
    }
    let more = &table.columns[bots.columns.len()..];
    let needed = |column: &&Column| column.not_null && !column.has_default && !column.is_generated;
    more.iter().find(needed).map(|column| {
        format!(
            "has one more column, {}, that is NOT NULL and has no default, so no row can be added \
             without it",
            quote(&column.name)
        )
    })
}

/// Whether the column returns the values that this crate writes unchanged.
fn holds(column: &Column, expected: &Column) -> bool {
    use Affinity::{Blob, Integer, Numeric, Real, Text};
    let kind = Affinity::of(&column.kind);
    match (Affinity::of(&expected.kind), &*expected.kind) {
        (Integer, _) | (Numeric, "BOOLEAN") => matches!(kind, Integer | Numeric),
        (Real, _) => matches!(kind, Real | Integer | Numeric),
        // Times, days and JSON are texts.
        (Numeric, _) => matches!(kind, Numeric | Text),
        (Text, _) => kind == Text,
        (Blob, _) => kind == Blob,
    }
}

fn keys(table: &Table, bots: &Table) -> Option<String> {
    let same = |one: &[String], other: &[String]| {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(a, b)| a.eq_ignore_ascii_case(b))
    };
    let is_same = match (&table.primary, &bots.primary) {
        (Primary::RowId(column), Primary::RowId(expected)) => column.eq_ignore_ascii_case(expected),
        (Primary::Columns(columns), Primary::Columns(expected)) => same(columns, expected),
        (one, other) => one == other,
    };
    if !is_same {
        return Some(match &bots.primary {
            Primary::RowId(column) => format!("has no INTEGER PRIMARY KEY {column:?}"),
            Primary::Columns(columns) => format!("has no PRIMARY KEY ({})", columns.join(", ")),
            Primary::None => "has a PRIMARY KEY".to_owned(),
        });
    }
    let has = |of: &Table, columns: &[String]| {
        let mut unique = of.unique.iter();
        unique.any(|unique| same(&unique.columns, columns))
    };
    let lacks = bots
        .unique
        .iter()
        .find(|unique| !has(table, &unique.columns));
    if let Some(lacks) = lacks {
        return Some(format!("has no UNIQUE ({})", lacks.columns.join(", ")));
    }
    // An operator's index is reported with the other objects that no step made.
    let mut constraints = table.unique.iter().filter(|unique| unique.is_constraint);
    let more = constraints.find(|unique| !has(bots, &unique.columns))?;
    let columns = more.columns.join(", ");
    Some(format!("has a UNIQUE ({columns}), unlike the Python bot's"))
}

fn references(name: &str, table: &Table, bots: &Table) -> Option<String> {
    let same = |one: &Reference, other: &Reference| {
        let equal = |a: &String, b: &String| a.eq_ignore_ascii_case(b);
        equal(&one.table, &other.table)
            && one.from.len() == other.from.len()
            && one.from.iter().zip(&other.from).all(|(a, b)| equal(a, b))
            && one.to.iter().zip(&other.to).all(|two| match two {
                (Some(a), Some(b)) => equal(a, b),
                // The primary key: what the bot's names is one.
                _ => true,
            })
    };
    let described = |reference: &Reference| {
        let from = reference.from.join(", ");
        format!("FOREIGN KEY ({from}) to {}", quote(&reference.table))
    };
    for expected in &bots.references {
        let may_be_missing = name == NO_LONGER.0 && expected.from == [NO_LONGER.1];
        let has = table.references.iter().any(|found| same(found, expected));
        if !has && !may_be_missing {
            return Some(format!("has no {}", described(expected)));
        }
    }
    let of_the_bots = |column: &String| {
        let mut columns = bots.columns.iter();
        columns.any(|own| own.name.eq_ignore_ascii_case(column))
    };
    let more = table.references.iter().find(|found| {
        found.from.iter().any(of_the_bots) && !bots.references.iter().any(|own| same(found, own))
    })?;
    Some(format!(
        "has a {}, unlike the Python bot's",
        described(more)
    ))
}
