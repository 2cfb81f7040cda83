//! The audit log: which user did what, and whether it succeeded.
//!
//! A bot records what it sees, with [`LogEvent`]. The store itself records, in the same transaction, each interaction,
//! and each change of who may do what and of what there is: of permissions, tokens and sessions. The constants here
//! are the types of these events. A message that changes nothing, such as [`SetAllowed`](crate::users::SetAllowed)
//! for a user who is allowed, leaves no event.
//!
//! The event's user is whom it concerns. If somebody else did it, say who with `.by(administrator)` on the message:
//! then the details have `by`. They have no secret, and no text of a user.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let store = botstore::testing::TestStore::open().await?;
//! # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
//! use botstore::audit::{self, EventFilter, UserAuditLog};
//! use botstore::users::SetAllowed;
//!
//! store.write(SetAllowed::allow(42).by(7)).await?;
//! let who_let_in = EventFilter::new().event_type(audit::USER_ALLOWED);
//! let events = store.read(UserAuditLog::new(42).filter(who_let_in)).await?.items;
//! assert_eq!(events[0].event_data.as_ref().unwrap()["by"], 7);
//! # Ok(()) }
//! ```

mod lists;
mod record;

pub use lists::{EventFilter, RecentAuditLog, UserAuditLog};
pub(super) use record::Change;
pub use record::{
    INTERACTION, LIMIT_REMOVED, LIMIT_SET, SESSION_CREATED, SESSION_DELETED, SESSION_ENDED,
    SESSION_EXPIRED, SESSION_SHARED, SESSION_UNSHARED, TOKEN_ISSUED, TOKEN_REVOKED,
    TOTALS_CORRECTED, USER_ALLOWED, USER_FORBIDDEN,
};

use super::columns::{flag, id, integer, maybe_text, text, time};
use super::when::When;
use super::{UserId, columns, users, validate};
use crate::error::{Error, Result};
use crate::json;
use crate::operation::{Mutation, WriteTx};
use crate::sqlite::Cell;
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event, as stored in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The store's id, growing.
    pub id: i64,
    /// The user whom it concerns: who did it, or tried to. If somebody else did it, `by` in the details says who.
    pub user_id: UserId,
    /// The kind of event.
    pub event_type: String,
    /// The details. JSON that a [`Value`] cannot hold, such as Python's `NaN`, duplicate keys and text that is
    /// no JSON, is one string of the whole text.
    pub event_data: Option<Value>,
    /// Whether it succeeded.
    pub success: bool,
    /// When it was saved; for imported history, when it happened.
    pub timestamp: DateTime<Utc>,
    /// The IP address from which it came, if it was known.
    pub ip_address: Option<String>,
}

impl AuditEvent {
    /// A successful event without details, for a test of your own.
    pub fn new(
        id: i64,
        user_id: impl Into<UserId>,
        event_type: impl Into<String>,
        timestamp: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            user_id: user_id.into(),
            event_type: event_type.into(),
            timestamp,
            event_data: None,
            success: true,
            ip_address: None,
        }
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<AuditEvent>> {
    let Some(user_id) = id(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(AuditEvent {
        id: integer(row, 0)?,
        user_id: user_id.into(),
        event_type: text(row, 2)?,
        event_data: columns::json(row, 3)?,
        success: flag(row, 4)?,
        timestamp: time(row, 5)?,
        ip_address: maybe_text(row, 6)?,
    }))
}

/// Records an event; returns its id. An unknown user gets a row, without permission to use the bot: a stranger's
/// failed login must be on record, and the record refers to its user.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty event type, details nested deeper than 127 levels, or a
/// text that is too large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::audit::LogEvent;
///
/// let refused = LogEvent::new(42, "authentication_failure").failed();
/// store.write(refused.ip_address("203.0.113.7")).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogEvent {
    /// The user who did it, or tried to.
    pub user_id: UserId,
    /// The kind of event, such as `"authentication_failure"`.
    pub event_type: String,
    /// The details. They are stored unchanged: leave out secrets and users' texts.
    pub event_data: Option<Value>,
    /// Whether it succeeded.
    pub success: bool,
    /// The IP address from which it came.
    pub ip_address: Option<String>,
}

impl LogEvent {
    /// A successful event of this user. [`failed`](Self::failed) makes it a failure.
    pub fn new(user_id: impl Into<UserId>, event_type: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            event_type: event_type.into(),
            event_data: None,
            ip_address: None,
            success: true,
        }
    }

    /// The details. They are stored unchanged: leave out secrets and users' texts.
    pub fn event_data(mut self, event_data: Value) -> Self {
        self.event_data = Some(event_data);
        self
    }

    /// Makes the event a failure.
    pub fn failed(mut self) -> Self {
        self.success = false;
        self
    }

    /// The IP address from which it came.
    pub fn ip_address(mut self, ip_address: impl Into<String>) -> Self {
        self.ip_address = Some(ip_address.into());
        self
    }
}

impl Mutation for LogEvent {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        validate::not_empty("event_type", &self.event_type)?;
        json::check("event_data", self.event_data.as_ref())?;
        users::ensure(tx, self.user_id, tx.now_text())?;
        let event_data = self.event_data.as_ref().map(columns::json_cell);
        save(
            tx,
            &NewEvent {
                user_id: self.user_id,
                event_type: &self.event_type,
                event_data,
                success: self.success,
                ip_address: self.ip_address.as_deref(),
                when: &When::of(tx, None)?,
            },
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("event_type", self.event_type.as_str());
        texts.json("event_data", self.event_data.as_ref());
        texts.name("ip_address", self.ip_address.as_deref());
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.extend(self.event_data.take());
    }
}

/// An event to save.
pub(super) struct NewEvent<'a> {
    pub(super) user_id: UserId,
    pub(super) event_type: &'a str,
    pub(super) event_data: Option<Cell>,
    pub(super) success: bool,
    pub(super) ip_address: Option<&'a str>,
    pub(super) when: &'a When<'a>,
}

pub(super) fn save(tx: &WriteTx<'_>, event: &NewEvent<'_>) -> Result<i64> {
    tx.insert(
        "INSERT INTO audit_log (user_id, event_type, event_data, success, timestamp, ip_address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            event.user_id,
            event.event_type,
            &event.event_data,
            event.success,
            event.when.text(),
            event.ip_address,
        ),
    )
}

/// Details of a type with fields, as a column stores them.
pub(super) fn to_cell(data: &impl Serialize) -> Result<Cell> {
    let text = serde_json::to_string(data).map_err(|e| {
        let why = format!("cannot be written as JSON: {e}");
        Error::invalid("event_data", &why)
    })?;
    Ok(Cell::text(text))
}
