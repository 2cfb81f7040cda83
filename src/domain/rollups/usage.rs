//! The rollups of what requests used: by day, model, user and chat.

mod adding;
pub(in crate::domain) mod now;
mod source;

pub(super) use source::SOURCE;

use super::count::{self, Due, Part, Set};
use super::facts::{CURRENT, USAGE};
use crate::domain::columns::flag;
use crate::domain::limits;
use crate::migration::{Counts, Recounted};

const MODELS: &str = "botstore_model_day";
const USERS: &str = "botstore_user_model_day";
const CHATS: &str = "botstore_chat_day";
const OTHERS: &str = "botstore_other_day";

/// How many requests wait until it is worthwhile to count them, as for messages.
const AT_ONCE: u32 = 768;

/// What migrations and the engine need to know about these rollups.
pub(crate) const COUNTS: Counts = Counts {
    tables: &[
        USAGE.counted,
        MODELS,
        USERS,
        CHATS,
        OTHERS,
        USAGE.inbox,
        // Not rollups, but as easily made again.
        "botstore_spent",
    ],
    are_missing: |tx| count::are_missing(tx, &LLM),
    are_due: |tx| count::are_due(tx, &LLM),
    forget: |tx| count::forget(tx, &LLM),
    count: |tx, rows, waiting| count::count(tx, &LLM, rows, waiting),
    // Those of the bot do it for these.
    is_behind: |_| Ok(false),
    recount: |_, _| Ok(Recounted::Nothing),
};

pub(super) const LLM: Set = Set {
    counted: USAGE.counted,
    once: "once",
    sources: &[Part {
        facts: &USAGE,
        add: adding::add,
        due: Some(Due {
            rows: AT_ONCE,
            // The texts of a request are names.
            bytes: None,
        }),
    }],
    rollups: &[MODELS, USERS, CHATS, OTHERS],
    adds_up: |tx| {
        let sql = format!(
            "SELECT (SELECT coalesce(sum(requests), 0) FROM botstore_model_day WHERE generation = {CURRENT})
                  = (SELECT count(*) FROM botstore_usage WHERE typeof(user_id) = 'integer')"
        );
        tx.one(&sql, [], |row| flag(row, 0))
    },
    forget: limits::forget,
};
