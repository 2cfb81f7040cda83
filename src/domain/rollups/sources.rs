//! The right contents of the rollups, as SQL: the triggers' counts, defined over all rows instead of one change.

use super::TOTAL;

/// A table that rollups count, and how to count it.
///
/// Its rows are first grouped into a table in memory, by what all its rollups have in common, such as a
/// session's day. The rollups are views of that table. So each row is read once, in the order of the file.
pub(super) struct Source {
    /// The table in the file.
    pub(super) table: &'static str,
    /// SQL that creates the table in memory, and a view for each table of rollups, with the same name and
    /// columns.
    pub(super) schema: &'static str,
    /// Selects groups of the next `?2` rows whose ids are from `?1` to `?3`: the parameters of `insert`, and the
    /// `last` id. `'+0 minutes'` in it stands for the day's offset, as in the triggers.
    pub(super) select: &'static str,
    /// Adds a group to the table in memory.
    pub(super) insert: &'static str,
    /// The tables of rollups. A table with triggers that count into another comes after the other.
    pub(super) rollups: &'static [RollupOf],
    /// Whether the rollups in the file count as many rows as the table has, as SQL.
    pub(super) adds_up: &'static str,
}

/// One of a source's tables of rollups.
pub(super) struct RollupOf {
    pub(super) name: &'static str,
    /// The columns of its key, which come first.
    pub(super) key: &'static [&'static str],
    /// The column that triggers on other rollups keep, if there is one: the number of different users or
    /// sessions.
    pub(super) distinct: Option<&'static str>,
}

