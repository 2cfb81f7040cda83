//! These rollups as of now, as SQL: what is counted, and the requests that wait. As for messages, a statement begins
//! with the facts of what waits, `tail`.

use crate::domain::rollups::facts::{CURRENT, USAGE, sum};

/// What an answer reads of each group, after what it is grouped by: `requests`, `unpriced`, `unmeasured`,
/// `input_tokens`, `cached_input_tokens`, `cache_write_tokens`, `output_tokens`, `reasoning_tokens` and `cost`.
fn sums() -> String {
    let sums = USAGE
        .sum_names()
        .map(|name| format!(", {} AS {name}", sum(name)));
    "sum(requests) AS requests".to_owned() + &sums.collect::<String>()
}

/// `tail`: the requests that wait. One whose user is no number is counted nowhere.
fn tail(condition: &str) -> String {
    let (select, id, last_id) = (USAGE.select(), USAGE.id, USAGE.last_id());
    format!("tail AS MATERIALIZED ({select} WHERE {id} > {last_id} AND {condition})")
}

/// The condition for what waits of everybody.
const COUNTED: &str = "typeof(user_id) = 'integer'";

/// Groups the rows of a table, and those that wait, that have these days and what else is asked for.
fn grouped(table: &str, of_table: &str, tail: &str, which: &str, by: &str) -> String {
    let names: Vec<_> = USAGE.sum_names().collect();
    let (names, sums) = (names.join(", "), sums());
    format!(
        "WITH {tail}
         SELECT {by}, {sums}
         FROM (SELECT {by}, requests, {names} FROM {table} WHERE generation = {CURRENT} AND {of_table} {which}
               UNION ALL
               SELECT {by}, 1, {names} FROM tail WHERE true {which})
         GROUP BY {by}"
    )
}

/// The models of the days from `?1` to `?2`, at most `?3`, what costs most first: `provider`, `model`, and the sums.
pub(in crate::domain) fn models() -> String {
    let which = "AND day >= ?1 AND day <= ?2";
    let by = "provider, model";
    let sql = grouped("botstore_model_day", "true", &tail(COUNTED), which, by);
    sql + " ORDER BY cost DESC, requests DESC, provider, model LIMIT ?3"
}

/// The models of the days from `?1` to `?2` with requests whose cost is not known, at most `?3`, those with most such
/// requests first: `provider`, `model` and `unpriced`.
pub(in crate::domain) fn unpriced() -> String {
    let which = "AND day >= ?1 AND day <= ?2";
    let by = "provider, model";
    let models = grouped("botstore_model_day", "true", &tail(COUNTED), which, by);
    format!(
        "SELECT provider, model, unpriced FROM ({models})
         WHERE unpriced > 0 ORDER BY unpriced DESC, provider, model LIMIT ?3"
    )
}

/// As [`models`], of the user `?4`.
pub(in crate::domain) fn models_of_user() -> String {
    let which = "AND day >= ?1 AND day <= ?2";
    let by = "provider, model";
    let sql = grouped(OF_USER, "user_id = ?4", &tail("user_id = ?4"), which, by);
    sql + " ORDER BY cost DESC, requests DESC, provider, model LIMIT ?3"
}

/// The users of the days from `?1` to `?2`, at most `?3`, who costs most first: `user_id`, the sums, and
/// `telegram_username`.
pub(in crate::domain) fn users() -> String {
    let which = "AND day >= ?1 AND day <= ?2";
    let table = "botstore_user_model_day";
    let sql = grouped(table, "true", &tail(COUNTED), which, "user_id");
    let name = "SELECT telegram_username FROM users u WHERE u.user_id = top.user_id";
    let order = "ORDER BY cost DESC, requests DESC, user_id";
    format!("SELECT top.*, ({name}) FROM ({sql} {order} LIMIT ?3) top {order}")
}

/// The days from `?1` to `?2`, at most `?3`, newest first, of the model `?4` if it is not NULL: `day` and the sums.
pub(in crate::domain) fn days() -> String {
    let which = "AND day >= ?1 AND day <= ?2 AND (?4 IS NULL OR model = ?4)";
    let sql = grouped("botstore_model_day", "true", &tail(COUNTED), which, "day");
    sql + " ORDER BY day DESC LIMIT ?3"
}

/// The same of the user `?5`.
pub(in crate::domain) fn days_of_user() -> String {
    let which = "AND day >= ?1 AND day <= ?2 AND (?4 IS NULL OR model = ?4)";
    let sql = grouped(OF_USER, "user_id = ?5", &tail("user_id = ?5"), which, "day");
    sql + " ORDER BY day DESC LIMIT ?3"
}

const OF_USER: &str = "botstore_user_model_day INDEXED BY botstore_user_model_day_user";

