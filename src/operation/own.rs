//! What only the store itself may do inside an operation: change tables that its triggers keep.

use super::WriteTx;
use crate::error::Result;
use rusqlite::Params;

impl WriteTx<'_> {
    /// Runs `work` without the guard: for what only the store itself may do.
    pub(crate) fn as_the_store<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let Some(guard) = self.guard else {
            return work(self);
        };
        let done = guard.aside(|| work(self));
        // A prepared statement is not checked again, and the next user of its text may be an operation.
        self.read.conn.flush_prepared_statement_cache();
        done
    }

    /// Runs one statement without the guard, for what happens now and then between other operations: it is compiled
    /// each time and not cached, so the statements of the others stay in the cache.
    pub(crate) fn once_as_the_store(&self, sql: &str, params: impl Params) -> Result<usize> {
        let run = || Ok(self.read.conn.prepare(sql)?.execute(params)?);
        match self.guard {
            None => run(),
            Some(guard) => guard.aside(run),
        }
    }
}
