//! The rollups of what requests used: by day, model, user and chat.

mod adding;
pub(in crate::domain) mod now;
mod source;

pub(super) use source::SOURCE;

use super::count::{self, Set};
use super::facts::USAGE;
use crate::domain::columns::flag;
use crate::domain::limits;
use crate::error::Result;
use crate::migration::Counts;
use crate::operation::ReadTx;

/// How many requests wait until it is worthwhile to count them, as for messages.
const AT_ONCE: u32 = 512;

/// What migrations and the engine need to know about these rollups.
pub(crate) const COUNTS: Counts = Counts {
    tables: &[
        "botstore_usage_counted",
        "botstore_model_day",
        "botstore_user_model_day",
        "botstore_chat_day",
        "botstore_other_day",
        "botstore_usage_count",
        // Not rollups, but as easily made again.
        "botstore_spent",
    ],
    are_missing: |tx| count::are_missing(tx, &LLM),
    are_due,
    forget: |tx| count::forget(tx, &LLM),
    count: |tx, rows| count::count(tx, &LLM, rows),
};

pub(super) const LLM: Set = Set {
    counted: USAGE.counted,
    once: "once",
    sources: &[(&USAGE, adding::add)],
    rollups: &[
        "botstore_model_day",
        "botstore_user_model_day",
        "botstore_chat_day",
        "botstore_other_day",
    ],
    adds_up: |tx| {
        let sql = "SELECT (SELECT coalesce(sum(requests), 0) FROM botstore_model_day)
                        = (SELECT count(*) FROM botstore_usage WHERE typeof(user_id) = 'integer')";
        tx.one(sql, [], |row| flag(row, 0))
    },
    forget: limits::forget,
};

/// Whether so many requests wait that it is time to count them.
fn are_due(tx: &ReadTx<'_>) -> Result<bool> {
    if !LLM.exist(tx)? {
        return Ok(false);
    }
    if !count::are_counted_once(tx, &LLM)? {
        return Ok(true);
    }
    let last = USAGE.last_id();
    let sql = format!(
        "SELECT count(*) >= ?1 FROM (SELECT 1 FROM botstore_usage WHERE usage_id > {last} LIMIT ?1)"
    );
    tx.one(&sql, [AT_ONCE], |row| flag(row, 0))
}
