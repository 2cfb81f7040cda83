//! The documents of the repository, with their examples checked.
//!
//! # Files
//!
//! The documents name files of the repository that are not in this documentation, such as `examples/bot/main.rs`:
//! examples, licences, pictures. Such a link leads here. The path that it names is one from the top of a checkout.

// A document's links are references whose definitions, at its end, are right for a page of the repository. Those
// in `guide/links.md` come first here, and the first definition of a label counts. `tests/layers/links.rs` compares.

/// The first page of the repository.
///
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../README.md")]
pub mod readme {}

/// Bots behind actix-web, axum and teloxide.
///
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../docs/hosts.md")]
pub mod hosts {}

/// How it is built, and why so.
///
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

/// What was measured, and how to choose the knobs.
///
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

/// What is promised, what attacks it, and what is not promised.
///
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../docs/reliability.md")]
pub mod reliability {}

/// Daily life with a store: opening, upgrading, taking over a Python bot's file.
///
#[doc = include_str!("guide/links.md")]
#[doc = include_str!("../docs/operations.md")]
pub mod operations {}
