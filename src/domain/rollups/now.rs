//! Rollups as of now, as SQL: what is counted, and the rows that wait to be counted.
//!
//! A statement begins with `WITH` and one of the `tail…`s, the facts of the rows that wait. There are some hundred of
//! them at most, unless another program has written more. Then it adds them to what is counted: sums by a
//! `UNION ALL`, and who is new by what is not in the rollups yet. Both come from one snapshot.

use super::facts::{CURRENT, Facts, MESSAGES, TOOL_USES, day, nanos, sum};

/// `tail`: the messages that wait, each with its `session_id`, `user_id`, `day`, `errors` and `timed` (0 or 1),
/// `duration_ms` and `cost`. A message whose owner is no number is counted nowhere.
pub(in crate::domain) fn tail() -> String {
    tail_where("typeof(user_id) = 'integer'")
}

/// The same of the user `?1`.
pub(in crate::domain) fn tail_of_user() -> String {
    tail_where("user_id = ?1")
}

fn tail_where(condition: &str) -> String {
    let waiting = waiting(&MESSAGES);
    format!("tail AS MATERIALIZED ({waiting} AND {condition})")
}

/// `tail`: the tool uses that wait, each with its `session_id`, `tool_name`, `successes` and `errors` (0 or 1).
pub(in crate::domain) fn tail_of_tools() -> String {
    format!("tail AS MATERIALIZED ({})", waiting(&TOOL_USES))
}

fn waiting(facts: &Facts) -> String {
    let (select, id, last_id) = (facts.select(), facts.id, facts.last_id());
    format!("{select} WHERE {id} > {last_id}")
}

/// The days from `?1` to `?2`, newest first: `day`, `users`, `messages`, `errors`, `timed`, `duration_ms` and `cost`.
pub(in crate::domain) fn days() -> String {
    let (tail, duration_ms, cost) = (tail(), sum("duration_ms"), sum("cost"));
    format!(
        "WITH {tail}
         SELECT day, sum(users) AS users, sum(messages) AS messages, sum(errors) AS errors,
                sum(timed) AS timed, {duration_ms} AS duration_ms, {cost} AS cost
         FROM (SELECT day, users, messages, errors, timed, duration_ms, cost
               FROM botstore_day WHERE generation = {CURRENT} AND day >= ?1 AND day <= ?2
               UNION ALL
               SELECT day, count(DISTINCT user_id) FILTER (WHERE NOT EXISTS (
                          SELECT 1 FROM botstore_user_day d
                          WHERE d.generation = {CURRENT} AND d.day = t.day AND d.user_id = t.user_id)),
                      count(*), sum(errors), sum(timed), {duration_ms}, {cost}
               FROM tail t WHERE day >= ?1 AND day <= ?2 GROUP BY day)
         GROUP BY day ORDER BY day DESC"
    )
}

/// The days of the user `?1` from `?2` to `?3`, newest first: `day`, `sessions`, `messages`, `errors`, `timed`,
/// `duration_ms` and `cost`.
pub(in crate::domain) fn days_of_user() -> String {
    let (tail, duration_ms, cost) = (tail_of_user(), sum("duration_ms"), sum("cost"));
    format!(
        "WITH {tail}
         SELECT day, sum(sessions) AS sessions, sum(messages) AS messages, sum(errors) AS errors,
                sum(timed) AS timed, {duration_ms} AS duration_ms, {cost} AS cost
         FROM (SELECT day, sessions, messages, errors, timed, duration_ms, cost
               FROM botstore_user_day INDEXED BY botstore_user_day_user
               WHERE generation = {CURRENT} AND user_id = ?1 AND day >= ?2 AND day <= ?3
               UNION ALL
               SELECT day, count(DISTINCT session_id) FILTER (WHERE NOT EXISTS (
                          SELECT 1 FROM botstore_session_day s
                          WHERE s.generation = {CURRENT} AND s.day = t.day AND s.user_id = ?1 AND s.session_id = t.session_id)),
                      count(*), sum(errors), sum(timed), {duration_ms}, {cost}
               FROM tail t WHERE day >= ?2 AND day <= ?3 GROUP BY day)
         GROUP BY day ORDER BY day DESC"
    )
}

