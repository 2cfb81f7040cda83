//! What an operation costs: allocations of its caller, and pages that are written to the disk.

mod allocations;
#[path = "../common/mod.rs"]
mod common;
#[path = "../shared/frames.rs"]
mod frames;
#[path = "../shared/full_usage.rs"]
mod full_usage;
mod pages;
#[path = "../shared/plain.rs"]
mod plain;
#[path = "../shared/seed.rs"]
mod seed;

use botstore::rusqlite;
