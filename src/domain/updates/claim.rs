//! Claims, and tickets.

use super::table::{self, Digest, Lease, State};
use super::{MAX_LEASE, MIN_LEASE, UpdateId};
use crate::domain::{secret, validate};
use crate::error::{Error, Result};
use crate::limits::Texts;
use crate::operation::{Mutation, WriteTx};
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Claims an update, before a bot begins with it: see [`updates`](super).
///
/// For administrators: it is the bot's own. Whoever claims an update keeps the bot from answering it.
///
/// A claim whose answer was lost ([`InDoubt`](crate::ErrorKind::InDoubt), a caller that gave up) may hold to the end
/// of its lease; nobody has its ticket.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a source or an id that is empty or has more than 4 KiB, or a lease that
/// is not from [`MIN_LEASE`] (1 second) to [`MAX_LEASE`] (24 hours).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClaimUpdate {
    /// Where it comes from, such as `telegram`: ids are unique within that. A bot with several accounts has a source
    /// for each.
    pub source: String,
    /// The source's id of it.
    pub update_id: UpdateId,
    /// For how long it is this claimant's, unless it is finished before: longer than the bot ever takes. 5 minutes
    /// by default.
    #[serde(default = "default_lease")]
    pub lease: Duration,
}

const fn default_lease() -> Duration {
    Duration::from_secs(5 * 60)
}

impl ClaimUpdate {
    /// This update of this source, for 5 minutes.
    pub fn new(source: impl Into<String>, update_id: impl Into<UpdateId>) -> Self {
        Self {
            source: source.into(),
            update_id: update_id.into(),
            lease: default_lease(),
        }
    }

    /// For how long it is this claimant's, unless it is finished before: longer than the bot ever takes.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Claim {
    /// The update is the claimant's: nobody has seen it, or who had claimed it has let the lease run out.
    First {
        /// To finish it with, or to release it.
        ticket: Ticket,
    },
    /// The update is finished.
    Seen,
    /// Somebody is at it.
    Held {
        /// When the lease runs out, by the store's clock.
        until: DateTime<Utc>,
    },
}

/// What tells a claim of an update from any other claim of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ticket {
    /// Where the update comes from.
    pub source: String,
    /// The source's id of it.
    pub update_id: UpdateId,
    /// Which claim it is: a random number from 0. Not a count: one that begins again when an update is forgotten
    /// would let a claimant of old finish a new claim.
    pub number: i64,
}

impl Ticket {
    /// A ticket, for a test of your own.
    pub fn new(source: impl Into<String>, update_id: impl Into<UpdateId>, number: i64) -> Self {
        Self {
            source: source.into(),
            update_id: update_id.into(),
            number,
        }
    }

    /// Refuses a ticket that names no update.
    pub(super) fn check(&self) -> Result<()> {
        check_update(&self.source, &self.update_id)
    }

    pub(super) fn key(&self) -> Digest {
        table::of_update(&self.source, self.update_id.as_str())
    }

    pub(super) fn texts(&self, texts: &mut Texts) {
        texts.name("source", self.source.as_str());
        texts.name("update_id", self.update_id.as_str());
    }
}

fn check_update(source: &str, update_id: &UpdateId) -> Result<()> {
    validate::not_empty("source", source)?;
    validate::not_empty("update_id", update_id.as_str())
}

impl Mutation for ClaimUpdate {
    type Output = Claim;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Claim> {
        check_update(&self.source, &self.update_id)?;
        if !(MIN_LEASE..=MAX_LEASE).contains(&self.lease) {
            return Err(Error::invalid("lease", "must be from 1 second to 24 hours"));
        }
        let now = tx.sure_now()?;
        let key = table::of_update(&self.source, self.update_id.as_str());
        match table::find(tx, &key)? {
            Some((State::Finished, _)) => return Ok(Claim::Seen),
            Some((State::Claimed(lease), ticket)) if lease.runs(now) => {
                let until = hold(tx, &key, lease, ticket, now)?;
                return Ok(Claim::Held { until });
            }
            Some((State::Claimed(_), _)) | None => {}
        }
        let lease = Lease {
            from: now,
            until: time::after(now, self.lease),
        };
        let number = secret::random_number()?;
        table::claim(tx, &key, lease, number)?;
        let ticket = Ticket::new(&*self.source, &self.update_id, number);
        Ok(Claim::First { ticket })
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("source", self.source.as_str());
        texts.name("update_id", self.update_id.as_str());
    }
}

/// Until when somebody has it. A lease that has not begun yet is from before the clock was set back: it begins
/// now, so that the clock need not come to where it was.
fn hold(
    tx: &WriteTx<'_>,
    key: &Digest,
    lease: Lease,
    ticket: i64,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>> {
    if lease.from <= now {
        return Ok(lease.until);
    }
    let anew = lease.anew(now);
    table::claim(tx, key, anew, ticket)?;
    Ok(anew.until)
}
