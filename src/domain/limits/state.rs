//! What stands now of each limit that a request meets: read in one statement, or in two if the request names a chat or
//! a model, and decided in Rust.
//!
//! They read the limits, the counters of the periods that contain now, and the open reservations, each by its key. A
//! counter that is missing is counted from the rows. To join limits with counters in SQL was turned down: no limit is
//! read twice here, and what a period is only the zone knows. So was one statement for all: each of its parts opens a
//! table, whether it is asked for or not.

use super::counters::{self, Counter, Subject};
use super::rules::one_text;
use super::standing::{Rule, Standing};
use super::windows::{Window, Zoned};
use super::{Budget, Measure, Per, Scope};
use crate::domain::UserId;
use crate::domain::columns::{id, integer, text};
use crate::domain::usage::Chat;
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::Cell;
use chrono::{DateTime, Utc};
use rusqlite::Row;

/// Whom a request concerns, besides everybody.
pub(super) struct Subjects<'a> {
    user: Option<UserId>,
    chat: Option<String>,
    model: Option<&'a str>,
}

impl<'a> Subjects<'a> {
    pub(super) fn of_request(user_id: UserId, chat: Option<&Chat>, model: Option<&'a str>) -> Self {
        Self {
            user: Some(user_id),
            chat: chat.map(one_text),
            model,
        }
    }

    /// Those of a limit that is not one of each user.
    pub(super) fn of_scope(scope: &'a Scope) -> Self {
        let mut subjects = Self {
            user: None,
            chat: None,
            model: None,
        };
        match scope {
            Scope::User(user_id) => subjects.user = Some(*user_id),
            Scope::Chat(chat) => subjects.chat = Some(one_text(chat)),
            Scope::Model(model) => subjects.model = Some(model),
            Scope::Everyone | Scope::EachUser => {}
        }
        subjects
    }

    /// As the file spells it, without the kind.
    pub(super) fn of_row(kind: &str, who: &'a Cell) -> Option<Self> {
        let mut subjects = Self::of_scope(&Scope::Everyone);
        match (kind, who) {
            ("everyone", _) => {}
            ("user", Cell::Integer(user_id)) => subjects.user = Some((*user_id).into()),
            ("chat", Cell::Text(chat)) => {
                subjects.chat = Some(String::from_utf8_lossy(chat).into_owned());
            }
            ("model", Cell::Text(model)) => subjects.model = std::str::from_utf8(model).ok(),
            _ => return None,
        }
        Some(subjects)
    }

    pub(super) fn get(&self, kind: &str) -> Option<Subject<'_>> {
        match kind {
            "everyone" => Some(Subject::Everyone),
            "each_user" | "user" => self.user.map(Subject::User),
            "chat" => self.chat.as_deref().map(Subject::Chat),
            "model" => self.model.map(Subject::Model),
            _ => None,
        }
    }
}

/// What stands now of some limits.
pub(super) struct State<'a> {
    subjects: &'a Subjects<'a>,
    rules: Vec<(Subject<'a>, Rule)>,
    counters: Vec<Counter<'a>>,
    /// When the first open reservation expires.
    first_until: Option<i64>,
    /// When the newest was made, open or not: at a time to come, if the clock was set back since.
    last_made: Option<i64>,
}

/// Limits of everybody, of the user and of each user, with their counters; and the reservations. A reservation's time
/// that is no number, which another program has written, is 1970: unread, it would come first and hide all others.
const LOOK: &str = "
    SELECT 0, scope, measure, per, max, soft, NULL, NULL, NULL
        FROM botstore_limit WHERE scope = 'everyone' AND who = ''
    UNION ALL SELECT 0, scope, measure, per, max, soft, NULL, NULL, NULL
        FROM botstore_limit WHERE scope = 'user' AND who = ?1
    UNION ALL SELECT 0, scope, measure, per, max, soft, NULL, NULL, NULL
        FROM botstore_limit WHERE scope = 'each_user' AND who = '' AND ?1 IS NOT NULL
    UNION ALL SELECT 1, scope, NULL, per, cost, requests, tokens, starts, ends
        FROM botstore_spent WHERE scope = 'everyone' AND who = '' AND (ends > ?2 AND starts <= ?2 OR ends = '')
    UNION ALL SELECT 1, scope, NULL, per, cost, requests, tokens, starts, ends
        FROM botstore_spent WHERE scope = 'user' AND who = ?1 AND (ends > ?2 AND starts <= ?2 OR ends = '')
    UNION ALL SELECT 2, NULL, NULL, NULL,
        (SELECT CAST(coalesce(until, 0) AS INTEGER) FROM botstore_reservation WHERE state = 'open'
            ORDER BY CAST(coalesce(until, 0) AS INTEGER) LIMIT 1),
        (SELECT CAST(coalesce(made_at, 0) AS INTEGER) FROM botstore_reservation ORDER BY reservation_id DESC LIMIT 1),
        NULL, NULL, NULL";

