//! Writes, when the store closes, what was used since that was last written down.

use super::shared::Shared;
use super::transaction::WriteConnection;
use crate::error::Result;
use crate::operation::{Use, WriteTx};

/// How the domain writes uses down.
pub(crate) type RecordUses = fn(&WriteTx<'_>, &[Use]) -> Result<usize>;

/// By the writer itself, after the last query: no request is accepted any more then.
pub(super) fn record_rest(open: &WriteConnection, shared: &Shared) -> Result<()> {
    let uses = shared.uses.noted();
    if uses.is_empty() {
        return Ok(());
    }
    open.conn.execute_batch("BEGIN IMMEDIATE")?;
    let tx = WriteTx::new(&open.conn, shared.now());
    let recorded = (shared.record_uses)(&tx, &uses);
    if recorded.is_ok() {
        open.conn.execute_batch("COMMIT")?;
        shared.uses.written(&uses);
    }
    open.roll_back();
    recorded.map(|_| ())
}
