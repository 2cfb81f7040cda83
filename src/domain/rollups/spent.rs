//! What somebody spent in a span of time, as SQL: `cost`, `requests` and `tokens`.
//!
//! Of whole days, rollups and the rows that wait know it. Of other spans, the rows do: messages by their time, with the
//! usage of each, and the requests that are no messages. Each statement takes whose spending it is as `?1`; that of
//! everybody does not use it.

use super::facts::{self, Facts, MESSAGES, USAGE, sum};

/// Whose spending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Of {
    /// All users'.
    Everyone,
    /// That of the user `?1`.
    User,
    /// That in the chat `?1`.
    Chat,
    /// That on the model `?1`.
    Model,
}

impl Of {
    /// A condition on the facts of a message or a request.
    fn condition(self) -> &'static str {
        match self {
            Self::Everyone => "typeof(user_id) = 'integer'",
            Self::User => "user_id = ?1",
            Self::Chat => "typeof(user_id) = 'integer' AND chat = ?1",
            Self::Model => "typeof(user_id) = 'integer' AND model = ?1",
        }
    }
}

/// From the day `?2` to the day `?3`.
pub(in crate::domain) fn in_days(of: Of) -> String {
    let days = "day >= ?2 AND day <= ?3";
    let (messages, requests, condition) = (waiting(&MESSAGES), waiting(&USAGE), of.condition());
    let tokens = "input_tokens + output_tokens";
    let parts = match of {
        Of::Everyone => format!(
            "SELECT cost, messages AS requests, 0 AS tokens FROM botstore_day WHERE {days}
             UNION ALL SELECT cost, 1, 0 FROM ({messages}) WHERE {condition} AND {days}
             UNION ALL SELECT cost, requests, 0 FROM botstore_other_day WHERE {days}
             UNION ALL SELECT 0, 0, {tokens} FROM botstore_model_day WHERE {days}
             UNION ALL SELECT other * cost, other, {tokens} FROM ({requests}) WHERE {condition} AND {days}"
        ),
        Of::User => format!(
            "SELECT cost, messages AS requests, 0 AS tokens
             FROM botstore_user_day INDEXED BY botstore_user_day_user WHERE user_id = ?1 AND {days}
             UNION ALL SELECT cost, 1, 0 FROM ({messages}) WHERE {condition} AND {days}
             UNION ALL SELECT cost, requests, 0
             FROM botstore_other_day INDEXED BY botstore_other_day_user WHERE user_id = ?1 AND {days}
             UNION ALL SELECT 0, 0, {tokens}
             FROM botstore_user_model_day INDEXED BY botstore_user_model_day_user WHERE user_id = ?1 AND {days}
             UNION ALL SELECT other * cost, other, {tokens} FROM ({requests}) WHERE {condition} AND {days}"
        ),
        Of::Chat => format!(
            "SELECT cost, requests, tokens FROM botstore_chat_day INDEXED BY botstore_chat_day_chat
             WHERE chat = ?1 AND {days}
             UNION ALL SELECT cost, 1, {tokens} FROM ({requests}) WHERE {condition} AND {days}"
        ),
        Of::Model => format!(
            "SELECT cost, requests, {tokens} AS tokens FROM botstore_model_day WHERE model = ?1 AND {days}
             UNION ALL SELECT cost, 1, {tokens} FROM ({requests}) WHERE {condition} AND {days}"
        ),
    };
    added_up(&parts)
}

