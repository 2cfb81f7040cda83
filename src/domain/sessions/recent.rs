//! The sessions that a user used last, in their order, without sorting all of them.
//!
//! An index by time of last use would be written anew with each message. So `botstore_session_recent` holds only the
//! day of last use, and triggers write it when the day changes. SQLite walks a user's days from the last one on,
//! sorts the sessions of one day, and stops when the page is full. To sort all sessions of the user was turned down:
//! it took 24 ms for one with 27,000.
//!
//! The day is the beginning of the time, as bytes: see `migrations/botstore/0011_by_id.up.sql`. A session without an
//! id, which only another program makes, is not in the table, and is looked up by its missing id. An entry counts only
//! if the session still has its user and its day.

use super::Whose;
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite;

impl Whose {
    /// Selects the sessions of the user `?1`, ended ones too if `?2`, that come after `?3` and `?4`; at most `?5`.
    /// Column 11 is the day, for the order.
    pub(super) fn select(self) -> &'static str {
        match self {
            Self::Own => {
                "SELECT s.session_id, s.user_id, project_path, created_at, last_used,
                        total_cost, total_turns, message_count, is_active, s.rowid, r.day
                 FROM botstore_session_recent r
                 CROSS JOIN sessions s ON s.session_id = r.session_id AND s.user_id = r.user_id
                 WHERE r.user_id = ?1 AND r.day = CASE typeof(last_used)
                       WHEN 'text' THEN
                           coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                       WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                       ELSE x'' END
                   AND (is_active = 1 OR ?2) AND (last_used, s.session_id) < (?3, ?4)
                   AND r.day <= CASE typeof(?3)
                       WHEN 'text' THEN
                           coalesce(substr(CAST(?3 AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                       WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                       ELSE x'' END
                 UNION ALL
                 SELECT session_id, user_id, project_path, created_at, last_used,
                        total_cost, total_turns, message_count, is_active, rowid,
                        CASE typeof(last_used)
                        WHEN 'text' THEN
                            coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                        WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                        ELSE x'' END
                 FROM sessions INDEXED BY sqlite_autoindex_sessions_1
                 WHERE session_id IS NULL AND user_id = ?1 AND (is_active = 1 OR ?2)
                   AND (last_used, session_id) < (?3, ?4)
                 ORDER BY 11 DESC, 5 DESC, 1 DESC LIMIT ?5"
            }
            // Those of one user are few enough to sort.
            Self::Shared => {
                "SELECT s.session_id, s.user_id, project_path, created_at, last_used,
                        total_cost, total_turns, message_count, is_active, s.rowid
                 FROM botstore_session_member m INDEXED BY botstore_session_member_user
                 CROSS JOIN sessions s ON s.session_id = m.session_id
                 WHERE m.user_id = ?1 AND s.user_id IS NOT ?1 AND (is_active = 1 OR ?2)
                   AND (last_used, s.session_id) < (?3, ?4)
                 ORDER BY last_used DESC, s.session_id DESC LIMIT ?5"
            }
            Self::Both => {
                "SELECT s.session_id, s.user_id, project_path, created_at, last_used,
                        total_cost, total_turns, message_count, is_active, s.rowid, r.day
                 FROM botstore_session_recent r
                 CROSS JOIN sessions s ON s.session_id = r.session_id AND s.user_id = r.user_id
                 WHERE r.user_id = ?1 AND r.day = CASE typeof(last_used)
                       WHEN 'text' THEN
                           coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                       WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                       ELSE x'' END
                   AND (is_active = 1 OR ?2) AND (last_used, s.session_id) < (?3, ?4)
                   AND r.day <= CASE typeof(?3)
                       WHEN 'text' THEN
                           coalesce(substr(CAST(?3 AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                       WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                       ELSE x'' END
                 UNION ALL
                 SELECT session_id, user_id, project_path, created_at, last_used,
                        total_cost, total_turns, message_count, is_active, rowid,
                        CASE typeof(last_used)
                        WHEN 'text' THEN
                            coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                        WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                        ELSE x'' END
                 FROM sessions INDEXED BY sqlite_autoindex_sessions_1
                 WHERE session_id IS NULL AND user_id = ?1 AND (is_active = 1 OR ?2)
                   AND (last_used, session_id) < (?3, ?4)
                 UNION ALL
                 SELECT s.session_id, s.user_id, project_path, created_at, last_used,
                        total_cost, total_turns, message_count, is_active, s.rowid,
                        CASE typeof(last_used)
                        WHEN 'text' THEN
                            coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                        WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                        ELSE x'' END
                 FROM botstore_session_member m INDEXED BY botstore_session_member_user
                 CROSS JOIN sessions s ON s.session_id = m.session_id
                 WHERE m.user_id = ?1 AND s.user_id IS NOT ?1 AND (is_active = 1 OR ?2)
                   AND (last_used, s.session_id) < (?3, ?4)
                 ORDER BY 11 DESC, 5 DESC, 1 DESC LIMIT ?5"
            }
        }
    }
}

/// Writes the table of days anew, after its triggers were missing for a time, and forgets what a history was compared
/// with: the triggers that notice other messages may have been missing, too.
pub(in crate::domain) fn fill(tx: &WriteTx<'_>) -> Result<()> {
    for table in [
        "botstore_session_recent",
        "botstore_session_import",
        "sessions",
    ] {
        if !sqlite::has_table(tx.conn(), table)? {
            return Ok(());
        }
    }
    tx.execute("DELETE FROM botstore_session_import", [])?;
    tx.execute("DELETE FROM botstore_session_recent", [])?;
    tx.execute(
        "INSERT INTO botstore_session_recent (user_id, day, session_id)
         SELECT user_id,
                CASE typeof(last_used)
                WHEN 'text' THEN
                    coalesce(substr(CAST(last_used AS BLOB), 1, length(CAST('YYYY-MM-DD' AS BLOB))), x'')
                WHEN 'blob' THEN x'ffffffffffffffffffffffffffffffffffffffff'
                ELSE x'' END,
                session_id
         FROM sessions NOT INDEXED WHERE session_id IS NOT NULL",
        [],
    )?;
    Ok(())
}
