//! A user's totals, where an operator corrects them.
//!
//! The store keeps them right. In a file of the Python bot they may be wrong, since that bot lost updates; and a bot
//! that removed old messages by its own SQL may want totals that its rows do not have.

use super::{User, get, unknown};
use crate::domain::audit::{Change, TOTALS_CORRECTED};
use crate::domain::columns::{count, integer, nanos};
use crate::domain::rollups::now;
use crate::domain::{Usd, UserId, validate};
use crate::error::Result;
use crate::operation::{Mutation, Piece, ReadTx, WriteTx};
use crate::sqlite::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Replaces totals of a user by other values; returns the user as it is then. What is not given stays. The values
/// before and after are recorded in the [audit log](crate::audit), as [`TOTALS_CORRECTED`].
///
/// For administrators: it checks no permission. To have the totals counted, send [`RecountUserTotals`].
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user; [`Invalid`](crate::ErrorKind::Invalid) for a cost
/// outside 0 to 1,000,000,000 dollars, or a count above 1,000,000,000,000.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::Usd;
/// use botstore::users::CorrectUserTotals;
///
/// // What the messages cost that were removed before the bot used this store.
/// let correct = CorrectUserTotals::new(42).total_cost(Usd::from_dollars(12.5)?).by(7);
/// assert_eq!(store.write(correct).await?.total_cost, Usd::from_dollars(12.5)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CorrectUserTotals {
    /// The user.
    pub user_id: UserId,
    /// What the user's messages have cost, in US dollars; `None` leaves it as it is.
    #[serde(default)]
    pub total_cost: Option<Usd>,
    /// How many messages the user has; `None` leaves it as it is.
    #[serde(default)]
    pub message_count: Option<u64>,
    /// How many sessions the user has; `None` leaves it as it is.
    #[serde(default)]
    pub session_count: Option<u64>,
    /// Who did it, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl CorrectUserTotals {
    /// Nothing of this user, until the setters say what.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
            total_cost: None,
            message_count: None,
            session_count: None,
            by: None,
        }
    }

    /// What the user's messages have cost, in US dollars.
    pub fn total_cost(mut self, total_cost: Usd) -> Self {
        self.total_cost = Some(total_cost);
        self
    }

    /// How many messages the user has.
    pub fn message_count(mut self, message_count: u64) -> Self {
        self.message_count = Some(message_count);
        self
    }

    /// How many sessions the user has.
    pub fn session_count(mut self, session_count: u64) -> Self {
        self.session_count = Some(session_count);
        self
    }

    /// Who did it, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for CorrectUserTotals {
    type Output = User;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<User> {
        if let Some(cost) = self.total_cost {
            validate::cost("total_cost", cost)?;
        }
        let counts = [
            ("message_count", self.message_count),
            ("session_count", self.session_count),
        ];
        for (field, value) in counts {
            validate::count(field, value.unwrap_or(0))?;
        }
        let before = get(tx, self.user_id)?.ok_or_else(|| unknown(self.user_id))?;
        let wanted = User {
            total_cost: self.total_cost.unwrap_or(before.total_cost),
            message_count: self.message_count.unwrap_or(before.message_count),
            session_count: self.session_count.unwrap_or(before.session_count),
            ..before.clone()
        };
        correct(tx, &before, &wanted, self.by)?;
        Ok(wanted)
    }
}