impl RollupOf {
    const fn new(name: &'static str, key: &'static [&'static str]) -> Self {
        Self {
            name,
            key,
            distinct: None,
        }
    }

    const fn with_distinct(mut self, column: &'static str) -> Self {
        self.distinct = Some(column);
        self
    }
}

pub(super) const SOURCES: [Source; 3] = [MESSAGES, TOOL_USES, COSTS];

/// A message whose owner is no number is counted nowhere: the triggers refuse it. An infinite cost is left out,
/// so that the other costs have a sum.
///
/// Durations are added up in two halves of 32 bits, since `sum()` fails if the result exceeds 64 bits. The
/// triggers' `+` continues in floating point, and so does the `+` of the halves.
const MESSAGES: Source = Source {
    table: "messages",
    schema: "
        CREATE TABLE session_days (
            session_id    TEXT    NOT NULL,
            user_id       INTEGER NOT NULL,
            day           TEXT    NOT NULL,
            messages      INTEGER NOT NULL,
            errors        INTEGER NOT NULL,
            timed         INTEGER NOT NULL,
            duration_high INTEGER NOT NULL,
            duration_low  INTEGER NOT NULL,
            cost          REAL,
            PRIMARY KEY (session_id, user_id, day)
        ) WITHOUT ROWID;

        CREATE VIEW botstore_session_day AS SELECT session_id, user_id, day FROM session_days;
        CREATE VIEW botstore_user_day AS
            SELECT user_id, day, count(*) AS sessions, sum(messages) AS messages, sum(errors) AS errors,
                   sum(timed) AS timed,
                   sum(duration_high) * 4294967296 + sum(duration_low) AS duration_ms,
                   coalesce(sum(cost), 0.0) AS cost
            FROM session_days GROUP BY user_id, day;
        CREATE VIEW botstore_day AS
            SELECT day, count(DISTINCT user_id) AS users, sum(messages) AS messages,
                   sum(errors) AS errors, sum(timed) AS timed,
                   sum(duration_high) * 4294967296 + sum(duration_low) AS duration_ms,
                   coalesce(sum(cost), 0.0) AS cost
            FROM session_days GROUP BY day;
        CREATE VIEW botstore_user_total AS
            SELECT user_id, count(DISTINCT session_id) AS sessions, sum(messages) AS messages,
                   coalesce(sum(cost), 0.0) AS cost, max(day) AS last_day
            FROM session_days GROUP BY user_id;
        CREATE VIEW botstore_total AS
            SELECT 1 AS id, count(DISTINCT user_id) AS users, count(DISTINCT session_id) AS sessions
            FROM session_days;",
    select: "
        SELECT session_id, user_id, day, count(*), sum(failed), sum(timed), sum(duration_ms >> 32),
               sum(duration_ms & 4294967295), sum(cost), max(id) AS last
        FROM (SELECT rowid AS id, coalesce(session_id, '') AS session_id, user_id,
                     coalesce(date(substr(timestamp, 1, 19), '+0 minutes'), '') AS day,
                     error IS NOT NULL AS failed, duration_ms IS NOT NULL AS timed,
                     CAST(coalesce(duration_ms, 0) AS INTEGER) AS duration_ms,
                     CASE WHEN abs(0.0 + cost) < 1e18 THEN 0.0 + cost ELSE 0.0 END AS cost
              FROM messages WHERE rowid BETWEEN ?1 AND ?3 ORDER BY rowid LIMIT ?2)
        GROUP BY session_id, user_id, day",
    insert: "
        INSERT INTO session_days SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
        WHERE typeof(?2) = 'integer'
        ON CONFLICT DO UPDATE SET
            messages = messages + excluded.messages, errors = errors + excluded.errors,
            timed = timed + excluded.timed, duration_high = duration_high + excluded.duration_high,
            duration_low = duration_low + excluded.duration_low, cost = cost + excluded.cost",
    rollups: &[
        RollupOf::new("botstore_day", &["day"]).with_distinct("users"),
        RollupOf::new("botstore_user_total", &["user_id"]).with_distinct("sessions"),
        RollupOf::new("botstore_user_day", &["user_id", "day"]).with_distinct("sessions"),
        RollupOf::new("botstore_session_day", &["session_id", "user_id", "day"]),
        RollupOf::new(TOTAL, &["id"]),
    ],
    adds_up: "
        SELECT (SELECT coalesce(sum(messages), 0) FROM botstore_day)
             = (SELECT count(*) FROM messages WHERE typeof(user_id) = 'integer')",
};

/// A tool use counts for the session's owner, whoever used the tool.
const TOOL_USES: Source = Source {
    table: "tool_usage",
    schema: "
        CREATE TABLE session_tools (
            session_id TEXT    NOT NULL,
            tool_name  TEXT    NOT NULL,
            uses       INTEGER NOT NULL,
            successes  INTEGER NOT NULL,
            errors     INTEGER NOT NULL,
            user_id    INTEGER,
            PRIMARY KEY (session_id, tool_name)
        ) WITHOUT ROWID;

        CREATE VIEW botstore_session_tool AS SELECT session_id, tool_name FROM session_tools;
        CREATE VIEW botstore_tool AS
            SELECT tool_name, sum(uses) AS uses, sum(successes) AS successes, sum(errors) AS errors,
                   count(*) AS sessions
            FROM session_tools GROUP BY tool_name;
        CREATE VIEW botstore_user_tool AS
            SELECT user_id, tool_name, sum(uses) AS uses
            FROM session_tools WHERE user_id IS NOT NULL GROUP BY user_id, tool_name;",
    select: "
        SELECT session_id, tool_name, count(*), sum(succeeded), sum(failed),
               (SELECT user_id FROM sessions s WHERE s.session_id = t.session_id), max(id) AS last
        FROM (SELECT rowid AS id, coalesce(session_id, '') AS session_id,
                     coalesce(tool_name, '') AS tool_name,
                     coalesce(success = 1, 0) AS succeeded, coalesce(success = 0, 0) AS failed
              FROM tool_usage WHERE rowid BETWEEN ?1 AND ?3 ORDER BY rowid LIMIT ?2) t
        GROUP BY session_id, tool_name",
    insert: "
        INSERT INTO session_tools VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET
            uses = uses + excluded.uses, successes = successes + excluded.successes,
            errors = errors + excluded.errors",
    rollups: &[
        RollupOf::new("botstore_tool", &["tool_name"]).with_distinct("sessions"),
        RollupOf::new("botstore_user_tool", &["user_id", "tool_name"]),
        RollupOf::new("botstore_session_tool", &["session_id", "tool_name"]),
    ],
    adds_up: "
        SELECT (SELECT coalesce(sum(uses), 0) FROM botstore_tool) = (SELECT count(*) FROM tool_usage)",
};

/// The days are those in the rows. Requests are integers, at most the largest: answers read them as such.
const COSTS: Source = Source {
    table: "cost_tracking",
    schema: "
        CREATE TABLE cost_days (
            day           TEXT PRIMARY KEY NOT NULL,
            users         INTEGER NOT NULL,
            requests_high INTEGER NOT NULL,
            requests_low  INTEGER NOT NULL,
            cost          REAL
        ) WITHOUT ROWID;

        CREATE VIEW botstore_cost_day AS
            SELECT day, users,
                   CAST(requests_high * 4294967296 + requests_low AS INTEGER) AS requests,
                   coalesce(cost, 0.0) AS cost
            FROM cost_days;",
    select: "
        SELECT day, count(*), sum(requests >> 32), sum(requests & 4294967295), sum(cost), max(id) AS last
        FROM (SELECT rowid AS id, coalesce(date, '') AS day,
                     CAST(coalesce(request_count, 0) AS INTEGER) AS requests,
                     CASE WHEN abs(0.0 + daily_cost) < 1e18 THEN 0.0 + daily_cost ELSE 0.0 END AS cost
              FROM cost_tracking WHERE rowid BETWEEN ?1 AND ?3 ORDER BY rowid LIMIT ?2)
        GROUP BY day",
    insert: "
        INSERT INTO cost_days VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET
            users = users + excluded.users, requests_high = requests_high + excluded.requests_high,
            requests_low = requests_low + excluded.requests_low, cost = cost + excluded.cost",
    rollups: &[RollupOf::new("botstore_cost_day", &["day"])],
    adds_up: "
        SELECT (SELECT coalesce(sum(users), 0) FROM botstore_cost_day)
             = (SELECT count(*) FROM cost_tracking)",
};
