//! Finds triggers of a file that fire each other in a circle.

use super::steps::compile;
use crate::error::Result;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// With more triggers none is examined: SQLite compiles them again for each table that leads to them.
const MOST: usize = 200;

/// Returns a trigger that writes, itself or through others, the table that it is on. If there are too
/// many to examine, returns any that is not the store's. SQLite compiles each trigger to show what it
/// writes; nothing runs. Leaves the connection without an authorizer.
///
/// Whether the recursion would end is not examined: that depends on the rows.
pub(crate) fn trigger_that_fires_itself(conn: &mut Connection) -> Result<Option<String>> {
    let tables = triggers(conn)?;
    // The store's own triggers do not, and most files have no others.
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

/// Returns the triggers, each with its table; all names in lower case.
fn triggers(conn: &Connection) -> Result<HashMap<String, String>> {
    let sql = "SELECT lower(name), lower(tbl_name) FROM sqlite_schema WHERE type = 'trigger'";
    let mut found = conn.prepare(sql)?;
    let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Returns the tables that each trigger writes.
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
