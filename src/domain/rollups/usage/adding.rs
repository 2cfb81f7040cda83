//! Adds many requests to the rollups at once, table by table: each row of a rollup is written once, in the order of
//! its key, as for messages.

use crate::domain::columns::integer;
use crate::domain::rollups::count::prepare;
use crate::domain::rollups::facts::USAGE;
use crate::error::Result;
use crate::operation::WriteTx;
use crate::sqlite::{Cell, cells};
use rusqlite::{Row, params_from_iter};
use std::collections::BTreeMap;

/// What a table of sums has of each row: `requests`, and what is added up.
const WIDTH: usize = 1 + USAGE.sums.len();

/// Where in a selected row what is added up begins: after the id and the keys.
const SUMS_AT: usize = 1 + USAGE.keys.len();

/// The sums, in the order of the columns.
type Sums = [i64; WIDTH];

/// Rows of a rollup by their keys, whose texts are bytes: a file's text may be no UTF-8.
type Rows<K> = BTreeMap<K, Sums>;

/// A provider, a model or a chat.
type Text = Vec<u8>;

/// Adds the requests `after` an id, up to another, to the rollups.
pub(super) fn add(tx: &WriteTx<'_>, after: &str, ids: [i64; 2]) -> Result<()> {
    let mut models = Rows::<(Text, Text, Text)>::new();
    let mut users = Rows::<(Text, i64, Text, Text)>::new();
    let mut chats = Rows::<(Text, Text)>::new();
    let mut others = Rows::<(Text, i64)>::new();
    let (select, id) = (USAGE.select(), USAGE.id);
    let sql =
        format!("{select} WHERE {id} {after} ?1 AND {id} <= ?2 AND typeof(user_id) = 'integer'");
    tx.each_while(&sql, ids, |row| {
        let (user_id, sums) = (integer(row, 2)?, sums(row)?);
        let [day, provider, model, chat] = texts(row)?;
        if !chat.is_empty() {
            add_to(&mut chats, (day.clone(), chat), &sums);
        }
        if integer(row, 6)? != 0 {
            add_to(&mut others, (day.clone(), user_id), &sums);
        }
        let of_user = (day.clone(), user_id, provider.clone(), model.clone());
        add_to(&mut users, of_user, &sums);
        add_to(&mut models, (day, provider, model), &sums);
        Ok(true)
    })?;
    let all: Vec<_> = ["requests"].into_iter().chain(USAGE.sum_names()).collect();
    let key = ["day", "provider", "model"];
    write(tx, "botstore_model_day", &key, &all, models, |row, sums| {
        let (day, provider, model) = row;
        (vec![text(day), text(provider), text(model)], sums.to_vec())
    })?;
    let key = ["day", "user_id", "provider", "model"];
    write(
        tx,
        "botstore_user_model_day",
        &key,
        &all,
        users,
        |row, sums| {
            let (day, user_id, provider, model) = row;
            let key = vec![
                text(day),
                Cell::Integer(user_id),
                text(provider),
                text(model),
            ];
            (key, sums.to_vec())
        },
    )?;
    let sums_of = |name| all.iter().position(|sum| *sum == name).unwrap_or(0);
    let (input, output) = (sums_of("input_tokens"), sums_of("output_tokens"));
    let (key, sums) = (["day", "chat"], ["requests", "tokens", "cost"]);
    write(
        tx,
        "botstore_chat_day",
        &key,
        &sums,
        chats,
        |(day, chat), sums| {
            let tokens = sums[input].saturating_add(sums[output]);
            (
                vec![text(day), text(chat)],
                vec![sums[0], tokens, sums[WIDTH - 1]],
            )
        },
    )?;
    let (key, sums) = (["day", "user_id"], ["requests", "cost"]);
    write(
        tx,
        "botstore_other_day",
        &key,
        &sums,
        others,
        |(day, user_id), sums| {
            (
                vec![text(day), Cell::Integer(user_id)],
                vec![sums[0], sums[WIDTH - 1]],
            )
        },
    )
}

/// The day, the provider, the model and the chat.
fn texts(row: &Row<'_>) -> Result<[Text; 4]> {
    let mut texts = [1, 3, 4, 5].map(|_| Text::new());
    for (text, at) in texts.iter_mut().zip([1, 3, 4, 5]) {
        if let Some(Cell::Text(bytes)) = cells(row, at..at + 1)?.pop() {
            *text = bytes;
        }
    }
    Ok(texts)
}

fn sums(row: &Row<'_>) -> Result<Sums> {
    let mut sums = [1; WIDTH];
    for (sum, at) in sums[1..].iter_mut().zip(SUMS_AT..) {
        *sum = integer(row, at)?;
    }
    Ok(sums)
}

fn add_to<K: Ord>(rows: &mut Rows<K>, key: K, more: &Sums) {
    for (sum, more) in rows.entry(key).or_insert([0; WIDTH]).iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}

fn text(bytes: Text) -> Cell {
    Cell::Text(bytes)
}

/// Adds the rows to a table, whose key and sums `columns` makes of each.
fn write<K>(
    tx: &WriteTx<'_>,
    table: &str,
    key: &[&str],
    sums: &[&str],
    rows: Rows<K>,
    columns: impl Fn(K, &Sums) -> (Vec<Cell>, Vec<i64>),
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let (key, names) = (key.join(", "), sums.join(", "));
    let add = sums
        .iter()
        .map(|sum| format!("{sum} = CAST({sum} + excluded.{sum} AS INTEGER)"));
    let add = add.collect::<Vec<_>>().join(", ");
    let places = vec!["?"; key.split(',').count() + sums.len()].join(", ");
    let mut add = prepare(
        tx,
        &format!(
            "INSERT INTO {table} ({key}, {names}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {add}"
        ),
    )?;
    for (row, row_sums) in rows {
        let (key, sums) = columns(row, &row_sums);
        let sums = sums.into_iter().map(Cell::Integer);
        add.execute(params_from_iter(key.into_iter().chain(sums)))?;
    }
    Ok(())
}
