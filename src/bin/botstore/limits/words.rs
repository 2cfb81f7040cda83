//! How the command line spells limits.

use crate::amounts::{dollars, is_number};
use botstore::UserId;
use botstore::limits::{Amount, Measure, Per, Scope};
use botstore::usage::Chat;
use clap::ValueEnum;

/// What a limit measures.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Of {
    /// What requests cost, in US dollars
    Cost,
    /// How many requests
    Requests,
    /// How many tokens, of input and output together
    Tokens,
}

impl Of {
    pub(super) fn measure(self) -> Measure {
        match self {
            Self::Cost => Measure::Cost,
            Self::Requests => Measure::Requests,
            Self::Tokens => Measure::Tokens,
        }
    }

    /// Reads an amount; the error says what it must be.
    pub(super) fn amount(self, text: &str) -> Result<Amount, &'static str> {
        let number = || match is_number(text).then(|| text.parse()) {
            Some(Ok(number)) => Ok(number),
            _ => Err("must be a whole number, such as 100"),
        };
        match self {
            Self::Cost => dollars(text).map(Amount::Cost),
            Self::Requests => number().map(Amount::Requests),
            Self::Tokens => number().map(Amount::Tokens),
        }
    }
}

/// The period of a limit.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum PerPeriod {
    Minute,
    Hour,
    /// A day of the bot's time zone
    Day,
    /// From Monday
    Week,
    Month,
    /// For ever: it never begins again
    Ever,
}

impl PerPeriod {
    pub(super) fn per(self) -> Per {
        match self {
            Self::Minute => Per::Minute,
            Self::Hour => Per::Hour,
            Self::Day => Per::Day,
            Self::Week => Per::Week,
            Self::Month => Per::Month,
            Self::Ever => Per::Ever,
        }
    }
}

/// Reads whose spending a limit limits.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let (kind, who) = match text.split_once(':') {
        Some((kind, who)) => (kind, Some(who)),
        None => (text, None),
    };
    match (kind, who) {
        ("everyone", None) => Ok(Scope::Everyone),
        ("each-user", None) => Ok(Scope::EachUser),
        ("user", Some(who)) => {
            let user_id: i64 = who.parse().map_err(|_| format!("{who} is no user's id"))?;
            Ok(Scope::User(UserId::new(user_id)))
        }
        ("chat", Some(who)) => chat(who).map(Scope::Chat),
        ("model", Some(who)) => Ok(Scope::Model(who.to_owned())),
        _ => {
            let of = "everyone, each-user, user:ID, chat:PLATFORM/ID or model:NAME";
            Err(format!("it must be {of}"))
        }
    }
}

/// Reads a chat.
pub(super) fn chat(text: &str) -> Result<Chat, String> {
    match text.split_once('/') {
        Some((platform, chat_id)) => Ok(Chat::new(platform, chat_id)),
        None => Err("a chat is PLATFORM/ID, such as telegram/-100123".to_owned()),
    }
}

/// How a scope is spelled for `--scope`.
pub(super) fn spelled(scope: &Scope) -> String {
    match scope {
        Scope::Everyone => "everyone".to_owned(),
        Scope::EachUser => "each-user".to_owned(),
        Scope::User(user_id) => format!("user:{user_id}"),
        Scope::Chat(chat) => format!("chat:{}/{}", chat.platform, chat.chat_id),
        Scope::Model(model) => format!("model:{model}"),
        other => other.to_string(),
    }
}
