//! A whole exchange with everything that belongs to it, in one transaction.
//!
//! A messenger delivers an update again if the bot did not confirm it. This keeps the file from having the
//! exchange twice, and the bot from paying the model twice:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let store = botstore::testing::TestStore::open().await?;
//! use botstore::interactions::{FindInteraction, SaveInteraction};
//!
//! async fn on_update(store: &botstore::Store, update_id: &str, said: &str) -> botstore::Result<()> {
//!     if store.read(FindInteraction::new(42, update_id)).await?.is_some() {
//!         return Ok(()); // It was answered.
//!     }
//!     let answer = format!("You said {said}."); // This costs money.
//!     let save = SaveInteraction::new(42, "s-1", said).response(answer).creating("/srv/api");
//!     store.write(save.idempotency_key(update_id)).await?;
//!     Ok(())
//! }
//! on_update(&store, "update-1001", "Hello").await?;
//! on_update(&store, "update-1001", "Hello").await?;
//! # let ask = botstore::users::GetUser::new(42);
//! # assert_eq!(store.read(ask).await?.map(|user| user.message_count), Some(1));
//! # Ok(()) }
//! ```
//!
//! If an update may come again while the bot still handles it, see [`updates`](crate::updates).

mod exchange;
mod keys;
mod save;

pub use exchange::SaveInteraction;
pub use keys::{FindInteraction, SweepKeys};

use super::MessageId;
use super::limits::Settled;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The result of [`SaveInteraction`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The id of the message.
    pub message_id: MessageId,
    /// When it was saved.
    pub recorded_at: DateTime<Utc>,
    /// Whether the exchange was already saved under its idempotency key, so that nothing was saved this time.
    #[serde(default)]
    pub repeated: bool,
    /// What became of the reservation, if the exchange has one and was saved this time.
    #[serde(default)]
    pub reservation: Option<Settled>,
}

impl Receipt {
    /// The receipt of an exchange that was saved for the first time, for a test of your own.
    pub fn new(message_id: impl Into<MessageId>, recorded_at: DateTime<Utc>) -> Self {
        Self {
            message_id: message_id.into(),
            recorded_at,
            repeated: false,
            reservation: None,
        }
    }

    /// The same receipt, marked as repeated.
    pub fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }
}
