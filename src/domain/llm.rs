//! The steps of the tables that a bot without a language model does not need: what requests used, and what follows
//! from it.

use crate::migration::{Migration, Schema, Whole};

/// The tables about language models.
pub(crate) struct LlmSchema;

impl Schema for LlmSchema {
    const NAME: &'static str = "botstore_llm";

    const MIGRATIONS: &'static [Migration] = &[
        Migration::new(
            1,
            "usage",
            include_str!("../../migrations/botstore_llm/0001_usage.up.sql"),
            include_str!("../../migrations/botstore_llm/0001_usage.down.sql"),
        ),
        Migration::new(
            2,
            "llm_rollups",
            include_str!("../../migrations/botstore_llm/0002_llm_rollups.up.sql"),
            include_str!("../../migrations/botstore_llm/0002_llm_rollups.down.sql"),
        ),
        Migration::new(
            3,
            "prices",
            include_str!("../../migrations/botstore_llm/0003_prices.up.sql"),
            include_str!("../../migrations/botstore_llm/0003_prices.down.sql"),
        ),
        Migration::new(
            4,
            "details",
            include_str!("../../migrations/botstore_llm/0004_details.up.sql"),
            include_str!("../../migrations/botstore_llm/0004_details.down.sql"),
        ),
        Migration::new(
            5,
            "limits",
            include_str!("../../migrations/botstore_llm/0005_limits.up.sql"),
            include_str!("../../migrations/botstore_llm/0005_limits.down.sql"),
        ),
    ];
}

/// What a new file is made of.
pub(crate) const WHOLE: Whole = Whole {
    objects: include_str!("../../migrations/botstore_llm/schema.sql"),
    rows: include_str!("../../migrations/botstore_llm/rows.sql"),
};
