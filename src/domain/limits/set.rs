//! Sets limits and removes them.

use super::rules;
use super::{Amount, Limit, Measure, Per, Scope};
use crate::domain::audit::{self, Change};
use crate::domain::{UserId, users};
use crate::error::Result;
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// Sets a limit. It replaces the one that the scope has for the same period and measure, which is the answer.
///
/// It holds at once, for what is spent already, too: after a limit is set below that, the next [`Reserve`](super::Reserve)
/// is denied.
///
/// Setting a limit to what it is changes nothing. Else the audit log gets a row of type `limit_set`. Its user is the one whose limit it is, who gets a row without
/// permission to use the bot if there is none; or else the one who sets it ([`by`](Self::by())). A limit of neither,
/// such as one of everybody that a tool sets, has no row there.
///
/// For administrators: it decides what users may spend.
///
/// **What it costs**: with any limit, each message updates the counters of its limits in its own transaction. The
/// first question about a day, a week, a month or for ever reads rollups. The first about a minute or an hour reads
/// the messages of that period; about a user, those that the user has had on that day.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an amount out of its range ([`Amount`]); for a warning
/// ([`soft`](Self::soft())) of another measure, or above the limit; for an empty model or chat, or one longer than
/// 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::Usd;
/// use botstore::limits::{Amount, Per, Scope, SetLimit};
///
/// let dollars = |dollars| Usd::from_dollars(dollars).map(Amount::Cost);
/// let each = SetLimit::new(Scope::EachUser, Per::Day, dollars(2.0)?).soft(dollars(1.5)?);
/// assert_eq!(store.write(each).await?, None);
/// // All users together, and a user who may have more than the others.
/// store.write(SetLimit::new(Scope::Everyone, Per::Month, dollars(500.0)?)).await?;
/// store.write(SetLimit::new(Scope::User(42.into()), Per::Day, dollars(10.0)?)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetLimit {
    /// The limit.
    pub limit: Limit,
    /// Who sets it, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl SetLimit {
    /// At most this much in this period, without a warning.
    pub fn new(scope: Scope, per: Per, max: Amount) -> Self {
        Self {
            limit: Limit::new(scope, per, max),
            by: None,
        }
    }

    /// From how much on the bot is warned: a granted request is then [near the limit](super::Decision::Granted), and
    /// [`StoreEvent::LimitNear`](crate::StoreEvent::LimitNear) is sent once a period.
    pub fn soft(mut self, soft: Amount) -> Self {
        self.limit = self.limit.soft(soft);
        self
    }

    /// Who sets it, for the audit log.
    pub fn by(mut self, user_id: impl Into<UserId>) -> Self {
        self.by = Some(user_id.into());
        self
    }
}

impl Mutation for SetLimit {
    type Output = Option<Limit>;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Option<Limit>> {
        let (max, soft) = self.limit.check()?;
        let before = rules::get(
            tx,
            &self.limit.scope,
            self.limit.per,
            self.limit.max.measure(),
        )?;
        // Bots set their limits at each start: who was told stays told.
        if before.as_ref() == Some(&self.limit) {
            return Ok(before);
        }
        rules::put(tx, &self.limit, max, soft)?;
        note(tx, audit::LIMIT_SET, &self.limit, before.as_ref(), self.by)?;
        Ok(before)
    }

    fn texts(&self, texts: &mut Texts) {
        self.limit.scope.texts(texts);
    }
}

/// Removes a limit; returns it, or `None` if there was none. The audit log gets a row of type `limit_removed`, in the
/// same way as one of [`SetLimit`].
///
/// For administrators: it decides what users may spend.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an empty model or chat, or one longer than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::limits::{Measure, Per, RemoveLimit, Scope};
///
/// let removed = RemoveLimit::new(Scope::EachUser, Per::Day, Measure::Cost);
/// assert_eq!(store.write(removed).await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoveLimit {
    /// Whose spending it limits.
    pub scope: Scope,
    /// In which period.
    pub per: Per,
    /// What it measures.
    pub measure: Measure,
    /// Who removes it, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl RemoveLimit {
    /// The limit of this scope for this period and measure.
    pub fn new(scope: Scope, per: Per, measure: Measure) -> Self {
        Self {
            scope,
            per,
            measure,
            by: None,
        }
    }

    /// Who removes it, for the audit log.
    pub fn by(mut self, user_id: impl Into<UserId>) -> Self {
        self.by = Some(user_id.into());
        self
    }
}

impl Mutation for RemoveLimit {
    type Output = Option<Limit>;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Option<Limit>> {
        self.scope.check()?;
        let Some(removed) = rules::get(tx, &self.scope, self.per, self.measure)? else {
            return Ok(None);
        };
        rules::remove(tx, &self.scope, self.per, self.measure)?;
        note(tx, audit::LIMIT_REMOVED, &removed, None, self.by)?;
        Ok(Some(removed))
    }

    fn texts(&self, texts: &mut Texts) {
        self.scope.texts(texts);
    }
}

fn note(
    tx: &WriteTx<'_>,
    event_type: &'static str,
    limit: &Limit,
    before: Option<&Limit>,
    by: Option<UserId>,
) -> Result<()> {
    let whose = match limit.scope {
        Scope::User(user_id) => Some(user_id),
        _ => by,
    };
    let Some(user_id) = whose else {
        return Ok(());
    };
    users::ensure(tx, user_id, tx.now_text())?;
    let mut change = Change::new(event_type, user_id).by(by);
    change = change.with_json("limit", limit)?;
    if let Some(before) = before {
        change = change.with_json("before", before)?;
    }
    change.record(tx)
}
