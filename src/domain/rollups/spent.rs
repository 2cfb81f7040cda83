//! What somebody spent in a span of time, as SQL: `cost`, `requests` and `tokens`.
//!
//! Of whole days, rollups and the rows that wait know it. Of other spans, the rows do: messages by their time, with the
//! usage of each, and the requests that are no messages. Each statement takes whose spending it is as `?1`; that of
//! everybody does not use it. A span is from the time `?2` to before the time `?3`.
//!
//! Rollups read what a time means, and counters compare times as texts, which a trigger does in a fraction of the time.
//! Both come to the same for times as the store spells them. The others, which another program has written since the
//! file was opened, have an index of their own: those in the span are added, and those in the days are taken away.

use super::facts::{self, CURRENT, Facts, MESSAGES, USAGE, sum};

/// When a reservation expires. A time that is no number is long over. This is what the index of open reservations has;
/// whole statements spell it out.
const UNTIL: &str = "CAST(coalesce(until, 0) AS INTEGER)";

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

/// The days of the rollups from which a span is counted.
const DAYS: &str = "day >= ?4 AND day <= ?5";

/// Of the rollups that answer.
fn counted() -> String {
    format!("generation = {CURRENT} AND {DAYS}")
}

const TOKENS: &str = "input_tokens + output_tokens";

/// In the span, which consists of the days from `?4` to `?5`.
pub(in crate::domain) fn in_days(of: Of) -> String {
    let (messages, requests, condition) = (waiting(&MESSAGES), waiting(&USAGE), of.condition());
    let counted = counted();
    let parts = match of {
        Of::Everyone => format!(
            "SELECT cost, messages AS requests, 0 AS tokens FROM botstore_day WHERE {counted}
             UNION ALL SELECT cost, 1, 0 FROM ({messages}) WHERE {condition} AND {DAYS}
             UNION ALL SELECT cost, requests, 0 FROM botstore_other_day WHERE {counted}
             UNION ALL SELECT 0, 0, {TOKENS} FROM botstore_model_day WHERE {counted}
             UNION ALL SELECT other * cost, other, {TOKENS} FROM ({requests}) WHERE {condition} AND {DAYS}"
        ),
        Of::User => format!(
            "SELECT cost, messages AS requests, 0 AS tokens
             FROM botstore_user_day INDEXED BY botstore_user_day_user WHERE user_id = ?1 AND {counted}
             UNION ALL SELECT cost, 1, 0 FROM ({messages}) WHERE {condition} AND {DAYS}
             UNION ALL SELECT cost, requests, 0
             FROM botstore_other_day INDEXED BY botstore_other_day_user WHERE user_id = ?1 AND {counted}
             UNION ALL SELECT 0, 0, {TOKENS}
             FROM botstore_user_model_day INDEXED BY botstore_user_model_day_user WHERE user_id = ?1 AND {counted}
             UNION ALL SELECT other * cost, other, {TOKENS} FROM ({requests}) WHERE {condition} AND {DAYS}"
        ),
        Of::Chat => format!(
            "SELECT cost, requests, tokens FROM botstore_chat_day INDEXED BY botstore_chat_day_chat
             WHERE chat = ?1 AND {counted}
             UNION ALL SELECT cost, 1, {TOKENS} FROM ({requests}) WHERE {condition} AND {DAYS}"
        ),
        Of::Model => format!(
            "SELECT cost, requests, {TOKENS} AS tokens FROM botstore_model_day WHERE model = ?1 AND {counted}
             UNION ALL SELECT cost, 1, {TOKENS} FROM ({requests}) WHERE {condition} AND {DAYS}"
        ),
    };
    let strays = strays(of);
    added_up(&format!("{parts} UNION ALL {strays}"))
}

/// What the messages whose times are spelled otherwise add to the days.
fn strays(of: Of) -> String {
    let (select, requests, condition) = (MESSAGES.select(), USAGE.select(), of.condition());
    let times = format!(
        "(timestamp >= ?2 AND timestamp < ?3) - ({day} >= ?4 AND {day} <= ?5) AS times",
        day = facts::day("timestamp")
    );
    let found = format!(
        "SELECT message_id, {times} FROM messages INDEXED BY botstore_stray_messages
         WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00'"
    );
    match of {
        Of::Everyone | Of::User => format!(
            "SELECT times * m.cost, times, times * coalesce(u.tokens, 0)
             FROM ({found}) s CROSS JOIN ({select}) m ON m.id = s.message_id
             LEFT JOIN (SELECT id, {TOKENS} AS tokens FROM ({requests})) u ON u.id = s.message_id
             WHERE {condition}"
        ),
        Of::Chat | Of::Model => format!(
            "SELECT times * cost, times, times * ({TOKENS})
             FROM ({found}) s CROSS JOIN ({requests}) u ON u.id = s.message_id
             WHERE {condition}"
        ),
    }
}

