//! What a limit is: its words, and how the file spells them.

use crate::domain::usage::Chat;
use crate::domain::{Usd, UserId, validate};
use crate::error::{Error, Result};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose spending a limit limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// That of all users together.
    Everyone,
    /// That of each user, by itself. A limit of [`User`](Self::User) for the same period and measure replaces it for
    /// that user, whether it is lower or higher.
    EachUser,
    /// That of one user.
    User(UserId),
    /// That in one chat: of requests whose usage names it.
    Chat(Chat),
    /// That on one model, by the name that the bot asks for ([`Usage::model`](crate::usage::Usage)): from 1 byte to
    /// 4 KiB.
    Model(String),
}

impl Scope {
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Chat(chat) => chat.check(),
            Self::Model(model) => validate::not_empty("model", model),
            _ => Ok(()),
        }
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        match self {
            Self::Chat(chat) => chat.texts(texts),
            Self::Model(model) => texts.name("model", model.as_str()),
            _ => {}
        }
    }
}

/// `everyone`, `each user`, `user 42`, `chat telegram/-100`, `model gpt-5`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::EachUser => f.write_str("each user"),
            Self::User(user_id) => write!(f, "user {user_id}"),
            Self::Chat(chat) => write!(f, "chat {}/{}", chat.platform, chat.chat_id),
            Self::Model(model) => write!(f, "model {model}"),
        }
    }
}

/// How long the period of a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Per {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// A day of the store's zone.
    Day,
    /// A week of the store's zone, from Monday.
    Week,
    /// A month of the store's zone.
    Month,
    /// For ever: it never begins again.
    Ever,
}

impl Per {
    pub(super) const ALL: [Self; 6] = [
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Ever,
    ];

    /// As the file spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Ever => "ever",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.as_str() == text)
    }
}

/// `minute`, `hour`, `day`, `week`, `month`, `ever`.
impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a limit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// What requests cost.
    Cost,
    /// How many requests there are: messages, and requests that are no messages.
    Requests,
    /// How many tokens requests have, of input and output together. What is not known counts as none.
    Tokens,
}

impl Measure {
    pub(super) const ALL: [Self; 3] = [Self::Cost, Self::Requests, Self::Tokens];

    /// As the file spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|measure| measure.as_str() == text)
    }

    /// This many of what it measures. Nothing is less than none.
    pub(super) fn amount(self, number: i64) -> Amount {
        let number = number.max(0);
        match self {
            Self::Cost => Amount::Cost(Usd::from_nanos(number)),
            Self::Requests => Amount::Requests(number.unsigned_abs()),
            Self::Tokens => Amount::Tokens(number.unsigned_abs()),
        }
    }
}

/// `cost`, `requests`, `tokens`.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much money, how many requests or tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Amount {
    /// US dollars. In a limit: from 0 to 1,000,000,000.
    Cost(Usd),
    /// Requests. In a limit: at most 1,000,000,000,000.
    Requests(u64),
    /// Tokens of input and output. In a limit: at most 1,000,000,000,000.
    Tokens(u64),
}

impl Amount {
    /// What it is an amount of.
    pub fn measure(self) -> Measure {
        match self {
            Self::Cost(_) => Measure::Cost,
            Self::Requests(_) => Measure::Requests,
            Self::Tokens(_) => Measure::Tokens,
        }
    }

    /// Its number, as the file holds it.
    pub(super) fn number(self, field: &'static str) -> Result<i64> {
        match self {
            Self::Cost(cost) => validate::cost(field, cost).map(|()| cost.nanos()),
            Self::Requests(number) | Self::Tokens(number) => validate::count(field, number),
        }
    }
}

/// `$2.00`, `100 requests`, `5000 tokens`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost(cost) => cost.fmt(f),
            Self::Requests(number) => write!(f, "{number} requests"),
            Self::Tokens(number) => write!(f, "{number} tokens"),
        }
    }
}

/// A limit. There is at most one for a scope, a period and a measure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// Whose spending it limits.
    pub scope: Scope,
    /// In which period.
    pub per: Per,
    /// The most that may be spent; 0 for nothing at all.
    pub max: Amount,
    /// From how much on the bot is warned, if it is to be.
    #[serde(default)]
    pub soft: Option<Amount>,
}

impl Limit {
    /// This limit, without a warning.
    pub fn new(scope: Scope, per: Per, max: Amount) -> Self {
        let soft = None;
        Self {
            scope,
            per,
            max,
            soft,
        }
    }

    /// From how much on the bot is warned: the same measure as the limit's, and at most as much.
    pub fn soft(mut self, soft: Amount) -> Self {
        self.soft = Some(soft);
        self
    }

    /// The numbers of the limit and of its warning.
    ///
    /// # Errors
    /// `Invalid` for one that is out of its range.
    pub(super) fn check(&self) -> Result<(i64, Option<i64>)> {
        self.scope.check()?;
        let max = self.max.number("max")?;
        let Some(soft) = self.soft else {
            return Ok((max, None));
        };
        if soft.measure() != self.max.measure() {
            return Err(Error::invalid("soft", "must be of the same measure as max"));
        }
        let soft = soft.number("soft")?;
        match soft <= max {
            true => Ok((max, Some(soft))),
            false => Err(Error::invalid("soft", "must be at most max")),
        }
    }
}

/// `each user, $2.00 a day`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scope, max) = (&self.scope, self.max);
        match self.per {
            Per::Ever => write!(f, "{scope}, {max} for ever"),
            Per::Hour => write!(f, "{scope}, {max} an hour"),
            per => write!(f, "{scope}, {max} a {per}"),
        }
    }
}

/// A limit, and what of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Budget {
    /// The limit.
    pub limit: Limit,
    /// What is spent in the period.
    pub spent: Amount,
    /// What open reservations hold.
    pub reserved: Amount,
    /// What is left: the limit without both, at least 0.
    pub left: Amount,
    /// When the next period begins; `None` for a limit for ever.
    pub resets_at: Option<DateTime<Utc>>,
}

impl Budget {
    /// A limit of which nothing is spent, for a test of your own.
    pub fn new(limit: Limit) -> Self {
        let nothing = limit.max.measure().amount(0);
        Self {
            left: limit.max,
            limit,
            spent: nothing,
            reserved: nothing,
            resets_at: None,
        }
    }
}
