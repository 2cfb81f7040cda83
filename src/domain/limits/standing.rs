//! What stands now of one limit.

use super::counters::{Counter, Counts, Subject};
use super::windows::Window;
use super::{Amount, Budget, Decision, Limit, Measure, Per, Scope};
use crate::domain::UserId;
use crate::domain::usage::Chat;
use crate::sqlite::Cell;
use chrono::{DateTime, Utc};
use std::cmp::Ordering;

/// A limit, as its row has it.
pub(super) struct Rule {
    pub(super) is_of_each: bool,
    pub(super) measure: Measure,
    pub(super) per: Per,
    pub(super) max: i64,
    pub(super) soft: Option<i64>,
}

/// What stands now of one limit, and of a request that it may allow.
pub(super) struct Standing<'s> {
    subject: Subject<'s>,
    rule: &'s Rule,
    /// The period.
    pub(super) window: &'s Window,
    spent: i64,
    reserved: i64,
    /// With the request.
    used: i64,
    /// Whether something is left, and the request fits in it.
    pub(super) fits: bool,
    /// Whether the warning is reached with the request.
    pub(super) is_near: bool,
}

impl<'s> Standing<'s> {
    pub(super) fn new(
        subject: Subject<'s>,
        rule: &'s Rule,
        spent: &'s Counter<'_>,
        reserved: Counts,
        ask: Counts,
    ) -> Self {
        let (window, of) = (&spent.window, rule.measure as usize);
        let (spent, reserved) = (spent.counts[of].max(0), reserved[of].max(0));
        let before = spent.saturating_add(reserved);
        let used = before.saturating_add(ask[of]);
        Self {
            subject,
            rule,
            window,
            spent,
            reserved,
            used,
            fits: before < rule.max && used <= rule.max,
            is_near: rule.soft.is_some_and(|soft| used >= soft),
        }
    }

    fn amount(&self, number: i64) -> Amount {
        self.rule.measure.amount(number)
    }

    fn left(&self) -> i64 {
        self.rule.max.saturating_sub(self.used).max(0)
    }

    /// What is left after the request.
    pub(super) fn remaining(&self) -> Amount {
        self.amount(self.left())
    }

    /// Whose limit it is; `None` for a chat or a model, or for everybody.
    pub(super) fn user_id(&self) -> Option<UserId> {
        match self.subject {
            Subject::User(user_id) => Some(user_id),
            _ => None,
        }
    }

    /// Which row of the limits this is: its kind, whose, its measure and period.
    pub(super) fn key(&self) -> (&'static str, Cell, &'static str, &'static str) {
        let (kind, who) = self.subject.spelled();
        let (measure, per) = (self.rule.measure.as_str(), self.rule.per.as_str());
        match self.rule.is_of_each {
            true => ("each_user", Cell::text(""), measure, per),
            false => (kind, who, measure, per),
        }
    }

    /// Whether what is spent is as much as the limit, or as much as its warning.
    pub(super) fn reached(&self) -> (bool, bool) {
        let is_near = self.rule.soft.is_some_and(|soft| self.spent >= soft);
        (self.spent >= self.rule.max, is_near)
    }

    pub(super) fn spent_number(&self) -> i64 {
        self.spent
    }

    pub(super) fn limit(&self) -> Limit {
        let scope = match self.subject {
            Subject::Everyone => Scope::Everyone,
            Subject::User(_) if self.rule.is_of_each => Scope::EachUser,
            Subject::User(user_id) => Scope::User(user_id),
            Subject::Chat(chat) => {
                let (platform, chat_id) = chat.split_once('/').unwrap_or((chat, ""));
                Scope::Chat(Chat::new(platform, chat_id))
            }
            Subject::Model(model) => Scope::Model(model.to_owned()),
        };
        Limit {
            scope,
            per: self.rule.per,
            max: self.amount(self.rule.max),
            soft: self.rule.soft.map(|soft| self.amount(soft)),
        }
    }

    /// When the next period begins. Read from the text of the period: not for each limit, only where it is told.
    pub(super) fn resets_at(&self) -> Option<DateTime<Utc>> {
        self.window.resets_at()
    }

    /// How long it holds: to the end of its period, or for ever.
    pub(super) fn holds_until(&self) -> DateTime<Utc> {
        self.resets_at().unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Which of two limits has less left, as a part of it; of two that have as much, the one that holds for longer.
    pub(super) fn cmp_left(&self, other: &Self) -> Ordering {
        let part = |one: &Self, other: &Self| i128::from(one.left()) * i128::from(other.rule.max);
        let by_part = part(self, other).cmp(&part(other, self));
        by_part.then_with(|| other.holds_until().cmp(&self.holds_until()))
    }

    pub(super) fn denied(&self) -> Decision {
        Decision::Denied {
            which: self.limit(),
            spent: self.amount(self.spent),
            reserved: self.amount(self.reserved),
            resets_at: self.resets_at(),
        }
    }

    pub(super) fn budget(&self) -> Budget {
        Budget {
            limit: self.limit(),
            spent: self.amount(self.spent),
            reserved: self.amount(self.reserved),
            left: self.remaining(),
            resets_at: self.resets_at(),
        }
    }
}