/// Sets the totals of a user, or of all users, to what their rows say: the cost and the number of messages as in
/// statistics, and the number of sessions. Returns how many users had other totals. For each of them the values
/// before and after are recorded in the [audit log](crate::audit), as [`TOTALS_CORRECTED`].
///
/// Statistics do not use the totals, so it changes none. Reads the rollups and not the messages: one row for each day
/// on which the user had one. So a cost that another program has left and that statistics count as the nearest
/// possible, such as a negative one, counts here as it does there.
///
/// For all users, it works in pieces of at most 10,000 users that aim at 20 ms each; other changes run in between. If
/// it fails, or its caller gives up, users corrected so far stay so.
///
/// For administrators: it checks no permission.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::users::RecountUserTotals;
///
/// assert_eq!(store.write(RecountUserTotals::new(42)).await?, 0); // They were right.
/// assert_eq!(store.write(RecountUserTotals::everyone()).await?, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecountUserTotals {
    /// The user; `None` for all users.
    pub user_id: Option<UserId>,
    /// Who did it, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl RecountUserTotals {
    /// Those of this user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: Some(user_id.into()),
            by: None,
        }
    }

    /// Those of all users.
    pub fn everyone() -> Self {
        Self {
            user_id: None,
            by: None,
        }
    }

    /// Who did it, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for RecountUserTotals {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        if let Some(user_id) = self.user_id {
            return recount(tx, user_id, self.by).map(usize::from);
        }
        tx.in_pieces(|next, rows| {
            let from = next.as_ref().map_or(i64::MIN, |(_, user_id)| *user_id);
            let users = users_from(tx, from, rows)?;
            let mut changed = 0;
            for user_id in &users {
                changed += usize::from(recount(tx, *user_id, self.by)?);
            }
            let last = users.last().filter(|_| users.len() == rows as usize);
            let next = last.and_then(|last| last.get().checked_add(1));
            Ok(Piece::of(
                changed,
                next.map(|next| Some((Cell::Null, next))),
            ))
        })
    }
}

/// The next users, from this id on.
fn users_from(tx: &ReadTx<'_>, from: i64, rows: u32) -> Result<Vec<UserId>> {
    let sql = "SELECT user_id FROM users WHERE user_id >= ?1 ORDER BY user_id LIMIT ?2";
    tx.all(sql, (from, rows), |row| Ok(integer(row, 0)?.into()))
}

/// Returns whether they were others.
fn recount(tx: &WriteTx<'_>, user_id: UserId, by: Option<UserId>) -> Result<bool> {
    let before = get(tx, user_id)?.ok_or_else(|| unknown(user_id))?;
    let sql = "SELECT count(*) FROM sessions INDEXED BY idx_sessions_user_id WHERE user_id = ?1";
    let session_count = tx.one(sql, [user_id], |row| count(row, 0))?;
    let counted = tx.one(&now::total_of_user(), [user_id], |row| {
        Ok(User {
            total_cost: nanos(row, 4)?,
            message_count: count(row, 1)?,
            session_count,
            ..before.clone()
        })
    })?;
    correct(tx, &before, &counted, by)
}

/// Writes what differs, and records it. Returns whether anything does.
fn correct(tx: &WriteTx<'_>, before: &User, after: &User, by: Option<UserId>) -> Result<bool> {
    let differs = |(old, new): &((&str, Value), (&str, Value))| old.1 != new.1;
    let differing = totals(before)
        .into_iter()
        .zip(totals(after))
        .filter(differs);
    let named = |(name, value): (&str, Value)| (name.to_owned(), value);
    let differing = differing.map(|(old, new)| (named(old), named(new)));
    let (old, new): (Map<_, _>, Map<_, _>) = differing.unzip();
    if new.is_empty() {
        return Ok(false);
    }
    let cost = after.total_cost;
    let messages = validate::integer("message_count", after.message_count)?;
    let sessions = validate::integer("session_count", after.session_count)?;
    // The others as they are: what another program has left there may be shown as something else.
    tx.execute(
        "UPDATE users SET total_cost = coalesce(?2, total_cost),
                          message_count = coalesce(?3, message_count),
                          session_count = coalesce(?4, session_count)
         WHERE user_id = ?1",
        (
            after.user_id,
            (cost != before.total_cost).then_some(cost.dollars()),
            (after.message_count != before.message_count).then_some(messages),
            (after.session_count != before.session_count).then_some(sessions),
        ),
    )?;
    Change::new(TOTALS_CORRECTED, after.user_id)
        .with("before", old)
        .with("after", new)
        .by(by)
        .record(tx)?;
    Ok(true)
}

fn totals(user: &User) -> [(&'static str, Value); 3] {
    [
        ("total_cost", user.total_cost.dollars().into()),
        ("message_count", user.message_count.into()),
        ("session_count", user.session_count.into()),
    ]
}
