//! Whether triggers of a file set off one another in a circle.

use super::steps::compile;
use crate::error::Result;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// More triggers are not looked through: SQLite compiles them again for each table that leads to them.
const MOST: usize = 200;

/// A trigger that is not the store's and writes, itself or by way of others, the table that it is on; or any, where
/// there are too many to look through. SQLite is asked what each one writes, by compiling it; nothing runs. Leaves
/// the connection without an authorizer.
///
/// Whether it would ever stop is not asked: that is a matter of its rows.
pub(crate) fn trigger_that_fires_itself(conn: &mut Connection) -> Result<Option<String>> {
    let tables = triggers(conn)?;
    // The store's own do not, and most files have no others.
    let others = tables.keys().find(|name| !name.starts_with("botstore_"));
    if others.is_none() || tables.len() > MOST {
        return Ok(others.cloned());
    }
    let writes = what_they_write(conn, &tables)?;
    let goes_round = |trigger: &&String| {
        let (mut seen, mut next) = (HashSet::new(), vec![*trigger]);
        while let Some(at) = next.pop() {
            for table in writes.get(at).into_iter().flatten() {
                let fired = tables.iter().filter(|(_, on)| *on == table);
                next.extend(
                    fired
                        .map(|(name, _)| name)
                        .filter(|name| seen.insert(*name)),
                );
            }
        }
        seen.contains(trigger)
    };
    let mut names: Vec<_> = tables.keys().collect();
    names.sort();
    Ok(names.into_iter().find(goes_round).cloned())
}

/// The triggers, each with the table that it is on; all in small letters.
fn triggers(conn: &Connection) -> Result<HashMap<String, String>> {
    let sql = "SELECT lower(name), lower(tbl_name) FROM sqlite_schema WHERE type = 'trigger'";
    let mut found = conn.prepare(sql)?;
    let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The tables that each trigger writes.
fn what_they_write(
    conn: &mut Connection,
    tables: &HashMap<String, String>,
) -> Result<HashMap<String, HashSet<String>>> {
    let writes = Arc::new(Mutex::new(HashMap::<String, HashSet<String>>::new()));
    let noted = Arc::clone(&writes);
    conn.authorizer(Some(move |context: AuthContext<'_>| {
        let table = match context.action {
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name } => table_name,
            _ => return Authorization::Allow,
        };
        if let Some(trigger) = context.accessor {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            let tables = noted.entry(trigger.to_ascii_lowercase()).or_default();
            tables.insert(table.to_ascii_lowercase());
        }
        Authorization::Allow
    }))?;
    let on: HashSet<_> = tables.values().collect();
    let compiled = on.into_iter().try_for_each(|table| compile(conn, table));
    conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    compiled?;
    let mut writes = writes.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *writes))
}