/// The total of the user `?1`: `sessions`, `messages`, `timed`, `duration_ms` and `cost`.
pub(in crate::domain) fn total_of_user() -> String {
    let (tail, duration_ms, cost) = (tail_of_user(), sum("duration_ms"), sum("cost"));
    format!(
        "WITH {tail}
         SELECT coalesce((SELECT sessions FROM botstore_user_total WHERE generation = {CURRENT} AND user_id = ?1), 0)
                + (SELECT count(DISTINCT session_id) FROM tail t WHERE NOT EXISTS (
                       SELECT 1 FROM botstore_session_user s
                       WHERE s.generation = {CURRENT} AND s.session_id = t.session_id AND s.user_id = ?1)) AS sessions,
                coalesce(sum(messages), 0) AS messages, coalesce(sum(timed), 0) AS timed,
                {duration_ms} AS duration_ms, {cost} AS cost
         FROM (SELECT messages, timed, duration_ms, cost
               FROM botstore_user_day INDEXED BY botstore_user_day_user WHERE generation = {CURRENT} AND user_id = ?1
               UNION ALL
               SELECT 1, timed, duration_ms, cost FROM tail)"
    )
}

/// The total of all users: `users`, `sessions`, `messages`, `timed`, `duration_ms` and `cost`.
pub(in crate::domain) fn total() -> String {
    let (tail, duration_ms, cost) = (tail(), sum("duration_ms"), sum("cost"));
    format!(
        "WITH {tail}
         SELECT ever.users + (SELECT count(DISTINCT user_id) FROM tail t WHERE NOT EXISTS (
                    SELECT 1 FROM botstore_user_total u
                    WHERE u.generation = {CURRENT} AND u.user_id = t.user_id)) AS users,
                ever.sessions + (SELECT count(DISTINCT session_id) FROM tail t WHERE NOT EXISTS (
                    SELECT 1 FROM botstore_session_user s
                    WHERE s.generation = {CURRENT} AND s.session_id = t.session_id)) AS sessions,
                days.*
         FROM (SELECT users, sessions FROM botstore_total WHERE generation = {CURRENT}) ever,
              (SELECT coalesce(sum(messages), 0) AS messages, coalesce(sum(timed), 0) AS timed,
                      {duration_ms} AS duration_ms, {cost} AS cost
               FROM (SELECT messages, timed, duration_ms, cost FROM botstore_day WHERE generation = {CURRENT}
                     UNION ALL
                     SELECT 1, timed, duration_ms, cost FROM tail)) days"
    )
}

/// How many users had a message from the time `?2` on, where the day `?1` and those after it begin at the time `?3`.
/// Reads the messages from `?2` to `?3`, unless no user was there last on the days of these, which are `?4` and later.
pub(in crate::domain) fn active_since() -> String {
    let tail = tail();
    format!(
        "WITH {tail}
         SELECT (SELECT count(*) FROM botstore_user_total INDEXED BY botstore_user_total_day
                 WHERE generation = {CURRENT} AND last_day >= ?1)
                + (SELECT count(DISTINCT user_id)
                   FROM (SELECT user_id FROM tail WHERE day >= ?1
                         UNION ALL
                         SELECT user_id
                         FROM (SELECT 1 WHERE EXISTS (SELECT 1 FROM botstore_user_total
                                                      WHERE generation = {CURRENT} AND last_day >= ?4 AND last_day < ?1)
                                           OR EXISTS (SELECT 1 FROM tail WHERE day >= ?4 AND day < ?1))
                         CROSS JOIN messages m INDEXED BY idx_messages_timestamp
                         WHERE timestamp >= ?2 AND timestamp < ?3 AND typeof(user_id) = 'integer') late
                   WHERE NOT EXISTS (SELECT 1 FROM botstore_user_total u
                                     WHERE u.generation = {CURRENT} AND u.user_id = late.user_id AND u.last_day >= ?1)) AS users"
    )
}

/// The last `?1` days up to `?2` that have a message, newest first.
pub(in crate::domain) fn active_days() -> String {
    let tail = tail();
    format!(
        "WITH {tail}
         SELECT day FROM (SELECT * FROM (SELECT day FROM botstore_day
                                         WHERE generation = {CURRENT} AND day > '' AND day <= ?2 AND messages > 0
                                         ORDER BY day DESC LIMIT ?1)
                          UNION
                          SELECT day FROM tail WHERE day > '' AND day <= ?2)
         ORDER BY day DESC LIMIT ?1"
    )
}

/// The same of the user `?3`.
pub(in crate::domain) fn active_days_of_user() -> String {
    let tail = tail_where("user_id = ?3");
    format!(
        "WITH {tail}
         SELECT day FROM (SELECT * FROM (SELECT day
                                         FROM botstore_user_day INDEXED BY botstore_user_day_user
                                         WHERE generation = {CURRENT} AND user_id = ?3 AND day > '' AND day <= ?2 AND messages > 0
                                         ORDER BY day DESC LIMIT ?1)
                          UNION
                          SELECT day FROM tail WHERE day > '' AND day <= ?2)
         ORDER BY day DESC LIMIT ?1"
    )
}

