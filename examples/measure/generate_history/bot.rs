//! The bot's life, message by message.

use crate::Failure;
use crate::calendar::{Calendar, HOUR, Time};
use crate::file::File;
use crate::people::{Session, User};
use crate::text::{Texts, exponential, skewed};
use botstore::audit;
use botstore::rusqlite::params;
use fastrand::Rng;
use serde::Serialize;

/// Messages of a visit, on average.
const VISIT: u64 = 10;

/// Minutes between two messages of a visit, on average.
const PAUSE: u64 = 3;

/// How often each number of tools is used for a message, in percent, growing to 100.
const TOOLS: [u8; 6] = [35, 60, 78, 89, 96, 100];

const ERRORS: [&str; 4] = [
    "the model did not answer in time",
    "rate limit reached, try again later",
    "the process ended with exit code 1",
    "the context is too long",
];

/// What the audit row of an interaction tells, as `SaveInteraction` writes it.
#[derive(Serialize)]
struct AuditData<'a> {
    session_id: &'a str,
    message_id: i64,
    cost: f64,
    duration_ms: i64,
    num_turns: i64,
    is_error: bool,
    tools_used: &'a [&'a str],
}

pub(crate) struct Bot {
    dice: Rng,
    texts: Texts,
    /// Those who have come so far, the most diligent first.
    users: Vec<User>,
    all_users: u64,
    all_messages: u64,
    /// The end of the history, in microseconds.
    end: i64,
    /// Who is writing at the moment.
    visits: Vec<usize>,
    /// Who has written today, in this order.
    today: Vec<usize>,
    sessions: i64,
    now: Time,
    event_data: Vec<u8>,
}

impl Bot {
    pub(crate) fn new(seed: u64, users: u64, messages: u64, end: i64) -> Self {
        let mut dice = Rng::with_seed(seed);
        Self {
            texts: Texts::new(&mut dice),
            dice,
            users: Vec::new(),
            all_users: users,
            all_messages: messages,
            end,
            visits: Vec::new(),
            today: Vec::new(),
            sessions: 0,
            now: Time::at(0),
            event_data: Vec::new(),
        }
    }

    /// Writes the whole history.
    pub(crate) fn live(mut self, calendar: &Calendar, file: &mut File<'_>) -> Result<(), Failure> {
        for (hour, messages) in calendar.hours() {
            let at_once = (messages * PAUSE / 60).max(1) as usize;
            for number in 0..messages {
                // Each has its own place in the hour, so that times grow.
                let place = (number as f64 + self.dice.f64()) / messages as f64;
                let at = hour + (place * HOUR as f64) as i64;
                self.advance(at.min(hour + HOUR - 1), file)?;
                self.join(file)?;
                let user = self.who_writes(at_once, file)?;
                self.interact(user, file)?;
            }
        }
        self.end_day(file)?;
        for user in &self.users {
            if let Some(session) = &user.session {
                let is_active = session.is_active(self.end);
                session.save(file, user.id, &self.texts.projects, is_active)?;
            }
            user.save(file)?;
        }
        Ok(())
    }

    fn advance(&mut self, micros: i64, file: &mut File<'_>) -> Result<(), Failure> {
        let before = self.now;
        self.now.set(micros);
        if before.day() != self.now.day() {
            let now = std::mem::replace(&mut self.now, before);
            self.end_day(file)?;
            self.now = now;
        }
        Ok(())
    }

    fn end_day(&mut self, file: &mut File<'_>) -> Result<(), Failure> {
        let date = self.now.date();
        for user in self.today.drain(..) {
            self.users[user].end_day(file, &date)?;
        }
        Ok(())
    }

