//! Verifies tokens.

use super::{Secret, UserToken, from_row};
use crate::domain::secret::hex;
use crate::error::Result;
use crate::operation::{Query, ReadTx};
use crate::texts::Texts;

/// Finds the token with this secret. `None` if it is unknown, expired or revoked, which look alike. A point
/// read.
///
/// When a token was last verified is in [`UserToken::last_used`]. The store notes it in memory and writes it once a
/// minute and when it closes, so an answer has a use of at most a minute ago, and a killed process loses the notes of
/// its last minute. Of more than 65,536 tokens in one minute, the others are not noted.
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
        let token = token.flatten().filter(is_good);
        if let Some(token) = &token {
            tx.note_use(token.token_id.get());
        }
        Ok(token)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("secret", self.secret.expose());
    }
}
