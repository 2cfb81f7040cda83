//! Limits of spending: what each promises, on every path on which something is spent.

mod abandoned;
mod bad_input;
mod histories;
mod holding;
mod model;
mod odd;
mod settling;
mod support;
mod telling;