/// The requests of the user `?1` that are no messages, from the day `?2` to `?3`: `day`, `requests` and `cost`.
pub(in crate::domain) fn others_of_user() -> String {
    let (tail, cost) = (tail("usage_id < 0 AND user_id = ?1"), sum("cost"));
    format!(
        "WITH {tail}
         SELECT day, sum(requests) AS requests, {cost} AS cost
         FROM (SELECT day, requests, cost FROM botstore_other_day INDEXED BY botstore_other_day_user
               WHERE generation = {CURRENT} AND user_id = ?1 AND day >= ?2 AND day <= ?3
               UNION ALL
               SELECT day, 1, cost FROM tail WHERE day >= ?2 AND day <= ?3)
         GROUP BY day"
    )
}

/// The requests of each user that are no messages, from the day `?1` to `?2`: `day`, `requests`, `cost`, and how many
/// of the users have no message that day which is counted.
pub(in crate::domain) fn others() -> String {
    let (tail, cost) = (tail(&format!("usage_id < 0 AND {COUNTED}")), sum("cost"));
    format!(
        "WITH {tail}
         SELECT day, user_id, sum(requests) AS requests, {cost} AS cost,
                NOT EXISTS (SELECT 1 FROM botstore_user_day d
                            WHERE d.generation = {CURRENT} AND d.day = o.day AND d.user_id = o.user_id)
         FROM (SELECT day, user_id, requests, cost FROM botstore_other_day
               WHERE generation = {CURRENT} AND day >= ?1 AND day <= ?2
               UNION ALL
               SELECT day, user_id, 1, cost FROM tail WHERE day >= ?1 AND day <= ?2) o
         GROUP BY day, user_id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BotSchema, LlmSchema};
    use crate::migration::Schema;
    use rusqlite::Connection;
    use rusqlite::functions::FunctionFlags;

    /// A file with all steps, to examine plans: its `botstore_utc` changes no time.
    fn migrated() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        let flags = FunctionFlags::SQLITE_DETERMINISTIC;
        conn.create_scalar_function("botstore_utc", 1, flags, |context| context.get::<String>(0))
            .unwrap();
        for migration in BotSchema::MIGRATIONS.iter().chain(LlmSchema::MIGRATIONS) {
            conn.execute_batch(migration.up).unwrap();
        }
        conn
    }

    fn plan(conn: &Connection, sql: &str) -> Vec<String> {
        let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = explain.raw_query().mapped(|row| row.get("detail"));
        lines.collect::<rusqlite::Result<_>>().unwrap()
    }

    /// What may be read from end to end: what waits, and parts of the statement itself.
    fn may_scan(line: &str) -> bool {
        ["SCAN tail", "SCAN o", "SCAN top"].contains(&line) || line.starts_with("SCAN (")
    }

    #[test]
    fn no_statement_reads_what_grows_from_end_to_end() {
        let conn = migrated();
        let by_index = [
            (
                models(),
                "botstore_model_day USING PRIMARY KEY (generation=? AND day>? AND day<?)",
            ),
            (
                unpriced(),
                "botstore_model_day USING PRIMARY KEY (generation=? AND day>? AND day<?)",
            ),
            (
                users(),
                "botstore_user_model_day USING PRIMARY KEY (generation=? AND day>? AND day<?)",
            ),
            (
                days(),
                "botstore_model_day USING PRIMARY KEY (generation=? AND day>? AND day<?)",
            ),
            (
                models_of_user(),
                "botstore_user_model_day USING INDEX botstore_user_model_day_user (generation=? AND user_id=? AND day>? AND day<?)",
            ),
            (
                days_of_user(),
                "botstore_user_model_day USING INDEX botstore_user_model_day_user (generation=? AND user_id=? AND day>? AND day<?)",
            ),
            (
                others_of_user(),
                "botstore_other_day USING INDEX botstore_other_day_user (generation=? AND user_id=? AND day>? AND day<?)",
            ),
            (
                others(),
                "botstore_other_day USING PRIMARY KEY (generation=? AND day>? AND day<?)",
            ),
        ];
        for (sql, search) in by_index {
            let plan = plan(&conn, &sql);
            let is_there = |found: &str| plan.iter().any(|line| line.contains(found));
            assert!(is_there(search), "{search}\n{plan:#?}\n{sql}");
            // What waits is found by its id.
            assert!(is_there("SEARCH botstore_usage USING"), "{plan:#?}\n{sql}");
            let scans = plan.iter().filter(|line| line.starts_with("SCAN "));
            let scans: Vec<_> = scans.filter(|line| !may_scan(line)).collect();
            assert!(scans.is_empty(), "{scans:?}\n{plan:#?}\n{sql}");
        }
    }
}
