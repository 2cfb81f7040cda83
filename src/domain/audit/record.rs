//! The events that the store records by itself: changes of who may do what, and of what there is.

use super::to_cell;
use crate::domain::UserId;
use crate::error::{Error, Result};
use crate::operation::WriteTx;
use crate::sqlite::Cell;
use rusqlite::ToSql;
use serde::Serialize;
use serde_json::{Map, Value};

/// The type of the event that [`SaveInteraction`](crate::interactions::SaveInteraction) records.
/// (In files of the Python bot it is `claude_interaction`.)
pub const INTERACTION: &str = "interaction";

/// The user may use the bot from now on: [`SetAllowed::allow`](crate::users::SetAllowed::allow).
pub const USER_ALLOWED: &str = "user_allowed";

/// The user may not use the bot any more: [`SetAllowed::forbid`](crate::users::SetAllowed::forbid).
pub const USER_FORBIDDEN: &str = "user_forbidden";

/// The user's totals were corrected, by [`CorrectUserTotals`](crate::users::CorrectUserTotals) or
/// [`RecountUserTotals`](crate::users::RecountUserTotals): the details have those that changed, `before` and
/// `after`.
pub const TOTALS_CORRECTED: &str = "totals_corrected";

/// The user got a token, [`IssueToken`](crate::tokens::IssueToken): the details have its `token_id`, and
/// `expires_at` if it expires.
pub const TOKEN_ISSUED: &str = "token_issued";

/// A token was revoked, or all of the user's: the details have its `token_id`, or the number of `tokens`. See
/// [`RevokeToken`](crate::tokens::RevokeToken) and [`RevokeUserTokens`](crate::tokens::RevokeUserTokens).
pub const TOKEN_REVOKED: &str = "token_revoked";

/// A session of the user began, by [`CreateSession`](crate::sessions::CreateSession),
/// [`EnsureSession`](crate::sessions::EnsureSession) or [`SaveSession`](crate::sessions::SaveSession). One that an
/// interaction begins has the event of the interaction alone. The details of events about sessions have the
/// `session_id`.
pub const SESSION_CREATED: &str = "session_created";

/// A session of the user was ended: [`EndSession`](crate::sessions::EndSession).
pub const SESSION_ENDED: &str = "session_ended";

/// A session of the user was idle for too long: [`ExpireIdle`](crate::sessions::ExpireIdle).
pub const SESSION_EXPIRED: &str = "session_expired";

/// A session of the user was deleted: [`DeleteSession`](crate::sessions::DeleteSession).
pub const SESSION_DELETED: &str = "session_deleted";

/// The user may use another user's session from now on, [`ShareSession`](crate::sessions::ShareSession): the
/// details have its `owner`. One who joins it by an interaction has the event of the interaction alone.
pub const SESSION_SHARED: &str = "session_shared";

/// The user may not use another user's session any more:
/// [`UnshareSession`](crate::sessions::UnshareSession).
pub const SESSION_UNSHARED: &str = "session_unshared";

/// A limit of spending was set: [`SetLimit`](crate::limits::SetLimit). The details have the `limit`, and the one
/// `before`, if there was one.
pub const LIMIT_SET: &str = "limit_set";

/// A limit of spending was removed, [`RemoveLimit`](crate::limits::RemoveLimit): the details have it.
pub const LIMIT_REMOVED: &str = "limit_removed";

/// A change that the store records in the transaction that makes it.
pub(in crate::domain) struct Change<'a, U> {
    event_type: &'static str,
    /// Whom it concerns.
    user: U,
    /// When, as the file spells it; `None` for now.
    at: Option<&'a str>,
    details: Map<String, Value>,
}

impl<'a, U: ToSql> Change<'a, U> {
    /// A change that concerns this user.
    pub(in crate::domain) fn new(event_type: &'static str, user: U) -> Self {
        Self {
            event_type,
            user,
            at: None,
            details: Map::new(),
        }
    }

    /// A detail. Neither a secret nor a text of a user: the event outlives what it is about.
    pub(in crate::domain) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// A detail that has parts.
    ///
    /// # Errors
    /// `Invalid` for one that JSON cannot hold.
    pub(in crate::domain) fn with_json(self, name: &str, value: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(value).map_err(|error| {
            let why = format!("cannot be written as JSON: {error}");
            Error::invalid("event_data", &why)
        })?;
        Ok(self.with(name, value))
    }

    /// Who made it, if it was somebody else than the user.
    pub(in crate::domain) fn by(self, by: Option<UserId>) -> Self {
        match by {
            Some(by) => self.with("by", by.get()),
            None => self,
        }
    }

    /// When it was, for imported history.
    pub(in crate::domain) fn at(mut self, at: &'a str) -> Self {
        self.at = Some(at);
        self
    }

    /// Records it. A user whom the file does not know, since another program has deleted only that row, has no
    /// record: the log refers to its users, and the change must be possible all the same.
    pub(in crate::domain) fn record(self, tx: &WriteTx<'_>) -> Result<()> {
        let details: Option<Cell> = match self.details.is_empty() {
            true => None,
            false => Some(to_cell(&self.details)?),
        };
        tx.execute(
            "INSERT INTO audit_log (user_id, event_type, event_data, success, timestamp)
             SELECT user_id, ?2, ?3, 1, ?4 FROM users WHERE user_id = ?1",
            (
                self.user,
                self.event_type,
                details,
                self.at.unwrap_or_else(|| tx.now_text()),
            ),
        )?;
        Ok(())
    }
}
