//! Describes objects in a file's schema that no step made.

use crate::text::{self, Column, Facts};
use botstore::schema::UnknownObjects;

/// Returns a line and a table.
pub(crate) fn text(found: &UnknownObjects) -> String {
    let mut facts = Facts::default();
    facts.add("unknown", verdict(found));
    if !found.missing.is_empty() {
        facts.add("missing", missing_verdict(found));
    }
    facts.into_text() + &table(found)
}

/// Returns how many there are.
pub(crate) fn verdict(found: &UnknownObjects) -> String {
    if found.is_empty() {
        return "nothing in the schema".to_owned();
    }
    let shown = found.first.len() as u64;
    let mut text = text::count(found.total, "object");
    text += " in the schema that no step known to this program made";
    if found.total > shown {
        text += &format!(", the first {shown} here");
    }
    if !found.unknown_schemas.is_empty() {
        let names = found.unknown_schemas.iter().map(|name| format!("{name:?}"));
        let names = text::printable(&names.collect::<Vec<_>>().join(", "));
        text += &format!("; schema {names}, which this program does not know, may have made them");
    }
    text
}

/// Returns how many objects of steps are missing, and what follows.
pub(crate) fn missing_verdict(found: &UnknownObjects) -> String {
    let lost = found.missing.iter().filter(|missing| !missing.made_again);
    let lost = lost.count() as u64;
    let again = found.missing.len() as u64 - lost;
    let mut text = Vec::new();
    if again > 0 {
        let objects = text::count(again, "object");
        text.push(format!(
            "{objects} that steps made; the bot makes them again when it opens the file, and so does \
             `botstore migrate`"
        ));
    }
    if lost > 0 {
        let objects = text::count(lost, "object");
        text.push(format!(
            "{objects} with contents that only a backup has: restore a backup"
        ));
    }
    text.join("; ")
}

/// Lists the objects that no step made, and the missing ones.
pub(crate) fn table(found: &UnknownObjects) -> String {
    unknown(found) + &missing(found)
}

fn missing(found: &UnknownObjects) -> String {
    if found.missing.is_empty() {
        return String::new();
    }
    let rows = found.missing.iter().map(|object| {
        [
            object.kind.to_string(),
            text::printable(&object.name),
            text::printable(&object.table),
        ]
    });
    let columns = [
        Column::Text("missing"),
        Column::Text("name"),
        Column::Text("on"),
    ];
    text::table(columns, &rows.collect::<Vec<_>>())
}

fn unknown(found: &UnknownObjects) -> String {
    if found.is_empty() {
        return String::new();
    }
    let rows = found.first.iter().map(|object| {
        let altered = match object.altered {
            true => "altered",
            false => "",
        };
        [
            object.kind.to_string(),
            text::printable(&object.name),
            text::printable(&object.table),
            altered.to_owned(),
        ]
    });
    let columns = [
        Column::Text("unknown"),
        Column::Text("name"),
        Column::Text("on"),
        Column::Text(""),
    ];
    text::table(columns, &rows.collect::<Vec<_>>())
}
