//! The table of updates. Its key is a digest, so that each row has the same length whatever the update's id is,
//! and the table is as small as possible. Ids have no order here: whether an update was seen does not depend on
//! any other. To keep only the highest id was turned down: messengers deliver out of order, and a late update
//! would be lost.
//!
//! No index is by age, since each save would write it: a sweep reads the whole table.

use super::MAX_LEASE;
use crate::domain::{UserId, columns};
use crate::error::Result;
use crate::operation::{Piece, Place, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::time;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

/// The first half of a SHA-256: two are never equal by chance.
pub(in crate::domain) type Digest = [u8; 16];

/// The kind of thing that is digested, so that digests of two kinds are never equal.
#[derive(Clone, Copy)]
enum Kind {
    /// A user's idempotency key.
    Interaction = 1,
    /// An interaction's user, session and prompt.
    Content = 2,
    /// An update of a source.
    Claim = 3,
}

/// The digest of this user's idempotency key.
pub(in crate::domain) fn of_interaction(user_id: UserId, key: &str) -> Digest {
    digest(Kind::Interaction, user_id.get(), [key])
}

/// The digest that distinguishes interactions under one key.
pub(in crate::domain) fn of_content(user_id: UserId, session_id: &str, prompt: &str) -> Digest {
    digest(Kind::Content, user_id.get(), [session_id, prompt])
}

/// The digest of an update.
pub(super) fn of_update(source: &str, update_id: &str) -> Digest {
    digest(Kind::Claim, 0, [source, update_id])
}

/// Puts its length before each text, so that two lists of texts never give the same bytes.
fn digest<const N: usize>(kind: Kind, number: i64, texts: [&str; N]) -> Digest {
    let mut hash = Sha256::new();
    hash.update([kind as u8]);
    hash.update(number.to_be_bytes());
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// The state of an update that was claimed.
pub(super) enum State {
    /// It is finished.
    Finished,
    /// A claimant has it for this lease, which may have run out.
    Claimed(Lease),
}

/// The time for which a claimant has an update.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

impl Lease {
    /// The lease in a row, cut to the longest that a claim may ask for: another program may have written it.
    fn read(from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let until = until.min(time::after(from, MAX_LEASE));
        Self { from, until }
    }

    /// A lease of the same length that begins now.
    pub(super) fn anew(self, now: DateTime<Utc>) -> Self {
        let length = self.until.signed_duration_since(self.from);
        let until = time::after(now, length.to_std().unwrap_or_default());
        Self { from: now, until }
    }

    pub(super) fn runs(&self, now: DateTime<Utc>) -> bool {
        self.until > now
    }
}

/// Finds the state of an update, and the ticket of its latest claim.
pub(super) fn find(tx: &ReadTx<'_>, key: &Digest) -> Result<Option<(State, i64)>> {
    let sql = "SELECT recorded_at, claimed_until, ticket FROM botstore_update WHERE key = ?1";
    tx.maybe(sql, [key], |row| {
        let from = columns::micros(row, 0)?;
        let state = match columns::maybe_micros(row, 1)? {
            None => State::Finished,
            Some(until) => State::Claimed(Lease::read(from, until)),
        };
        Ok((state, columns::integer(row, 2)?))
    })
}

/// Writes a claim. It replaces one whose lease has run out, or an earlier row of the same claim.
pub(super) fn claim(tx: &WriteTx<'_>, key: &Digest, lease: Lease, ticket: i64) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_update (key, ticket, recorded_at, claimed_until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE
         SET ticket = excluded.ticket, recorded_at = excluded.recorded_at,
             claimed_until = excluded.claimed_until",
        (
            key,
            ticket,
            lease.from.timestamp_micros(),
            lease.until.timestamp_micros(),
        ),
    )?;
    Ok(())
}

/// Writes that an update is finished, by the claim with this ticket.
pub(super) fn finish(
    tx: &WriteTx<'_>,
    key: &Digest,
    ticket: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_update (key, ticket, recorded_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET recorded_at = excluded.recorded_at, claimed_until = NULL",
        (key, ticket, now.timestamp_micros()),
    )?;
    Ok(())
}

/// Forgets an update.
pub(super) fn forget(tx: &WriteTx<'_>, key: impl rusqlite::ToSql) -> Result<usize> {
    tx.execute("DELETE FROM botstore_update WHERE key = ?1", [key])
}

/// Reads the next rows in the order of their keys, and forgets those that were written before `before` and have
/// no running lease.
pub(in crate::domain) fn sweep(
    tx: &WriteTx<'_>,
    after: &Place,
    rows: u32,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Piece> {
    // Sorts before keys of every type: another program may have written any.
    let first = Cell::Real(f64::NEG_INFINITY);
    let after = after.as_ref().map_or(&first, |(key, _)| key);
    let looked_at = tx.all(
        "SELECT key, recorded_at, claimed_until FROM botstore_update
         WHERE key > ?1 ORDER BY key LIMIT ?2",
        (after, rows),
        |row| {
            let from = columns::micros(row, 1)?;
            let until = columns::maybe_micros(row, 2)?;
            let is_held = until.is_some_and(|until| Lease::read(from, until).runs(now));
            Ok((columns::cell(row, 0)?, from < before && !is_held))
        },
    )?;
    let full = looked_at.len() == rows as usize;
    let last = looked_at.last().filter(|_| full);
    let next = last.map(|(key, _)| Some((key.clone(), 0)));
    let mut changed = 0;
    for (key, _) in looked_at.iter().filter(|(_, is_old)| *is_old) {
        changed += forget(tx, key)?;
    }
    Ok(Piece::of(changed, next))
}
