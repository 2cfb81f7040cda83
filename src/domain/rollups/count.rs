//! Counts everything anew, in one pass over messages, tool uses and daily costs.

use super::table::{COST_DAYS, Counts, Key, Names, Rows, TABLES, TOTAL, text};
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use chrono::{NaiveDateTime, TimeDelta};
use rusqlite::types::ValueRef;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// The rollups as they should be.
pub(super) struct Counted {
    pub(super) names: Names,
    pub(super) tables: [Rows; TABLES.len()],
}

/// Counts all rows of the file. `day_offset` is in minutes. Memory, with six tools a session: some 350
/// bytes for each session, 170 for each user's day.
pub(super) fn count(tx: &ReadTx<'_>, day_offset: i64) -> Result<Counted> {
    let mut counted = Counted {
        names: Names::default(),
        tables: Default::default(),
    };
    let owners = owners(tx, &mut counted.names)?;
    counted.messages(tx, day_offset)?;
    counted.tools(tx, &owners)?;
    counted.costs(tx)?;
    Ok(counted)
}

/// Whose each session is.
fn owners(tx: &ReadTx<'_>, names: &mut Names) -> Result<HashMap<u32, i64>> {
    let mut owners = HashMap::new();
    tx.all("SELECT session_id, user_id FROM sessions", [], |row| {
        owners.insert(names.number(&text(row.get_ref(0)?)), row.get(1)?);
        Ok(())
    })?;
    Ok(owners)
}

impl Counted {
    fn messages(&mut self, tx: &ReadTx<'_>, day_offset: i64) -> Result<()> {
        let total: i64 = tx.one(
            "SELECT coalesce(max(message_id), 0) FROM messages",
            [],
            |row| Ok(row.get(0)?),
        )?;
        let modifier = modifier(day_offset);
        let (mut done, mut told) = (0_u64, Instant::now());
        let mut sessions_of_users = HashSet::new();
        let mut sessions = HashSet::new();
        let Self { names, tables } = self;
        let [days, users, user_days, session_days, _, _, _, _, total_row] = tables;
        tx.all(
            "SELECT session_id, user_id, timestamp, cost, duration_ms, error IS NOT NULL
             FROM messages",
            [],
            |row| {
                let session = names.number(&text(row.get_ref(0)?));
                let user_id = row.get(1)?;
                let day = match day_of(row.get_ref(2)?, day_offset) {
                    Some(day) => names.number(&day),
                    None => {
                        // As the triggers say it.
                        let sql = "SELECT coalesce(date(substr(?1, 1, 19), ?2), '')";
                        let time: rusqlite::types::Value = row.get(2)?;
                        let day =
                            tx.one(sql, (time, &modifier), |row| Ok(row.get::<_, String>(0)?))?;
                        names.number(&day)
                    }
                };
                let cost = real(row.get_ref(3)?);
                let timed = row.get_ref(4)? != ValueRef::Null;
                let duration_ms = integer(row.get_ref(4)?);
                let failed: bool = row.get(5)?;

                let user_day = Key {
                    user_id,
                    first: 0,
                    second: day,
                };
                let of_day = days
                    .counts
                    .entry(Key {
                        second: day,
                        ..Key::default()
                    })
                    .or_default();
                of_day.numbers[1] += 1;
                of_day.numbers[2] += i64::from(failed);
                of_day.numbers[3] += i64::from(timed);
                of_day.numbers[4] = of_day.numbers[4].saturating_add(duration_ms);
                of_day.cost.add(cost);
                let of_user_day = user_days.counts.entry(user_day).or_insert_with(|| {
                    of_day.numbers[0] += 1;
                    Counts::default()
                });
                of_user_day.numbers[1] += 1;
                of_user_day.numbers[2] += i64::from(failed);
                of_user_day.numbers[3] += i64::from(timed);
                of_user_day.numbers[4] = of_user_day.numbers[4].saturating_add(duration_ms);
                of_user_day.cost.add(cost);
                let of_user = users
                    .counts
                    .entry(Key {
                        user_id,
                        ..Key::default()
                    })
                    .or_default();
                of_user.numbers[1] += 1;
                of_user.cost.add(cost);
                if of_user.numbers[1] == 1 || names.text(day) > names.text(of_user.day) {
                    of_user.day = day;
                }
                let session_day = Key {
                    user_id,
                    first: session,
                    second: day,
                };
                if session_days.keys.insert(session_day) {
                    of_user_day.numbers[0] += 1;
                    if sessions_of_users.insert((session, user_id)) {
                        of_user.numbers[0] += 1;
                    }
                    sessions.insert(session);
                }

                done += 1;
                if done % 100_000 == 0 && told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    tracing::info!(done, of = total, "counting messages");
                }
                Ok(())
            },
        )?;
        let mut all = Counts::default();
        all.numbers[0] = users.counts.len() as i64;
        all.numbers[1] = sessions.len() as i64;
        total_row.counts.insert(Key::default(), all);
        Ok(())
    }

    fn tools(&mut self, tx: &ReadTx<'_>, owners: &HashMap<u32, i64>) -> Result<()> {
        let Self { names, tables } = self;
        let [_, _, _, _, tools, session_tools, user_tools, _, _] = tables;
        tx.all(
            "SELECT session_id, tool_name, success FROM tool_usage",
            [],
            |row| {
                let session = names.number(&text(row.get_ref(0)?));
                let tool = names.number(&text(row.get_ref(1)?));
                let success = row.get_ref(2)?;
                let is = |flag| i64::from(success == ValueRef::Integer(flag));
                let of_tool = tools
                    .counts
                    .entry(Key {
                        second: tool,
                        ..Key::default()
                    })
                    .or_default();
                of_tool.numbers[0] += 1;
                of_tool.numbers[1] += is(1);
                of_tool.numbers[2] += is(0);
                let key = Key {
                    user_id: 0,
                    first: session,
                    second: tool,
                };
                if session_tools.keys.insert(key) {
                    of_tool.numbers[3] += 1;
                }
                if let Some(&user_id) = owners.get(&session) {
                    let key = Key {
                        user_id,
                        first: 0,
                        second: tool,
                    };
                    user_tools.counts.entry(key).or_default().numbers[0] += 1;
                }
                Ok(())
            },
        )?;
        Ok(())
    }

    fn costs(&mut self, tx: &ReadTx<'_>) -> Result<()> {
        let Self { names, tables } = self;
        let sql = "SELECT date, request_count, daily_cost FROM cost_tracking";
        tx.all(sql, [], |row| {
            let day = names.number(&text(row.get_ref(0)?));
            let of_day = tables[COST_DAYS]
                .counts
                .entry(Key {
                    second: day,
                    ..Key::default()
                })
                .or_default();
            of_day.numbers[0] += 1;
            of_day.numbers[1] = of_day.numbers[1].saturating_add(integer(row.get_ref(1)?));
            of_day.cost.add(real(row.get_ref(2)?));
            Ok(())
        })?;
        Ok(())
    }
}

