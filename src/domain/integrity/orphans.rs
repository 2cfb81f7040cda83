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
}

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
    }
}

const REFERENCES: [Reference; 9] = [
    reference("botstore_usage", "usage_id", "messages", "message_id"),
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
    } in REFERENCES
    {
        // Another program may have dropped one of them, which is reported elsewhere.
        if !sqlite::has_table(tx.conn(), table)? || !sqlite::has_table(tx.conn(), parent)? {
            continue;
        }
        // A request that is no message has an id below 0.
        let others = match column {
            "usage_id" => "AND c.usage_id > 0",
            _ => "",
        };
        let sql = format!(
            "SELECT c.rowid FROM {table} c
             WHERE c.{column} IS NOT NULL {others}
               AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = c.{column})"
        );
        tx.all(&sql, [], |row| {
            orphans.add(Orphan::new(table, integer(row, 0)?, parent));
            Ok(())
        })?;
    }
    Ok(())
}
