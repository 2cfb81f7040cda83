//! Limits of spending that hold: how much money, how many requests or tokens a user, a chat, a model or everybody may
//! have in a minute, an hour, a day, a week, a month or for ever.
//!
//! A bot reserves an estimate before it asks the model, and gives the reservation to the exchange that it saves:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> botstore::Result<()> {
//! # let store = botstore::testing::TestStore::open().await?;
//! use botstore::Usd;
//! use botstore::interactions::SaveInteraction;
//! use botstore::limits::{Amount, Decision, Per, Reserve, Scope, SetLimit};
//!
//! // Once: each user may spend 2 dollars a day.
//! let two_dollars = Amount::Cost(Usd::from_dollars(2.0)?);
//! store.write(SetLimit::new(Scope::EachUser, Per::Day, two_dollars)).await?;
//!
//! // For each request:
//! let estimate = Usd::from_dollars(0.05)?;
//! match store.write(Reserve::new(42, estimate)).await? {
//!     Decision::Granted { reservation, .. } => {
//!         let (answer, cost) = ("Hi!", Usd::from_dollars(0.03)?); // The model's.
//!         let save = SaveInteraction::new(42, "s-1", "Hello").response(answer).cost(cost);
//!         store.write(save.creating("/srv").reservation(reservation)).await?;
//!     }
//!     Decision::Denied { resets_at, .. } => println!("No more until {resets_at:?}."),
//!     _ => {}
//! }
//! # Ok(()) }
//! ```
//!
//! **What is spent** is what the file's rows say, whoever wrote them: messages, other requests
//! ([`AddCost`](crate::costs::AddCost)), imported history, other programs. A row that changes or goes changes it at
//! once. Limits of everybody and of users count every message and every other request; limits of chats and of models
//! count those with a [`Usage`](crate::usage::Usage), and so does every limit of tokens. **What is reserved** counts
//! as spent in every period until the reservation is settled, released, or expires.
//!
//! **A request is granted** if for each of its limits something is left, and the estimate fits in it. So a limit of 0
//! denies everything. An exchange without a reservation is counted and never refused: its money is spent already.
//!
//! **Periods** are those of the calendar in the store's zone ([`Config::time_zone`](crate::Config::time_zone)); weeks
//! begin on Monday. A day on which the clock is set has 23 or 25 hours.

mod amounts;
pub(super) mod compare;
mod counters;
mod lists;
mod reserve;
mod rules;
mod set;
mod settle;
mod standing;
mod state;
mod sums;
mod watch;
mod windows;

pub use amounts::{Amount, Budget, Limit, Measure, Per, Scope};
pub(super) use counters::{forget, forget_user};
pub use lists::{Limits, NamedBudgets, UserBudget};
pub use reserve::{Decision, Release, Reserve};
pub use set::{RemoveLimit, SetLimit};
pub use settle::Settled;
pub(super) use settle::{Named, find as find_reservation, give_back};
pub use watch::LimitNotice;
pub(crate) use watch::{AreSpenders, Level, LookAtSpenders};

use crate::operation::number::number;

number! {
    /// A reservation's id: a number that the store gives, growing from 1 and never given again.
    ReservationId
}
