//! What limits are, as plainly as it can be said.

mod budgets;

use super::histories::Random;
use botstore::limits::{Amount, Decision, Limit, Measure, Per, Scope, Settled};
use botstore::usage::Chat;
use chrono::{DateTime, Datelike, Offset, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(in crate::limits) struct Request {
    pub(in crate::limits) user: i64,
    pub(in crate::limits) at: DateTime<Utc>,
    pub(in crate::limits) is_history: bool,
    pub(in crate::limits) cost: i64,
    /// The chat, the model, and the tokens.
    pub(in crate::limits) usage: Option<(Option<Chat>, &'static str, Option<u64>)>,
    pub(in crate::limits) reservation: Option<i64>,
}

#[derive(Debug)]
struct Reserved {
    user: i64,
    chat: Option<Chat>,
    model: Option<&'static str>,
    cost: i64,
    tokens: i64,
    made: DateTime<Utc>,
    until: DateTime<Utc>,
    ended: Option<Settled>,
    settled_by: Option<i64>,
    /// Whether the store has forgotten it: a day after its time, when a reservation's number is a multiple of 64.
    is_swept: bool,
}

pub(in crate::limits) struct Model {
    pub(in crate::limits) zone: Tz,
    limits: Vec<Limit>,
    /// By the message's id; below 0 for another request. And who owns the message's session.
    rows: BTreeMap<i64, (Request, i64)>,
    reservations: BTreeMap<i64, Reserved>,
    others: i64,
}

/// Who asks, in which chat, for which model, for how much money and how many tokens.
pub(in crate::limits) type Ask = (i64, Option<Chat>, Option<&'static str>, i64, u64);

impl Model {
    pub(in crate::limits) fn new(zone: Tz) -> Self {
        Self {
            zone,
            limits: Vec::new(),
            rows: BTreeMap::new(),
            reservations: BTreeMap::new(),
            others: 0,
        }
    }

    pub(in crate::limits) fn set_limit(&mut self, limit: Limit) -> Option<Limit> {
        let before = self.remove_limit(&limit.scope, limit.per, limit.max.measure());
        self.limits.push(limit);
        before
    }

    pub(in crate::limits) fn remove_limit(
        &mut self,
        scope: &Scope,
        per: Per,
        measure: Measure,
    ) -> Option<Limit> {
        let is_it = |l: &Limit| l.scope == *scope && l.per == per && l.max.measure() == measure;
        let at = self.limits.iter().position(is_it)?;
        Some(self.limits.remove(at))
    }

    /// The limits that concern a request.
    fn limits_of(&self, user: i64, chat: Option<&Chat>, model: Option<&str>) -> Vec<&Limit> {
        let is_own = |l: &&Limit| l.scope == Scope::User(user.into());
        let own: Vec<_> = self.limits.iter().filter(is_own).collect();
        let concerns = |limit: &&Limit| match &limit.scope {
            Scope::Everyone => true,
            Scope::EachUser => !own
                .iter()
                .any(|own| own.per == limit.per && own.max.measure() == limit.max.measure()),
            Scope::User(own) => *own == user,
            Scope::Chat(own) => Some(own) == chat,
            Scope::Model(own) => Some(own.as_str()) == model,
            _ => false,
        };
        self.limits.iter().filter(concerns).collect()
    }

    /// Whether two times are in the same period.
    fn same(&self, per: Per, a: DateTime<Utc>, b: DateTime<Utc>) -> bool {
        let local = |at: DateTime<Utc>| at.with_timezone(&self.zone);
        let (a, b) = (local(a), local(b));
        let hour = |at: DateTime<Tz>| (at.date_naive(), at.hour(), at.offset().fix());
        match per {
            Per::Minute => hour(a) == hour(b) && a.minute() == b.minute(),
            Per::Hour => hour(a) == hour(b),
            Per::Day => a.date_naive() == b.date_naive(),
            Per::Week => a.iso_week() == b.iso_week(),
            Per::Month => (a.year(), a.month()) == (b.year(), b.month()),
            _ => true,
        }
    }

    /// What is spent of a limit in the period of a time.
    fn spent(&self, limit: &Limit, user: i64, now: DateTime<Utc>) -> i64 {
        let mut spent = 0;
        for (row, _) in self.rows.values() {
            let usage = row.usage.as_ref();
            let concerns = match &limit.scope {
                Scope::Everyone => true,
                Scope::EachUser => row.user == user,
                Scope::User(own) => *own == row.user,
                Scope::Chat(own) => usage.and_then(|(chat, ..)| chat.as_ref()) == Some(own),
                Scope::Model(own) => usage.is_some_and(|(_, model, _)| model == own),
                _ => unreachable!(),
            };
            if !concerns || !self.same(limit.per, row.at, now) {
                continue;
            }
            spent += match limit.max {
                Amount::Cost(_) => row.cost,
                Amount::Requests(_) => 1,
                _ => usage.and_then(|(.., tokens)| *tokens).unwrap_or(0) as i64,
            };
        }
        spent
    }

    fn reserved(&self, limit: &Limit, user: i64, now: DateTime<Utc>) -> i64 {
        let open = self.reservations.values();
        let open = open.filter(|one| one.ended.is_none() && one.until > now);
        let its = open.filter(|one| match &limit.scope {
            Scope::Everyone => true,
            Scope::EachUser => one.user == user,
            Scope::User(own) => *own == one.user,
            Scope::Chat(own) => one.chat.as_ref() == Some(own),
            Scope::Model(own) => one.model == Some(own),
            _ => false,
        });
        its.map(|one| match limit.max {
            Amount::Cost(_) => one.cost,
            Amount::Requests(_) => 1,
            _ => one.tokens,
        })
        .sum()
    }

    /// What was reserved at a time to come holds from now on: the clock was set back.
    fn hold_anew(&mut self, now: DateTime<Utc>) {
        let open = self.reservations.values_mut();
        for one in open.filter(|one| one.ended.is_none() && one.made > now) {
            one.until -= one.made.signed_duration_since(now);
            one.made = now;
        }
    }

    pub(in crate::limits) fn reserve(
        &mut self,
        now: DateTime<Utc>,
        (user, chat, model, cost, tokens): Ask,
        expires_in: Duration,
        decision: &Decision,
    ) {
        self.hold_anew(now);
        for one in self.reservations.values_mut() {
            if one.ended.is_none() && one.until <= now {
                one.ended = Some(Settled::Expired);
            }
        }
        let limits = self.limits_of(user, chat.as_ref(), model);
        let (mut denying, mut is_near) = (Vec::new(), false);
        let mut left = Vec::new();
        for limit in limits {
            let (spent, reserved) = (
                self.spent(limit, user, now),
                self.reserved(limit, user, now),
            );
            let ask = match limit.max {
                Amount::Cost(_) => cost,
                Amount::Requests(_) => 1,
                _ => tokens as i64,
            };
            let max = number(limit.max);
            let used = spent + reserved + ask;
            if used > max || spent + reserved >= max {
                denying.push((limit, spent, reserved));
            }
            is_near |= limit.soft.is_some_and(|soft| used >= number(soft));
            left.push((max - used, limit));
        }
        match decision {
            Decision::Denied {
                which,
                spent,
                reserved,
                resets_at,
                ..
            } => {
                let same = denying.iter().find(|(limit, ..)| *limit == which);
                let Some((limit, its_spent, its_reserved)) = same else {
                    panic!("{decision:?}, where {denying:?}")
                };
                assert_eq!(
                    (number(*spent), number(*reserved)),
                    (*its_spent, *its_reserved),
                    "{decision:?}"
                );
                self.check_end(limit.per, *resets_at, now);
                // No other holds for longer.
                for (other, ..) in &denying {
                    let is_over = resets_at.is_some_and(|end| !self.same(other.per, end, now));
                    assert!(
                        is_over || resets_at.is_none(),
                        "{decision:?}, and {other:?}"
                    );
                }
            }
            Decision::Granted {
                reservation,
                near_limit,
                remaining,
                ..
            } => {
                assert!(denying.is_empty(), "{decision:?}, where {denying:?}");
                assert_eq!(*near_limit, is_near, "{decision:?}");
                let its = remaining.map(|remaining| (number(remaining), remaining.measure()));
                let known = left
                    .iter()
                    .map(|(left, limit)| (*left, limit.max.measure()));
                assert_eq!(its.is_none(), left.is_empty(), "{decision:?}");
                assert!(
                    its.is_none_or(|its| known.clone().any(|known| known == its)),
                    "{decision:?} {left:?}"
                );
                let made = Reserved {
                    user,
                    chat,
                    model,
                    cost,
                    tokens: tokens as i64,
                    made: now,
                    until: now + expires_in,
                    ended: None,
                    settled_by: None,
                    is_swept: false,
                };
                let again = self.reservations.insert(reservation.get(), made);
                assert!(again.is_none(), "{decision:?} was given before");
                if reservation.get() % 64 == 0 {
                    let old = now - TimeDelta::days(2);
                    let all = self.reservations.values_mut();
                    for one in all.filter(|one| one.ended.is_some() && one.made <= old) {
                        (one.is_swept, one.settled_by) = (true, None);
                    }
                }
            }
            _ => unreachable!(),
        }
    }

    /// A period ends where the next time is in another.
    fn check_end(&self, per: Per, end: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let Some(end) = end else {
            return assert_eq!(per, Per::Ever);
        };
        let before = end - TimeDelta::microseconds(1);
        assert!(self.same(per, before, now), "{per} of {now}: {end}");
        assert!(!self.same(per, end, now), "{per} of {now}: {end}");
    }

    pub(in crate::limits) fn reservations_of(&self, user: i64) -> Vec<i64> {
        let own = self.reservations.iter().filter(|(_, one)| one.user == user);
        own.map(|(id, _)| *id).collect()
    }

    fn settle(&mut self, now: DateTime<Utc>, reservation: Option<i64>, by: i64) -> Option<Settled> {
        let one = self.reservations.get_mut(&reservation?)?;
        if one.is_swept {
            return Some(Settled::Expired);
        }
        let settled = match one.ended {
            None if one.until <= now => Settled::Expired,
            None => Settled::InTime,
            Some(Settled::InTime) => Settled::Before,
            Some(ended) => ended,
        };
        one.ended.get_or_insert(settled);
        if one.settled_by.is_none() {
            one.settled_by = Some(by);
        }
        Some(settled)
    }

    pub(in crate::limits) fn is_settled_by(&self, reservation: Option<i64>, id: i64) -> bool {
        let one = reservation.and_then(|id| self.reservations.get(&id));
        one.is_some_and(|one| one.settled_by == Some(id))
    }

    pub(in crate::limits) fn save(
        &mut self,
        now: DateTime<Utc>,
        request: &Request,
        id: i64,
    ) -> Option<Settled> {
        self.rows.insert(id, (request.clone(), request.user));
        self.settle(now, request.reservation, id)
    }

    pub(in crate::limits) fn add_cost(&mut self, now: DateTime<Utc>, request: &Request) {
        // The same one, sent again.
        let one = request
            .reservation
            .and_then(|id| self.reservations.get(&id));
        let before = one.and_then(|one| one.settled_by).filter(|id| *id < 0);
        if let Some((row, _)) = before.and_then(|id| self.rows.get(&id)) {
            let model = |row: &Request| row.usage.as_ref().map(|(_, model, _)| *model);
            if row.cost == request.cost && row.user == request.user && model(row) == model(request)
            {
                return;
            }
        }
        self.others -= 1;
        self.rows
            .insert(self.others, (request.clone(), request.user));
        self.settle(now, request.reservation, self.others);
    }

    pub(in crate::limits) fn release(&mut self, now: DateTime<Utc>, reservation: i64) -> bool {
        let one = self
            .reservations
            .get_mut(&reservation)
            .expect("one that was given");
        if one.ended.is_none() && one.until > now {
            one.ended = Some(Settled::Released);
            return true;
        }
        false
    }

    pub(in crate::limits) fn any_message(&self, random: &mut Random) -> Option<i64> {
        let ids: Vec<i64> = self.rows.keys().copied().filter(|id| *id > 0).collect();
        (!ids.is_empty()).then(|| ids[random.below(ids.len() as u64) as usize])
    }

    pub(in crate::limits) fn owner_of_session(&self, id: i64) -> Option<i64> {
        self.rows
            .get(&id)
            .filter(|(row, owner)| row.user == *owner)
            .map(|(_, owner)| *owner)
    }

    pub(in crate::limits) fn change(&mut self, id: i64, change: impl Fn(&mut Request)) {
        change(&mut self.rows.get_mut(&id).expect("a row").0);
    }

    pub(in crate::limits) fn delete(&mut self, id: i64) {
        self.rows.remove(&id);
    }
}

fn number(amount: Amount) -> i64 {
    match amount {
        Amount::Cost(cost) => cost.nanos(),
        Amount::Requests(number) | Amount::Tokens(number) => number as i64,
        _ => unreachable!(),
    }
}
