//! Who did what, and whether it worked.

use super::columns::{self, flag, id, integer, maybe_text, text, time};
use super::page::{self, Ids, List, Page, PageRequest};
use super::{users, validate};
use crate::error::{Error, Result};
use crate::json;
use crate::limits::{self, Texts};
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::time::Timestamp;
use chrono::{DateTime, Utc};
use rusqlite::{Row, ToSql};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The type of the event that [`SaveInteraction`](super::interactions::SaveInteraction) records.
/// (In files of the Python bot it is `claude_interaction`.)
pub const INTERACTION: &str = "interaction";

/// One event, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// The store's id, growing.
    pub id: i64,
    /// Who did it, or tried to.
    pub user_id: i64,
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

fn from_row(row: &Row<'_>) -> Result<Option<AuditEvent>> {
    let Some(user_id) = id(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(AuditEvent {
        id: integer(row, 0)?,
        user_id,
        event_type: text(row, 2)?,
        event_data: columns::json(row, 3)?,
        success: flag(row, 4)?,
        timestamp: time(row, 5)?,
        ip_address: maybe_text(row, 6)?,
    }))
}

const LIST: List = List {
    time: 5,
    ids: Ids::Integer,
    key_of_row: "SELECT timestamp, id FROM audit_log WHERE id = ?1",
};

/// Records an event; gives its id. A user who was never seen gets a row, and may not use the bot:
/// a failed login of a stranger must be on record, and the record refers to its user.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty event type, details nested deeper than 127
/// levels, or a text that is too large ([`Config::max_text_bytes`](crate::Config::max_text_bytes)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEvent {
    /// Who did it, or tried to.
    pub user_id: i64,
    /// What kind of event it was, such as `"authentication_failure"`.
    pub event_type: String,
    /// The details. They are kept as they are: leave secrets and texts of users out.
    pub event_data: Option<Value>,
    /// Whether it worked.
    pub success: bool,
    /// Where it came from.
    pub ip_address: Option<String>,
}

impl Mutation for LogEvent {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        validate::not_empty("event_type", &self.event_type)?;
        json::check("event_data", self.event_data.as_ref())?;
        users::ensure(tx, self.user_id)?;
        let event_data = self.event_data.as_ref().map(columns::json_cell);
        save(
            tx,
            &NewEvent {
                user_id: self.user_id,
                event_type: &self.event_type,
                event_data,
                success: self.success,
                ip_address: self.ip_address.as_deref(),
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
    pub(super) user_id: i64,
    pub(super) event_type: &'a str,
    pub(super) event_data: Option<Cell>,
    pub(super) success: bool,
    pub(super) ip_address: Option<&'a str>,
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
            tx.now_text(),
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

/// Which events a list has. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only events at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only events before this time.
    pub until: Option<DateTime<Utc>>,
}

impl EventFilter {
    /// Events of the last so much time.
    pub fn last(within: Duration, now: DateTime<Utc>) -> Self {
        Self {
            since: Some(page::since(now, within)),
            ..Self::default()
        }
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("event_type", self.event_type.as_deref());
    }

    /// A page by its statement, which takes these parameters.
    fn page(
        &self,
        tx: &ReadTx<'_>,
        sql: &str,
        params: &[&dyn ToSql],
        rows: u32,
    ) -> Result<Page<AuditEvent>> {
        let page = LIST.page(tx, sql, params, rows, from_row)?;
        if page.items.is_empty() {
            let event_type = self.event_type.as_deref().unwrap_or_default();
            limits::not_held("event_type", event_type)?;
        }
        Ok(page)
    }

    fn since(&self) -> Timestamp {
        Timestamp(self.since.unwrap_or(DateTime::<Utc>::MIN_UTC))
    }

    /// The key that events must come after, newest first: where the page before ended, or the end
    /// of the span if that is earlier.
    fn after(&self, tx: &ReadTx<'_>, page: &PageRequest) -> Result<(Cell, Cell)> {
        let (at, id) = page.after_key(tx, &LIST)?;
        let until = self.until.map(|until| Timestamp(until).to_string());
        Ok(match until {
            // Ids are positive, so this stands before every event of that instant.
            Some(until) if at.is_at_or_behind(&until) => {
                (Cell::text(until), Cell::Integer(i64::MIN))
            }
            _ => (at, id),
        })
    }
}

/// The events of a user, newest first. Reads a page; with an event type, whatever it takes to
/// fill one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserAuditLog {
    /// The user.
    pub user_id: i64,
    /// Which events.
    pub filter: EventFilter,
    /// Which page.
    pub page: PageRequest,
}

impl Query for UserAuditLog {
    type Output = Page<AuditEvent>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<AuditEvent>> {
        let rows = self.page.rows()?;
        let (at, id) = self.filter.after(tx, &self.page)?;
        let (since, limit) = (self.filter.since(), rows + 1);
        self.filter.page(
            tx,
            "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
             FROM audit_log
             WHERE user_id = ?1 AND timestamp >= ?2 AND (timestamp, id) < (?3, ?4)
               AND (?5 IS NULL OR event_type = ?5)
             ORDER BY timestamp DESC, id DESC LIMIT ?6",
            &[
                &self.user_id,
                &since,
                &at,
                &id,
                &self.filter.event_type,
                &limit,
            ],
            rows,
        )
    }

    fn texts(&self, texts: &mut Texts) {
        self.filter.texts(texts);
        self.page.texts(texts);
    }
}

/// Everybody's events, newest first. Reads a page.
///
/// For administrators: it tells of all users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecentAuditLog {
    /// Which events.
    pub filter: EventFilter,
    /// Which page.
    pub page: PageRequest,
}

impl Query for RecentAuditLog {
    type Output = Page<AuditEvent>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<AuditEvent>> {
        let rows = self.page.rows()?;
        let (at, id) = self.filter.after(tx, &self.page)?;
        let (since, limit) = (self.filter.since(), rows + 1);
        let everything: &[&dyn ToSql] = &[&since, &at, &id, &limit];
        match self.filter.event_type.as_deref() {
            None => self.filter.page(
                tx,
                "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                 FROM audit_log
                 WHERE timestamp >= ?1 AND (timestamp, id) < (?2, ?3)
                 ORDER BY timestamp DESC, id DESC LIMIT ?4",
                everything,
                rows,
            ),
            // Nearly all events: found by time.
            Some(INTERACTION) => self.filter.page(
                tx,
                "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                 FROM audit_log
                 WHERE timestamp >= ?1 AND (timestamp, id) < (?2, ?3)
                   AND event_type = 'interaction'
                 ORDER BY timestamp DESC, id DESC LIMIT ?4",
                everything,
                rows,
            ),
            // The rest: found by type, in an index that leaves interactions out.
            Some(event_type) => self.filter.page(
                tx,
                "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                 FROM audit_log
                 WHERE event_type = ?5 AND event_type <> 'interaction'
                   AND timestamp >= ?1 AND (timestamp, id) < (?2, ?3)
                 ORDER BY timestamp DESC, id DESC LIMIT ?4",
                &[&since, &at, &id, &limit, &event_type],
                rows,
            ),
        }
    }

    fn texts(&self, texts: &mut Texts) {
        self.filter.texts(texts);
        self.page.texts(texts);
    }
}
