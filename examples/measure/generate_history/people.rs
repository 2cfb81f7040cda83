//! Users and their sessions, with the counters that the store would keep.

use crate::calendar::{DAY, HOUR, Time};
use crate::file::File;
use botstore::rusqlite::{Result, params};
use fastrand::Rng;

/// A session that nothing happened in for so long is ended, by the next one or by a schedule.
const IDLE: i64 = 7 * DAY;

/// One of so many users is a stranger, who may not use the bot.
const STRANGERS: usize = 20;

/// One of so many users has a token.
const TOKENS: usize = 50;

pub(crate) struct Session {
    number: i64,
    pub(crate) id: String,
    project: usize,
    created_at: Time,
    last_used: Time,
    cost: f64,
    turns: i64,
    messages: i64,
}

impl Session {
    pub(crate) fn new(number: i64, project: usize, now: &Time, dice: &mut Rng) -> Self {
        Self {
            number,
            id: uuid(dice),
            project,
            created_at: *now,
            last_used: *now,
            cost: 0.0,
            turns: 0,
            messages: 0,
        }
    }

    /// Whether a visit now goes on with it.
    pub(crate) fn goes_on(&self, now: &Time, dice: &mut Rng) -> bool {
        now.micros - self.last_used.micros < IDLE && dice.u8(..4) > 0
    }

    /// Writes it once nothing changes it any more.
    pub(crate) fn save(
        &self,
        file: &mut File<'_>,
        user_id: i64,
        projects: &[String],
        is_active: bool,
    ) -> Result<()> {
        file.sessions.add(params![
            self.number,
            self.id,
            user_id,
            projects[self.project],
            self.created_at,
            self.last_used,
            self.cost,
            self.turns,
            self.messages,
            is_active
        ])
    }

    /// Whether no schedule has ended it at the end of the history.
    pub(crate) fn is_active(&self, end: i64) -> bool {
        end - self.last_used.micros < IDLE
    }
}

pub(crate) struct User {
    pub(crate) id: i64,
    number: usize,
    first_seen: Time,
    last_active: Time,
    cost: f64,
    messages: i64,
    sessions: i64,
    today_cost: f64,
    today_messages: i64,
    pub(crate) session: Option<Session>,
}

impl User {
    pub(crate) fn new(number: usize, now: &Time) -> Self {
        Self {
            // Odd, so that no two numbers give the same.
            id: 100_000_000 + i64::from((number as u32).wrapping_mul(0x9E37_79B1)),
            number,
            first_seen: *now,
            last_active: *now,
            cost: 0.0,
            messages: 0,
            sessions: 0,
            today_cost: 0.0,
            today_messages: 0,
            session: None,
        }
    }

    pub(crate) fn is_stranger(number: usize) -> bool {
        number % STRANGERS == STRANGERS - 1
    }

    pub(crate) fn begin(&mut self, session: Session) -> Option<Session> {
        self.sessions += 1;
        self.session.replace(session)
    }

    /// Counts a message on user, session and day; gives whether it is the first of the day.
    pub(crate) fn count(&mut self, now: &Time, cost: f64, turns: i64) -> bool {
        if let Some(session) = &mut self.session {
            session.last_used = *now;
            session.cost += cost;
            session.turns += turns;
            session.messages += 1;
        }
        self.last_active = *now;
        self.cost += cost;
        self.messages += 1;
        self.today_cost += cost;
        self.today_messages += 1;
        self.today_messages == 1
    }

    /// Writes what the day came to.
    pub(crate) fn end_day(&mut self, file: &mut File<'_>, date: &str) -> Result<()> {
        let id = file.costs.next();
        file.costs.add(params![
            id,
            self.id,
            date,
            self.today_cost,
            self.today_messages
        ])?;
        (self.today_cost, self.today_messages) = (0.0, 0);
        Ok(())
    }

    pub(crate) fn save(&self, file: &mut File<'_>) -> Result<()> {
        // A few have told no name.
        let name = (!self.number.is_multiple_of(10)).then(|| format!("user_{}", self.number));
        file.users.add(params![
            self.id,
            name,
            self.first_seen,
            self.last_active,
            !Self::is_stranger(self.number),
            self.cost,
            self.messages,
            self.sessions
        ])
    }

    /// Issues a token to some. There is no secret of which this is the hash.
    pub(crate) fn maybe_issue_token(
        &self,
        file: &mut File<'_>,
        now: &Time,
        dice: &mut Rng,
    ) -> Result<()> {
        if self.number % TOKENS != 1 {
            return Ok(());
        }
        let id = file.tokens.next();
        let hash = format!("{:032x}{:032x}", dice.u128(..), dice.u128(..));
        let expires_at = dice.bool().then(|| Time::at(now.micros + 90 * DAY + HOUR));
        let is_active = dice.u8(..5) > 0;
        file.tokens
            .add(params![id, self.id, hash, now, expires_at, is_active])
    }
}

fn uuid(dice: &mut Rng) -> String {
    let (high, low) = (dice.u64(..), dice.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}
