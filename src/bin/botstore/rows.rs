//! A row of a table as JSON.

use botstore::rusqlite::Row;
use botstore::rusqlite::types::ValueRef;
use serde::ser::{Serialize, SerializeMap, Serializer};

pub(crate) struct Column {
    pub(crate) name: String,
    /// Whether the column is declared to hold JSON.
    pub(crate) is_json: bool,
}

/// Serialises as one JSON object, with the names of the columns.
pub(crate) struct RowOf<'a> {
    pub(crate) row: &'a Row<'a>,
    pub(crate) columns: &'a [Column],
}

impl Serialize for RowOf<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.columns.len()))?;
        for (at, column) in self.columns.iter().enumerate() {
            let value = self.row.get_ref(at).map_err(serde::ser::Error::custom)?;
            let value = match value {
                ValueRef::Blob(bytes) if column.is_json && is_number(bytes) => {
                    ValueRef::Text(bytes)
                }
                value => value,
            };
            map.serialize_entry(&column.name, &Cell(value))?;
        }
        map.end()
    }
}

/// Whether bytes are a JSON document that is a number. The store keeps such a document as bytes,
/// because in a JSON column SQLite would change the number in its text.
fn is_number(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Number>(bytes).is_ok()
}

struct Cell<'a>(ValueRef<'a>);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            ValueRef::Null => to.serialize_none(),
            ValueRef::Integer(number) => to.serialize_i64(number),
            // JSON has no number for it.
            ValueRef::Real(number) if !number.is_finite() => to.collect_str(&number),
            ValueRef::Real(number) => to.serialize_f64(number),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => to.serialize_str(text),
                Err(_) => hex(bytes, to),
            },
            ValueRef::Blob(bytes) => hex(bytes, to),
        }
    }
}

fn hex<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry("hex", &digits)?;
    map.end()
}
