//! The tables of rollups, as data: what their keys and counts are.

use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use rusqlite::ToSql;
use rusqlite::types::ValueRef;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What a row is of. Which of them count differs from table to table; the others are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) user_id: i64,
    /// A session, or a tool, or a day: by its number in [`Names`].
    pub(super) first: u32,
    /// A day, or a tool.
    pub(super) second: u32,
}

/// What a row says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) numbers: [i64; 5],
    pub(super) cost: Sum,
    /// The last day, for the table that has one.
    pub(super) day: u32,
}

/// A sum whose error does not grow with the number of summands (Neumaier,
/// <https://doi.org/10.1002/zamm.19740540106>), as SQLite's own is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    pub(super) fn value(self) -> f64 {
        self.sum + self.lost
    }
}

impl From<f64> for Sum {
    fn from(sum: f64) -> Self {
        Self { sum, lost: 0.0 }
    }
}

/// Texts by number, so that a row of ten million is a few bytes.
#[derive(Default)]
pub(super) struct Names {
    numbers: HashMap<Rc<str>, u32>,
    texts: Vec<Rc<str>>,
}

impl Names {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        let text: Rc<str> = text.into();
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| &**text)
    }
}

/// The rows of a table.
#[derive(Default)]
pub(super) struct Rows {
    /// With what they say.
    pub(super) counts: HashMap<Key, Counts>,
    /// Those of a table that has nothing but its key. There are most of these, and as counts of nothing
    /// each would take five times the memory.
    pub(super) keys: HashSet<Key>,
}

impl Rows {
    /// The keys of all of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        self.counts.keys().chain(&self.keys)
    }

    /// What a row says: nothing if there is only its key.
    pub(super) fn of(&self, key: &Key) -> Counts {
        self.counts.get(key).copied().unwrap_or_default()
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Counts> {
        let counts = self.counts.remove(key);
        counts.or_else(|| self.keys.remove(key).then(Counts::default))
    }
}

/// A part of a key.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    User,
    First,
    Second,
}

/// A table of rollups.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static [(&'static str, Part)],
    pub(super) numbers: &'static [&'static str],
    /// Whether it has a `cost`, and whether it has a `last_day`.
    pub(super) amounts: &'static [&'static str],
}

const COST: &[&str] = &["cost"];
const NONE: &[&str] = &[];

/// Where two of them are in [`TABLES`].
pub(super) const COST_DAYS: usize = 7;
pub(super) const TOTAL: usize = 8;

pub(super) const TABLES: [Table; 9] = [
    Table {
        name: "botstore_day",
        key: &[("day", Part::Second)],
        numbers: &["users", "messages", "errors", "timed", "duration_ms"],
        amounts: COST,
    },
    Table {
        name: "botstore_user_total",
        key: &[("user_id", Part::User)],
        numbers: &["sessions", "messages"],
        amounts: &["cost", "last_day"],
    },
    Table {
        name: "botstore_user_day",
        key: &[("user_id", Part::User), ("day", Part::Second)],
        numbers: &["sessions", "messages", "errors", "timed", "duration_ms"],
        amounts: COST,
    },
    Table {
        name: "botstore_session_day",
        key: &[
            ("session_id", Part::First),
            ("user_id", Part::User),
            ("day", Part::Second),
        ],
        numbers: NONE,
        amounts: NONE,
    },
    Table {
        name: "botstore_tool",
        key: &[("tool_name", Part::Second)],
        numbers: &["uses", "successes", "errors", "sessions"],
        amounts: NONE,
    },
    Table {
        name: "botstore_session_tool",
        key: &[("session_id", Part::First), ("tool_name", Part::Second)],
        numbers: NONE,
        amounts: NONE,
    },
    Table {
        name: "botstore_user_tool",
        key: &[("user_id", Part::User), ("tool_name", Part::Second)],
        numbers: &["uses"],
        amounts: NONE,
    },
    Table {
        name: "botstore_cost_day",
        key: &[("day", Part::Second)],
        numbers: &["users", "requests"],
        amounts: COST,
    },
    Table {
        name: "botstore_total",
        key: &[],
        numbers: &["users", "sessions"],
        amounts: NONE,
    },
];

