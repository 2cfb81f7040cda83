//! Who did what, and whether it worked.

use super::columns::{self, flag, id, integer, maybe_text, text, time};
use super::page::{self, Found, Page, PageRequest, Room};
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

    /// Whether only a span of time is asked for.
    fn has_span(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    fn since(&self) -> Option<Timestamp> {
        self.since.map(Timestamp)
    }

    fn until(&self) -> Option<Timestamp> {
        self.until.map(Timestamp)
    }

    /// A page of events: from the time `?3` on and before `?4`, of the type `?5`, where these are not `NULL`; and
    /// of the user `?6`.
    fn list(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
        page: (&PageRequest, Found),
        user: Option<i64>,
    ) -> Result<Page<AuditEvent>> {
        let (since, until) = (self.since(), self.until());
        let mut what: Vec<&dyn ToSql> = vec![&since, &until, &self.event_type];
        what.extend(user.as_ref().map(|user| user as &dyn ToSql));
        let events = page::read_by_id(tx, room, page, &what, from_row, 5)?;
        if events.items.is_empty() {
            let event_type = self.event_type.as_deref().unwrap_or_default();
            limits::not_held("event_type", event_type)?;
        }
        Ok(events)
    }
}

/// The event of an id.
const BY_ID: &str = "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                     FROM audit_log WHERE id = ?1";

/// The events of a user, newest first: in the order in which they were saved. Reads a page; with an event
/// type, whatever it takes to fill one; with a span of time, the keys of the user's events in it.
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
        self.fetch_within(tx, &mut Room::of(tx))
    }

    fn texts(&self, texts: &mut Texts) {
        self.filter.texts(texts);
        self.page.texts(texts);
    }
}

impl UserAuditLog {
    pub(in crate::domain) fn fetch_within(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
    ) -> Result<Page<AuditEvent>> {
        let found = match self.filter.has_span() {
            false => Found::Rows(
                "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                 FROM audit_log INDEXED BY idx_audit_log_user_id
                 WHERE user_id = ?6 AND id <= ?1 AND (?5 IS NULL OR event_type = ?5)
                 ORDER BY id DESC LIMIT ?2",
            ),
            true => Found::Ids {
                ids: "SELECT id FROM audit_log INDEXED BY botstore_audit_user
                      WHERE user_id = ?6 AND timestamp >= coalesce(?3, -9e999)
                        AND timestamp < coalesce(?4, x'ffffffffffffffff') AND id <= ?1
                        AND (?5 IS NULL OR event_type = ?5)
                      ORDER BY id DESC LIMIT ?2",
                row: BY_ID,
            },
        };
        self.filter
            .list(tx, room, (&self.page, found), Some(self.user_id))
    }
}

/// Everybody's events, newest first: in the order in which they were saved. Reads a page; at the end of a span
/// of time, or with a rare event type, the keys of all events in it or of it.
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
        let filter = &self.filter;
        let (since, until, event_type) = (filter.since(), filter.until(), &filter.event_type);
        let probe = "SELECT count(*)
                     FROM (SELECT timestamp, event_type FROM audit_log WHERE id <= ?1
                           ORDER BY id DESC LIMIT ?2)
                     WHERE (?3 IS NULL OR timestamp >= ?3) AND (?4 IS NULL OR timestamp < ?4)
                       AND (?5 IS NULL OR event_type = ?5)";
        let look_at = (self.page.rows()? + 1) * page::LOOKED_AT;
        let everything = !filter.has_span() && event_type.is_none();
        let by_id = everything
            || page::fills(
                tx,
                &self.page,
                (probe, look_at),
                &[&since, &until, event_type],
            )?;
        let found = match event_type.as_deref() {
            _ if by_id => Found::Rows(
                "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                 FROM audit_log NOT INDEXED
                 WHERE id <= ?1 AND (?3 IS NULL OR timestamp >= ?3)
                   AND (?4 IS NULL OR timestamp < ?4) AND (?5 IS NULL OR event_type = ?5)
                 ORDER BY id DESC LIMIT ?2",
            ),
            // Nearly all events: found by time.
            None | Some(INTERACTION) => Found::Ids {
                ids: "SELECT id FROM audit_log INDEXED BY idx_audit_log_timestamp
                      WHERE timestamp >= coalesce(?3, -9e999)
                        AND timestamp < coalesce(?4, x'ffffffffffffffff') AND id <= ?1
                        AND (?5 IS NULL OR event_type = ?5)
                      ORDER BY id DESC LIMIT ?2",
                row: BY_ID,
            },
            // The rest: found by type, in an index that leaves interactions out.
            Some(_) if !filter.has_span() => Found::Ids {
                ids: "SELECT id FROM audit_log INDEXED BY botstore_audit_type
                      WHERE event_type = ?5 AND event_type <> 'interaction' AND id <= ?1
                        AND ?3 IS NULL AND ?4 IS NULL
                      ORDER BY id DESC LIMIT ?2",
                row: BY_ID,
            },
            Some(_) => Found::Ids {
                ids: "SELECT id FROM audit_log INDEXED BY botstore_audit_type
                      WHERE event_type = ?5 AND event_type <> 'interaction'
                        AND timestamp >= coalesce(?3, -9e999)
                        AND timestamp < coalesce(?4, x'ffffffffffffffff') AND id <= ?1
                      ORDER BY id DESC LIMIT ?2",
                row: BY_ID,
            },
        };
        filter.list(tx, &mut Room::of(tx), (&self.page, found), None)
    }

    fn texts(&self, texts: &mut Texts) {
        self.filter.texts(texts);
        self.page.texts(texts);
    }
}
