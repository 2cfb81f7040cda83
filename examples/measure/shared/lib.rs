//! What several measurements have in common.

pub mod arrivals;
pub mod bot;
pub mod figures;
pub mod process;
