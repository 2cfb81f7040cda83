//! Adds many rows to the rollups at once, table by table.
//!
//! The triggers of step 12 add one row, or one group of rows, to all tables; here each row of a rollup is written
//! once, whatever the number of groups in it, and in the order of its key. Where each message is in another session, that
//! takes two thirds of the time. Both come to the same, which tests compare with a full count.

use super::count::prepare;
use super::facts::{COSTS, Facts, MESSAGES, TOOL_USES, sum};
use crate::domain::columns::{integer, text};
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite::{Cell, cells};
use rusqlite::{Params, Statement};
use std::collections::BTreeMap;

/// Sums over messages.
#[derive(Clone, Copy, Default)]
struct Sums {
    messages: i64,
    errors: i64,
    timed: i64,
    duration_ms: i64,
    cost: i64,
    /// How many sessions, or users, the sums have for the first time.
    new: i64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.errors += other.errors;
        self.timed += other.timed;
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        self.cost = self.cost.saturating_add(other.cost);
        self.new += other.new;
    }
}

/// The messages of a session, a user and a day.
struct Group {
    session_id: Cell,
    user_id: i64,
    day: String,
    sums: Sums,
}

/// The sums of a user.
#[derive(Default)]
struct OfUser {
    sums: Sums,
    last_day: String,
}

/// Adds the messages `after` an id, up to another, to the rollups.
pub(super) fn add_messages(tx: &WriteTx<'_>, after: &str, ids: [i64; 2]) -> Result<()> {
    let mut groups = Vec::new();
    tx.each_while(&groups_of(&MESSAGES, after), ids, |row| {
        let mut keys = cells(row, 1..3)?.into_iter();
        // A message whose owner is no number is counted nowhere.
        if let (Some(session_id), Some(Cell::Integer(user_id))) = (keys.next(), keys.next()) {
            groups.push(Group {
                session_id,
                user_id,
                day: text(row, 3)?,
                sums: Sums {
                    messages: integer(row, 0)?,
                    errors: integer(row, 4)?,
                    timed: integer(row, 5)?,
                    duration_ms: integer(row, 6)?,
                    cost: integer(row, 7)?,
                    new: 0,
                },
            });
        }
        Ok(true)
    })?;
    let mut users = BTreeMap::<i64, OfUser>::new();
    let mut new_sessions = 0;
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_session_user SET messages = messages + ?3 WHERE session_id = ?1 AND user_id = ?2",
        "INSERT INTO botstore_session_user (session_id, user_id, messages) VALUES (?1, ?2, ?3)",
    )?;
    let mut is_first = prepare(
        tx,
        "SELECT count(*) = 1 FROM (SELECT 1 FROM botstore_session_user WHERE session_id = ?1 LIMIT 2)",
    )?;
    for group in &groups {
        let of_user = users.entry(group.user_id).or_default();
        of_user.sums.add(&group.sums);
        if of_user.last_day < group.day {
            of_user.last_day.clone_from(&group.day);
        }
        let row = (&group.session_id, group.user_id, group.sums.messages);
        if add.run(row)? {
            of_user.sums.new += 1;
            let mut first = is_first.query([&group.session_id])?;
            new_sessions += first.next()?.map_or(Ok(0), |row| integer(row, 0))?;
        }
    }
    let new_users = add_users(tx, &users)?;
    add_days(tx, groups)?;
    let sql = "UPDATE botstore_total SET users = users + ?1, sessions = sessions + ?2";
    prepare(tx, sql)?.execute([new_users, new_sessions])?;
    Ok(())
}

/// Returns how many of the users are new.
fn add_users(tx: &WriteTx<'_>, users: &BTreeMap<i64, OfUser>) -> Result<i64> {
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_user_total SET
             sessions = sessions + ?2, messages = messages + ?3, cost = CAST(cost + ?4 AS INTEGER),
             last_day = max(last_day, ?5)
         WHERE user_id = ?1",
        "INSERT INTO botstore_user_total (user_id, sessions, messages, cost, last_day) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut new_users = 0;
    for (user_id, OfUser { sums, last_day }) in users {
        let row = (user_id, sums.new, sums.messages, sums.cost, last_day);
        new_users += i64::from(add.run(row)?);
    }
    Ok(new_users)
}

/// Adds to the days, and to the days of sessions and of users.
fn add_days(tx: &WriteTx<'_>, mut groups: Vec<Group>) -> Result<()> {
    groups.sort_by(|a, b| (&a.day, a.user_id).cmp(&(&b.day, b.user_id)));
    let mut user_days = BTreeMap::<(String, i64), Sums>::new();
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_session_day SET messages = messages + ?4
         WHERE day = ?1 AND user_id = ?2 AND session_id = ?3",
        "INSERT INTO botstore_session_day (day, user_id, session_id, messages) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for group in groups {
        let (messages, mut sums) = (group.sums.messages, group.sums);
        let row = (&group.day, group.user_id, &group.session_id, messages);
        sums.new = i64::from(add.run(row)?);
        let user_day = user_days.entry((group.day, group.user_id));
        user_day.or_default().add(&sums);
    }
    let mut days = BTreeMap::<&str, Sums>::new();
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_user_day SET
             sessions = sessions + ?3, messages = messages + ?4, errors = errors + ?5, timed = timed + ?6,
             duration_ms = CAST(duration_ms + ?7 AS INTEGER), cost = CAST(cost + ?8 AS INTEGER)
         WHERE day = ?1 AND user_id = ?2",
        "INSERT INTO botstore_user_day (day, user_id, sessions, messages, errors, timed, duration_ms, cost)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for ((day, user_id), sums) in &user_days {
        let Sums {
            messages,
            errors,
            timed,
            duration_ms,
            cost,
            new,
        } = *sums;
        let row = (
            day,
            user_id,
            new,
            messages,
            errors,
            timed,
            duration_ms,
            cost,
        );
        let mut of_day = *sums;
        of_day.new = i64::from(add.run(row)?);
        days.entry(day).or_default().add(&of_day);
    }
    let mut add = prepare(
        tx,
        "INSERT INTO botstore_day (day, users, messages, errors, timed, duration_ms, cost)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (day) DO UPDATE SET
             users = users + excluded.users, messages = messages + excluded.messages,
             errors = errors + excluded.errors, timed = timed + excluded.timed,
             duration_ms = CAST(duration_ms + excluded.duration_ms AS INTEGER),
             cost = CAST(cost + excluded.cost AS INTEGER)",
    )?;
    for (day, sums) in days {
        let Sums {
            messages,
            errors,
            timed,
            duration_ms,
            cost,
            new,
        } = sums;
        add.execute((day, new, messages, errors, timed, duration_ms, cost))?;
    }
    Ok(())
}

