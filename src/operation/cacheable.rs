//! What a query says about an answer that may be kept. The operation does not know who keeps it.

use std::any::Any;
use std::sync::Arc;

/// An answer without its type.
pub(crate) type Answer = Arc<dyn Any + Send + Sync>;

/// Says that an answer depends on one row of one table, so that it may be kept until the row changes.
///
/// No answer is kept about a table whose changed rows SQLite does not report: a table that is `WITHOUT ROWID`, a
/// view, a virtual table, or a name that is no table of the file. The case of the name does not matter. The answer
/// must depend on nothing but the row: neither on other rows nor on the time. An answer that owns memory is kept
/// only if [`bytes`](Self::bytes) says how much.
///
/// ```
/// use botstore::{Cacheable, Query, ReadTx, Result};
///
/// struct GetNote { note_id: i64 }
///
/// impl Query for GetNote {
///     type Output = Option<String>;
///
///     fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<String>> {
///         let sql = "SELECT body FROM notes WHERE note_id = ?1";
///         tx.maybe(sql, [self.note_id], |row| Ok(row.get(0)?))
///     }
///
///     fn cacheable(&self) -> Option<Cacheable<'_, Self::Output>> {
///         let kept = Cacheable::row("notes", self.note_id);
///         Some(kept.bytes(|body: &Option<String>| body.as_ref().map_or(0, String::len)))
///     }
/// }
/// ```
pub struct Cacheable<'a, T> {
    pub(crate) table: &'static str,
    pub(crate) key: Key<'a>,
    pub(crate) keep: fn(&T) -> Answer,
    pub(crate) give: fn(&Answer) -> Option<T>,
    /// How many bytes an answer owns beyond its own size; `None` if that is not known.
    pub(crate) owns: Option<fn(&T) -> usize>,
    /// Whether the answer for this asker depends on nothing but the row.
    pub(crate) hangs_on_the_row: fn(&T, i64) -> bool,
}

/// What the query asks for.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// The row's own id.
    Row(i64),
    /// Another key of the row, the statement that finds its id, and the asker.
    Text(&'a str, &'static str, i64),
}

impl<'a, T: Clone + Send + Sync + 'static> Cacheable<'a, T> {
    /// Makes an answer about the row with this id (its `INTEGER PRIMARY KEY`) cacheable.
    pub fn row(table: &'static str, id: i64) -> Self {
        Self::new(table, Key::Row(id))
    }

    /// Makes an answer about the row with this text key, for this asker, cacheable. `row_of` is a statement that
    /// returns the row's `rowid` for the key as `?1`. An answer about a missing row is not kept.
    pub fn text(table: &'static str, key: &'a str, row_of: &'static str, asker: i64) -> Self {
        Self::new(table, Key::Text(key, row_of, asker))
    }

    fn new(table: &'static str, key: Key<'a>) -> Self {
        // A type that needs no drop owns no memory.
        let plain = !std::mem::needs_drop::<T>();
        Self {
            table,
            key,
            keep: |answer| Arc::new(answer.clone()),
            give: |answer| answer.downcast_ref().cloned(),
            owns: plain.then_some(|_| 0),
            hangs_on_the_row: |_, _| true,
        }
    }

    /// Keeps only answers that depend on nothing but the row for this asker.
    pub(crate) fn only_if(mut self, hangs_on_the_row: fn(&T, i64) -> bool) -> Self {
        self.hangs_on_the_row = hangs_on_the_row;
        self
    }

    /// Sets how many bytes an answer owns beyond its own size: the lengths of its texts. The row cache's limit
    /// counts them, so an answer that owns memory is not kept without this; nor is one of more than 4 KiB.
    pub fn bytes(mut self, owns: fn(&T) -> usize) -> Self {
        self.owns = Some(owns);
        self
    }
}
