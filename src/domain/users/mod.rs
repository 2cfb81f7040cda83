//! Users of the bot, and who may use it.

mod allowed;
mod delete;
mod external;
mod get;
mod lists;
mod totals;

pub use allowed::SetAllowed;
pub use delete::DeleteUser;
pub use external::{ExternalId, GetExternalId, GetExternalUser, Who};
pub use get::{GetUser, IsAllowed};
pub use lists::{AllowedUsers, ListUsers};
pub use totals::{CorrectUserTotals, RecountUserTotals};

use super::columns::{amount, count, integer, maybe_text, permission, time};
use super::when::When;
use super::{Usd, UserId};
use crate::error::{Error, Result};
use crate::operation::{Mutation, ReadTx, WriteTx};
use crate::texts::Texts;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// A user, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The messenger's number for the user. Telegram's groups have negative ones. A user of a messenger whose
    /// ids are not numbers has one from 2⁵² to 2⁵³−1, which the store gave ([`EnsureUser::external`]).
    pub user_id: UserId,
    /// The name, if the store was ever given one.
    pub username: Option<String>,
    /// When the user first appeared.
    pub first_seen: DateTime<Utc>,
    /// When the user last did something.
    pub last_active: DateTime<Utc>,
    /// Whether the user may use the bot. True only if the file holds the number 1: a word such as `True`, which
    /// another program may have left, permits nobody.
    pub is_allowed: bool,
    /// What the user's messages have cost, in US dollars.
    pub total_cost: Usd,
    /// How many messages the user has.
    pub message_count: u64,
    /// How many sessions the user has.
    pub session_count: u64,
}

impl User {
    /// A user who first appeared at this time and has done nothing yet, for a test of your own.
    pub fn new(user_id: impl Into<UserId>, first_seen: DateTime<Utc>) -> Self {
        Self {
            user_id: user_id.into(),
            first_seen,
            username: None,
            last_active: first_seen,
            is_allowed: false,
            total_cost: Usd::ZERO,
            message_count: 0,
            session_count: 0,
        }
    }

    fn owned_bytes(&self) -> usize {
        self.username.as_ref().map_or(0, String::len)
    }
}

pub(super) fn from_row(row: &Row<'_>) -> Result<User> {
    Ok(User {
        user_id: integer(row, 0)?.into(),
        username: maybe_text(row, 1)?,
        first_seen: time(row, 2)?,
        last_active: time(row, 3)?,
        is_allowed: permission(row, 4)?,
        total_cost: amount(row, 5)?,
        message_count: count(row, 6)?,
        session_count: count(row, 7)?,
    })
}

pub(super) fn unknown(user_id: UserId) -> Error {
    Error::not_found("user_id", format_args!("user {user_id}"))
}

/// Gets a user, and creates the row if it is missing. A new user may not use the bot yet. A name replaces a
/// different one in the file; without a name, the file's name stays.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a name of more than 4 KiB, for a platform or an id on it that is
/// empty or longer than 4 KiB, and for a time in the future or before 1970.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::users::EnsureUser;
///
/// let bob = store.write(EnsureUser::new(42, "bob")).await?;
/// assert_eq!(bob.user_id, 42);
/// let ada = EnsureUser::external("matrix", "@ada:example.org").username("Ada");
/// let ada = store.write(ada).await?;
/// assert_eq!(ada.user_id, 1 << 52); // The store's number for her from now on.
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnsureUser {
    /// Which user: by the messenger's number, or by an id that is not a number.
    pub who: Who,
    /// The user's current name, if the messenger gives one.
    pub username: Option<String>,
    /// When the user was there, for imported history: see [`at`](Self::at).
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

impl EnsureUser {
    /// This user, with a name: `EnsureUser::new(42, "ada")`; or without one, if the messenger gives none:
    /// `EnsureUser::new(42, None)`.
    pub fn new<'a>(user_id: impl Into<UserId>, username: impl Into<Option<&'a str>>) -> Self {
        Self {
            who: Who::UserId(user_id.into()),
            username: username.into().map(str::to_owned),
            at: None,
        }
    }

    /// When the user was there, for history that a bot imports: from 1970 to now. A new user gets it as both
    /// times, first seen and last active. For a known user, only an earlier `first_seen` is changed, and the
    /// name is used only if the file has none.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// The user of a messenger whose ids are not numbers: `EnsureUser::external("matrix", "@ada:example.org")`.
    /// The first time, the store gives the user an id, which stays the same from then on. All other messages use
    /// that id: [`User::user_id`] of the answer.
    ///
    /// The ids are counted up from 2⁵². Telegram's have at most 52 significant bits, so one bot may serve
    /// both; all are below 2⁵³, so JavaScript can show them. One that a row of the users already has is passed over.
    /// One that was given is never given again, also when its user is deleted: when the last is given, a new user is
    /// refused with [`NoIdsLeft`](crate::ErrorKind::NoIdsLeft).
    pub fn external(platform: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self {
            who: Who::External(ExternalId::new(platform, external_id)),
            username: None,
            at: None,
        }
    }

    /// The user's current name, if the messenger gives one.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }
}

