//! Who did what, and whether it worked.

mod lists;

pub use lists::{EventFilter, RecentAuditLog, UserAuditLog};

use super::columns::{flag, id, integer, maybe_text, text, time};
use super::when::When;
use super::{UserId, columns, users, validate};
use crate::error::{Error, Result};
use crate::json;
use crate::limits::Texts;
use crate::operation::{Mutation, WriteTx};
use crate::sqlite::Cell;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The type of the event that [`SaveInteraction`](crate::interactions::SaveInteraction) records.
/// (In files of the Python bot it is `claude_interaction`.)
pub const INTERACTION: &str = "interaction";

/// One event, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The store's id, growing.
    pub id: i64,
    /// Who did it, or tried to.
    pub user_id: UserId,
    /// What kind of event it was.
    pub event_type: String,
    /// The details. What the file holds and a [`Value`] does not, such as Python's `NaN`, keys that come twice
    /// and text that is no JSON, is one string of the whole text.
    pub event_data: Option<Value>,
    /// Whether it worked.
    pub success: bool,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// Where it came from, if that was known.
    pub ip_address: Option<String>,
}

impl AuditEvent {
    /// An event that worked, without details, for a test of your own.
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

/// Records an event; gives its id. A user who was never seen gets a row, and may not use the bot:
/// a failed login of a stranger must be on record, and the record refers to its user.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty event type, details nested deeper than 127
/// levels, or a text that is too large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogEvent {
    /// Who did it, or tried to.
    pub user_id: UserId,
    /// What kind of event it was, such as `"authentication_failure"`.
    pub event_type: String,
    /// The details. They are kept as they are: leave secrets and texts of users out.
    pub event_data: Option<Value>,
    /// Whether it worked.
    pub success: bool,
    /// Where it came from.
    pub ip_address: Option<String>,
}

impl LogEvent {
    /// This user did this, and it worked. [`failed`](Self::failed) says that it did not.
    pub fn new(user_id: impl Into<UserId>, event_type: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            event_type: event_type.into(),
            event_data: None,
            ip_address: None,
            success: true,
        }
    }

    /// The details. They are kept as they are: leave secrets and texts of users out.
    pub fn event_data(mut self, event_data: Value) -> Self {
        self.event_data = Some(event_data);
        self
    }

    /// It did not work.
    pub fn failed(mut self) -> Self {
        self.success = false;
        self
    }

    /// Where it came from.
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

/// An event on its way into the file.
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

/// Details that have fields.
pub(super) fn to_cell(data: &impl Serialize) -> Result<Cell> {
    let text = serde_json::to_string(data).map_err(|e| {
        let why = format!("cannot be written as JSON: {e}");
        Error::invalid("event_data", &why)
    })?;
    Ok(Cell::text(text))
}
