//! The lanes of queries.

/// Which readers answer a [`Query`](super::Query).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lane {
    /// Point reads and pages: what a user waits for.
    Interactive,
    /// Scans and statistics; its readers have connections of their own.
    Analytics,
}
