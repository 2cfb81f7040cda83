//! One user.

use super::{User, get};
use crate::domain::UserId;
use crate::domain::columns::permission;
use crate::error::Result;
use crate::operation::{Cacheable, Query, ReadTx};
use serde::{Deserialize, Serialize};

/// Gets a user by id; `None` if unknown. A point read, cached until the user changes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::GetUser;
///
/// let ada = store.read(GetUser::new(42)).await?;
/// assert_eq!(ada.and_then(|user| user.username).as_deref(), Some("ada"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetUser {
    /// The user.
    pub user_id: UserId,
}

impl GetUser {
    /// The user with this id.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

impl Query for GetUser {
    type Output = Option<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<User>> {
        get(tx, self.user_id)
    }

    fn cacheable(&self) -> Option<Cacheable<'_, Option<User>>> {
        let kept = Cacheable::row("users", self.user_id.get());
        Some(kept.bytes(|user: &Option<User>| user.as_ref().map_or(0, User::owned_bytes)))
    }
}

/// Whether a user may use the bot; false for an unknown one. A point read, cached until the user changes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::IsAllowed;
///
/// assert!(!store.read(IsAllowed::new(42)).await?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IsAllowed {
    /// The user.
    pub user_id: UserId,
}

impl IsAllowed {
    /// Whether this user may use the bot.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

impl Query for IsAllowed {
    type Output = bool;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<bool> {
        let allowed = tx.maybe(
            "SELECT is_allowed FROM users WHERE user_id = ?1",
            [self.user_id],
            |row| permission(row, 0),
        )?;
        Ok(allowed.unwrap_or(false))
    }

    fn cacheable(&self) -> Option<Cacheable<'_, bool>> {
        Some(Cacheable::row("users", self.user_id.get()))
    }
}