/// The `?1` users whose messages cost most: `user_id`, `telegram_username`, `cost` and `messages`. The messages that wait
/// are added up by user first, from the two facts that count here: to tell each one's day would take as long again. They
/// are found by their ids; an index on the user would have them in their order, but all of them.
pub(in crate::domain) fn top_users() -> String {
    let (Facts { table, id, .. }, last_id) = (MESSAGES, MESSAGES.last_id());
    let (nanos, cost) = (nanos("cost"), sum("cost"));
    format!(
        "WITH late AS MATERIALIZED (
             SELECT user_id, {cost} AS cost, count(*) AS messages
             FROM (SELECT user_id, {nanos} AS cost FROM {table} NOT INDEXED
                   WHERE {id} > {last_id} AND typeof(user_id) = 'integer')
             GROUP BY user_id)
         SELECT * FROM (
             SELECT u.user_id, u.telegram_username, late.cost + coalesce(t.cost, 0) AS cost,
                    late.messages + coalesce(t.messages, 0) AS messages
             FROM late CROSS JOIN users u ON u.user_id = late.user_id
             LEFT JOIN botstore_user_total t ON t.generation = {CURRENT} AND t.user_id = late.user_id
             UNION ALL
             SELECT * FROM (
                 SELECT u.user_id, u.telegram_username, t.cost, t.messages
                 FROM botstore_user_total t INDEXED BY botstore_user_total_cost
                 CROSS JOIN users u ON u.user_id = t.user_id
                 WHERE t.generation = {CURRENT} AND t.user_id NOT IN (SELECT user_id FROM late)
                 ORDER BY t.cost DESC, t.user_id LIMIT ?1))
         ORDER BY cost DESC, user_id LIMIT ?1"
    )
}

/// The `?1` tools used most: `tool_name`, `uses`, `sessions`, `successes` and `errors`.
pub(in crate::domain) fn top_tools() -> String {
    let tail = tail_of_tools();
    format!(
        "WITH {tail}
         SELECT tool_name, sum(uses) AS uses, sum(sessions) AS sessions, sum(successes) AS successes,
                sum(errors) AS errors
         FROM (SELECT tool_name, uses, sessions, successes, errors FROM botstore_tool
               UNION ALL
               SELECT tool_name, count(*), count(DISTINCT session_id) FILTER (WHERE NOT EXISTS (
                          SELECT 1 FROM botstore_session_tool s
                          WHERE s.session_id = t.session_id AND s.tool_name = t.tool_name)),
                      sum(successes), sum(errors)
               FROM tail t GROUP BY tool_name)
         GROUP BY tool_name ORDER BY uses DESC, tool_name LIMIT ?1"
    )
}

/// The `?2` tools used most in the sessions of the user `?1`: `tool_name` and `uses`. Looks up whose session it is for
/// each use that waits.
pub(in crate::domain) fn top_tools_of_user() -> String {
    let last_id = TOOL_USES.last_id();
    format!(
        "SELECT tool_name, sum(uses) AS uses
         FROM (SELECT tool_name, uses FROM botstore_user_tool WHERE user_id = ?1
               UNION ALL
               SELECT coalesce(t.tool_name, ''), 1 FROM tool_usage t
               CROSS JOIN sessions s ON s.session_id = t.session_id
               WHERE t.id > {last_id} AND s.user_id = ?1)
         GROUP BY tool_name ORDER BY uses DESC, tool_name LIMIT ?2"
    )
}

/// Of the newest `?2` messages of the user `?1`, how many are of the day `?3`, and the latest time of these.
pub(in crate::domain) fn latest_of_day() -> String {
    let of_day = day("timestamp");
    format!(
        "SELECT count(*), max(timestamp)
         FROM (SELECT timestamp FROM messages INDEXED BY botstore_messages_of_user
               WHERE user_id = ?1 ORDER BY message_id DESC LIMIT ?2)
         WHERE {of_day} = ?3"
    )
}

/// Which of the users who have a message that waits had it on which day, from `?1` to `?2`: `day` and `user_id`.
pub(in crate::domain) fn late_users() -> String {
    let tail = tail();
    format!("WITH {tail} SELECT DISTINCT day, user_id FROM tail WHERE day >= ?1 AND day <= ?2")
}

/// How many users have a counted message from the day `?1` to `?2`.
pub(in crate::domain) fn counted_users() -> String {
    format!(
        "SELECT count(DISTINCT user_id) FROM botstore_user_day
         WHERE generation = {CURRENT} AND day >= ?1 AND day <= ?2"
    )
}

