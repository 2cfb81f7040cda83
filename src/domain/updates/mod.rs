//! Updates that a messenger may deliver more than once, each done once.
//!
//! A bot claims an update before it begins, and finishes it when it is done. Meanwhile whoever claims it too is
//! told that somebody is at it; and afterwards, that it was seen. Should the bot be killed, its lease runs out, and
//! the next who claims the update gets it. Ids may come in any order, and from any number of sources; none is ever
//! taken for seen because a higher one was.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let store = botstore::testing::TestStore::open().await?;
//! use botstore::updates::{Claim, ClaimUpdate, FinishUpdate, ReleaseUpdate};
//!
//! async fn answer() -> Result<(), ()> { /* ask the model, send what it says */ Ok(()) }
//!
//! match store.write(ClaimUpdate::new("telegram", 1001)).await? {
//!     Claim::First { ticket } => match answer().await {
//!         Ok(()) => store.write(FinishUpdate::new(ticket)).await?,
//!         // Another may try at once, and need not wait for the end of the lease.
//!         Err(_) => store.write(ReleaseUpdate::new(ticket)).await?,
//!     },
//!     // The messenger need not deliver it again.
//!     Claim::Seen => {}
//!     // It should: whoever is at it may be dead.
//!     Claim::Held { until: _ } => {}
//!     _ => {}
//! }
//! # assert_eq!(store.write(ClaimUpdate::new("telegram", "1001")).await?, Claim::Seen);
//! # Ok(()) }
//! ```
//!
//! **What "once" means.** At any time one claimant at most has a ticket that [`FinishUpdate`] takes. What a bot does
//! outside the store, such as sending an answer, may happen twice if it is killed between that and finishing, or if it
//! takes longer than its lease. What it does inside is done exactly once, if an operation of its own makes the
//! change and applies [`FinishUpdate`] in the same transaction: a claimant that was overtaken gets
//! [`Conflict`](crate::ErrorKind::Conflict), and nothing of the transaction is done.
//!
//! **Which clock.** A lease goes by the store's clock, as far as that is believed
//! ([`WriteTx::sure_now`](crate::WriteTx::sure_now)). A clock that jumps ahead ends no lease before as much time has
//! passed, unless it has said the same for [`Config::clock_jump_wait`](crate::Config::clock_jump_wait). If it is set
//! back, a lease from what is now the future begins anew when somebody next claims the update: so nobody waits for
//! longer than one lease.
//!
//! **For how long.** An update that was finished, or whose lease has run out, is forgotten after
//! [`Config::idempotency_retention`](crate::Config::idempotency_retention) (7 days). An
//! [`idempotency_key`](crate::interactions::SaveInteraction::idempotency_key()) of the same text is something else.

mod claim;
mod finish;
mod id;
pub(super) mod table;

pub use claim::{Claim, ClaimUpdate, Ticket};
pub use finish::{FinishUpdate, ReleaseUpdate};
pub use id::UpdateId;

pub(super) use table::Digest;

use std::time::Duration;

/// The shortest lease: 1 second.
pub const MIN_LEASE: Duration = Duration::from_secs(1);

/// The longest lease: 24 hours, for which messengers deliver an update again.
pub const MAX_LEASE: Duration = Duration::from_secs(24 * 60 * 60);
