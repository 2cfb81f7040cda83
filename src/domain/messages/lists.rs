//! Lists of messages. Each list has a statement for each order. The statements are constants, so SQLite keeps
//! them prepared.

use super::{BY_ID, ChatMessage, from_row};
use crate::domain::page::{Found, Order, Page, PageRequest, Room};
use crate::domain::{SessionId, UserId, page, sessions};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;
use crate::time::Timestamp;
use rusqlite::ToSql;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lists the messages of a session, newest first: in the order in which they were saved, whatever the clock
/// said. [`order`](Self::order) reverses it. Reads a page.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown session, or another user's that is not
/// [shared](sessions::ShareSession) with this one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::{messages::SessionMessages, page::PageRequest};
///
/// let last_ten = SessionMessages::new(42, "s-1").page(PageRequest::first(10));
/// assert_eq!(store.read(last_ten).await?.items[0].prompt, "Hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionMessages {
    /// The session.
    pub session_id: SessionId,
    /// Who asks: its owner or a member.
    pub user_id: UserId,
    /// Which page.
    pub page: PageRequest,
    /// Which end comes first.
    #[serde(default)]
    pub order: Order,
}

impl SessionMessages {
    /// The first page of this session, for this user, of 50 messages.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            page: PageRequest::default(),
            order: Order::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }

    /// Which end comes first; by default the newest.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

impl Query for SessionMessages {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        self.fetch_within(tx, &mut Room::of(tx))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("session_id", self.session_id.as_str());
        self.page.texts(texts);
    }
}

impl SessionMessages {
    pub(in crate::domain) fn fetch_within(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
    ) -> Result<Page<ChatMessage>> {
        sessions::may_use(tx, &self.session_id, self.user_id)?;
        let sql = self.order.of(
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages INDEXED BY idx_messages_session_id
             WHERE session_id = ?3 AND message_id <= ?1 ORDER BY message_id DESC LIMIT ?2",
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages INDEXED BY idx_messages_session_id
             WHERE session_id = ?3 AND message_id >= ?1 ORDER BY message_id LIMIT ?2",
        );
        let page = (&self.page, self.order, Found::Rows(sql));
        list(tx, room, page, &[&self.session_id])
    }
}

/// Lists the messages of a user, newest first: in the order in which they were saved. [`order`](Self::order)
/// reverses it. Reads a page.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::{messages::UserMessages, page::Order};
///
/// let from_the_first = UserMessages::new(42).order(Order::OldestFirst);
/// assert_eq!(store.read(from_the_first).await?.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserMessages {
    /// The user.
    pub user_id: UserId,
    /// Which page.
    pub page: PageRequest,
    /// Which end comes first.
    #[serde(default)]
    pub order: Order,
}

impl UserMessages {
    /// The first page of this user, of 50 messages.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            page: PageRequest::default(),
            order: Order::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }

    /// Which end comes first; by default the newest.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

impl Query for UserMessages {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        self.fetch_within(tx, &mut Room::of(tx))
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

impl UserMessages {
    pub(in crate::domain) fn fetch_within(
        &self,
        tx: &ReadTx<'_>,
        room: &mut Room,
    ) -> Result<Page<ChatMessage>> {
        let sql = self.order.of(
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages INDEXED BY botstore_messages_of_user
             WHERE user_id = ?3 AND message_id <= ?1 ORDER BY message_id DESC LIMIT ?2",
            "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                    duration_ms, error
             FROM messages INDEXED BY botstore_messages_of_user
             WHERE user_id = ?3 AND message_id >= ?1 ORDER BY message_id LIMIT ?2",
        );
        let page = (&self.page, self.order, Found::Rows(sql));
        list(tx, room, page, &[&self.user_id])
    }
}

/// Lists all users' messages that are younger than `within` by the clock, newest first: in the order in which
/// they were saved. [`order`](Self::order) reverses it. Reads a page; near the end of the span, also the keys of
/// all messages in it.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::messages::RecentMessages;
/// use std::time::Duration;
///
/// let last_hour = RecentMessages::new(Duration::from_secs(3600));
/// assert_eq!(store.read(last_hour).await?.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecentMessages {
    /// How far back from now; a message that is exactly this old is not in the list.
    pub within: Duration,
    /// Which page.
    pub page: PageRequest,
    /// Which end comes first.
    #[serde(default)]
    pub order: Order,
}

impl RecentMessages {
    /// The first page of messages younger than this, of 50.
    pub fn new(within: Duration) -> Self {
        Self {
            within,
            page: PageRequest::default(),
            order: Order::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }

    /// Which end comes first; by default the newest.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

impl Query for RecentMessages {
    type Output = Page<ChatMessage>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<ChatMessage>> {
        let since = Timestamp(page::since(tx.now(), self.within));
        let what: &[&dyn ToSql] = &[&since];
        let probe = self.order.of(
            "SELECT count(*)
             FROM (SELECT timestamp FROM messages WHERE message_id <= ?1
                   ORDER BY message_id DESC LIMIT ?2)
             WHERE timestamp >= ?3",
            "SELECT count(*)
             FROM (SELECT timestamp FROM messages WHERE message_id >= ?1
                   ORDER BY message_id LIMIT ?2)
             WHERE timestamp >= ?3",
        );
        let look_at = (self.page.rows()? + 1) * page::LOOKED_AT;
        let page = (&self.page, self.order);
        let found = if page::fills(tx, page, (probe, look_at), what)? {
            Found::Rows(self.order.of(
                "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                        duration_ms, error
                 FROM messages NOT INDEXED
                 WHERE message_id <= ?1 AND timestamp >= ?3 ORDER BY message_id DESC LIMIT ?2",
                "SELECT message_id, session_id, user_id, timestamp, prompt, response, cost,
                        duration_ms, error
                 FROM messages NOT INDEXED
                 WHERE message_id >= ?1 AND timestamp >= ?3 ORDER BY message_id LIMIT ?2",
            ))
        } else {
            Found::Ids {
                ids: self.order.of(
                    "SELECT message_id FROM messages INDEXED BY idx_messages_timestamp
                     WHERE timestamp >= ?3 AND message_id <= ?1
                     ORDER BY message_id DESC LIMIT ?2",
                    "SELECT message_id FROM messages INDEXED BY idx_messages_timestamp
                     WHERE timestamp >= ?3 AND message_id >= ?1 ORDER BY message_id LIMIT ?2",
                ),
                row: BY_ID,
            }
        };
        let page = (&self.page, self.order, found);
        list(tx, &mut Room::of(tx), page, what)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

fn list(
    tx: &ReadTx<'_>,
    room: &mut Room,
    page: (&PageRequest, Order, Found),
    what: &[&dyn ToSql],
) -> Result<Page<ChatMessage>> {
    page::read_by_id(tx, room, page, what, from_row, 3)
}
