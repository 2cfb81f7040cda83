//! Adds many requests to the rollups at once, table by table: each row of a rollup is written once, in the order of
//! its key, as for messages.
//!
//! Grouped in Rust: SQLite would sort the requests by four texts each.

use crate::domain::columns::integer;
use crate::domain::rollups::count::{Piece, prepare};
use crate::domain::rollups::facts::USAGE;
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite::{Cell, cells};
use rusqlite::params_from_iter;
use std::collections::BTreeMap;

/// A table of rollups.
struct Rollup {
    name: &'static str,
    /// The facts by which it counts.
    key: &'static [&'static str],
    /// It counts requests of which this fact is neither '' nor 0.
    only: Option<&'static str>,
    /// Its sums, each of some facts; those of all facts if there are none.
    sums: &'static [(&'static str, &'static [&'static str])],
}

const ROLLUPS: [Rollup; 4] = [
    Rollup {
        name: "botstore_model_day",
        key: &["day", "provider", "model"],
        only: None,
        sums: &[],
    },
    Rollup {
        name: "botstore_user_model_day",
        key: &["day", "user_id", "provider", "model"],
        only: None,
        sums: &[],
    },
    Rollup {
        name: "botstore_chat_day",
        key: &["day", "chat"],
        only: Some("chat"),
        sums: &[
            (REQUESTS, &[REQUESTS]),
            ("tokens", &["input_tokens", "output_tokens"]),
            ("cost", &["cost"]),
        ],
    },
    Rollup {
        name: "botstore_other_day",
        key: &["day", "user_id"],
        only: Some("other"),
        sums: &[(REQUESTS, &[REQUESTS]), ("cost", &["cost"])],
    },
];

const REQUESTS: &str = USAGE.rows;

/// How many numbers are added up, `REQUESTS` first.
const SUMS: usize = 1 + USAGE.sums.len();

/// A part of a key. Texts are bytes: a file's text may be no UTF-8.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(i64),
    Text(Vec<u8>),
}

/// The requests of a rollup, by its key.
struct Grouped {
    rollup: Rollup,
    /// Where the facts of the key are.
    key: Vec<usize>,
    only: Option<usize>,
    rows: BTreeMap<Vec<Part>, [i64; SUMS]>,
}

/// Adds requests to the rollups.
pub(super) fn add(tx: &WriteTx<'_>, piece: Piece) -> Result<()> {
    let Piece {
        generation,
        after,
        ids,
    } = piece;
    let mut rollups = ROLLUPS.map(Grouped::new);
    let (select, id) = (USAGE.select_in(&generation.to_string()), USAGE.id);
    let sql =
        format!("{select} WHERE {id} {after} ?1 AND {id} <= ?2 AND typeof(user_id) = 'integer'");
    tx.each_while(&sql, ids, |row| {
        // After the id.
        let facts = cells(row, 1..1 + USAGE.keys.len())?;
        let mut sums = [1; SUMS];
        for (sum, at) in sums[1..].iter_mut().zip(1 + USAGE.keys.len()..) {
            *sum = integer(row, at)?;
        }
        for rollup in &mut rollups {
            rollup.add(&facts, &sums);
        }
        Ok(true)
    })?;
    rollups
        .into_iter()
        .try_for_each(|rollup| rollup.write_to(tx, generation))
}

impl Grouped {
    fn new(rollup: Rollup) -> Self {
        let place = |name: &&str| USAGE.key_names().position(|known| known == *name);
        Self {
            key: rollup.key.iter().filter_map(place).collect(),
            only: rollup.only.as_ref().and_then(place),
            rollup,
            rows: BTreeMap::new(),
        }
    }

    fn add(&mut self, facts: &[Cell], sums: &[i64; SUMS]) {
        let is_something = |at: usize| match &facts[at] {
            Cell::Text(bytes) => !bytes.is_empty(),
            fact => *fact != Cell::Integer(0),
        };
        if !self.only.is_none_or(is_something) {
            return;
        }
        let part = |at: &usize| match &facts[*at] {
            Cell::Integer(number) => Part::Number(*number),
            Cell::Text(bytes) => Part::Text(bytes.clone()),
            // No fact is anything else.
            _ => Part::Text(Vec::new()),
        };
        let key = self.key.iter().map(part).collect();
        let row = self.rows.entry(key).or_insert([0; SUMS]);
        for (sum, more) in row.iter_mut().zip(sums) {
            *sum = sum.saturating_add(*more);
        }
    }

    fn write_to(self, tx: &WriteTx<'_>, generation: i64) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let all: Vec<_> = [REQUESTS].into_iter().chain(USAGE.sum_names()).collect();
        // The names of the sums, and where what is added up for each is.
        let sums: Vec<(&str, Vec<usize>)> = match self.rollup.sums {
            [] => all
                .iter()
                .enumerate()
                .map(|(at, name)| (*name, vec![at]))
                .collect(),
            some => {
                let places = |of: &[&str]| (0..SUMS).filter(|at| of.contains(&all[*at])).collect();
                some.iter().map(|(name, of)| (*name, places(of))).collect()
            }
        };
        let key = format!("generation, {}", self.rollup.key.join(", "));
        let names: String = sums.iter().map(|(name, _)| format!(", {name}")).collect();
        let places = vec!["?"; 1 + self.key.len() + sums.len()].join(", ");
        let add = sums
            .iter()
            .map(|(name, _)| format!("{name} = CAST({name} + excluded.{name} AS INTEGER)"));
        let (table, add) = (self.rollup.name, add.collect::<Vec<_>>().join(", "));
        let mut add = prepare(
            tx,
            &format!(
                "INSERT INTO {table} ({key}{names}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {add}"
            ),
        )?;
        for (key, row) in self.rows {
            let key = key.into_iter().map(|part| match part {
                Part::Number(number) => Cell::Integer(number),
                Part::Text(bytes) => Cell::Text(bytes),
            });
            let sum = |of: &Vec<usize>| {
                of.iter()
                    .fold(0_i64, |sum, at| sum.saturating_add(row[*at]))
            };
            let sums = sums.iter().map(|(_, of)| Cell::Integer(sum(of)));
            let row = [Cell::Integer(generation)].into_iter().chain(key);
            add.execute(params_from_iter(row.chain(sums)))?;
        }
        Ok(())
    }
}