/// From the time `?2` to before the time `?3`, in UTC and with a space between day and hour; the same with a `T` between
/// them are `?4` and `?5`, as the store spells times.
///
/// A request's time is its message's. A message whose time is spelled otherwise is found by the index of these, which is
/// empty but for what another program has written since the store was opened.
pub(in crate::domain) fn in_time(of: Of) -> String {
    let (select, other, condition) = (MESSAGES.select(), USAGE.select(), of.condition());
    let is_in = |time: &str| format!("{at} >= ?2 AND {at} < ?3", at = at(time));
    let (timestamp, usage_at) = (is_in("timestamp"), is_in("at"));
    let span = "timestamp >= ?4 AND timestamp < ?5";
    let stray = "timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'";
    let messages = format!(
        "{select} INDEXED BY idx_messages_timestamp WHERE {span} AND {timestamp}
         UNION ALL
         {select} INDEXED BY botstore_stray_messages
         WHERE {stray} AND coalesce(NOT ({span}), 1) AND {timestamp}"
    );
    let tokens = "input_tokens + output_tokens";
    let of_messages = match of {
        Of::Everyone | Of::User => format!(
            "SELECT m.cost AS cost, 1 AS requests, coalesce(u.tokens, 0) AS tokens
             FROM (SELECT * FROM ({messages}) WHERE {condition}) m
             LEFT JOIN (SELECT id, {tokens} AS tokens FROM ({other})) u ON u.id = m.id"
        ),
        Of::Chat | Of::Model => format!(
            "SELECT cost, 1 AS requests, {tokens} AS tokens
             FROM (SELECT id AS message_id FROM ({messages})) m
             CROSS JOIN ({other}) u ON u.id = m.message_id WHERE {condition}"
        ),
    };
    let index = match of {
        Of::User => "botstore_usage_other_user",
        _ => "botstore_usage_other",
    };
    added_up(&format!(
        "{of_messages}
         UNION ALL
         SELECT cost, 1, {tokens}
         FROM ({other} INDEXED BY {index} WHERE usage_id < 0 AND at >= ?4 AND at < ?5 AND {usage_at})
         WHERE {condition}"
    ))
}

/// How many messages the user `?1` has from the day `?2` to the day `?3`.
pub(in crate::domain) fn messages_in_days() -> String {
    let messages = waiting(&MESSAGES);
    format!(
        "SELECT coalesce(sum(messages), 0)
         FROM (SELECT messages FROM botstore_user_day INDEXED BY botstore_user_day_user
               WHERE user_id = ?1 AND day >= ?2 AND day <= ?3
               UNION ALL
               SELECT 1 FROM ({messages}) WHERE user_id = ?1 AND day >= ?2 AND day <= ?3)"
    )
}

/// The same as [`in_time`] of the user `?1`, from the newest `?6` of the user's messages; and last, how many of these
/// are from the day `?7` to the day `?8`.
pub(in crate::domain) fn in_time_of_newest() -> String {
    let (other, day, nanos) = (
        USAGE.select(),
        facts::day("timestamp"),
        facts::nanos("cost"),
    );
    let (timestamp, usage_at) = (at("timestamp"), at("at"));
    let (cost, tokens_sum) = (sum("cost"), sum("tokens"));
    let tokens = "input_tokens + output_tokens";
    format!(
        "WITH newest AS MATERIALIZED (
             SELECT message_id AS id, {timestamp} AS at, {day} AS its_day, {nanos} AS cost
             FROM messages INDEXED BY botstore_messages_of_user
             WHERE user_id = ?1 ORDER BY message_id DESC LIMIT ?6)
         SELECT CAST(coalesce({cost}, 0) AS INTEGER), coalesce(sum(requests), 0), CAST(coalesce({tokens_sum}, 0) AS INTEGER),
                (SELECT count(*) FROM newest WHERE its_day >= ?7 AND its_day <= ?8)
         FROM (SELECT m.cost AS cost, 1 AS requests, coalesce(u.tokens, 0) AS tokens
               FROM newest m LEFT JOIN (SELECT id, {tokens} AS tokens FROM ({other})) u ON u.id = m.id
               WHERE m.at >= ?2 AND m.at < ?3
               UNION ALL
               SELECT cost, 1, {tokens}
               FROM ({other} INDEXED BY botstore_usage_other_user
                     WHERE usage_id < 0 AND user_id = ?1 AND at >= ?4 AND at < ?5
                       AND {usage_at} >= ?2 AND {usage_at} < ?3))"
    )
}

/// A time as periods are spelled; '' if it is none.
fn at(time: &str) -> String {
    format!("coalesce(datetime(substr({time}, 1, 19)), '')")
}

fn waiting(facts: &Facts) -> String {
    let (select, id, last_id) = (facts.select(), facts.id, facts.last_id());
    format!("{select} WHERE {id} > {last_id}")
}

fn added_up(parts: &str) -> String {
    let (cost, tokens) = (sum("cost"), sum("tokens"));
    format!(
        "SELECT CAST(coalesce({cost}, 0) AS INTEGER), coalesce(sum(requests), 0),
                CAST(coalesce({tokens}, 0) AS INTEGER)
         FROM ({parts})"
    )
}
