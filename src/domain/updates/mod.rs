//! Handles each update once, even if the messenger delivers it more than once.
//!
//! A bot claims an update before it begins, and finishes it when it is done. In between, a second claim learns
//! that another claimant has the update; afterwards, that it was seen. If the bot is killed, the lease runs out,
//! and the next claim gets the update. Ids may come in any order, and from any number of sources. An update
//! never counts as seen because a higher id was.
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
//!         // The next claim succeeds at once, before the lease ends.
//!         Err(_) => store.write(ReleaseUpdate::new(ticket)).await?,
//!     },
//!     // The messenger need not deliver it again.
//!     Claim::Seen => {}
//!     // It should: the claimant may have been killed.
//!     Claim::Held { until: _ } => {}
//!     _ => {}
//! }
//! # assert_eq!(store.write(ClaimUpdate::new("telegram", "1001")).await?, Claim::Seen);
//! # Ok(()) }
//! ```
//!
//! **What "once" means.** At any time, at most one claimant has a ticket that [`FinishUpdate`] accepts. What a
//! bot does outside the store, such as sending an answer, may happen twice: if the bot is killed before it
//! finishes the update, or takes longer than its lease. A change in the store happens exactly once, if an
//! operation of your own makes the change and applies [`FinishUpdate`] in the same transaction: a claimant that
//! was overtaken gets [`Conflict`](crate::ErrorKind::Conflict), and its transaction changes nothing.
//!
//! **Which clock.** A lease is measured by the store's clock, as far as the store trusts it
//! ([`WriteTx::sure_now`](crate::WriteTx::sure_now)). A clock that jumps ahead ends no lease until as much time
//! has really passed, or the clock has kept to its new time for
//! [`Config::clock_jump_wait`](crate::Config::clock_jump_wait). After a clock is set back, a lease that begins
//! in the future begins again with the next claim of the update: so nobody waits for longer than one lease.
//!
//! **For how long.** An update that is finished, or whose lease has run out, is forgotten after
//! [`Config::idempotency_retention`](crate::Config::idempotency_retention) (7 days). An
//! [`idempotency_key`](crate::interactions::SaveInteraction::idempotency_key()) with the same text is
//! independent of it.

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

/// The longest lease: 24 hours, which is how long messengers deliver an update again.
pub const MAX_LEASE: Duration = Duration::from_secs(24 * 60 * 60);
