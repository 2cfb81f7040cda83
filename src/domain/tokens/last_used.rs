//! Writes down when tokens were last used.

use crate::error::Result;
use crate::operation::{Mutation, Piece, Use, WriteTx};
use crate::sqlite::Cell;
use crate::time::Timestamp;
use std::sync::Arc;

/// Writes down when each token was last used. One that was deleted meanwhile is passed over, and one that was revoked
/// was used before that.
pub(crate) struct RecordUses(pub(crate) Arc<[Use]>);

impl Mutation for RecordUses {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.in_pieces(|place, rows| {
            let from = place.as_ref().map_or(0, |(_, from)| *from as usize);
            let to = self.0.len().min(from + rows as usize);
            let changed = record_uses(tx, &self.0[from..to])?;
            let more = (to < self.0.len()).then_some(Some((Cell::Null, to as i64)));
            Ok(Piece::of(changed, more))
        })
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self) + size_of_val(&*self.0)
    }
}

/// The same in the transaction of somebody else; returns how many rows were changed.
pub(crate) fn record_uses(tx: &WriteTx<'_>, uses: &[Use]) -> Result<usize> {
    let mut changed = 0;
    for (token_id, at) in uses {
        let sql = "UPDATE user_tokens SET last_used = ?2 WHERE token_id = ?1";
        changed += tx.execute(sql, (token_id, Timestamp(*at)))?;
    }
    Ok(changed)
}
