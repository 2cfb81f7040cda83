//! Words, numbers and tables for a terminal.

pub(crate) use crate::escape::printable;
use botstore::Usd;
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;
use std::path::Path;
use unicode_width::UnicodeWidthStr as _;

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

pub(crate) fn dollars(amount: Usd) -> String {
    format!("{:.4}", amount.dollars())
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

/// Returns a path as text. Bytes that are not UTF-8 become U+FFFD, in JSON too, which cannot represent
/// them.
pub(crate) fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Returns a text with every line after the first indented. The first follows a prefix, so none of them can
/// pose as a line of this program's.
pub(crate) fn lines(text: &str, indent: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join(&format!("\n{indent}"))
}

/// Names with values: `file          112.7 MiB`.
#[derive(Default)]
pub(crate) struct Facts(String);

impl Facts {
    /// Adds a value on one line, whatever it contains.
    pub(crate) fn add(&mut self, name: &str, value: impl fmt::Display) {
        let value = printable(&value.to_string());
        self.0 += &format!("{name:<13} {value}\n");
    }

    /// Adds a value with several lines, such as the sentence of an error that quotes SQL.
    pub(crate) fn add_lines(&mut self, name: &str, value: impl fmt::Display) {
        let value = lines(&value.to_string(), "              ");
        self.0 += &format!("{name:<13} {value}\n");
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// The alignment of a column.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// A text, aligned left.
    Text(&'static str),
    /// A number, aligned right.
    Number(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Text(title) | Self::Number(title) => title,
        }
    }
}

/// Returns aligned columns, with an empty line before them. A cell is one line, whatever it contains.
pub(crate) fn table<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> String {
    let cells = |row: &[String; N]| row.each_ref().map(|cell| printable(cell));
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].width());
        cells.max().unwrap_or(0).max(columns[at].title().width())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let titles = columns.map(|column| column.title().to_owned());
    let mut text = String::from("\n");
    for row in std::iter::once(&titles).chain(&rows) {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(columns).zip(widths) {
            // Padded by display width: in some scripts a letter takes two columns, and an accent none.
            let blanks = " ".repeat(width - cell.width());
            line += &match column {
                Column::Text(_) => format!("{cell}{blanks}  "),
                Column::Number(_) => format!("{blanks}{cell}  "),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
