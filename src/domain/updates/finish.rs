//! The end of a claim.

use super::Ticket;
use super::table::{self, State};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::limits::Texts;
use crate::operation::{Mutation, WriteTx};
use serde::{Deserialize, Serialize};

/// Says that an update is done: whoever claims it from now on is told that it was seen. Sent again, it changes
/// nothing. It may come after the end of the lease, or when the claim was forgotten or released, as long as nobody
/// else has claimed the update since.
///
/// # Errors
/// [`Conflict`](crate::ErrorKind::Conflict), with the field `ticket`, if somebody else has claimed the update since:
/// it is theirs to finish. [`Invalid`](crate::ErrorKind::Invalid) for a ticket that no claim can have given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishUpdate {
    /// What the claim gave.
    pub ticket: Ticket,
}

impl FinishUpdate {
    /// The update that was claimed with this ticket.
    pub fn new(ticket: Ticket) -> Self {
        Self { ticket }
    }
}

impl Mutation for FinishUpdate {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        if let Some(State::Finished) = claimed(tx, &self.ticket)? {
            return Ok(());
        }
        // Also of a claim that is forgotten, or that a backup from before it does not have: it is done.
        table::finish(tx, &self.ticket.key(), self.ticket.number, tx.sure_now()?)
    }

    fn texts(&self, texts: &mut Texts) {
        self.ticket.texts(texts);
    }
}

/// Gives an update back that was not done: the next who claims it gets it, without waiting for the end of the
/// lease. Sent again, or of an update that is forgotten, it changes nothing.
///
/// # Errors
/// [`Conflict`](crate::ErrorKind::Conflict), with the field `ticket`, if somebody else has claimed the update since,
/// or if it is finished. [`Invalid`](crate::ErrorKind::Invalid) for a ticket that no claim can have given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReleaseUpdate {
    /// What the claim gave.
    pub ticket: Ticket,
}

impl ReleaseUpdate {
    /// The update that was claimed with this ticket.
    pub fn new(ticket: Ticket) -> Self {
        Self { ticket }
    }
}

impl Mutation for ReleaseUpdate {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        match claimed(tx, &self.ticket)? {
            Some(State::Claimed(_)) => table::forget(tx, self.ticket.key()).map(|_| ()),
            Some(State::Finished) => {
                let why = format!("{} is finished; it was not released", named(&self.ticket));
                Err(Error::new(ErrorKind::Conflict, why).with_field("ticket"))
            }
            None => Ok(()),
        }
    }

    fn texts(&self, texts: &mut Texts) {
        self.ticket.texts(texts);
    }
}

/// What became of the claim with this ticket, if it is known.
fn claimed(tx: &WriteTx<'_>, ticket: &Ticket) -> Result<Option<State>> {
    ticket.check()?;
    let Some((state, latest)) = table::find(tx, &ticket.key())? else {
        return Ok(None);
    };
    if latest == ticket.number {
        return Ok(Some(state));
    }
    let which = named(ticket);
    Err(Error::conflict(
        "ticket",
        format_args!("later claim of {which}; nothing was changed"),
    ))
}

fn named(ticket: &Ticket) -> String {
    let update_id = quote(ticket.update_id.as_str());
    format!("update {update_id} of {}", quote(&ticket.source))
}
