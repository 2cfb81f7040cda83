//! References that no table declares. Triggers keep them; why they are no foreign keys, their step says
//! (`migrations/botstore_llm`).

use super::{Findings, Orphan};
use crate::domain::columns::integer;
use crate::error::Result;
use crate::operation::ReadTx;
use crate::sqlite;

/// A column that refers to a row of another table.
struct Reference {
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    key: &'static str,
    /// Which rows refer, as SQL.
    which: &'static str,
}

/// A reference of each row whose column is not NULL.
const fn reference(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    key: &'static str,
) -> Reference {
    Reference {
        table,
        column,
        parent,
        key,
        which: "true",
    }
}

const REFERENCES: [Reference; 10] = [
    Reference {
        // A request that is no message has an id below 0.
        which: "c.usage_id >= 0",
        ..reference("botstore_usage", "usage_id", "messages", "message_id")
    },
    Reference {
        // Of a message, the message refers to its user.
        which: "c.usage_id < 0",
        ..reference("botstore_usage", "user_id", "users", "user_id")
    },
    reference(
        "botstore_usage",
        "prompt_id",
        "botstore_prompt",
        "prompt_id",
    ),
    reference("botstore_tool_result", "tool_usage_id", "tool_usage", "id"),
    reference(
        "botstore_attachment",
        "message_id",
        "messages",
        "message_id",
    ),
    reference("botstore_feedback", "message_id", "messages", "message_id"),
    reference("botstore_feedback", "user_id", "users", "user_id"),
    reference(
        "botstore_message_metadata",
        "message_id",
        "messages",
        "message_id",
    ),
    reference(
        "botstore_session_metadata",
        "session_id",
        "sessions",
        "session_id",
    ),
    reference("botstore_user_metadata", "user_id", "users", "user_id"),
];

/// Adds the rows that refer to a row that does not exist.
pub(super) fn undeclared(tx: &ReadTx<'_>, orphans: &mut Findings<Orphan>) -> Result<()> {
    for Reference {
        table,
        column,
        parent,
        key,
        which,
    } in REFERENCES
    {
        // Another program may have dropped one of them, which is reported elsewhere.
        if !sqlite::has_table(tx.conn(), table)? || !sqlite::has_table(tx.conn(), parent)? {
            continue;
        }
        let sql = format!(
            "SELECT c.rowid FROM {table} c
             WHERE c.{column} IS NOT NULL AND {which}
               AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = c.{column})"
        );
        tx.all(&sql, [], |row| {
            orphans.add(Orphan::new(table, integer(row, 0)?, parent));
            Ok(())
        })?;
    }
    Ok(())
}