impl Mutation for EnsureUser {
    type Output = User;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<User> {
        let when = When::of(tx, self.at)?;
        let user_id = match &self.who {
            Who::UserId(user_id) => *user_id,
            Who::External(who) => external::ensure(tx, who, when.text())?,
        };
        tx.execute(
            "INSERT INTO users (user_id, telegram_username, first_seen, last_active,
                                is_allowed, total_cost, message_count, session_count)
             VALUES (?1, ?2, ?3, ?3, 0, 0.0, 0, 0)
             ON CONFLICT (user_id) DO UPDATE SET telegram_username = excluded.telegram_username
             WHERE excluded.telegram_username IS NOT NULL
               AND telegram_username IS NOT excluded.telegram_username
               AND (?4 = 0 OR telegram_username IS NULL)",
            (user_id, &self.username, when.text(), when.is_history()),
        )?;
        if when.is_history() {
            was_there(tx, user_id, &when)?;
        }
        get(tx, user_id)?.ok_or_else(|| unknown(user_id))
    }

    fn texts(&self, texts: &mut Texts) {
        if let Who::External(who) = &self.who {
            who.texts(texts);
        }
        texts.name("username", self.username.as_deref());
    }
}

/// Creates the user's row if it is missing, first seen at this time, so that rows can refer to it.
pub(super) fn ensure(tx: &WriteTx<'_>, user_id: UserId, at: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO users (user_id, first_seen, last_active,
                            is_allowed, total_cost, message_count, session_count)
         VALUES (?1, ?2, ?2, 0, 0.0, 0, 0)
         ON CONFLICT (user_id) DO NOTHING",
        (user_id, at),
    )?;
    Ok(())
}

/// Replaces a user's name. Writes nothing if it is the same. A name from history fills only an empty one.
pub(super) fn rename(
    tx: &WriteTx<'_>,
    user_id: UserId,
    username: &str,
    when: &When<'_>,
) -> Result<()> {
    tx.execute(
        "UPDATE users SET telegram_username = ?2
         WHERE user_id = ?1 AND telegram_username IS NOT ?2
           AND (?3 = 0 OR telegram_username IS NULL)",
        (user_id, username, when.is_history()),
    )?;
    Ok(())
}

/// Notes that the user was there at a time of imported history.
pub(super) fn was_there(tx: &WriteTx<'_>, user_id: UserId, when: &When<'_>) -> Result<()> {
    tx.execute(
        "UPDATE users SET first_seen = ?2 WHERE user_id = ?1 AND first_seen > ?2",
        (user_id, when.text()),
    )?;
    Ok(())
}

pub(super) fn exists(tx: &ReadTx<'_>, user_id: UserId) -> Result<()> {
    is_known(tx, user_id)?
        .then_some(())
        .ok_or_else(|| unknown(user_id))
}

pub(super) fn is_known(tx: &ReadTx<'_>, user_id: UserId) -> Result<bool> {
    let sql = "SELECT 1 FROM users WHERE user_id = ?1";
    Ok(tx.maybe(sql, [user_id], |_| Ok(()))?.is_some())
}

fn get(tx: &ReadTx<'_>, user_id: UserId) -> Result<Option<User>> {
    tx.maybe(
        "SELECT user_id, telegram_username, first_seen, last_active, is_allowed,
                total_cost, message_count, session_count
         FROM users WHERE user_id = ?1",
        [user_id],
        from_row,
    )
}

/// Notes that a user did something now.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::Touch;
///
/// store.write(Touch::new(42)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Touch {
    /// The user.
    pub user_id: UserId,
}

impl Touch {
    /// This user was just active.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

impl Mutation for Touch {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let changed = tx.execute(
            "UPDATE users SET last_active = ?2 WHERE user_id = ?1",
            (self.user_id, tx.now_text()),
        )?;
        (changed == 1)
            .then_some(())
            .ok_or_else(|| unknown(self.user_id))
    }
}