/// Adds the tool uses `after` an id, up to another, to the rollups.
pub(super) fn add_tool_uses(tx: &WriteTx<'_>, after: &str, ids: [i64; 2]) -> Result<()> {
    let mut tools = BTreeMap::<(u8, Vec<u8>), (Cell, [i64; 4])>::new();
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_session_tool SET uses = uses + ?3 WHERE session_id = ?1 AND tool_name = ?2",
        "INSERT INTO botstore_session_tool (session_id, tool_name, uses) VALUES (?1, ?2, ?3)",
    )?;
    let mut add_to_owner = Addition::new(
        tx,
        "UPDATE botstore_user_tool SET uses = uses + ?3
         WHERE user_id = (SELECT user_id FROM sessions WHERE session_id = ?1) AND tool_name = ?2",
        // Nothing for a session that is gone.
        "INSERT INTO botstore_user_tool (user_id, tool_name, uses)
         SELECT user_id, ?2, ?3 FROM sessions WHERE session_id = ?1",
    )?;
    tx.each_while(&groups_of(&TOOL_USES, after), ids, |row| {
        let mut keys = cells(row, 1..3)?.into_iter();
        let (Some(session_id), Some(name)) = (keys.next(), keys.next()) else {
            return Ok(true);
        };
        let uses = integer(row, 0)?;
        let group = (&session_id, &name, uses);
        let is_new = add.run(group)?;
        add_to_owner.run(group)?;
        // A text and a blob of the same bytes are two names. Nothing else is in a column of texts.
        let key = match &name {
            Cell::Blob(bytes) => (1, bytes.clone()),
            Cell::Text(bytes) => (0, bytes.clone()),
            _ => (0, Vec::new()),
        };
        let (_, sums) = tools.entry(key).or_insert((name, [0; 4]));
        let more = [uses, integer(row, 3)?, integer(row, 4)?, i64::from(is_new)];
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum += more;
        }
        Ok(true)
    })?;
    let mut add = prepare(
        tx,
        "INSERT INTO botstore_tool (tool_name, uses, successes, errors, sessions) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (tool_name) DO UPDATE SET
             uses = uses + excluded.uses, successes = successes + excluded.successes,
             errors = errors + excluded.errors, sessions = sessions + excluded.sessions",
    )?;
    for (name, [uses, successes, errors, sessions]) in tools.into_values() {
        add.execute((name, uses, successes, errors, sessions))?;
    }
    Ok(())
}

/// Adds the costs `after` an id, up to another, to the rollups: they are counted at once only when all are, and their
/// triggers do it.
pub(super) fn add_costs(tx: &WriteTx<'_>, after: &str, ids: [i64; 2]) -> Result<()> {
    let Facts { inbox, rows, .. } = COSTS;
    let names: Vec<_> = COSTS.key_names().chain(COSTS.sum_names()).collect();
    let (names, groups) = (names.join(", "), groups_of(&COSTS, after));
    prepare(
        tx,
        &format!("INSERT INTO {inbox} ({rows}, {names}) {groups}"),
    )?
    .execute(ids)?;
    Ok(())
}

/// Selects groups of the rows after `?1` up to `?2`: how many, by what they are counted, and the sums.
fn groups_of(facts: &Facts, after: &str) -> String {
    let keys: Vec<_> = facts.key_names().collect();
    let keys = keys.join(", ");
    let sums = facts.sum_names().map(sum);
    let sums: String = sums
        .map(|sum| format!(", CAST({sum} AS INTEGER)"))
        .collect();
    let (select, id) = (facts.select(), facts.id);
    format!(
        "SELECT count(*), {keys}{sums} FROM ({select} WHERE {id} {after} ?1 AND {id} <= ?2) GROUP BY {keys}"
    )
}

/// Adds to a row, or creates it. Two statements, since most rows exist: `ON CONFLICT` with `RETURNING` would do it in
/// one, for which SQLite makes a table each time.
struct Addition<'a> {
    add: Statement<'a>,
    create: Statement<'a>,
}

impl<'a> Addition<'a> {
    /// Both statements have the same parameters.
    fn new(tx: &'a WriteTx<'_>, add: &str, create: &str) -> Result<Self> {
        Ok(Self {
            add: prepare(tx, add)?,
            create: prepare(tx, create)?,
        })
    }

    /// Returns whether the row is new.
    fn run(&mut self, row: impl Params + Copy) -> Result<bool> {
        let is_new = self.add.execute(row)? == 0;
        if is_new {
            self.create.execute(row)?;
        }
        Ok(is_new)
    }
}
