//! Imported messages of the past: counters and times become what they would be if the store had been there then.

use super::NewMessage;
use crate::domain::columns::cell;
use crate::domain::{sessions, users};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::WriteTx;
use crate::sqlite::Cell;

/// When session and user were last used, after a message of imported history.
pub(super) struct LastUse {
    pub(super) session: Cell,
    pub(super) user: Cell,
}

impl LastUse {
    /// The file's times, or the message's if it is later. Refuses a message that is older than another of its
    /// session, since a session's messages are in the order in which they were saved.
    pub(super) fn of_history(tx: &WriteTx<'_>, new: &NewMessage<'_>) -> Result<Self> {
        sessions::may_use(tx, new.session_id, new.user_id)?;
        // A value that is no time must not count as a later one: words and bytes sort after all digits.
        let newer = tx.maybe(
            "SELECT 1 FROM messages INDEXED BY botstore_messages_session
             WHERE session_id = ?1 AND timestamp > ?2 AND timestamp < ':' LIMIT 1",
            (new.session_id, new.when.text()),
            |_| Ok(()),
        )?;
        if newer.is_some() {
            let session_id = quote(new.session_id);
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "session {session_id} already has a newer message: bring the messages of a session \
                     along in order, oldest first"
                ),
            )
            .with_field("at"));
        }
        let session = tx.one(
            "SELECT max(coalesce(last_used, ''), ?2) FROM sessions WHERE session_id = ?1",
            (new.session_id, new.when.text()),
            |row| cell(row, 0),
        )?;
        let user = tx.maybe(
            "SELECT max(coalesce(last_active, ''), ?2) FROM users WHERE user_id = ?1",
            (new.user_id, new.when.text()),
            |row| cell(row, 0),
        )?;
        // An unknown user makes the message's INSERT fail, by its reference.
        let user = user.unwrap_or(Cell::Null);
        tx.execute(
            "UPDATE sessions SET created_at = ?2 WHERE session_id = ?1 AND created_at > ?2",
            (new.session_id, new.when.text()),
        )?;
        users::was_there(tx, new.user_id, new.when)?;
        Ok(Self { session, user })
    }
}
