//! Looks for everything acknowledged in the closed file, with plain SQLite and nothing of the
//! store.

use crate::{Args, Failure, script};
use botstore::Usd;
use botstore::interactions::Receipt;
use botstore::rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::Path;

/// What the file holds, and what is wrong with it.
pub(crate) struct Found {
    pub(crate) acknowledged: u64,
    /// Acknowledged interactions that are there, whole.
    pub(crate) found: u64,
    pub(crate) problems: Vec<String>,
}

impl Found {
    pub(crate) fn verified(&self) -> bool {
        self.problems.is_empty() && self.found == self.acknowledged
    }
}

/// What a user, or the user's session, must have come to.
#[derive(Default)]
struct Sums {
    messages: i64,
    turns: i64,
    cost: Usd,
}

pub(crate) fn compare(
    path: &Path,
    args: &Args,
    receipts: &[Option<Receipt>],
) -> Result<Found, Failure> {
    let mut problems = Vec::new();
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        if Path::new(&beside).exists() {
            problems.push(format!("the closed store left its {suffix} file"));
        }
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        problems.push(format!("integrity check: {verdict}"));
    }

    let mut acknowledged = 0;
    let mut found = 0;
    let mut users: HashMap<u32, Sums> = HashMap::new();
    let mut message = conn.prepare(
        "SELECT m.user_id, m.session_id, m.prompt, m.response, m.cost, m.duration_ms, m.error,
                (SELECT group_concat(tool_name) FROM (SELECT tool_name FROM tool_usage t
                 WHERE t.session_id = m.session_id AND t.timestamp = m.timestamp
                   AND t.message_id = m.message_id ORDER BY id))
         FROM messages m WHERE m.message_id = ?1",
    )?;
    for (number, receipt) in (0_u64..).zip(receipts) {
        let Some(receipt) = receipt else { continue };
        acknowledged += 1;
        let sent = script::interaction(args.seed, number, args.users);
        let tools: Vec<_> = sent.tools.iter().map(|t| t.tool_name.as_str()).collect();
        let whole = message
            .query_row([receipt.message_id], |row| {
                Ok(row.get::<_, i64>(0)? == sent.user_id
                    && row.get::<_, String>(1)? == sent.session_id
                    && row.get::<_, String>(2)? == sent.prompt
                    && row.get::<_, Option<String>>(3)? == sent.response
                    && row.get::<_, f64>(4)? == sent.cost.dollars()
                    && row.get::<_, Option<i64>>(5)? == sent.duration_ms.map(|ms| ms as i64)
                    && row.get::<_, Option<String>>(6)? == sent.error
                    && row.get::<_, String>(7)? == tools.join(","))
            })
            .unwrap_or(false);
        if whole {
            found += 1;
        } else if problems.len() < 20 {
            problems.push(format!(
                "interaction {number}, acknowledged as message {}, is missing or different",
                receipt.message_id
            ));
        }
        let user = script::user_of(args.seed, number, args.users);
        let sums = users.entry(user).or_default();
        sums.messages += 1;
        sums.turns += i64::from(sent.turns);
        sums.cost += sent.cost;
    }
    compare_counters(&conn, args, &users, &mut problems)?;
    compare_counts(&conn, args, acknowledged, &mut problems)?;
    Ok(Found {
        acknowledged: acknowledged as u64,
        found,
        problems,
    })
}

/// Counters of users, sessions and days against the sums of what was acknowledged.
fn compare_counters(
    conn: &Connection,
    args: &Args,
    users: &HashMap<u32, Sums>,
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut counters = conn.prepare(
        "SELECT u.message_count, u.total_cost, u.session_count,
                s.message_count, s.total_cost, s.total_turns,
                coalesce((SELECT sum(request_count) FROM cost_tracking c WHERE c.user_id = u.user_id), 0),
                coalesce((SELECT sum(daily_cost) FROM cost_tracking c WHERE c.user_id = u.user_id), 0.0)
         FROM users u JOIN sessions s ON s.user_id = u.user_id WHERE u.user_id = ?1",
    )?;
    let nothing = Sums::default();
    for user in 0..args.users {
        let sums = users.get(&user).unwrap_or(&nothing);
        let agrees = counters.query_row([script::user_id(user)], |row| {
            let counts: [i64; 5] = [
                row.get(0)?,
                row.get(2)?,
                row.get(3)?,
                row.get(5)?,
                row.get(6)?,
            ];
            let costs: [f64; 3] = [row.get(1)?, row.get(4)?, row.get(7)?];
            // The file has dollars, which are exact to the billionth.
            let costs = costs.map(|cost| Usd::from_dollars(cost).ok());
            Ok(
                counts == [sums.messages, 1, sums.messages, sums.turns, sums.messages]
                    && costs == [Some(sums.cost); 3],
            )
        })?;
        if !agrees && problems.len() < 20 {
            problems.push(format!(
                "the counters of user {} differ from the sums of what was acknowledged",
                script::user_id(user)
            ));
        }
    }
    Ok(())
}

/// Rows of each table, and references: nothing that nobody was told of.
fn compare_counts(
    conn: &Connection,
    args: &Args,
    acknowledged: i64,
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let users = i64::from(args.users);
    for (what, expected) in [
        ("users", users),
        ("sessions", users),
        ("messages", acknowledged),
        ("tool_usage", 2 * acknowledged),
        // And for each user, that it may use the bot, and the beginning of its session.
        ("audit_log", acknowledged + 2 * users),
        ("botstore_update", acknowledged),
        ("pragma_foreign_key_check", 0),
    ] {
        let sql = format!("SELECT count(*) FROM {what}");
        let rows: i64 = conn.query_row(&sql, [], |row| row.get(0))?;
        if rows != expected {
            problems.push(format!("{what} has {rows} rows where {expected} are due"));
        }
    }
    Ok(())
}