/// In the span, whatever it is. A request's time is its message's.
pub(in crate::domain) fn in_time(of: Of) -> String {
    let (select, requests, condition) = (MESSAGES.select(), USAGE.select(), of.condition());
    let messages = format!(
        "{select} INDEXED BY idx_messages_timestamp WHERE timestamp >= ?2 AND timestamp < ?3"
    );
    let of_messages = match of {
        Of::Everyone | Of::User => format!(
            "SELECT m.cost AS cost, 1 AS requests, coalesce(u.tokens, 0) AS tokens
             FROM (SELECT * FROM ({messages}) WHERE {condition}) m
             LEFT JOIN (SELECT id, {TOKENS} AS tokens FROM ({requests})) u ON u.id = m.id"
        ),
        Of::Chat | Of::Model => format!(
            "SELECT cost, 1 AS requests, {TOKENS} AS tokens
             FROM (SELECT id AS message_id FROM ({messages})) m
             CROSS JOIN ({requests}) u ON u.id = m.message_id WHERE {condition}"
        ),
    };
    let index = match of {
        Of::User => "botstore_usage_other_user",
        _ => "botstore_usage_other",
    };
    added_up(&format!(
        "{of_messages}
         UNION ALL
         SELECT cost, 1, {TOKENS}
         FROM ({requests} INDEXED BY {index} WHERE usage_id < 0 AND at >= ?2 AND at < ?3)
         WHERE {condition}"
    ))
}

/// How many messages the user `?1` has from the day `?2` to the day `?3`; `NULL` while there is one whose time is
/// spelled otherwise.
pub(in crate::domain) fn messages_in_days() -> String {
    let messages = waiting(&MESSAGES);
    format!(
        "SELECT CASE WHEN NOT EXISTS (
                    SELECT 1 FROM messages INDEXED BY botstore_stray_messages
                    WHERE timestamp NOT GLOB '????-??-??T??:??:??.??????+00:00')
                THEN coalesce(sum(messages), 0) END
         FROM (SELECT messages FROM botstore_user_day INDEXED BY botstore_user_day_user
               WHERE generation = {CURRENT} AND user_id = ?1 AND day >= ?2 AND day <= ?3
               UNION ALL
               SELECT 1 FROM ({messages}) WHERE user_id = ?1 AND day >= ?2 AND day <= ?3)"
    )
}

/// The same as [`in_time`] of the user `?1`, from the newest `?6` of the user's messages; and last, how many of these
/// are from the day `?4` to the day `?5`.
pub(in crate::domain) fn in_time_of_newest() -> String {
    let (requests, day, nanos) = (
        USAGE.select(),
        facts::day("timestamp"),
        facts::nanos("cost"),
    );
    let newest = format!(
        "WITH newest AS MATERIALIZED (
             SELECT message_id AS id, timestamp, {day} AS day, {nanos} AS cost
             FROM messages INDEXED BY botstore_messages_of_user
             WHERE user_id = ?1 ORDER BY message_id DESC LIMIT ?6)"
    );
    let (cost, tokens) = (sum("cost"), sum("tokens"));
    format!(
        "{newest}
         SELECT CAST(coalesce({cost}, 0) AS INTEGER), coalesce(sum(requests), 0),
                CAST(coalesce({tokens}, 0) AS INTEGER), (SELECT count(*) FROM newest WHERE {DAYS})
         FROM (SELECT m.cost AS cost, 1 AS requests, coalesce(u.tokens, 0) AS tokens
               FROM newest m LEFT JOIN (SELECT id, {TOKENS} AS tokens FROM ({requests})) u ON u.id = m.id
               WHERE m.timestamp >= ?2 AND m.timestamp < ?3
               UNION ALL
               SELECT cost, 1, {TOKENS}
               FROM ({requests} INDEXED BY botstore_usage_other_user
                     WHERE usage_id < 0 AND user_id = ?1 AND at >= ?2 AND at < ?3))"
    )
}

/// What open reservations hold that expire after `?2`, of those for which this SQL with `?1` is true.
pub(in crate::domain) fn reserved(of: &str) -> String {
    let (sums, table) = (
        held(),
        "botstore_reservation INDEXED BY botstore_reservation_open",
    );
    format!("SELECT {sums} FROM {table} WHERE state = 'open' AND {UNTIL} > ?2 AND {of}")
}

/// The counters of open reservations, by their key, each with what these hold: all are read four times, whatever the
/// number of counters. Names no index, since a file is compared without it, too.
pub(in crate::domain) fn open_counters() -> String {
    let open = "FROM botstore_reservation WHERE state = 'open'";
    let sums = held();
    let by = |kind: &str, column: &str| {
        format!(
            "UNION ALL SELECT '{kind}', {column}, {sums} {open} AND {column} IS NOT NULL GROUP BY {column}"
        )
    };
    let (users, chats, models) = (
        by("user", "user_id"),
        by("chat", "chat"),
        by("model", "model"),
    );
    format!(
        "WITH held (kind, whose, cost, requests, tokens) AS MATERIALIZED (
             SELECT 'everyone', '', {sums} {open} {users} {chats} {models})
         SELECT s.scope, s.who, s.ends, s.per, s.cost, s.requests, s.tokens,
                coalesce(h.cost, 0), coalesce(h.requests, 0), coalesce(h.tokens, 0)
         FROM botstore_spent s LEFT JOIN held h ON h.kind = s.scope AND h.whose = s.who
         WHERE s.ends = '' AND s.per = 'open'"
    )
}

/// The sums over open reservations. A cost and a number of tokens count as those of usage do, here and in triggers.
fn held() -> String {
    let cost = sum("max(0, min(9000000000000000, CAST(coalesce(cost, 0) AS INTEGER)))");
    let tokens = sum(&facts::whole("tokens"));
    format!(
        "CAST(coalesce({cost}, 0) AS INTEGER), count(*), CAST(coalesce({tokens}, 0) AS INTEGER)"
    )
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
