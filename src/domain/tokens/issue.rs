//! Issues tokens.

use super::Secret;
use crate::domain::audit::{Change, TOKEN_ISSUED};
use crate::domain::secret::hex;
use crate::domain::{TokenId, UserId, page, users};
use crate::error::{Error, Result};
use crate::operation::{Mutation, WriteTx};
use crate::time::{self, Timestamp};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Issues a token. Only the answer ever shows its secret. Recorded in the [audit log](crate::audit), as
/// [`TOKEN_ISSUED`].
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
    /// Who did it, if it was not the user: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl IssueToken {
    /// A token of this user, valid for as long as it is not revoked.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            expires_in: None,
            by: None,
        }
    }

    /// How long it is valid.
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// Who did it, if it was not the user: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
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
        let expires_at = expires_at.map(time::to_micros);
        let mut change = Change::new(TOKEN_ISSUED, self.user_id)
            .with("token_id", token_id)
            .by(self.by);
        if let Some(at) = expires_at {
            change = change.with("expires_at", time::format(at));
        }
        change.record(tx)?;
        Ok(IssuedToken {
            token_id: token_id.into(),
            secret,
            expires_at,
        })
    }
}
