//! The right contents of these rollups, as SQL.

use crate::domain::rollups::facts::USAGE;
use crate::domain::rollups::sources::{RollupOf, Source};

pub(in crate::domain::rollups) const SOURCE: Source = Source {
    facts: &USAGE,
    schema: "
        CREATE TABLE usage_days (
            requests            INTEGER NOT NULL,
            day                 TEXT    NOT NULL,
            user_id             INTEGER NOT NULL,
            provider            TEXT    NOT NULL,
            model               TEXT    NOT NULL,
            chat                TEXT    NOT NULL,
            other               INTEGER NOT NULL,
            unpriced            INTEGER NOT NULL,
            unmeasured          INTEGER NOT NULL,
            input_tokens        INTEGER NOT NULL,
            cached_input_tokens INTEGER NOT NULL,
            cache_write_tokens  INTEGER NOT NULL,
            output_tokens       INTEGER NOT NULL,
            reasoning_tokens    INTEGER NOT NULL,
            cost                INTEGER NOT NULL,
            PRIMARY KEY (day, user_id, provider, model, chat, other)
        ) WITHOUT ROWID;

        CREATE VIEW botstore_model_day AS
            SELECT day, provider, model, sum(requests) AS requests, sum(unpriced) AS unpriced,
                   sum(unmeasured) AS unmeasured, {input_tokens} AS input_tokens,
                   {cached_input_tokens} AS cached_input_tokens, {cache_write_tokens} AS cache_write_tokens,
                   {output_tokens} AS output_tokens, {reasoning_tokens} AS reasoning_tokens, {cost} AS cost
            FROM usage_days GROUP BY day, provider, model;
        CREATE VIEW botstore_user_model_day AS
            SELECT day, user_id, provider, model, sum(requests) AS requests, sum(unpriced) AS unpriced,
                   sum(unmeasured) AS unmeasured, {input_tokens} AS input_tokens,
                   {cached_input_tokens} AS cached_input_tokens, {cache_write_tokens} AS cache_write_tokens,
                   {output_tokens} AS output_tokens, {reasoning_tokens} AS reasoning_tokens, {cost} AS cost
            FROM usage_days GROUP BY day, user_id, provider, model;
        CREATE VIEW botstore_chat_day AS
            SELECT day, chat, sum(requests) AS requests, {tokens} AS tokens, {cost} AS cost
            FROM (SELECT day, chat, requests, CAST(input_tokens + output_tokens AS INTEGER) AS tokens, cost
                  FROM usage_days WHERE chat <> '')
            GROUP BY day, chat;
        CREATE VIEW botstore_other_day AS
            SELECT day, user_id, sum(requests) AS requests, {cost} AS cost
            FROM usage_days WHERE other GROUP BY day, user_id;",
    insert: "
        INSERT INTO usage_days (
            requests, day, user_id, provider, model, chat, other, unpriced, unmeasured, input_tokens,
            cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, CAST(?10 AS INTEGER), CAST(?11 AS INTEGER),
               CAST(?12 AS INTEGER), CAST(?13 AS INTEGER), CAST(?14 AS INTEGER), CAST(?15 AS INTEGER)
        WHERE typeof(?3) = 'integer'
        ON CONFLICT DO UPDATE SET
            requests = requests + excluded.requests, unpriced = unpriced + excluded.unpriced,
            unmeasured = unmeasured + excluded.unmeasured,
            input_tokens = CAST(input_tokens + excluded.input_tokens AS INTEGER),
            cached_input_tokens = CAST(cached_input_tokens + excluded.cached_input_tokens AS INTEGER),
            cache_write_tokens = CAST(cache_write_tokens + excluded.cache_write_tokens AS INTEGER),
            output_tokens = CAST(output_tokens + excluded.output_tokens AS INTEGER),
            reasoning_tokens = CAST(reasoning_tokens + excluded.reasoning_tokens AS INTEGER),
            cost = CAST(cost + excluded.cost AS INTEGER)",
    besides: None,
    rollups: &[
        RollupOf::new("botstore_model_day", &["day", "provider", "model"]),
        RollupOf::new("botstore_user_model_day", &["day", "user_id", "provider", "model"]),
        RollupOf::new("botstore_chat_day", &["day", "chat"]),
        RollupOf::new("botstore_other_day", &["day", "user_id"]),
    ],
};