impl Table {
    fn columns(&self) -> Vec<&'static str> {
        let keys = self.key.iter().map(|(column, _)| *column);
        keys.chain(self.numbers.iter().copied())
            .chain(self.amounts.iter().copied())
            .collect()
    }

    /// Looks at every row that the file has.
    pub(super) fn each(
        &self,
        tx: &ReadTx<'_>,
        names: &mut Names,
        mut look: impl FnMut(&Names, Key, Counts),
    ) -> Result<()> {
        // A table without counts selects nothing else than its key.
        let columns = self.columns().join(", ");
        let sql = format!("SELECT {columns} FROM {}", self.name);
        tx.all(&sql, [], |row| {
            let (mut key, mut counts) = (Key::default(), Counts::default());
            for (at, (_, part)) in self.key.iter().enumerate() {
                let value = row.get_ref(at)?;
                match part {
                    Part::User => key.user_id = row.get(at)?,
                    Part::First => key.first = names.number(&text(value)),
                    Part::Second => key.second = names.number(&text(value)),
                }
            }
            let mut at = self.key.len();
            for number in counts.numbers.iter_mut().take(self.numbers.len()) {
                *number = row.get(at)?;
                at += 1;
            }
            for amount in self.amounts {
                match *amount {
                    "cost" => counts.cost = row.get::<_, f64>(at)?.into(),
                    _ => counts.day = names.number(&text(row.get_ref(at)?)),
                }
                at += 1;
            }
            look(names, key, counts);
            Ok(())
        })?;
        Ok(())
    }

    /// Writes rows into the empty table, in the order of its key.
    pub(super) fn write(&self, tx: &WriteTx<'_>, names: &Names, rows: &Rows) -> Result<()> {
        let columns = self.columns();
        let places: Vec<_> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.name,
            columns.join(", "),
            places.join(", ")
        );
        let mut sorted: Vec<_> = rows.all().collect();
        sorted.sort_unstable_by_key(|key| match self.key.first() {
            Some((_, Part::User)) => (key.user_id, "", names.text(key.second)),
            _ => (0, names.text(key.first), names.text(key.second)),
        });
        for key in sorted {
            let counts = rows.of(key);
            let cost = counts.cost.value();
            let (first, second) = (names.text(key.first), names.text(key.second));
            let day = names.text(counts.day);
            let mut values: Vec<&dyn ToSql> = Vec::with_capacity(columns.len());
            for (_, part) in self.key {
                values.push(match part {
                    Part::User => &key.user_id,
                    Part::First => &first,
                    Part::Second => &second,
                });
            }
            for number in counts.numbers.iter().take(self.numbers.len()) {
                values.push(number);
            }
            for amount in self.amounts {
                values.push(if *amount == "cost" { &cost } else { &day });
            }
            tx.execute(&sql, &values[..])?;
        }
        Ok(())
    }

    /// A row's key in words.
    pub(super) fn name_row(&self, names: &Names, key: &Key) -> String {
        let parts: Vec<_> = self
            .key
            .iter()
            .map(|(column, part)| match part {
                Part::User => format!("{column} {}", key.user_id),
                Part::First => format!("{column} {:?}", names.text(key.first)),
                Part::Second => format!("{column} {:?}", names.text(key.second)),
            })
            .collect();
        parts.join(", ")
    }
}

/// A text as the rollups keep it; what is none is as SQL would cast it.
pub(super) fn text(value: ValueRef<'_>) -> std::borrow::Cow<'_, str> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
        ValueRef::Integer(number) => number.to_string().into(),
        ValueRef::Real(number) => number.to_string().into(),
        ValueRef::Null => "".into(),
    }
}
