//! Claims and their tickets.

use super::table::{self, Digest, Lease, State};
use super::{MAX_LEASE, MIN_LEASE, UpdateId};
use crate::domain::{secret, validate};
use crate::error::{Error, Result};
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use crate::time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Claims an update before the bot handles it: see [`updates`](super).
///
/// For administrators: only the bot may send it. A claim keeps the bot from answering the update.
///
/// If the answer to a claim is lost ([`InDoubt`](crate::ErrorKind::InDoubt), or its caller gave up), the claim
/// may hold until its lease ends, and nobody has its ticket.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a source or an id that is empty or longer than 4 KiB, or a lease
/// that is not from [`MIN_LEASE`] (1 second) to [`MAX_LEASE`] (24 hours).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClaimUpdate {
    /// The update's source, such as `telegram`: its ids are unique within the source. A bot with several
    /// accounts has a source for each.
    pub source: String,
    /// The source's id for it.
    pub update_id: UpdateId,
    /// How long the claim lasts unless the update is finished before. Choose it longer than the bot ever takes.
    /// 5 minutes by default.
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

    /// How long the claim lasts unless the update is finished before. Choose it longer than the bot ever takes.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Claim {
    /// The claimant has the update: it is new, or the lease of an earlier claim has run out, or it was released.
    First {
        /// Finishes or releases the update.
        ticket: Ticket,
    },
    /// The update is finished.
    Seen,
    /// Another claimant has the update.
    Held {
        /// When the lease runs out, by the store's clock.
        until: DateTime<Utc>,
    },
}

/// Identifies one claim of an update.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ticket {
    /// The update's source.
    pub source: String,
    /// The source's id for it.
    pub update_id: UpdateId,
    /// The claim's number: random, from 0. A count was turned down: it begins again when an update is forgotten,
    /// and then an old claimant could finish a new claim.
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

/// Until when another claimant has the update. A lease that begins in the future is from before the clock was
/// set back. It begins again now, so that nobody waits until the clock is where it was.
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
