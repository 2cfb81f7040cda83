//! Imported messages of the past: counters and times become what they would be if the store had been there then.

use super::NewMessage;
use crate::domain::columns::{cell, count, integer, text};
use crate::domain::{SessionId, sessions, users};
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
        if has_newer(tx, new.session_id, new.when.text())? {
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
        // If the user is missing, and is made with the message.
        let user = user.unwrap_or_else(|| Cell::text(new.when.text()));
        tx.execute(
            "UPDATE sessions SET created_at = ?2 WHERE session_id = ?1 AND created_at > ?2",
            (new.session_id, new.when.text()),
        )?;
        users::was_there(tx, new.user_id, new.when)?;
        Ok(Self { session, user })
    }
}

/// After how many messages it is written down with what a history was compared.
const COMPARED_AGAIN: u64 = 64;

/// Whether the session has a message that is later than `at`.
///
/// No index has a session's messages by time: each message would write it, for a question that only imported history
/// asks. Usually the newest by id is the latest, but not after a clock was set back, nor under another program. So
/// all messages are compared, once: `botstore_session_import` says up to which id none is later than which time, and
/// the next message is compared with those that came since. Triggers remove the row if another program changes what
/// was compared.
fn has_newer(tx: &WriteTx<'_>, session_id: &SessionId, at: &str) -> Result<bool> {
    let compared = tx.maybe(
        "SELECT upto_id, latest FROM botstore_session_import WHERE session_id = ?1",
        [session_id],
        |row| Ok((integer(row, 0)?, text(row, 1)?)),
    )?;
    // The latest may be gone: then all are compared again.
    let compared = compared.filter(|(_, latest)| latest.as_str() <= at);
    let upto_id = compared.map_or(i64::MIN, |(upto_id, _)| upto_id);
    // A value that is no time must not count as a later one: words and bytes sort after all digits.
    let newer = tx.maybe(
        "SELECT 1 FROM messages INDEXED BY idx_messages_session_id
         WHERE session_id = ?1 AND message_id > ?2 AND timestamp > ?3 AND timestamp < ':'
         ORDER BY message_id DESC LIMIT 1",
        (session_id, upto_id, at),
        |_| Ok(()),
    )?;
    if newer.is_some() {
        return Ok(true);
    }
    let (since, newest_id) = tx.one(
        "SELECT count(*), max(message_id) FROM messages INDEXED BY idx_messages_session_id
         WHERE session_id = ?1 AND message_id > ?2",
        (session_id, upto_id),
        |row| Ok((count(row, 0)?, integer(row, 1)?)),
    )?;
    if since >= COMPARED_AGAIN {
        tx.execute(
            "INSERT INTO botstore_session_import (session_id, upto_id, latest) VALUES (?1, ?2, ?3)
             ON CONFLICT (session_id) DO UPDATE SET upto_id = excluded.upto_id, latest = excluded.latest",
            (session_id, newest_id, at),
        )?;
    }
    Ok(false)
}
