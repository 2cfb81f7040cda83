//! Lists of events.

use super::{AuditEvent, INTERACTION, from_row};
use crate::domain::columns::integer;
use crate::domain::page::{Found, Order, Page, PageRequest, Room};
use crate::domain::{UserId, page};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::{self, Texts};
use crate::time::Timestamp;
use chrono::{DateTime, Utc};
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which events a list contains. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EventFilter {
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only events at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only events before this time.
    pub until: Option<DateTime<Utc>>,
}

impl EventFilter {
    /// All events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of this type.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Only events at this time or later.
    pub fn since(mut self, since: DateTime<Utc>) -> Self {
        self.since = Some(since);
        self
    }

    /// Only events before this time.
    pub fn until(mut self, until: DateTime<Utc>) -> Self {
        self.until = Some(until);
        self
    }
}

impl EventFilter {
    /// Events of the last span of this length; an event that is exactly this old is not in it.
    pub fn last(within: Duration, now: DateTime<Utc>) -> Self {
        Self {
            since: Some(page::since(now, within)),
            ..Self::default()
        }
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("event_type", self.event_type.as_deref());
    }

    /// Whether the filter limits the time.
    fn has_span(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// The span's first instant, and the instant after its last, as the file spells them.
    fn span(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.since.map(Timestamp), self.until.map(Timestamp))
    }

    /// A page of events from the time `?3` on, before `?4`, and of the type `?5`, unless these are `NULL`. `rest` is
    /// bound from `?6` on.
    fn list(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
        (page, found): (&PageRequest, Found),
        rest: &[&dyn ToSql],
    ) -> Result<Page<AuditEvent>> {
        let page = (page, Order::NewestFirst, found);
        let (since, until) = self.span();
        let mut what: Vec<&dyn ToSql> = vec![&since, &until, &self.event_type];
        what.extend(rest);
        let events = page::read_by_id(tx, room, page, &what, from_row, 5)?;
        if events.items.is_empty() {
            let event_type = self.event_type.as_deref().unwrap_or_default();
            texts::not_held("event_type", event_type)?;
        }
        Ok(events)
    }
}

/// The event of an id.
const BY_ID: &str = "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
                     FROM audit_log WHERE id = ?1";

/// Lists the events of a user, newest first: in the order in which they were saved. Reads a page. With an event
/// type, it reads as many events as it takes to fill one; with a span of time that lies back, also the keys of all
/// users' events in it, or else the user's events.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::audit::{EventFilter, UserAuditLog};
///
/// let saved = EventFilter::new().event_type("interaction");
/// let events = store.read(UserAuditLog::new(42).filter(saved)).await?;
/// assert_eq!(events.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserAuditLog {
    /// The user.
    pub user_id: UserId,
    /// Which events.
    pub filter: EventFilter,
    /// Which page.
    pub page: PageRequest,
}

