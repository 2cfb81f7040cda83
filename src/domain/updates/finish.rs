//! Ends claims.

use super::Ticket;
use super::table::{self, State};
use crate::error::{Error, ErrorKind, Result, quote};
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// Finishes an update: later claims of it are answered with [`Seen`](super::Claim::Seen). Sent again, it changes
/// nothing. It also works after the lease has ended, or the claim was forgotten or released, as long as nobody
/// else has claimed the update since.
///
/// # Errors
/// [`Conflict`](crate::ErrorKind::Conflict), with the field `ticket`, if another claimant has claimed the update
/// since, and so has to finish it. [`Invalid`](crate::ErrorKind::Invalid) for a ticket that no claim can have
/// given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishUpdate {
    /// The ticket that the claim gave.
    pub ticket: Ticket,
}

impl FinishUpdate {
    /// Finishes the update that was claimed with this ticket.
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
        // Also records a claim that is forgotten, or newer than the backup that was restored: the update is
        // done.
        table::finish(tx, &self.ticket.key(), self.ticket.number, tx.sure_now()?)
    }

    fn texts(&self, texts: &mut Texts) {
        self.ticket.texts(texts);
    }
}

/// Releases an update that was not done: the next claim of it succeeds without waiting for the end of the lease.
/// Sent again, or for a forgotten update, it changes nothing.
///
/// # Errors
/// [`Conflict`](crate::ErrorKind::Conflict), with the field `ticket`, if another claimant has claimed the update
/// since, or if it is finished. [`Invalid`](crate::ErrorKind::Invalid) for a ticket that no claim can have
/// given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReleaseUpdate {
    /// The ticket that the claim gave.
    pub ticket: Ticket,
}

impl ReleaseUpdate {
    /// Releases the update that was claimed with this ticket.
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
                let why = format!(
                    "{} is already finished, and was not released",
                    named(&self.ticket)
                );
                Err(Error::new(ErrorKind::Conflict, why).with_field("ticket"))
            }
            None => Ok(()),
        }
    }

    fn texts(&self, texts: &mut Texts) {
        self.ticket.texts(texts);
    }
}

/// The state of the claim with this ticket; `None` if the file does not know the update.
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
