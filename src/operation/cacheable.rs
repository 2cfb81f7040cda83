//! What a query says of an answer that may be kept. Who keeps it is no matter of the operation's.

use std::any::Any;
use std::sync::Arc;

/// An answer whose type is forgotten.
pub(crate) type Answer = Arc<dyn Any + Send + Sync>;

/// Says that an answer hangs on one row of one table, and so may be kept until the row changes.
///
/// An answer about a table whose rows SQLite does not report when they change is not kept: one that is
/// `WITHOUT ROWID`, a view, a virtual table, or a name that no table of the file has. Capitals in the name
/// do not matter. The answer may depend on nothing but the row: neither on other rows nor on the time. An
/// answer that owns memory says how much by [`bytes`](Self::bytes), or is not kept.
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
    /// How many bytes an answer owns beside its own size; `None` if nobody can say.
    pub(crate) owns: Option<fn(&T) -> usize>,
    /// Whether the answer for this asker hangs on nothing but the row.
    pub(crate) hangs_on_the_row: fn(&T, i64) -> bool,
}

/// What the question asks for.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// The row's own id.
    Row(i64),
    /// Another key of the row, the statement that tells its id, and what else the answer is for.
    Text(&'a str, &'static str, i64),
}

impl<'a, T: Clone + Send + Sync + 'static> Cacheable<'a, T> {
    /// An answer about the row with this id (its `INTEGER PRIMARY KEY`).
    pub fn row(table: &'static str, id: i64) -> Self {
        Self::new(table, Key::Row(id))
    }

    /// An answer about the row with this textual key, for this asker. `row_of` is a statement that
    /// gives the row's `rowid` for the key as `?1`. An answer about a row that is not there is not
    /// kept.
    pub fn text(table: &'static str, key: &'a str, row_of: &'static str, asker: i64) -> Self {
        Self::new(table, Key::Text(key, row_of, asker))
    }

    fn new(table: &'static str, key: Key<'a>) -> Self {
        // What has nothing to give back when it is dropped owns nothing.
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

    /// Keeps only such answers: those that the row alone has for this asker.
    pub(crate) fn only_if(mut self, hangs_on_the_row: fn(&T, i64) -> bool) -> Self {
        self.hangs_on_the_row = hangs_on_the_row;
        self
    }

    /// How many bytes an answer owns beside its own size: the lengths of its texts. Cached answers are
    /// bounded by it, so one that owns memory and does not say how much is not kept; nor is one of
    /// more than 4 KiB.
    pub fn bytes(mut self, owns: fn(&T) -> usize) -> Self {
        self.owns = Some(owns);
        self
    }
}
