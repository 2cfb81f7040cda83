//! Counters of users, sessions and days against the sums of the messages that are there.

use super::each;
use botstore::Usd;
use botstore::interactions::SaveInteraction;
use botstore::rusqlite::{Connection, Result};
use std::collections::HashMap;

/// What a user, a session or a user's day must have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    messages: i64,
    cost: Usd,
    /// Of sessions only.
    turns: i64,
}

impl Sums {
    fn add(&mut self, sent: &SaveInteraction, turns: u32) {
        self.messages += 1;
        self.cost += sent.cost;
        self.turns += i64::from(turns);
    }
}

#[derive(Default)]
pub(super) struct Counters {
    users: HashMap<String, Sums>,
    sessions: HashMap<String, Sums>,
    days: HashMap<String, Sums>,
}

impl Counters {
    pub(super) fn add(&mut self, sent: &SaveInteraction, day: &str) {
        let (user, session) = (sent.user_id.to_string(), sent.session_id.clone());
        let of_day = format!("{user} on {day}");
        self.users.entry(user).or_default().add(sent, 0);
        self.sessions
            .entry(session.into())
            .or_default()
            .add(sent, sent.turns);
        self.days.entry(of_day).or_default().add(sent, 0);
    }

    /// What differs.
    pub(super) fn compare(self, conn: &Connection) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        let users = "SELECT CAST(user_id AS TEXT), message_count, total_cost, 0 FROM users";
        let sessions = "SELECT session_id, message_count, total_cost, total_turns FROM sessions";
        let days = "SELECT user_id || ' on ' || date, request_count, daily_cost, 0
                    FROM cost_tracking";
        for (what, sql, due) in [
            ("user", users, self.users),
            ("session", sessions, self.sessions),
            ("the costs of user", days, self.days),
        ] {
            compare(conn, what, sql, due, &mut problems)?;
        }
        let sql = "SELECT user_id FROM users u WHERE session_count IS NOT
                       (SELECT count(*) FROM sessions s WHERE s.user_id = u.user_id)";
        each(conn, sql, |row| {
            let user_id: i64 = row.get(0)?;
            problems.push(format!(
                "user {user_id} has another number of sessions than it says"
            ));
            Ok(())
        })?;
        Ok(problems)
    }
}

fn compare(
    conn: &Connection,
    what: &str,
    sql: &str,
    mut due: HashMap<String, Sums>,
    problems: &mut Vec<String>,
) -> Result<()> {
    each(conn, sql, |row| {
        let of: String = row.get(0)?;
        let says = Sums {
            messages: row.get(1)?,
            // The file has dollars, which are exact to the billionth.
            cost: Usd::from_dollars(row.get(2)?).unwrap_or(Usd::from_nanos(-1)),
            turns: row.get(3)?,
        };
        let due = due.remove(&of).unwrap_or_default();
        if says != due {
            problems.push(format!(
                "{what} {of} says {says:?}, and the sums are {due:?}"
            ));
        }
        Ok(())
    })?;
    let missing = due.keys().map(|of| format!("{what} {of} is not counted"));
    problems.extend(missing);
    Ok(())
}
