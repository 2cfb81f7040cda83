//! Counts what is spent in a period from the rows, for a counter that does not exist yet.

use super::counters::{Counts, Subject, counts};
use super::windows::{Window, Zoned};
use crate::domain::columns::{id, integer};
use crate::domain::rollups::spent::{self, Of};
use crate::error::Result;
use crate::operation::ReadTx;

/// How many more of a user's newest messages are looked at than the user has had on the days in question: a few may
/// have been imported since.
const MORE: i64 = 64;

pub(super) fn spent(
    tx: &ReadTx<'_>,
    subject: Subject<'_>,
    window: &Window,
    zone: &Zoned,
) -> Result<Counts> {
    let (_, who) = subject.spelled();
    let (of, span) = (of(subject), (&window.starts, &window.ends));
    if let Some([first, last]) = zone.days(window) {
        let bound = (who, span.0, span.1, first, last);
        return tx.one(&spent::in_days(of), bound, |row| counts(row, 0));
    }
    if let Some(counts) = of_newest(tx, subject, window, zone)? {
        return Ok(counts);
    }
    tx.one(&spent::in_time(of), (who, span.0, span.1), |row| {
        counts(row, 0)
    })
}

fn of(subject: Subject<'_>) -> Of {
    match subject {
        Subject::Everyone => Of::Everyone,
        Subject::User(_) => Of::User,
        Subject::Chat(_) => Of::Chat,
        Subject::Model(_) => Of::Model,
    }
}

/// Counts a user's minute or hour in the newest of the user's messages: rollups say how many there are on that day, and
/// if that many are found, none is missing. `None` if some are elsewhere, or rollups do not know. The messages of all
/// users in that hour may be a hundred thousand.
fn of_newest(
    tx: &ReadTx<'_>,
    subject: Subject<'_>,
    window: &Window,
    zone: &Zoned,
) -> Result<Option<Counts>> {
    let (Subject::User(user_id), Some([first, last])) = (subject, zone.touched(window)) else {
        return Ok(None);
    };
    let on_days = (user_id, &first, &last);
    let messages = tx.one(&spent::messages_in_days(), on_days, |row| id(row, 0))?;
    let Some(messages) = messages else {
        return Ok(None);
    };
    let look_at = match messages {
        0 => 0,
        messages => messages.saturating_add(MORE),
    };
    let (starts, ends) = (&window.starts, &window.ends);
    let bound = (user_id, starts, ends, first, last, look_at);
    let (counts, found) = tx.one(&spent::in_time_of_newest(), bound, |row| {
        Ok((counts(row, 0)?, integer(row, 3)?))
    })?;
    Ok((found == messages).then_some(counts))
}
