//! Tokens with which users prove their identity outside the messenger.
//!
//! A token's secret is shown once, when it is issued. The file holds its SHA-256. A secret has 256 random bits,
//! so salt or a slow hash would add nothing.

use super::columns::{id, integer, maybe_time, permission, time};
use super::page::{self, Found, Order, Page, PageRequest, Room};
use super::secret::hex;
use super::users;
use super::{TokenId, UserId};
use crate::error::{Error, Result};
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::texts::Texts;
use crate::time::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use super::secret::Secret;

/// Issues a token. Only the answer ever shows its secret.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user; [`Invalid`](crate::ErrorKind::Invalid) for a
/// token that expires after the year 9999.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, None)).await?;
/// use botstore::tokens::{IssueToken, VerifyToken};
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// let token = store.write(IssueToken::new(42).expires_in(hour)).await?;
/// let who = store.read(VerifyToken::new(token.secret)).await?;
/// assert_eq!(who.map(|token| token.user_id), Some(42.into()));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IssueToken {
    /// The token's user.
    pub user_id: UserId,
    /// How long it is valid; `None` for as long as it is not revoked.
    pub expires_in: Option<Duration>,
}

impl IssueToken {
    /// A token of this user, valid for as long as it is not revoked.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            expires_in: None,
        }
    }

    /// How long it is valid.
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }
}

/// A token that was just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedToken {
    /// The store's id for it.
    pub token_id: TokenId,
    /// What the user presents: 64 hexadecimal digits.
    pub secret: Secret,
    /// When it expires; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
}

impl IssuedToken {
    /// A token that never expires, for a test of your own.
    pub fn new(token_id: impl Into<TokenId>, secret: Secret) -> Self {
        Self {
            token_id: token_id.into(),
            secret,
            expires_at: None,
        }
    }
}

impl Mutation for IssueToken {
    type Output = IssuedToken;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<IssuedToken> {
        users::exists(tx, self.user_id)?;
        let expires_at = self
            .expires_in
            .map(|time| {
                TimeDelta::from_std(time)
                    .ok()
                    .and_then(|time| tx.now().checked_add_signed(time))
                    .filter(|at| *at <= page::latest())
                    .ok_or_else(|| Error::invalid("expires_in", "must end before the year 10000"))
            })
            .transpose()?;
        let secret = Secret::random()?;
        let token_id = tx.insert(
            "INSERT INTO user_tokens (user_id, token_hash, created_at, expires_at, is_active)
             VALUES (?1, ?2, ?3, ?4, 1)",
            (
                self.user_id,
                hex(&secret.digest()),
                tx.now_text(),
                expires_at.map(Timestamp),
            ),
        )?;
        Ok(IssuedToken {
            token_id: token_id.into(),
            secret,
            expires_at: expires_at.map(crate::time::to_micros),
        })
    }
}

/// Revokes one token. Revoking it again changes nothing.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if the user has no such token.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// # let token = store.write(botstore::tokens::IssueToken::new(42)).await?;
/// use botstore::tokens::RevokeToken;
///
/// store.write(RevokeToken::new(42, token.token_id)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RevokeToken {
    /// The token.
    pub token_id: TokenId,
    /// Who must own it.
    pub user_id: UserId,
}

impl RevokeToken {
    /// This token of this user.
    pub fn new(user_id: impl Into<UserId>, token_id: impl Into<TokenId>) -> Self {
        Self {
            user_id: user_id.into(),
            token_id: token_id.into(),
        }
    }
}

impl Mutation for RevokeToken {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let found = tx.execute(
            "UPDATE user_tokens SET is_active = 0 WHERE token_id = ?1 AND user_id = ?2",
            (self.token_id, self.user_id),
        )?;
        (found == 1).then_some(()).ok_or_else(|| {
            let what = format!("token {} of this user", self.token_id);
            Error::not_found("token_id", what)
        })
    }
}

/// Revokes all tokens of a user; returns how many were active.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// # let token = store.write(botstore::tokens::IssueToken::new(42)).await?;
/// use botstore::tokens::RevokeUserTokens;
///
/// assert_eq!(store.write(RevokeUserTokens::new(42)).await?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RevokeUserTokens {
    /// The user.
    pub user_id: UserId,
}

impl RevokeUserTokens {
    /// All tokens of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

impl Mutation for RevokeUserTokens {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute(
            "UPDATE user_tokens INDEXED BY botstore_tokens_user
             SET is_active = 0 WHERE user_id = ?1 AND is_active = 1",
            [self.user_id],
        )
    }
}

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
    /// When another program last used it. This store does not record uses: verifying only reads.
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

/// Finds the token with this secret. `None` if it is unknown, expired or revoked, which look alike. A point
/// read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// # let token = store.write(botstore::tokens::IssueToken::new(42)).await?;
/// # let presented = token.secret.expose().to_owned();
/// use botstore::tokens::{Secret, VerifyToken};
///
/// let token = store.read(VerifyToken::new(Secret::new(presented))).await?;
/// assert_eq!(token.map(|token| token.user_id.get()), Some(42));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyToken {
    /// The secret that was presented.
    pub secret: Secret,
}

impl VerifyToken {
    /// Verifies this secret.
    pub fn new(secret: Secret) -> Self {
        Self { secret }
    }
}

impl Query for VerifyToken {
    type Output = Option<UserToken>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<UserToken>> {
        // Expiry is checked in Rust, which reads a value that is no time as the epoch: to SQL, any word is later
        // than now.
        let token = tx.maybe(
            "SELECT token_id, user_id, created_at, expires_at, last_used, is_active
             FROM user_tokens WHERE token_hash = ?1",
            [hex(&self.secret.digest())],
            from_row,
        )?;
        let is_good =
            |token: &UserToken| token.is_active && token.expires_at.is_none_or(|at| at > tx.now());
        Ok(token.flatten().filter(is_good))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("secret", self.secret.expose());
    }
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
