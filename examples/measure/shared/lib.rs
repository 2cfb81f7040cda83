//! What several measurements have in common.

pub mod arrivals;
pub mod bot;
pub mod figures;
pub mod process;
pub mod rates;

use botstore::rusqlite;

// What tests compare with, too.
#[path = "../../../tests/shared/frames.rs"]
pub mod frames;
#[path = "../../../tests/shared/full_usage.rs"]
pub mod full_usage;
#[path = "../../../tests/shared/plain.rs"]
pub mod plain;
#[path = "../../../tests/shared/seed.rs"]
pub mod seed;
