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

    /// Runs one statement without the guard. It stays in the cache, under a text that no operation's statement has, and
    /// so do the statements of operations.
    pub(crate) fn run_as_the_store(&self, sql: &str, params: impl Params) -> Result<usize> {
        let run = |sql: &str| Ok(self.read.prepare(sql)?.execute(params)?);
        match self.guard {
            None => run(sql),
            Some(guard) => {
                let own = guard.own(sql);
                guard.aside(|| run(&own))
            }
        }
    }
}
