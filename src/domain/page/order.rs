//! Which end of a list comes first.

use serde::{Deserialize, Serialize};

/// Which end of a list comes first. Pages go on from there: a [`Cursor`](super::Cursor) is a place in the list, and
/// may be gone on from in either order.
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
    /// As a chat window shows what was said last.
    #[default]
    NewestFirst,
    /// As it happened: for an export, and for a model's context from the beginning.
    OldestFirst,
}

impl Order {
    /// The one of two that is for this order.
    pub(in crate::domain) fn of<T>(self, newest_first: T, oldest_first: T) -> T {
        match self {
            Self::NewestFirst => newest_first,
            Self::OldestFirst => oldest_first,
        }
    }
}
