//! Adds messages.

use super::{Addition, Key, rows_of};
use crate::domain::columns::{integer, text};
use crate::domain::rollups::count::{Piece, prepare};
use crate::domain::rollups::facts::{MESSAGES, day_in};
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite::Cell;
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;
use std::rc::Rc;

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
    day: Rc<str>,
    user_id: i64,
    session_id: Key,
    sums: Sums,
}

/// The sums of a user.
struct OfUser {
    sums: Sums,
    last_day: Rc<str>,
}

/// Adds messages to the rollups.
pub(in crate::domain::rollups) fn add_messages(tx: &WriteTx<'_>, piece: Piece) -> Result<()> {
    let generation = piece.generation;
    let groups = message_groups(tx, piece)?;
    let mut users = BTreeMap::<i64, OfUser>::new();
    let mut new_sessions = 0;
    let mut sessions = Sessions::new(tx, generation)?;
    let mut user_days = Vec::new();
    for of_day in groups.chunk_by(|a, b| (a.user_id, &a.day) == (b.user_id, &b.day)) {
        let Some(Group { day, user_id, .. }) = of_day.first() else {
            continue;
        };
        let of_user = users.entry(*user_id).or_insert_with(|| OfUser {
            sums: Sums::default(),
            last_day: Rc::clone(day),
        });
        let mut sums = Sums::default();
        for group in of_day {
            sums.add(&group.sums);
            let new = sessions.add(group)?;
            sums.new += new.on_the_day;
            of_user.sums.new += new.of_the_user;
            new_sessions += new.at_all;
        }
        of_user.sums.add(&Sums { new: 0, ..sums });
        // Days come in their order.
        of_user.last_day = Rc::clone(day);
        user_days.push((&**day, *user_id, sums));
    }
    let new_users = add_users(tx, generation, &users)?;
    add_days(tx, generation, &user_days)?;
    let sql = "UPDATE botstore_total SET users = users + ?2, sessions = sessions + ?3 WHERE generation = ?1";
    prepare(tx, sql)?.execute([generation, new_users, new_sessions])?;
    Ok(())
}

/// The messages of a piece, in the order of their days, users and sessions. Grouped here: SQLite would sort all of them,
/// and tell each one's day anew.
fn message_groups(tx: &WriteTx<'_>, piece: Piece) -> Result<Vec<Group>> {
    let mut groups = BTreeMap::<(Rc<str>, i64, Key), Sums>::new();
    let mut days = Days::new(tx, piece.generation)?;
    tx.each_while(&rows_of(&MESSAGES, piece.after), piece.ids, |row| {
        // A message whose owner is no number is counted nowhere.
        let ValueRef::Integer(user_id) = row.get_ref(2)? else {
            return Ok(true);
        };
        let session_id = Key(row.get_ref(1)?.into());
        let day = days.of(row.get_ref(3)?)?;
        groups
            .entry((day, user_id, session_id))
            .or_default()
            .add(&Sums {
                messages: 1,
                errors: integer(row, 4)?,
                timed: integer(row, 5)?,
                duration_ms: integer(row, 6)?,
                cost: integer(row, 7)?,
                new: 0,
            });
        Ok(true)
    })?;
    let groups = groups.into_iter();
    let groups = groups.map(|((day, user_id, session_id), sums)| Group {
        day,
        user_id,
        session_id,
        sums,
    });
    Ok(groups.collect())
}

/// Tells the day of a time. The next time is often of the same second.
pub(in crate::domain::rollups) struct Days<'a> {
    find: Statement<'a>,
    time: Cell,
    day: Rc<str>,
}

impl<'a> Days<'a> {
    pub(in crate::domain::rollups) fn new(tx: &'a WriteTx<'_>, generation: i64) -> Result<Self> {
        let day = day_in("?1", &generation.to_string());
        Ok(Self {
            find: prepare(tx, &format!("SELECT {day}"))?,
            // No time has no day.
            time: Cell::Null,
            day: Rc::from(""),
        })
    }

    pub(in crate::domain::rollups) fn of(&mut self, time: ValueRef<'_>) -> Result<Rc<str>> {
        if self.time.value() != time {
            self.time = time.into();
            let mut found = self.find.query([&self.time])?;
            let found = found.next()?.map(|row| text(row, 0)).transpose()?;
            let found = found.unwrap_or_default();
            if *found != *self.day {
                self.day = found.into();
            }
        }
        Ok(Rc::clone(&self.day))
    }
}

