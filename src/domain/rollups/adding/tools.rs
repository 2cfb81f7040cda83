//! Adds tool uses.

use super::{Addition, Key, rows_of};
use crate::domain::columns::integer;
use crate::domain::rollups::count::{Piece, prepare};
use crate::domain::rollups::facts::TOOL_USES;
use crate::error::Result;
use crate::operation::WriteTx;
use std::collections::BTreeMap;

/// The uses of a tool, and those of each owner of a session.
#[derive(Default)]
struct OfTool {
    uses: i64,
    successes: i64,
    errors: i64,
    /// How many sessions have it for the first time.
    sessions: i64,
    owners: BTreeMap<Key, i64>,
}

/// Adds tool uses to the rollups.
pub(in crate::domain::rollups) fn add_tool_uses(tx: &WriteTx<'_>, piece: Piece) -> Result<()> {
    let Piece { after, ids, .. } = piece;
    let mut groups = BTreeMap::<(Key, Key), [i64; 3]>::new();
    tx.each_while(&rows_of(&TOOL_USES, after), ids, |row| {
        let group = (Key(row.get_ref(1)?.into()), Key(row.get_ref(2)?.into()));
        let sums = groups.entry(group).or_default();
        sums[0] += 1;
        sums[1] += integer(row, 3)?;
        sums[2] += integer(row, 4)?;
        Ok(true)
    })?;
    let mut tools = BTreeMap::<&Key, OfTool>::new();
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_session_tool SET uses = uses + ?3 WHERE session_id = ?1 AND tool_name = ?2",
        "INSERT INTO botstore_session_tool (session_id, tool_name, uses) VALUES (?1, ?2, ?3)",
    )?;
    let mut find_owner = prepare(tx, "SELECT user_id FROM sessions WHERE session_id = ?1")?;
    // The session before, and its owner. There is none for a session that is gone.
    let (mut session, mut owner) = (None, None);
    for ((session_id, name), [uses, successes, errors]) in &groups {
        let is_new = add.run((session_id, name, uses))?;
        let of_tool = tools.entry(name).or_default();
        of_tool.uses += uses;
        of_tool.successes += successes;
        of_tool.errors += errors;
        of_tool.sessions += i64::from(is_new);
        if session.replace(session_id) != Some(session_id) {
            let mut found = find_owner.query([session_id])?;
            owner = match found.next()? {
                Some(row) => Some(Key(row.get_ref(0)?.into())),
                None => None,
            };
        }
        if let Some(owner) = &owner {
            *of_tool.owners.entry(owner.clone()).or_default() += uses;
        }
    }
    add_tools(tx, &tools)
}

/// Adds to the tools, and to the tools of users.
fn add_tools(tx: &WriteTx<'_>, tools: &BTreeMap<&Key, OfTool>) -> Result<()> {
    let mut add_to_owner = Addition::new(
        tx,
        "UPDATE botstore_user_tool SET uses = uses + ?3 WHERE user_id = ?1 AND tool_name = ?2",
        "INSERT INTO botstore_user_tool (user_id, tool_name, uses) VALUES (?1, ?2, ?3)",
    )?;
    let mut add = prepare(
        tx,
        "INSERT INTO botstore_tool (tool_name, uses, successes, errors, sessions) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (tool_name) DO UPDATE SET
             uses = uses + excluded.uses, successes = successes + excluded.successes,
             errors = errors + excluded.errors, sessions = sessions + excluded.sessions",
    )?;
    for (name, of_tool) in tools {
        let OfTool {
            uses,
            successes,
            errors,
            sessions,
            owners,
        } = of_tool;
        add.execute((name, uses, successes, errors, sessions))?;
        for (owner, uses) in owners {
            add_to_owner.run((owner, name, uses))?;
        }
    }
    Ok(())
}
