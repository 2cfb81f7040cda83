//! Rows that queries have used, until the time of each one's last use is written down.
//!
//! A query only reads, so it notes a use in memory. The store writes the notes once a minute and when it closes:
//! one change for each row, however often it was used. Turned down: a mutation for each use, which would be a commit
//! for each request of a service.

use super::ReadTx;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How many rows are noted at most: some 2 MiB. While there are as many, the use of another row is not noted.
const MOST_USES: usize = 65_536;

/// A row id, and when the row was last used. The domain has one table of such rows.
pub(crate) type Use = (i64, DateTime<Utc>);

/// The uses that are not written down yet.
#[derive(Default)]
pub(crate) struct Uses {
    noted: Mutex<HashMap<i64, DateTime<Utc>>>,
}

impl Uses {
    fn note(&self, row: i64, at: DateTime<Utc>) {
        let mut noted = self.noted.lock();
        let is_full = noted.len() >= MOST_USES;
        match noted.entry(row) {
            // The clock may have been set back; the last use is the one that was noted last.
            Entry::Occupied(mut last) => {
                last.insert(at);
            }
            Entry::Vacant(new) if !is_full => {
                new.insert(at);
            }
            Entry::Vacant(_) => {}
        }
    }

    /// What is noted. It stays so until it is [`written`](Self::written), so that a failure loses nothing.
    /// In the order of the rows, so that each page is written once.
    pub(crate) fn noted(&self) -> Vec<Use> {
        let noted = self.noted.lock();
        let mut noted: Vec<_> = noted.iter().map(|(&row, &at)| (row, at)).collect();
        noted.sort_unstable_by_key(|&(row, _)| row);
        noted
    }

    /// Forgets what was written down, but not a later use of the same row.
    pub(crate) fn written(&self, uses: &[Use]) {
        let mut noted = self.noted.lock();
        for (row, at) in uses {
            if noted.get(row) == Some(at) {
                noted.remove(row);
            }
        }
        if noted.is_empty() {
            // Without the room of a busy minute.
            *noted = HashMap::new();
        }
    }
}

impl<'conn> ReadTx<'conn> {
    /// The same transaction, in a store that notes uses.
    pub(crate) fn noting(mut self, uses: &'conn Uses) -> Self {
        self.uses = Some(uses);
        self
    }

    /// Notes that a row is used now. Does nothing where no store is open.
    pub(crate) fn note_use(&self, row: i64) {
        if let Some(uses) = self.uses {
            uses.note(row, self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_and_a_later_use_outlives_the_writing_of_an_earlier() {
        let uses = Uses::default();
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let rows = MOST_USES as i64 + 10;
        for row in 0..rows {
            uses.note(row, at(1));
        }
        let noted = uses.noted();
        assert_eq!(noted.len(), MOST_USES);
        // Those that are known are still noted.
        uses.note(5, at(2));
        uses.written(&noted);
        assert_eq!(uses.noted(), [(5, at(2))]);
        uses.note(rows, at(3));
        uses.written(&[(5, at(2)), (rows, at(3)), (7, at(3))]);
        assert_eq!(uses.noted(), []);
    }
}
