//! Users of messengers whose ids are not numbers.

use super::{User, from_row};
use crate::domain::columns::{integer, text};
use crate::domain::{UserId, validate};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::{Query, ReadTx, WriteTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The ids that the store gives to these users. Telegram's ids have at most 52 significant bits, so they never
/// collide with these. JavaScript's numbers have 53 bits, so a dashboard can show them all.
const GIVEN: RangeInclusive<i64> = 1 << 52..=(1 << 53) - 1;

/// A user's identity on a messenger whose ids are not numbers, such as Matrix or Slack.
///
/// Both texts are compared byte by byte: always spell them the same. A person on two messengers is two users; a
/// table of the bot's own may link them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExternalId {
    /// The messenger, by a name that the bot chooses, such as `matrix`. Slack's ids are unique only within a
    /// workspace, so there the name includes the workspace. From 1 byte to 4 KiB.
    pub platform: String,
    /// The messenger's id for the user, such as `@ada:example.org`: from 1 byte to 4 KiB.
    pub external_id: String,
}

impl ExternalId {
    /// The user with this id on this messenger.
    pub fn new(platform: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self {
            platform: platform.into(),
            external_id: external_id.into(),
        }
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.name("platform", self.platform.as_str());
        texts.name("external_id", self.external_id.as_str());
    }
}

/// Which user is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Who {
    /// The user with this id.
    UserId(UserId),
    /// The user with this id on a messenger.
    External(ExternalId),
}

/// Returns the id of this messenger's user, who has a row afterwards; a new user gets the next free id.
pub(super) fn ensure(tx: &WriteTx<'_>, who: &ExternalId, at: &str) -> Result<UserId> {
    validate::not_empty("platform", &who.platform)?;
    validate::not_empty("external_id", &who.external_id)?;
    let known = tx.maybe(
        "SELECT user_id FROM botstore_external_user WHERE platform = ?1 AND external_id = ?2",
        (&who.platform, &who.external_id),
        |row| integer(row, 0),
    )?;
    if let Some(known) = known {
        return Ok(known.into());
    }
    let user_id = next_id(tx)?;
    super::ensure(tx, user_id, at)?;
    tx.execute(
        "INSERT INTO botstore_external_user (user_id, platform, external_id) VALUES (?1, ?2, ?3)",
        (user_id, &who.platform, &who.external_id),
    )?;
    Ok(user_id)
}

/// An id that nobody has, and nobody had: the first that is free after all that the store has given. What it has
/// given, the counter says, or a row where somebody has set the counter back. The ids that a bot gives of this
/// range by itself are passed over, and none comes after the last: to begin again with those that are free was
/// turned down, since they are of users who were deleted.
fn next_id(tx: &ReadTx<'_>) -> Result<UserId> {
    let (first, last) = (*GIVEN.start(), *GIVEN.end());
    let given = tx.one(
        "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence
                              WHERE name = 'botstore_external_user' AND typeof(seq) = 'integer'
                                AND seq BETWEEN ?1 AND ?2), ?1 - 1),
                    coalesce((SELECT max(user_id) FROM botstore_external_user
                              WHERE user_id BETWEEN ?1 AND ?2), ?1 - 1))",
        (first, last),
        |row| integer(row, 0),
    )?;
    let next = tx.one(
        "SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM users WHERE user_id = ?1) THEN ?1
                ELSE (SELECT user_id + 1 FROM users u
                      WHERE user_id >= ?1
                        AND NOT EXISTS (SELECT 1 FROM users n WHERE n.user_id = u.user_id + 1)
                      ORDER BY user_id LIMIT 1) END",
        [given + 1],
        |row| integer(row, 0),
    )?;
    if next <= last {
        return Ok(next.into());
    }
    let why = "all ids up to 2^53-1 are taken, and none is given twice, so no new user of a messenger \
               without numeric ids can be added; existing users keep theirs";
    Err(Error::new(ErrorKind::NoIdsLeft, why))
}

/// The user whom a messenger knows by an id that is no number; `None` if
/// [`EnsureUser::external`](super::EnsureUser::external) has made none. A point read.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a platform or id of more than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::users::{EnsureUser, GetExternalUser};
///
/// let ada = EnsureUser::external("matrix", "@ada:example.org").username("Ada");
/// let ada = store.write(ada).await?;
/// let found = store.read(GetExternalUser::new("matrix", "@ada:example.org")).await?;
/// assert_eq!(found, Some(ada));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetExternalUser {
    /// The messenger.
    pub platform: String,
    /// The messenger's id for the user.
    pub external_id: String,
}

impl GetExternalUser {
    /// The user with this id on this messenger.
    pub fn new(platform: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self {
            platform: platform.into(),
            external_id: external_id.into(),
        }
    }
}

impl Query for GetExternalUser {
    type Output = Option<User>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<User>> {
        tx.maybe(
            "SELECT user_id, telegram_username, first_seen, last_active, is_allowed,
                    total_cost, message_count, session_count
             FROM users
             WHERE user_id = (SELECT user_id FROM botstore_external_user
                              WHERE platform = ?1 AND external_id = ?2)",
            (&self.platform, &self.external_id),
            from_row,
        )
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("platform", self.platform.as_str());
        texts.name("external_id", self.external_id.as_str());
    }
}

/// Finds a user's identity on a messenger whose ids are not numbers; `None` for a user with a number of a
/// messenger, and for an unknown user. A point read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::GetExternalId;
///
/// assert_eq!(store.read(GetExternalId::new(42)).await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GetExternalId {
    /// The user.
    pub user_id: UserId,
}

impl GetExternalId {
    /// Of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

impl Query for GetExternalId {
    type Output = Option<ExternalId>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<ExternalId>> {
        tx.maybe(
            "SELECT platform, external_id FROM botstore_external_user WHERE user_id = ?1",
            [self.user_id],
            |row| Ok(ExternalId::new(text(row, 0)?, text(row, 1)?)),
        )
    }
}
