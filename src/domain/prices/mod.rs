//! What tokens cost: prices by provider, model and the time from which they hold.
//!
//! A request whose cost nobody says ([`Usage::cost`](crate::usage::Usage::cost())) is priced when it is saved: by the
//! model that answered, or else by the one that was asked for, and by the price that holds at the request's time. A
//! request of a model without a price has no known cost. It counts as a request, as 0 dollars, and in
//! [`UnpricedModels`]; [`Reprice`] gives it a cost once there is a price.
//!
//! # The formula
//!
//! ```text
//! cost = (input − cached − cache write) × input price + cached × cached price + cache write × cache write price
//!      + (output − reasoning) × output price + reasoning × reasoning price
//! ```
//!
//! divided by a million. It is computed exactly, and rounded once, to the nearest billionth of a dollar; half of one
//! is rounded up. A kind of tokens that is not known counts as none, if the input or the output is known. If neither
//! is, the cost is not known either. What is left of a whole is never less than 0: parts that exceed it cost what they
//! are.
//!
//! Names of providers and models are compared letter by letter. They are the bot's own, but those of a file that it
//! imports: see [`ImportPrices`].

mod cost;
mod decimal;
mod import;
mod list;
mod litellm;
mod lookup;
mod reprice;
mod row;
mod set;
mod unpriced;

pub use import::{ImportPrices, ImportReport};
pub use list::{Price, Prices};
pub use litellm::{SkippedModel, WhySkipped};
pub(super) use lookup::cost_of;
pub use reprice::{Reprice, RepriceReport};
pub use row::ModelPrice;
pub use set::{RemovePrice, SetPrice};
pub use unpriced::{UnpricedModel, UnpricedModels};
