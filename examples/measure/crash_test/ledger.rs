//! What became of each request, as far as the parent was told.

use crate::lines::Line;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Sent, and no answer came: it may have been done.
    Open,
    /// An error came: it was not done.
    Refused,
    /// It was done; as the message of this id, if it was an interaction.
    Acknowledged(Option<i64>),
}

/// The requests to one file, by their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) seed: u64,
    pub(crate) fates: BTreeMap<u64, Fate>,
    /// Whether a store has had the file open, so that its tables are there.
    pub(crate) opened: bool,
}

impl Ledger {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            fates: BTreeMap::new(),
            opened: false,
        }
    }

    pub(crate) fn note(&mut self, line: &Line) {
        let (number, fate) = match *line {
            Line::Open => return self.opened = true,
            Line::Sent(number) => (number, Fate::Open),
            Line::Refused(number) => (number, Fate::Refused),
            Line::Acknowledged(number, id) => (number, Fate::Acknowledged(id)),
            _ => return,
        };
        self.fates.insert(number, fate);
    }

    /// The first number that was not sent yet.
    pub(crate) fn next(&self) -> u64 {
        self.fates.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    pub(crate) fn unacknowledged(&self) -> Vec<u64> {
        let open = |fate: &Fate| !matches!(fate, Fate::Acknowledged(_));
        let fates = self.fates.iter().filter(|(_, fate)| open(fate));
        fates.map(|(&number, _)| number).collect()
    }

    /// The interactions that were acknowledged, and as which messages.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = (u64, i64)> {
        self.fates.iter().filter_map(|(&number, fate)| match fate {
            Fate::Acknowledged(Some(id)) => Some((number, *id)),
            _ => None,
        })
    }
}