impl UserAuditLog {
    /// The first page of this user, of 50 events.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            filter: EventFilter::default(),
            page: PageRequest::default(),
        }
    }

    /// Which events.
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
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
        let found = Found::Rows(
            "SELECT id, user_id, event_type, event_data, success, timestamp, ip_address
             FROM audit_log INDEXED BY idx_audit_log_user_id
             WHERE user_id = ?6 AND id BETWEEN ?7 AND min(?1, ?8) AND (?3 IS NULL OR timestamp >= ?3)
               AND (?4 IS NULL OR timestamp < ?4) AND (?5 IS NULL OR event_type = ?5)
             ORDER BY id DESC LIMIT ?2",
        );
        let (oldest, newest) = self.ids(tx)?;
        let rest: [&dyn ToSql; 3] = [&self.user_id, &oldest, &newest];
        self.filter.list(tx, room, (&self.page, found), &rest)
    }

    /// The ids between which the page's events are.
    ///
    /// No index has a user's events by time: the store would write it with each interaction. The user's events are
    /// read in their order. Where the next of them do not fill the page, a span of time is first turned into one of
    /// ids, from the index by time, unless the span has so many events that it is quicker to read all of the user's.
    /// The ids are only bounds: they need not be in the order of the times.
    fn ids(&self, tx: &ReadTx<'_>) -> Result<(i64, i64)> {
        let all = (i64::MIN, i64::MAX);
        if !self.filter.has_span() {
            return Ok(all);
        }
        let (since, until) = self.filter.span();
        let probe = "SELECT count(*)
                     FROM (SELECT timestamp, event_type FROM audit_log INDEXED BY idx_audit_log_user_id
                           WHERE user_id = ?6 AND id <= ?1 ORDER BY id DESC LIMIT ?2)
                     WHERE (?3 IS NULL OR timestamp >= ?3) AND (?4 IS NULL OR timestamp < ?4)
                       AND (?5 IS NULL OR event_type = ?5)";
        let look_at = (self.page.rows()? + 1) * page::LOOKED_AT;
        let page = (&self.page, Order::NewestFirst);
        let what: [&dyn ToSql; 4] = [&since, &until, &self.filter.event_type, &self.user_id];
        if page::fills(tx, page, (probe, look_at), &what)? {
            return Ok(all);
        }
        let first_id = self.page.first_id(Order::NewestFirst)?;
        let of_user = tx.one(
            "SELECT count(*) FROM audit_log INDEXED BY idx_audit_log_user_id
             WHERE user_id = ?1 AND id <= ?2",
            (self.user_id, first_id),
            |row| integer(row, 0),
        )?;
        let most = of_user.saturating_mul(KEYS_FOR_A_ROW);
        let (in_span, oldest, newest) = tx.one(
            "SELECT count(*), min(id), max(id)
             FROM (SELECT id FROM audit_log INDEXED BY idx_audit_log_timestamp
                   WHERE timestamp >= coalesce(?1, -9e999)
                     AND timestamp < coalesce(?2, x'ffffffffffffffff') LIMIT ?3)",
            (&since, &until, most),
            |row| Ok((integer(row, 0)?, integer(row, 1)?, integer(row, 2)?)),
        )?;
        Ok(match in_span < most {
            true => (oldest, newest),
            false => all,
        })
    }
}

/// About how many keys of an index are read in the time that a row takes.
const KEYS_FOR_A_ROW: i64 = 16;

/// Lists all users' events, newest first: in the order in which they were saved. Reads a page. Near the end of a
/// span of time, or with a rare event type, it also reads the keys of all events in the span or of the type.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::audit::{EventFilter, RecentAuditLog};
/// use std::time::Duration;
///
/// let today = EventFilter::last(Duration::from_secs(24 * 3600), store.now());
/// let events = store.read(RecentAuditLog::new().filter(today)).await?;
/// assert_eq!(events.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RecentAuditLog {
    /// Which events.
    pub filter: EventFilter,
    /// Which page.
    pub page: PageRequest,
}

impl RecentAuditLog {
    /// The first page, of 50 events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which events.
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for RecentAuditLog {
    type Output = Page<AuditEvent>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<AuditEvent>> {
        let filter = &self.filter;
        let ((since, until), event_type) = (filter.span(), &filter.event_type);
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
                (&self.page, Order::NewestFirst),
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
            // Interactions are nearly all events, so they are found by time.
            None | Some(INTERACTION) => Found::Ids {
                ids: "SELECT id FROM audit_log INDEXED BY idx_audit_log_timestamp
                      WHERE timestamp >= coalesce(?3, -9e999)
                        AND timestamp < coalesce(?4, x'ffffffffffffffff') AND id <= ?1
                        AND (?5 IS NULL OR event_type = ?5)
                      ORDER BY id DESC LIMIT ?2",
                row: BY_ID,
            },
            // Other types are found in an index by type that leaves interactions out.
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
        filter.list(tx, &mut Room::of(tx), (&self.page, found), &[])
    }

    fn texts(&self, texts: &mut Texts) {
        self.filter.texts(texts);
        self.page.texts(texts);
    }
}
