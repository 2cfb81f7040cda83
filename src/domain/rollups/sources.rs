//! The right contents of the rollups, as SQL: the triggers' counts, defined over all counted rows instead of one
//! change.

use super::facts::{COSTS, Facts, MESSAGES, TOOL_USES, sum};
use super::{TOTAL, usage};

/// A table that rollups count, and how to count it.
///
/// Its rows are first grouped into a table in memory, by what all its rollups have in common, such as a
/// session's day. The rollups are views of that table. So each row is read once, in the order of the file.
pub(super) struct Source {
    pub(super) facts: &'static Facts,
    /// SQL that creates the table in memory, and a view for each table of rollups, with the same name and
    /// columns, but for the generation, which is in the table `counted`. A sum is written as its column in braces: it stays at the largest integer.
    pub(super) schema: &'static str,
    /// Adds a group to the table in memory. Its parameters are the columns of a group: how many rows, by what they
    /// are counted, and the sums; and last what `besides` selects, if it does.
    pub(super) insert: &'static str,
    /// What else is known of a group, as SQL.
    pub(super) besides: Option<&'static str>,
    /// The tables of rollups.
    pub(super) rollups: &'static [RollupOf],
}

/// One of a source's tables of rollups.
pub(super) struct RollupOf {
    pub(super) name: &'static str,
    /// The columns of its key but the generation. They come first.
    pub(super) key: &'static [&'static str],
}

impl RollupOf {
    pub(super) const fn new(name: &'static str, key: &'static [&'static str]) -> Self {
        Self { name, key }
    }
}

impl Source {
    /// Selects groups of the next `?2` rows whose ids are from `?1` to `?3`: the parameters of `insert`, and the
    /// `last` id. Days are those of a generation.
    pub(super) fn select(&self, generation: Option<i64>) -> String {
        let facts = self.facts;
        let keys: Vec<_> = facts.key_names().collect();
        let keys = keys.join(", ");
        let sums: String = facts
            .sum_names()
            .map(|name| format!(", {}", sum(name)))
            .collect();
        let besides = self
            .besides
            .map(|sql| format!(", {sql}"))
            .unwrap_or_default();
        let select = match generation {
            Some(generation) => facts.select_in(&generation.to_string()),
            None => facts.select(),
        };
        let id = facts.id;
        format!(
            "SELECT count(*), {keys}{sums}{besides}, max(id) AS last
             FROM ({select} WHERE {id} BETWEEN ?1 AND ?3 ORDER BY {id} LIMIT ?2) t GROUP BY {keys}"
        )
    }

    /// The SQL of `schema`, with its sums.
    pub(super) fn schema(&self) -> String {
        let mut parts = self.schema.split('{');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |sql, part| {
            let (column, rest) = part.split_once('}').unwrap_or((part, ""));
            sql + &format!("CAST({} AS INTEGER){rest}", sum(column))
        })
    }
}