/// Limits of the chat and of the model, with their counters.
const LOOK_FURTHER: &str = "
    SELECT 0, scope, measure, per, max, soft, NULL, NULL, NULL
        FROM botstore_limit WHERE scope = 'chat' AND who = ?1
    UNION ALL SELECT 0, scope, measure, per, max, soft, NULL, NULL, NULL
        FROM botstore_limit WHERE scope = 'model' AND who = ?2
    UNION ALL SELECT 1, scope, NULL, per, cost, requests, tokens, starts, ends
        FROM botstore_spent WHERE scope = 'chat' AND who = ?1 AND (ends > ?3 AND starts <= ?3 OR ends = '')
    UNION ALL SELECT 1, scope, NULL, per, cost, requests, tokens, starts, ends
        FROM botstore_spent WHERE scope = 'model' AND who = ?2 AND (ends > ?3 AND starts <= ?3 OR ends = '')";

impl<'a> State<'a> {
    /// As a query sees it: what has expired by `now` is not reserved.
    pub(super) fn read(
        tx: &ReadTx<'_>,
        subjects: &'a Subjects<'a>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let mut state = Self::look(tx, subjects)?;
        state.leave_out_expired(tx, now)?;
        Ok(state)
    }

    /// As the file has it.
    pub(super) fn look(tx: &ReadTx<'_>, subjects: &'a Subjects<'a>) -> Result<Self> {
        let mut state = Self::spent(tx, subjects)?;
        for at in 0..state.rules.len() {
            let subject = state.rules[at].0;
            if state.counter(subject, None).is_none() {
                state.counters.push(Counter::reserved(tx, subject)?);
            }
        }
        Ok(state)
    }

    /// What is spent, as the file has it. What is reserved is told only as far as it has a counter.
    pub(super) fn spent(tx: &ReadTx<'_>, subjects: &'a Subjects<'a>) -> Result<Self> {
        let mut state = Self {
            subjects,
            rules: Vec::new(),
            counters: Vec::new(),
            first_until: None,
            last_made: None,
        };
        let (user, now) = (subjects.user.map(UserId::get), Window::now(tx));
        tx.each_while(LOOK, (user, &now), |row| state.take(row))?;
        if subjects.chat.is_some() || subjects.model.is_some() {
            let bound = (&subjects.chat, subjects.model, &now);
            tx.each_while(LOOK_FURTHER, bound, |row| state.take(row))?;
        }
        state.replace();
        state.count_spent(tx)?;
        Ok(state)
    }

    /// Leaves out what reservations hold that have expired by this time, and that nobody has ended yet. Their counters
    /// still have it: so this comes after [`keep`](Self::keep).
    pub(super) fn leave_out_expired(&mut self, tx: &ReadTx<'_>, now: DateTime<Utc>) -> Result<()> {
        if self.has_expired(now) {
            for counter in self.counters.iter_mut().filter(|c| c.window.is_open()) {
                counter.counts = counters::reserved(tx, counter.subject, now)?;
            }
        }
        Ok(())
    }

