//! P10 under load: however a store comes to its end, what it took in is answered, the answers agree
//! with the file, no WAL is left beside it, and it takes no longer than was configured.

#[path = "../common/mod.rs"]
mod common;

#[path = "../shared/child.rs"]
mod child;
mod exits;
mod hosts;
mod load;
mod slow;
mod ways;