/// A row if the user `?1` has a counted message from the day `?2` to `?3`.
pub(in crate::domain) fn is_counted() -> String {
    format!(
        "SELECT 1 FROM botstore_user_day INDEXED BY botstore_user_day_user
         WHERE generation = {CURRENT} AND user_id = ?1 AND day >= ?2 AND day <= ?3 LIMIT 1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BotSchema;
    use crate::migration::Schema;
    use rusqlite::Connection;
    use rusqlite::functions::FunctionFlags;

    /// A file with all steps, to examine plans: its `botstore_utc` changes no time.
    fn migrated() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        let flags = FunctionFlags::SQLITE_DETERMINISTIC;
        conn.create_scalar_function("botstore_utc", 1, flags, |context| context.get::<String>(0))
            .unwrap();
        for migration in BotSchema::MIGRATIONS {
            conn.execute_batch(migration.up).unwrap();
        }
        conn
    }

    fn plan(conn: &Connection, sql: &str) -> Vec<String> {
        let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = explain.raw_query().mapped(|row| row.get("detail"));
        lines.collect::<rusqlite::Result<_>>().unwrap()
    }

    /// What may be read from end to end: what waits, one row for each tool, and one for each generation.
    const MAY_SCAN: [&str; 8] = [
        "SCAN t",
        "SCAN tail",
        "SCAN late",
        "SCAN days",
        "SCAN botstore_tool",
        "SCAN botstore_total",
        // Of parts of the statement itself.
        "SCAN CONSTANT ROW",
        "SCAN (",
    ];

    /// All users, or all that they did on any day.
    const READS_GENERATION: [&str; 4] = [
        "SEARCH botstore_user_total USING PRIMARY KEY (generation=?)",
        "SEARCH botstore_user_day USING PRIMARY KEY (generation=?)",
        "SEARCH botstore_session_day USING PRIMARY KEY (generation=?)",
        "SEARCH botstore_session_user USING PRIMARY KEY (generation=?)",
    ];

    /// The rollups of years, with what SQLite then knows of them.
    const YEARS: &str = "
        CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5999)
            SELECT i, date('2010-01-01', (i / 3) || ' days') AS day FROM n;
        INSERT INTO botstore_day SELECT 0, day, 3, 3, 0, 0, 0, 0 FROM n GROUP BY day;
        INSERT INTO botstore_user_total SELECT 0, i, 1, 1, i, day FROM n;
        INSERT INTO botstore_user_day SELECT 0, day, i % 700, 1, 1, 0, 0, 0, 0 FROM n;
        INSERT INTO botstore_session_day SELECT 0, day, i % 700, 's' || i, 1 FROM n;
        INSERT INTO botstore_session_user SELECT 0, 's' || i, i % 700, 1 FROM n;
        ANALYZE;";

    #[test]
    fn no_statement_reads_what_grows_from_end_to_end() {
        let conn = migrated();
        reads_little(&conn);
        conn.execute_batch(YEARS).unwrap();
        reads_little(&conn);
    }

    fn reads_little(conn: &Connection) {
        let statements = [
            days(),
            days_of_user(),
            total_of_user(),
            total(),
            active_since(),
            active_days(),
            active_days_of_user(),
            top_users(),
            top_tools(),
            top_tools_of_user(),
            late_users(),
            latest_of_day(),
            counted_users(),
            is_counted(),
        ];
        for sql in statements {
            let plan = plan(conn, &sql);
            for line in plan.iter().filter(|line| line.starts_with("SCAN ")) {
                let may =
                    |scan: &&str| line == scan || scan.ends_with('(') && line.starts_with(scan);
                assert!(MAY_SCAN.iter().any(may), "{line}\n{plan:#?}\n{sql}");
            }
            let reads_all = |line: &String| READS_GENERATION.iter().any(|reads| line == reads);
            assert!(!plan.iter().any(reads_all), "{plan:#?}\n{sql}");
            let rows = |table: &str| {
                let begins = format!("SEARCH {table} ");
                plan.iter().find(|line| line.starts_with(&begins)).cloned()
            };
            for waiting in ["messages", "tool_usage"].into_iter().filter_map(rows) {
                let by_id = waiting.contains("INTEGER PRIMARY KEY (rowid>?)");
                let of_user = waiting.contains("(user_id=? AND rowid>?)");
                let of_user =
                    of_user || sql.contains("LIMIT ?2") && waiting.contains("(user_id=?)");
                assert!(by_id || of_user, "{waiting}\n{sql}");
            }
        }
    }
}
