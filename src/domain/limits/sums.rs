//! Counts what is spent in a period from the rows, for a counter that does not exist yet.

use super::counters::{Counts, Subject, counts};
use super::windows::{Window, Zoned};
use crate::domain::columns::{count, integer};
use crate::domain::rollups::spent::{self, Of};
use crate::error::Result;
use crate::operation::ReadTx;

/// How many more of a user's newest messages are looked at than the user has had on the days in question: a few may
/// have been imported since.
const MORE: u64 = 64;

pub(super) fn spent(
    tx: &ReadTx<'_>,
    subject: Subject<'_>,
    window: &Window,
    zone: &Zoned,
) -> Result<Counts> {
    let (_, who) = subject.spelled();
    let of = of(subject);
    if let Some([first, last]) = zone.days(window) {
        return tx.one(&spent::in_days(of), (who, first, last), |row| {
            counts(row, 0)
        });
    }
    if let Some(counts) = of_newest(tx, subject, window, zone)? {
        return Ok(counts);
    }
    let [from, to] = [&window.starts, &window.ends].map(|time| time.replacen(' ', "T", 1));
    let bound = (who, &window.starts, &window.ends, from, to);
    tx.one(&spent::in_time(of), bound, |row| counts(row, 0))
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
    let messages = tx.one(&spent::messages_in_days(), on_days, |row| count(row, 0))?;
    let look_at = match messages {
        0 => 0,
        messages => messages.saturating_add(MORE).min(i64::MAX as u64) as i64,
    };
    let [from, to] = [&window.starts, &window.ends].map(|time| time.replacen(' ', "T", 1));
    let bound = (
        user_id,
        &window.starts,
        &window.ends,
        from,
        to,
        look_at,
        first,
        last,
    );
    let (counts, found) = tx.one(&spent::in_time_of_newest(), bound, |row| {
        Ok((counts(row, 0)?, integer(row, 3)?.unsigned_abs()))
    })?;
    Ok((found == messages).then_some(counts))
}
