//! Which end of a list comes first.

use serde::{Deserialize, Serialize};

/// Which end of a list comes first. A [`Cursor`](super::Cursor) is a place in the list, and the next page may
/// continue from it in either order.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # use botstore::{sessions::CreateSession, users::EnsureUser};
/// # store.write(EnsureUser::new(42, None)).await?;
/// # store.write(CreateSession::new(42, "s-1", "/srv")).await?;
/// use botstore::messages::{SaveMessage, SessionMessages};
/// use botstore::page::Order;
///
/// store.write(SaveMessage::new(42, "s-1", "Hello")).await?;
/// store.write(SaveMessage::new(42, "s-1", "And now?")).await?;
/// let told = SessionMessages::new(42, "s-1").order(Order::OldestFirst);
/// assert_eq!(store.read(told).await?.items[0].prompt, "Hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// The newest first: for a chat window.
    #[default]
    NewestFirst,
    /// The oldest first: for an export, and for a model's context from the beginning.
    OldestFirst,
}

impl Order {
    /// The argument for this order.
    pub(in crate::domain) fn of<T>(self, newest_first: T, oldest_first: T) -> T {
        match self {
            Self::NewestFirst => newest_first,
            Self::OldestFirst => oldest_first,
        }
    }
}
