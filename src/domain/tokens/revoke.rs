//! Revokes tokens.

use crate::domain::audit::{Change, TOKEN_REVOKED};
use crate::domain::{TokenId, UserId};
use crate::error::{Error, Result};
use crate::operation::{Mutation, ReadTx, WriteTx};
use serde::{Deserialize, Serialize};

/// Revokes one token. Revoking it again changes nothing. Recorded in the [audit log](crate::audit), as
/// [`TOKEN_REVOKED`].
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
    /// Who did it, if it was not the user: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl RevokeToken {
    /// This token of this user.
    pub fn new(user_id: impl Into<UserId>, token_id: impl Into<TokenId>) -> Self {
        Self {
            user_id: user_id.into(),
            token_id: token_id.into(),
            by: None,
        }
    }

    /// Who did it, if it was not the user: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for RevokeToken {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let revoked = tx.execute(
            "UPDATE user_tokens SET is_active = 0
             WHERE token_id = ?1 AND user_id = ?2 AND is_active IS NOT 0",
            (self.token_id, self.user_id),
        )?;
        if revoked == 0 {
            return self.is_there(tx);
        }
        Change::new(TOKEN_REVOKED, self.user_id)
            .with("token_id", self.token_id.get())
            .by(self.by)
            .record(tx)
    }
}

impl RevokeToken {
    /// Refuses a token that the user does not have.
    fn is_there(&self, tx: &ReadTx<'_>) -> Result<()> {
        let sql = "SELECT 1 FROM user_tokens WHERE token_id = ?1 AND user_id = ?2";
        tx.maybe(sql, (self.token_id, self.user_id), |_| Ok(()))?
            .ok_or_else(|| {
                let what = format!("token {} of this user", self.token_id);
                Error::not_found("token_id", what)
            })
    }
}

/// Revokes all tokens of a user; returns how many were active. If any was, that is recorded in the
/// [audit log](crate::audit), as one [`TOKEN_REVOKED`].
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
    /// Who did it, if it was not the user: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl RevokeUserTokens {
    /// All tokens of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            by: None,
        }
    }

    /// Who did it, if it was not the user: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for RevokeUserTokens {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let revoked = tx.execute(
            "UPDATE user_tokens INDEXED BY botstore_tokens_user
             SET is_active = 0 WHERE user_id = ?1 AND is_active = 1",
            [self.user_id],
        )?;
        if revoked > 0 {
            Change::new(TOKEN_REVOKED, self.user_id)
                .with("tokens", revoked)
                .by(self.by)
                .record(tx)?;
        }
        Ok(revoked)
    }
}
