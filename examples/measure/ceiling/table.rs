//! The table of what was measured.

use serde_json::{Value, json};
use std::borrow::Cow;

/// What a value must be to meet its target.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

pub(crate) struct Row {
    pub(crate) id: Cow<'static, str>,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) target: Target,
    /// The figures behind the value.
    pub(crate) detail: String,
}

impl Row {
    pub(crate) fn met(&self) -> bool {
        match self.target {
            Target::AtLeast(bound) => self.value >= bound,
            Target::AtMost(bound) => self.value <= bound,
        }
    }

    fn shown(&self) -> String {
        let digits = if self.value >= 1_000.0 { 0 } else { 2 };
        format!("{:.digits$} {}", self.value, self.unit)
    }

    fn bound(&self) -> String {
        match self.target {
            Target::AtLeast(bound) => format!("≥ {bound} {}", self.unit),
            Target::AtMost(bound) => format!("≤ {bound} {}", self.unit),
        }
    }
}

/// Prints rows under a title that tells what is on the other side.
pub(crate) fn print(title: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let widest = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (id, what) = (widest(|row| row.id.len()), widest(|row| row.what.len()));
    println!(
        "\n{title}\n{:<id$} {:<what$} {:>12} {:>14}",
        "", "", "measured", "target"
    );
    for row in rows {
        println!(
            "{:<id$} {:<what$} {:>12} {:>14}  {}   {}",
            row.id.to_uppercase(),
            row.what,
            row.shown(),
            row.bound(),
            if row.met() { "met " } else { "MISSED" },
            row.detail
        );
    }
}

pub(crate) fn json<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Value {
    let mut all = serde_json::Map::new();
    for row in rows {
        let target = match row.target {
            Target::AtLeast(bound) | Target::AtMost(bound) => bound,
        };
        let name = if row.unit == "×" { "ratio" } else { "value" };
        let entry = json!({
            name: row.value, "unit": row.unit, "target": target, "met": row.met(),
            "what": row.what, "detail": row.detail,
        });
        all.insert(row.id.to_string(), entry);
    }
    Value::Object(all)
}
