//! What is in a file's schema that no step made, in words.

use crate::text::{self, Column, Facts};
use botstore::schema::UnknownObjects;

/// A line and a table.
pub(crate) fn text(found: &UnknownObjects) -> String {
    let mut facts = Facts::default();
    facts.add("unknown", verdict(found));
    facts.into_text() + &table(found)
}

/// How many there are.
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
        text += &format!("; schema {names}, which it does not know, may have made them");
    }
    text
}

pub(crate) fn table(found: &UnknownObjects) -> String {
    if found.is_empty() {
        return String::new();
    }
    let rows = found.first.iter().map(|object| {
        let altered = match object.altered {
            true => "in place of a step's own",
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