    /// Takes a row in, and asks for the next.
    fn take(&mut self, row: &Row<'_>) -> Result<bool> {
        let kind = integer(row, 0)?;
        if kind == 2 {
            (self.first_until, self.last_made) = (id(row, 4)?, id(row, 5)?);
            return Ok(true);
        }
        let scope = row.get_ref(1)?.as_str().unwrap_or_default();
        let Some(subject) = self.subjects.get(scope) else {
            return Ok(true);
        };
        let per = row.get_ref(3)?.as_str().unwrap_or_default();
        if kind == 1 {
            let counts = [integer(row, 4)?, integer(row, 5)?, integer(row, 6)?];
            let window = Window::of_row(per, text(row, 7)?, text(row, 8)?);
            self.counters.extend(window.map(|window| Counter {
                subject,
                window,
                counts,
                is_kept: true,
            }));
            return Ok(true);
        }
        let measure = row.get_ref(2)?.as_str().unwrap_or_default();
        let (Some(measure), Some(per)) = (Measure::read(measure), Per::read(per)) else {
            return Ok(true);
        };
        let rule = Rule {
            is_of_each: scope == "each_user",
            measure,
            per,
            max: integer(row, 4)?,
            soft: id(row, 5)?,
        };
        self.rules.push((subject, rule));
        Ok(true)
    }

    /// Leaves out the limits of each user that the user's own replace.
    fn replace(&mut self) {
        let own: Vec<_> = self
            .rules
            .iter()
            .filter(|(subject, rule)| matches!(subject, Subject::User(_)) && !rule.is_of_each)
            .map(|(_, rule)| (rule.measure, rule.per))
            .collect();
        if !own.is_empty() {
            self.rules
                .retain(|(_, rule)| !rule.is_of_each || !own.contains(&(rule.measure, rule.per)));
        }
    }

    /// Counts the periods that have no counter yet.
    fn count_spent(&mut self, tx: &ReadTx<'_>) -> Result<()> {
        let mut zone = None;
        for at in 0..self.rules.len() {
            let (subject, per) = (self.rules[at].0, self.rules[at].1.per);
            if self.counter(subject, Some(per)).is_none() {
                let zone = zone.get_or_insert_with(|| Zoned::of(tx));
                let counter = Counter::spent(tx, subject, zone.window(per, tx.now()), zone)?;
                self.counters.push(counter);
            }
        }
        Ok(())
    }

    /// The counter of a period, or that of open reservations.
    fn counter(&self, subject: Subject<'_>, per: Option<Per>) -> Option<&Counter<'a>> {
        let mut all = self.counters.iter();
        all.find(|counter| counter.window.per == per && counter.subject == subject)
    }

    /// Keeps the counters that were missing.
    pub(super) fn keep(&self, tx: &WriteTx<'_>) -> Result<()> {
        let mut missing = self.counters.iter().filter(|counter| !counter.is_kept);
        missing.try_for_each(|counter| counter.keep(tx))
    }

    /// Whether a reservation has expired that still counts.
    pub(super) fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.first_until
            .is_some_and(|until| until <= now.timestamp_micros())
    }

    /// Whether a reservation was made at a time that is still to come: the clock was set back since.
    pub(super) fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        self.last_made
            .is_some_and(|made| made > now.timestamp_micros())
    }

    pub(super) fn chat(&self) -> Option<&str> {
        self.subjects.chat.as_deref()
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.subjects.model
    }

    /// What stands of each limit, for a request of this cost, number of requests, and tokens.
    pub(super) fn standings(&self, ask: [i64; 3]) -> Vec<Standing<'_>> {
        let rules = self.rules.iter();
        rules
            .filter_map(|(subject, rule)| self.standing(*subject, rule, ask))
            .collect()
    }

    fn standing<'s>(
        &'s self,
        subject: Subject<'s>,
        rule: &'s Rule,
        ask: [i64; 3],
    ) -> Option<Standing<'s>> {
        let spent = self.counter(subject, Some(rule.per))?;
        let reserved = self.counter(subject, None);
        let reserved = reserved.map_or([0; 3], |counter| counter.counts);
        Some(Standing::new(subject, rule, spent, reserved, ask))
    }

    /// What is left of each limit, that of which the least is left first.
    pub(super) fn budgets(&self) -> Vec<Budget> {
        let mut standings = self.standings([0; 3]);
        standings.sort_by(Standing::cmp_left);
        standings.iter().map(Standing::budget).collect()
    }
}
