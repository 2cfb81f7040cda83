//! The end of a reservation.

use super::ReservationId;
use crate::domain::UserId;
use crate::domain::columns::{id, integer, text};
use crate::error::{Error, Result};
use crate::operation::{ReadTx, WriteTx};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What became of the reservation of an exchange. Whatever it is, the exchange was saved and counts with what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settled {
    /// It was open, and holds nothing any more.
    InTime,
    /// It had expired: others may have been granted what it held.
    Expired,
    /// It had been released.
    Released,
    /// Another exchange, or another request, had settled it.
    Before,
}

/// A reservation that an exchange names.
pub(in crate::domain) struct Named {
    reservation: ReservationId,
    settled: Settled,
    /// What has settled it: a message's id, or that of a row of usage, which is below 0.
    settled_by: Option<i64>,
}

/// Finds the reservation that an exchange of this user names.
///
/// # Errors
/// `NotFound` for one that was never given, or to another user.
pub(in crate::domain) fn find(
    tx: &WriteTx<'_>,
    user_id: UserId,
    reservation: ReservationId,
) -> Result<Named> {
    let found = tx.maybe(
        "SELECT user_id, state, CAST(coalesce(until, 0) AS INTEGER), settled_by
         FROM botstore_reservation WHERE reservation_id = ?1",
        [reservation],
        |row| Ok((id(row, 0)?, text(row, 1)?, integer(row, 2)?, id(row, 3)?)),
    )?;
    let named = |settled, settled_by| Named {
        reservation,
        settled,
        settled_by,
    };
    let Some((owner, state, until, settled_by)) = found else {
        // It was swept, if it ever was.
        return match was_given(tx, reservation)? {
            true => Ok(named(Settled::Expired, None)),
            false => Err(unknown(reservation)),
        };
    };
    if owner != Some(user_id.get()) {
        return Err(unknown(reservation));
    }
    Ok(match state.as_str() {
        "open" => {
            let sure = tx.sure_now()?.timestamp_micros();
            match until <= sure {
                true => named(Settled::Expired, None),
                false => named(Settled::InTime, None),
            }
        }
        "released" => named(Settled::Released, settled_by),
        "settled" => named(Settled::Before, settled_by),
        _ => named(Settled::Expired, settled_by),
    })
}

impl Named {
    /// What settled it before, if something did: the same exchange, perhaps.
    pub(in crate::domain) fn settled_by(&self) -> Option<i64> {
        self.settled_by
    }

    /// Notes that this settles it: a message's id, or that of a row of usage. One that is over stays as it is, except
    /// that an expired one now knows what it was for.
    pub(in crate::domain) fn settle(&self, tx: &WriteTx<'_>, by: i64) -> Result<Settled> {
        let state = match self.settled {
            Settled::InTime => "settled",
            Settled::Expired => "expired",
            Settled::Released => "released",
            Settled::Before => return Ok(self.settled),
        };
        tx.execute(
            "UPDATE botstore_reservation SET state = ?2, settled_by = coalesce(settled_by, ?3)
             WHERE reservation_id = ?1",
            (self.reservation, state, by),
        )?;
        Ok(self.settled)
    }

    /// Ends it without anything that was spent.
    pub(in crate::domain) fn release(&self, tx: &WriteTx<'_>) -> Result<bool> {
        let was_open = self.settled == Settled::InTime;
        if was_open {
            tx.execute(
                "UPDATE botstore_reservation SET state = 'released' WHERE reservation_id = ?1",
                [self.reservation],
            )?;
        }
        Ok(was_open)
    }
}

/// Gives back what an exchange of this user has reserved that was saved before. Whatever else it is, nothing is spent.
pub(in crate::domain) fn give_back(
    tx: &WriteTx<'_>,
    user_id: UserId,
    reservation: ReservationId,
) -> Result<()> {
    tx.execute(
        "UPDATE botstore_reservation SET state = 'released'
         WHERE reservation_id = ?1 AND user_id = ?2 AND state = 'open'",
        (reservation, user_id),
    )?;
    Ok(())
}

/// Whether a reservation with this id was ever given.
fn was_given(tx: &ReadTx<'_>, reservation: ReservationId) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_sequence WHERE name = 'botstore_reservation' AND seq >= ?1 AND ?1 > 0";
    Ok(tx.maybe(sql, [reservation], |_| Ok(()))?.is_some())
}

fn unknown(reservation: ReservationId) -> Error {
    Error::not_found("reservation", format_args!("reservation {reservation}"))
}

/// Ends some of the reservations that have expired by this time. Triggers take them from what is reserved.
pub(super) fn expire(tx: &WriteTx<'_>, now: DateTime<Utc>, most: u32) -> Result<usize> {
    tx.execute(
        "UPDATE botstore_reservation SET state = 'expired' WHERE reservation_id IN (
             SELECT reservation_id FROM botstore_reservation INDEXED BY botstore_reservation_open
             WHERE state = 'open' AND CAST(coalesce(until, 0) AS INTEGER) <= ?1
             ORDER BY CAST(coalesce(until, 0) AS INTEGER) LIMIT ?2)",
        (now.timestamp_micros(), most),
    )
}

/// Lets reservations hold from now on that were made at a time still to come: the clock was set back since, and nobody
/// knows how much of their time is over. The newest of all is changed even if it is over: by it the store knows that the
/// clock was set back, and would look at all that are open for each request until one is granted.
pub(super) fn hold_anew(tx: &WriteTx<'_>, now: DateTime<Utc>) -> Result<usize> {
    tx.execute(
        "UPDATE botstore_reservation SET made_at = ?1,
             until = CAST(coalesce(until, 0) AS INTEGER) - CAST(coalesce(made_at, 0) AS INTEGER) + ?1
         WHERE CAST(coalesce(made_at, 0) AS INTEGER) > ?1 AND reservation_id IN (
             SELECT reservation_id FROM botstore_reservation INDEXED BY botstore_reservation_open
             WHERE state = 'open'
             UNION ALL SELECT max(reservation_id) FROM botstore_reservation)",
        [now.timestamp_micros()],
    )
}