    /// Users join all the time, more of them at the beginning.
    fn join(&mut self, file: &mut File<'_>) -> Result<(), Failure> {
        loop {
            let number = self.users.len() as u64;
            let share = number as f64 / self.all_users as f64;
            let due = (share.powf(1.5) * self.all_messages as f64) as i64;
            if number >= self.all_users || due >= file.messages.next() {
                return Ok(());
            }
            let user = User::new(number as usize, &self.now);
            let stranger = User::is_stranger(number as usize);
            let event = if stranger {
                "authentication_failure"
            } else {
                user.maybe_issue_token(file, &self.now, &mut self.dice)?;
                "authentication_success"
            };
            self.log(
                user.id,
                event,
                Some(r#"{"method":"whitelist"}"#),
                !stranger,
                file,
            )?;
            self.users.push(user);
        }
    }

    /// One of those who are here; or a visitor who comes, perhaps for another who leaves.
    fn who_writes(&mut self, at_once: usize, file: &mut File<'_>) -> Result<usize, Failure> {
        let leaves = self.dice.u64(..VISIT) == 0;
        let place = self.dice.usize(..self.visits.len().max(1));
        if self.visits.len() >= at_once && !leaves {
            return Ok(self.visits[place]);
        }
        let user = self.visit(file)?;
        if self.visits.len() < at_once {
            self.visits.push(user);
        } else {
            self.visits[place] = user;
            // The night is quieter than the evening was.
            if self.visits.len() > at_once {
                self.visits.swap_remove(place);
            }
        }
        Ok(user)
    }

    /// A user comes, and goes on with a session or begins one.
    fn visit(&mut self, file: &mut File<'_>) -> Result<usize, Failure> {
        let mut number = skewed(&mut self.dice, self.users.len());
        if User::is_stranger(number) {
            number -= 1;
        }
        let user_id = self.users[number].id;
        match self.dice.u8(..100) {
            0..25 => self.log(user_id, "authentication_success", None, true, file)?,
            25..28 => {
                let data = Some(r#"{"command":"backup"}"#);
                self.log(user_id, "command_refused", data, false, file)?;
            }
            _ => {}
        }
        let (user, dice) = (&mut self.users[number], &mut self.dice);
        let goes_on = |session: &Session| session.goes_on(&self.now, dice);
        if !user.session.as_ref().is_some_and(goes_on) {
            self.sessions += 1;
            // Everybody has a few projects of the many.
            let project = number.wrapping_mul(7) + skewed(&mut self.dice, 5);
            let project = project % self.texts.projects.len();
            let session = Session::new(self.sessions, project, &self.now, &mut self.dice);
            if let Some(last) = user.begin(session) {
                last.save(file, user_id, &self.texts.projects, false)?;
            }
        }
        Ok(number)
    }

    /// Writes what `SaveInteraction` writes.
    fn interact(&mut self, number: usize, file: &mut File<'_>) -> Result<(), Failure> {
        let (dice, user) = (&mut self.dice, &mut self.users[number]);
        let length = 20 + exponential(dice, 180.0) as usize;
        let prompt = self.texts.slice(dice, length.min(4_096));
        let length = 40 + exponential(dice, 760.0) as usize;
        let text = self.texts.slice(dice, length.min(8_192));
        let failed = dice.u16(..1_000) < 25;
        let response = (!failed).then_some(text);
        let error = failed.then(|| ERRORS[dice.usize(..ERRORS.len())]);

        let percent = dice.u8(..100);
        let tool_count = TOOLS.iter().position(|&up_to| percent < up_to).unwrap_or(0);
        let mut tools_used = [""; TOOLS.len()];
        let turns = 1 + tool_count as i64;
        let work = (prompt.len() + 4 * response.map_or(0, str::len)) as f64 * turns as f64;
        // From free to dollars, to a ten-thousandth of a cent.
        let cost = (work * exponential(dice, 3.0)).round() / 1e6;
        let duration_ms = 700 + (work * (0.3 + exponential(dice, 0.7))) as i64;

        let first_today = user.count(&self.now, cost, turns);
        let Some(session) = &user.session else {
            return Err("a user writes without a session".into());
        };
        let message_id = file.messages.next();
        file.add_message(params![
            message_id,
            session.id,
            user.id,
            self.now,
            prompt,
            response,
            cost,
            duration_ms,
            error
        ])?;
        for used in &mut tools_used[..tool_count] {
            let tool = &self.texts.tools[skewed(dice, self.texts.tools.len())];
            *used = tool.name;
            let failed = dice.u8(..100) < 4;
            let id = file.tools.next();
            file.tools.add(params![
                id,
                session.id,
                message_id,
                tool.name,
                tool.input(dice),
                self.now,
                !failed,
                failed.then_some("exit code 1")
            ])?;
        }
        self.event_data.clear();
        serde_json::to_writer(
            &mut self.event_data,
            &AuditData {
                session_id: &session.id,
                message_id,
                cost,
                duration_ms,
                num_turns: turns,
                is_error: failed,
                tools_used: &tools_used[..tool_count],
            },
        )?;
        let data = std::str::from_utf8(&self.event_data)?;
        let id = file.events.next();
        file.events.add(params![
            id,
            user.id,
            audit::INTERACTION,
            data,
            !failed,
            self.now,
            None::<&str>
        ])?;
        if first_today {
            self.today.push(number);
        }
        Ok(())
    }

    /// Writes what `LogEvent` writes.
    fn log(
        &mut self,
        user_id: i64,
        event_type: &str,
        data: Option<&str>,
        success: bool,
        file: &mut File<'_>,
    ) -> Result<(), Failure> {
        let id = file.events.next();
        file.events.add(params![
            id,
            user_id,
            event_type,
            data,
            success,
            self.now,
            None::<&str>
        ])?;
        Ok(())
    }
}
