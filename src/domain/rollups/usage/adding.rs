//! Adds many requests to the rollups at once, table by table: each row of a rollup is written once, in the order of
//! its key, as for messages.
//!
//! Grouped in Rust: SQLite would sort the requests by four texts each.

use super::{CHATS, MODELS, OTHERS, USERS};
use crate::domain::columns::{cell, flag, integer};
use crate::domain::rollups::adding::{Addition, Days, Key, rows_of};
use crate::domain::rollups::count::Piece;
use crate::domain::rollups::facts::USAGE;
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite::Cell;
use rusqlite::ToSql;
use std::collections::BTreeMap;
use std::rc::Rc;

const REQUESTS: &str = USAGE.rows;

/// What is added up: the requests, and then the facts in their order.
const SUMS: usize = 1 + USAGE.sums.len();

/// Where some of them are.
const INPUT: usize = 3;
const OUTPUT: usize = 6;
const COST: usize = 8;

/// Sums over requests.
#[derive(Clone, Copy)]
struct Sums<const N: usize>([i64; N]);

impl<const N: usize> Sums<N> {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
    }
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

/// Requests, by the keys of the rollups.
#[derive(Default)]
struct Groups {
    /// By day, user, provider and model.
    users: BTreeMap<(Rc<str>, i64, Key, Key), Sums<SUMS>>,
    /// Those whose chat is known, by day and chat: how many, their tokens, their cost.
    chats: BTreeMap<(Rc<str>, Key), Sums<3>>,
    /// Those that are no messages, by day and user: how many, their cost.
    others: BTreeMap<(Rc<str>, i64), Sums<2>>,
}

/// Adds requests to the rollups.
pub(super) fn add(tx: &WriteTx<'_>, piece: Piece) -> Result<()> {
    let generation = piece.generation;
    let Groups {
        users,
        chats,
        others,
    } = groups(tx, piece)?;
    let sums: Vec<_> = [REQUESTS].into_iter().chain(USAGE.sum_names()).collect();
    let mut models = BTreeMap::<(&str, &Key, &Key), Sums<SUMS>>::new();
    let mut add = addition(
        tx,
        USERS,
        &["generation", "day", "user_id", "provider", "model"],
        &sums,
    )?;
    for ((day, user_id, provider, model), sums) in &users {
        run(
            &mut add,
            &[&generation, &&**day, user_id, provider, model],
            sums,
        )?;
        let of_model = models.entry((day, provider, model)).or_default();
        of_model.add(sums);
    }
    let mut add = addition(
        tx,
        MODELS,
        &["generation", "day", "provider", "model"],
        &sums,
    )?;
    for ((day, provider, model), sums) in &models {
        run(&mut add, &[&generation, day, provider, model], sums)?;
    }
    let mut add = addition(
        tx,
        CHATS,
        &["generation", "day", "chat"],
        &[REQUESTS, "tokens", "cost"],
    )?;
    for ((day, chat), sums) in &chats {
        run(&mut add, &[&generation, &&**day, chat], sums)?;
    }
    let mut add = addition(
        tx,
        OTHERS,
        &["generation", "day", "user_id"],
        &[REQUESTS, "cost"],
    )?;
    for ((day, user_id), sums) in &others {
        run(&mut add, &[&generation, &&**day, user_id], sums)?;
    }
    Ok(())
}

fn groups(tx: &WriteTx<'_>, piece: Piece) -> Result<Groups> {
    let mut groups = Groups::default();
    let mut days = Days::new(tx, piece.generation)?;
    tx.each_while(&rows_of(&USAGE, piece.after), piece.ids, |row| {
        // A request whose user is no number is counted nowhere.
        let Cell::Integer(user_id) = cell(row, 2)? else {
            return Ok(true);
        };
        let day = days.of(cell(row, 1)?.value())?;
        let key = |at| cell(row, at).map(Key);
        let mut sums = Sums([1; SUMS]);
        for (sum, at) in sums.0[1..].iter_mut().zip(1 + USAGE.keys.len()..) {
            *sum = integer(row, at)?;
        }
        let Sums(of) = &sums;
        let chat = key(5)?;
        if chat.0 != Cell::text("") {
            let tokens = of[INPUT].saturating_add(of[OUTPUT]);
            let of_chat = groups.chats.entry((Rc::clone(&day), chat)).or_default();
            of_chat.add(&Sums([1, tokens, of[COST]]));
        }
        if flag(row, 6)? {
            let of_user = groups.others.entry((Rc::clone(&day), user_id)).or_default();
            of_user.add(&Sums([1, of[COST]]));
        }
        let of_user = (day, user_id, key(3)?, key(4)?);
        groups.users.entry(of_user).or_default().add(&sums);
        Ok(true)
    })?;
    Ok(groups)
}

/// Adds to the sums of a row of this table, which has this key.
fn addition<'a>(
    tx: &'a WriteTx<'_>,
    table: &str,
    key: &[&str],
    sums: &[&str],
) -> Result<Addition<'a>> {
    let columns = || (1..).zip(key.iter().chain(sums));
    let of_key = columns().take(key.len());
    let of_key: Vec<_> = of_key.map(|(at, name)| format!("{name} = ?{at}")).collect();
    let of_sums = columns().skip(key.len());
    let of_sums: Vec<_> = of_sums
        .map(|(at, name)| format!("{name} = CAST({name} + ?{at} AS INTEGER)"))
        .collect();
    let (of_key, of_sums) = (of_key.join(" AND "), of_sums.join(", "));
    let names: Vec<_> = columns().map(|(_, name)| *name).collect();
    let places: Vec<_> = columns().map(|(at, _)| format!("?{at}")).collect();
    let (names, places) = (names.join(", "), places.join(", "));
    Addition::new(
        tx,
        &format!("UPDATE {table} SET {of_sums} WHERE {of_key}"),
        &format!("INSERT INTO {table} ({names}) VALUES ({places})"),
    )
}

fn run<const N: usize>(add: &mut Addition<'_>, key: &[&dyn ToSql], sums: &Sums<N>) -> Result<()> {
    let sums = sums.0.iter().map(|sum| sum as &dyn ToSql);
    let row: Vec<_> = key.iter().copied().chain(sums).collect();
    add.run(&*row)?;
    Ok(())
}
