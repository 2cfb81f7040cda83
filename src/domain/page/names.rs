//! Places in a list by two names and a time.

use super::{Cursor, PageRequest, Place, foreign_cursor};
use crate::error::Result;
use crate::texts::{MAX_NAME_BYTES, Texts};
use crate::time;
use chrono::{DateTime, Utc};

/// The place of a row in a list by two names, then by time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::domain) struct Names {
    pub(in crate::domain) first: String,
    pub(in crate::domain) second: String,
    /// As the file spells it.
    pub(in crate::domain) at: String,
}

impl Cursor {
    /// The place of a row with these names. A name may have any character, so its length says where it ends.
    pub(in crate::domain) fn of_names(first: &str, second: &str, at: DateTime<Utc>) -> Self {
        let id = format!("{}.{first}{second}", first.len());
        let place = Place::Text(at, id);
        Self { place }
    }
}

impl PageRequest {
    /// A cursor of two names has room for two of the longest, and for what divides them.
    pub(in crate::domain) fn texts_of_names(&self, texts: &mut Texts) {
        const DIVIDER: usize = "4096.".len();
        if let Some(Cursor {
            place: Place::Text(_, id),
        }) = &self.after
        {
            texts.names_looked_for("after", id.as_str(), 2 * MAX_NAME_BYTES + DIVIDER);
        }
    }

    /// After which names and time the rows come; before all of them for the first page.
    pub(in crate::domain) fn after_names(&self) -> Result<Names> {
        let Some(Cursor { place }) = &self.after else {
            return Ok(Names::default());
        };
        let Place::Text(at, id) = place else {
            return Err(foreign_cursor());
        };
        let split = id
            .split_once('.')
            .and_then(|(length, names)| names.split_at_checked(length.parse().ok()?));
        let (first, second) = split.ok_or_else(foreign_cursor)?;
        Ok(Names {
            first: first.to_owned(),
            second: second.to_owned(),
            at: time::format(*at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_characters_come_back() {
        let at = time::parse("2026-03-10T15:30:00.000001Z").unwrap();
        for (first, second) in [
            ("", ""),
            ("a", "b"),
            ("1.a", "2.b"),
            ("ä.:\n", ".ö"),
            ("3", ""),
        ] {
            let cursor = Cursor::of_names(first, second, at).to_string();
            let request = PageRequest::first(1).after(cursor.parse().unwrap());
            let names = Names {
                first: first.to_owned(),
                second: second.to_owned(),
                at: time::format(at),
            };
            assert_eq!(request.after_names().unwrap(), names, "{cursor}");
        }
        for foreign in ["1.7", "1:s", "1:", "1:9.a", "1:1.ä", "1:-1.a", "row 5"] {
            let request = PageRequest::first(1).after(foreign.parse().unwrap());
            assert!(request.after_names().is_err(), "{foreign}");
        }
    }
}
