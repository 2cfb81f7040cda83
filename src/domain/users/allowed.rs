//! Who may use the bot.

use super::exists;
use crate::domain::UserId;
use crate::domain::audit::{Change, USER_ALLOWED, USER_FORBIDDEN};
use crate::error::Result;
use crate::operation::{Mutation, WriteTx};
use serde::{Deserialize, Serialize};

/// Permits or forbids a user to use the bot.
///
/// A change is recorded in the [audit log](crate::audit), as [`USER_ALLOWED`] or [`USER_FORBIDDEN`].
///
/// For administrators: it decides who may use the bot.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::SetAllowed;
///
/// let administrator = 7;
/// store.write(SetAllowed::allow(42).by(administrator)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetAllowed {
    /// The user.
    pub user_id: UserId,
    /// Whether the user may use the bot.
    pub allowed: bool,
    /// Who decided it, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl SetAllowed {
    /// This user may use the bot.
    pub fn allow(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            allowed: true,
            by: None,
        }
    }

    /// This user may not use the bot.
    pub fn forbid(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            allowed: false,
            by: None,
        }
    }

    /// Who decided it, for the audit log.
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for SetAllowed {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        // One that changes nothing writes nothing: some bots state their list of users at each start.
        let changed = tx.execute(
            "UPDATE users SET is_allowed = ?2 WHERE user_id = ?1 AND is_allowed IS NOT ?2",
            (self.user_id, self.allowed),
        )?;
        if changed == 0 {
            return exists(tx, self.user_id);
        }
        let event_type = match self.allowed {
            true => USER_ALLOWED,
            false => USER_FORBIDDEN,
        };
        Change::new(event_type, self.user_id).by(self.by).record(tx)
    }
}
