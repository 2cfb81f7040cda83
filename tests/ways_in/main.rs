//! The ways into a store beside `write` and `read`: closures, actix messages, and schedules of closures.
//! What is promised of those two is promised of these.

mod closures;
#[path = "../common/mod.rs"]
mod common;
mod recipients;
mod scheduled;