/// Adds to what is known of sessions. Nearly every group's row is there; only where it is not, more is looked for.
struct Sessions<'a> {
    generation: i64,
    days: Addition<'a>,
    users: Addition<'a>,
    has_one_user: Statement<'a>,
}

/// For what a session is new: 1 or 0.
#[derive(Default)]
struct New {
    on_the_day: i64,
    of_the_user: i64,
    at_all: i64,
}

impl<'a> Sessions<'a> {
    fn new(tx: &'a WriteTx<'_>, generation: i64) -> Result<Self> {
        Ok(Self {
            generation,
            days: Addition::new(
                tx,
                "UPDATE botstore_session_day SET messages = messages + ?5
                 WHERE generation = ?1 AND day = ?2 AND user_id = ?3 AND session_id = ?4",
                "INSERT INTO botstore_session_day (generation, day, user_id, session_id, messages)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            users: Addition::new(
                tx,
                "UPDATE botstore_session_user SET days = days + 1
                 WHERE generation = ?1 AND session_id = ?2 AND user_id = ?3",
                "INSERT INTO botstore_session_user (generation, session_id, user_id, days) VALUES (?1, ?2, ?3, 1)",
            )?,
            has_one_user: prepare(
                tx,
                "SELECT count(*) = 1 FROM (
                     SELECT 1 FROM botstore_session_user WHERE generation = ?1 AND session_id = ?2 LIMIT 2)",
            )?,
        })
    }

    fn add(&mut self, group: &Group) -> Result<New> {
        let Group {
            day,
            user_id,
            session_id,
            sums,
        } = group;
        let mut new = New::default();
        let generation = self.generation;
        let row = (generation, day, user_id, session_id, sums.messages);
        if !self.days.run(row)? {
            return Ok(new);
        }
        new.on_the_day = 1;
        if self.users.run((generation, session_id, user_id))? {
            new.of_the_user = 1;
            let mut first = self.has_one_user.query((generation, session_id))?;
            new.at_all = first.next()?.map_or(Ok(0), |row| integer(row, 0))?;
        }
        Ok(new)
    }
}

/// Returns how many of the users are new.
fn add_users(tx: &WriteTx<'_>, generation: i64, users: &BTreeMap<i64, OfUser>) -> Result<i64> {
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_user_total SET
             sessions = sessions + ?3, messages = messages + ?4, cost = CAST(cost + ?5 AS INTEGER),
             last_day = max(last_day, ?6)
         WHERE generation = ?1 AND user_id = ?2",
        "INSERT INTO botstore_user_total (generation, user_id, sessions, messages, cost, last_day)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut new_users = 0;
    for (user_id, OfUser { sums, last_day }) in users {
        let row = (
            generation,
            user_id,
            sums.new,
            sums.messages,
            sums.cost,
            last_day,
        );
        new_users += i64::from(add.run(row)?);
    }
    Ok(new_users)
}

/// Adds to the days of users, and to the days.
fn add_days(tx: &WriteTx<'_>, generation: i64, user_days: &[(&str, i64, Sums)]) -> Result<()> {
    let mut days = BTreeMap::<&str, Sums>::new();
    let mut add = Addition::new(
        tx,
        "UPDATE botstore_user_day SET
             sessions = sessions + ?4, messages = messages + ?5, errors = errors + ?6, timed = timed + ?7,
             duration_ms = CAST(duration_ms + ?8 AS INTEGER), cost = CAST(cost + ?9 AS INTEGER)
         WHERE generation = ?1 AND day = ?2 AND user_id = ?3",
        "INSERT INTO botstore_user_day (generation, day, user_id, sessions, messages, errors, timed, duration_ms, cost)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (day, user_id, sums) in user_days {
        let Sums {
            messages,
            errors,
            timed,
            duration_ms,
            cost,
            new,
        } = *sums;
        let row = (
            generation,
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
        "INSERT INTO botstore_day (generation, day, users, messages, errors, timed, duration_ms, cost)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (generation, day) DO UPDATE SET
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
        add.execute((
            generation,
            day,
            new,
            messages,
            errors,
            timed,
            duration_ms,
            cost,
        ))?;
    }
    Ok(())
}