/// Writes the rollups anew, whatever was there.
pub(super) fn fill(tx: &WriteTx<'_>, counted: &Counted) -> Result<()> {
    // The triggers that keep distinct counts must not count what is written here.
    tx.execute("UPDATE botstore_total SET repairing = 1", [])?;
    for (table, rows) in TABLES.iter().zip(&counted.tables).take(TOTAL) {
        tx.execute(&format!("DELETE FROM {}", table.name), [])?;
        table.write(tx, &counted.names, rows)?;
    }
    let total = counted.tables[TOTAL]
        .counts
        .values()
        .next()
        .copied()
        .unwrap_or_default();
    tx.execute(
        "UPDATE botstore_total SET users = ?1, sessions = ?2, filled = 1, repairing = 0,
             repairs = repairs + 1",
        (total.numbers[0], total.numbers[1]),
    )?;
    Ok(())
}

/// What moves a time to where the bot's day is.
pub(super) fn modifier(day_offset: i64) -> String {
    format!("{day_offset:+} minutes")
}

/// The day of a time in the file's one spelling; `None` for what is left to SQL, such as a date that
/// is none.
fn day_of(time: ValueRef<'_>, day_offset: i64) -> Option<Cow<'_, str>> {
    let ValueRef::Text(bytes) = time else {
        return None;
    };
    let text = std::str::from_utf8(bytes).ok()?;
    let second = text.strip_suffix("+00:00").filter(|t| t.len() == 26)?;
    let at = NaiveDateTime::parse_from_str(&second[..19], "%Y-%m-%dT%H:%M:%S").ok()?;
    match day_offset {
        0 => Some(text[..10].into()),
        _ => {
            let local = at.checked_add_signed(TimeDelta::try_minutes(day_offset)?)?;
            Some(local.date().to_string().into())
        }
    }
}

fn real(value: ValueRef<'_>) -> f64 {
    match value {
        ValueRef::Integer(number) => number as f64,
        ValueRef::Real(number) => number,
        _ => 0.0,
    }
}

fn integer(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(number) => number,
        ValueRef::Real(number) => number as i64,
        _ => 0,
    }
}
