//! Lists of users.

use super::{User, from_row};
use crate::domain::page;
use crate::domain::page::{Found, Ids, List, Page, PageRequest, Room};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Lists the users who may use the bot, latest first seen first. Reads a page.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::AllowedUsers;
///
/// assert!(store.read(AllowedUsers::new()).await?.items.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AllowedUsers {
    /// Which page.
    pub page: PageRequest,
}

impl AllowedUsers {
    /// The first page, of 50 users.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for AllowedUsers {
    type Output = Page<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<User>> {
        list(
            tx,
            &self.page,
            "SELECT user_id, telegram_username, first_seen, last_active, is_allowed,
                    total_cost, message_count, session_count
             FROM users
             WHERE is_allowed = 1 AND (first_seen, user_id) < (?1, ?2)
             ORDER BY first_seen DESC, user_id DESC LIMIT ?3",
        )
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

/// Lists all users, latest first seen first. Reads a page.
///
/// For administrators: the answer is about all users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::ListUsers;
///
/// assert_eq!(store.read(ListUsers::new()).await?.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListUsers {
    /// Which page.
    pub page: PageRequest,
}

impl ListUsers {
    /// The first page, of 50 users.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for ListUsers {
    type Output = Page<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<User>> {
        list(
            tx,
            &self.page,
            "SELECT user_id, telegram_username, first_seen, last_active, is_allowed,
                    total_cost, message_count, session_count
             FROM users
             WHERE (first_seen, user_id) < (?1, ?2)
             ORDER BY first_seen DESC, user_id DESC LIMIT ?3",
        )
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}

const LIST: List = List {
    time: 2,
    ids: Ids::Integer,
    key_of_row: "SELECT first_seen, user_id FROM users WHERE user_id = ?1",
};

fn list(tx: &ReadTx<'_>, page: &PageRequest, sql: &'static str) -> Result<Page<User>> {
    let rows = page.rows()?;
    let (at, id) = page.after_key(tx, &LIST)?;
    let (room, found) = (&mut Room::of(tx), (rows, Found::Rows(sql)));
    let user = |row: &Row<'_>| from_row(row).map(Some);
    page::read(tx, room, found, (at, id, rows + 1), user, |row| {
        LIST.cursor(row)
    })
}
