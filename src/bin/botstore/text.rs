//! Words, numbers and tables for a terminal.

use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;

/// `1 step`, `2 steps`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

pub(crate) fn dollars(amount: f64) -> String {
    format!("{amount:.4}")
}

pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-11-23 07:18:44 UTC (3 h ago)`
pub(crate) fn time_and_age(at: DateTime<Utc>) -> String {
    let age = Utc::now() - at;
    let age = match age {
        age if age < TimeDelta::zero() => "in the future".to_owned(),
        age if age < TimeDelta::minutes(1) => format!("{} s ago", age.num_seconds()),
        age if age < TimeDelta::hours(1) => format!("{} min ago", age.num_minutes()),
        age if age < TimeDelta::days(2) => format!("{} h ago", age.num_hours()),
        age => format!("{} days ago", age.num_days()),
    };
    format!("{} ({age})", time(at))
}

/// A text from the file, without what would move a terminal's cursor or colour it.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    safe
}

/// A name before each value: `file          112.7 MiB`.
#[derive(Default)]
pub(crate) struct Facts(String);

impl Facts {
    pub(crate) fn add(&mut self, name: &str, value: impl fmt::Display) {
        self.0 += &format!("{name:<13} {value}\n");
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// How a column is set.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// A text, to the left.
    Text(&'static str),
    /// A number, to the right.
    Number(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Text(title) | Self::Number(title) => title,
        }
    }
}

/// Aligned columns, with an empty line before them.
pub(crate) fn table<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.max().unwrap_or(0).max(columns[at].title().len())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let titles = columns.map(|column| column.title().to_owned());
    let mut text = String::from("\n");
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(columns).zip(widths) {
            line += &match column {
                Column::Text(_) => format!("{cell:<width$}  "),
                Column::Number(_) => format!("{cell:>width$}  "),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
