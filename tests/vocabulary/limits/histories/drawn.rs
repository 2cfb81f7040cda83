//! What happens in a history, drawn at random.

use super::History;
use crate::limits::model::Request;
use botstore::Usd;
use botstore::limits::{Amount, Per, Scope};
use botstore::usage::Chat;
use chrono::TimeDelta;

/// Numbers that follow from a seed.
pub(in crate::limits) struct Random(pub(super) u64);

impl Random {
    pub(in crate::limits) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    pub(super) fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

impl History {
    pub(super) fn user(&mut self) -> i64 {
        self.random.of(&[1, 2, 3])
    }

    pub(super) fn chat(&mut self) -> Option<Chat> {
        let chats = [None, Some("7"), Some("8")];
        self.random.of(&chats).map(|id| Chat::new("telegram", id))
    }

    pub(super) fn model_name(&mut self) -> Option<&'static str> {
        self.random.of(&[None, Some("small"), Some("large")])
    }

    pub(super) fn scope(&mut self) -> Scope {
        match self.random.below(6) {
            0 => Scope::Everyone,
            1 | 2 => Scope::EachUser,
            3 => Scope::User(self.user().into()),
            4 => Scope::Chat(Chat::new("telegram", "7")),
            _ => Scope::Model("small".to_owned()),
        }
    }

    pub(super) fn per(&mut self) -> Per {
        self.random.of(&[
            Per::Minute,
            Per::Hour,
            Per::Day,
            Per::Week,
            Per::Month,
            Per::Ever,
        ])
    }

    pub(super) fn amount(&mut self, most: u64) -> Amount {
        let number = self.random.below(most);
        match self.random.below(3) {
            0 => Amount::Cost(Usd::from_nanos(number as i64 * 250_000_000)),
            1 => Amount::Requests(number),
            _ => Amount::Tokens(number * 100),
        }
    }

    pub(super) fn cost(&mut self) -> Usd {
        Usd::from_nanos(self.random.below(5) as i64 * 250_000_000)
    }

    /// A reservation that was given, or one that never was.
    pub(super) fn reservation(&mut self, user: i64) -> Option<i64> {
        let own: Vec<i64> = self.model.reservations_of(user);
        (!own.is_empty() && !self.random.chance(3)).then(|| self.random.of(&own))
    }

    pub(super) fn request(&mut self) -> Request {
        let user = self.user();
        let has_usage = !self.random.chance(3);
        let at = self
            .random
            .chance(5)
            .then(|| self.now() - TimeDelta::minutes(self.random.below(60 * 24 * 9) as i64));
        Request {
            user,
            at: at.unwrap_or_else(|| self.now()),
            is_history: at.is_some(),
            cost: self.cost().nanos(),
            usage: has_usage.then(|| {
                let tokens = self.random.chance(2).then(|| self.random.below(5) * 100);
                (self.chat(), self.model_name().unwrap_or("other"), tokens)
            }),
            reservation: self.reservation(user),
        }
    }
}
