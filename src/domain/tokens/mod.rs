//! Tokens with which users prove their identity outside the messenger.
//!
//! A token's secret is shown once, when it is issued. The file holds its SHA-256. A secret has 256 random bits,
//! so salt or a slow hash would add nothing.

mod issue;
mod last_used;
mod revoke;
mod verify;

pub use super::secret::Secret;
pub use issue::{IssueToken, IssuedToken};
pub(crate) use last_used::{RecordUses, record_uses};
pub use revoke::{RevokeToken, RevokeUserTokens};
pub use verify::VerifyToken;

use super::columns::{id, integer, maybe_time, permission, time};
use super::page::{self, Found, Order, Page, PageRequest, Room};
use super::{TokenId, UserId};
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// A token, as stored in the file: without its secret, and without the hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserToken {
    /// The store's id for it.
    pub token_id: TokenId,
    /// Its user.
    pub user_id: UserId,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// When it expires; `None` for never. A value in the file that is no time reads as the epoch: the token has
    /// expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last verified; `None` for never. [`VerifyToken`] says how exact that is.
    pub last_used: Option<DateTime<Utc>>,
    /// False once it is revoked.
    pub is_active: bool,
}

impl UserToken {
    /// A token that never expires, for a test of your own.
    pub fn new(
        token_id: impl Into<TokenId>,
        user_id: impl Into<UserId>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            token_id: token_id.into(),
            user_id: user_id.into(),
            created_at,
            expires_at: None,
            last_used: None,
            is_active: true,
        }
    }
}

fn from_row(row: &Row<'_>) -> Result<Option<UserToken>> {
    let Some(user_id) = id(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(UserToken {
        token_id: integer(row, 0)?.into(),
        user_id: user_id.into(),
        created_at: time(row, 2)?,
        expires_at: maybe_time(row, 3)?,
        last_used: maybe_time(row, 4)?,
        is_active: permission(row, 5)?,
    }))
}

/// Lists the tokens of a user, expired and revoked ones included, newest first: in the order in which they were
/// issued. Reads a page.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// # let token = store.write(botstore::tokens::IssueToken::new(42)).await?;
/// use botstore::tokens::UserTokens;
///
/// assert_eq!(store.read(UserTokens::new(42)).await?.items.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserTokens {
    /// The user.
    pub user_id: UserId,
    /// Which page.
    pub page: PageRequest,
}

impl UserTokens {
    /// The first page of this user, of 50 tokens.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            page: PageRequest::default(),
        }
    }

    /// Which page.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}

impl Query for UserTokens {
    type Output = Page<UserToken>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Page<UserToken>> {
        let found = Found::Rows(
            "SELECT token_id, user_id, created_at, expires_at, last_used, is_active
             FROM user_tokens INDEXED BY botstore_tokens_user
             WHERE user_id = ?3 AND token_id <= ?1 ORDER BY token_id DESC LIMIT ?2",
        );
        let (room, page) = (&mut Room::of(tx), (&self.page, Order::NewestFirst, found));
        page::read_by_id(tx, room, page, &[&self.user_id], from_row, 2)
    }

    fn texts(&self, texts: &mut Texts) {
        self.page.texts(texts);
    }
}
