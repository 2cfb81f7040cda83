//! The documents of the `docs` folder, with their examples checked.

/// How it is built, and why so.
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

/// What was measured, and how to choose the knobs.
#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

/// What is promised, what attacks it, and what is not promised.
#[doc = include_str!("../docs/reliability.md")]
pub mod reliability {}

/// Daily life with a store: opening, upgrading, taking over a Python bot's file.
#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

/// The first page of the repository.
#[doc = include_str!("../README.md")]
pub mod readme {}