pub(super) const SOURCES: [Source; 4] = [
    // A message whose owner is no number is counted nowhere.
    Source {
        facts: &MESSAGES,
        schema: "
            CREATE TABLE session_days (
                messages    INTEGER NOT NULL,
                session_id  TEXT    NOT NULL,
                user_id     INTEGER NOT NULL,
                day         TEXT    NOT NULL,
                errors      INTEGER NOT NULL,
                timed       INTEGER NOT NULL,
                duration_ms INTEGER NOT NULL,
                cost        INTEGER NOT NULL,
                PRIMARY KEY (session_id, user_id, day)
            ) WITHOUT ROWID;

            CREATE VIEW botstore_session_day AS SELECT day, user_id, session_id, messages FROM session_days;
            CREATE VIEW botstore_session_user AS
                SELECT session_id, user_id, count(*) AS days
                FROM session_days GROUP BY session_id, user_id;
            CREATE VIEW botstore_user_day AS
                SELECT day, user_id, count(*) AS sessions, sum(messages) AS messages, sum(errors) AS errors,
                       sum(timed) AS timed, {duration_ms} AS duration_ms, {cost} AS cost
                FROM session_days GROUP BY day, user_id;
            CREATE VIEW botstore_day AS
                SELECT day, count(DISTINCT user_id) AS users, sum(messages) AS messages,
                       sum(errors) AS errors, sum(timed) AS timed, {duration_ms} AS duration_ms, {cost} AS cost
                FROM session_days GROUP BY day;
            CREATE VIEW botstore_user_total AS
                SELECT user_id, count(DISTINCT session_id) AS sessions, sum(messages) AS messages,
                       {cost} AS cost, max(day) AS last_day
                FROM session_days GROUP BY user_id;
            CREATE VIEW botstore_total AS
                SELECT (SELECT generation FROM counted) AS generation, count(DISTINCT user_id) AS users,
                       count(DISTINCT session_id) AS sessions
                FROM session_days;",
        insert: "
            INSERT INTO session_days (messages, session_id, user_id, day, errors, timed, duration_ms, cost)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, CAST(?7 AS INTEGER), CAST(?8 AS INTEGER)
            WHERE typeof(?3) = 'integer'
            ON CONFLICT DO UPDATE SET
                messages = messages + excluded.messages, errors = errors + excluded.errors,
                timed = timed + excluded.timed,
                duration_ms = CAST(duration_ms + excluded.duration_ms AS INTEGER),
                cost = CAST(cost + excluded.cost AS INTEGER)",
        besides: None,
        rollups: &[
            RollupOf::new("botstore_day", &["day"]),
            RollupOf::new("botstore_user_total", &["user_id"]),
            RollupOf::new("botstore_user_day", &["day", "user_id"]),
            RollupOf::new("botstore_session_day", &["day", "user_id", "session_id"]),
            RollupOf::new("botstore_session_user", &["session_id", "user_id"]),
            RollupOf::new(TOTAL, &["generation"]),
        ],
    },
    // A tool use counts for the session's owner, whoever used the tool.
    Source {
        facts: &TOOL_USES,
        schema: "
            CREATE TABLE session_tools (
                uses       INTEGER NOT NULL,
                session_id TEXT    NOT NULL,
                tool_name  TEXT    NOT NULL,
                successes  INTEGER NOT NULL,
                errors     INTEGER NOT NULL,
                user_id    INTEGER,
                PRIMARY KEY (session_id, tool_name)
            ) WITHOUT ROWID;

            CREATE VIEW botstore_session_tool AS SELECT session_id, tool_name, uses FROM session_tools;
            CREATE VIEW botstore_tool AS
                SELECT tool_name, sum(uses) AS uses, sum(successes) AS successes, sum(errors) AS errors,
                       count(*) AS sessions
                FROM session_tools GROUP BY tool_name;
            CREATE VIEW botstore_user_tool AS
                SELECT user_id, tool_name, sum(uses) AS uses
                FROM session_tools WHERE user_id IS NOT NULL GROUP BY user_id, tool_name;",
        insert: "
            INSERT INTO session_tools (uses, session_id, tool_name, successes, errors, user_id)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET
                uses = uses + excluded.uses, successes = successes + excluded.successes,
                errors = errors + excluded.errors",
        besides: Some("(SELECT user_id FROM sessions s WHERE s.session_id = t.session_id)"),
        rollups: &[
            RollupOf::new("botstore_tool", &["tool_name"]),
            RollupOf::new("botstore_user_tool", &["user_id", "tool_name"]),
            RollupOf::new("botstore_session_tool", &["session_id", "tool_name"]),
        ],
    },
    Source {
        facts: &COSTS,
        schema: "
            CREATE TABLE cost_days (
                users    INTEGER NOT NULL,
                day      TEXT PRIMARY KEY NOT NULL,
                requests INTEGER NOT NULL,
                cost     INTEGER NOT NULL
            ) WITHOUT ROWID;

            CREATE VIEW botstore_cost_day AS SELECT day, users, requests, cost FROM cost_days;",
        insert: "
            INSERT INTO cost_days (users, day, requests, cost)
            VALUES (?1, ?2, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER))
            ON CONFLICT DO UPDATE SET
                users = users + excluded.users,
                requests = CAST(requests + excluded.requests AS INTEGER),
                cost = CAST(cost + excluded.cost AS INTEGER)",
        besides: None,
        rollups: &[RollupOf::new("botstore_cost_day", &["day"])],
    },
    usage::SOURCE,
];
