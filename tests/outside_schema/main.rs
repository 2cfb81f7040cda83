//! What a host's own tables and operations are promised, seen from outside the crate (P8).

mod bad_steps;
mod copies;
mod operations;
mod parts;
mod refusals;
mod steps;
mod support;
