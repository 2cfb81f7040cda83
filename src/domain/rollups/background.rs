//! What is done beside the bot's work, in pieces that are transactions of their own: counting the generation that is to
//! answer next, letting it answer, and deleting what is left over of others.
//!
//! A piece of counting is as in `count`: what a generation holds is a function of the rows up to its last id, before the
//! piece and after it. So a killed process has nothing to repair, and other programs may write in between.

use super::count::{Part, Piece, Set, counted_to, run};
use super::generations::{Generations, by_day, end, left_over, sets};
use super::sources::RollupOf;
use super::zone::shown_zone;
use crate::domain::columns::{id, integer};
use crate::domain::limits;
use crate::error::Result;
use crate::migration::{Pace, Recounted};
use crate::operation::{ReadTx, WriteTx};

/// Whether there is something to be done.
pub(super) fn is_behind(tx: &ReadTx<'_>) -> Result<bool> {
    if Generations::of(tx)?.is_some_and(|found| found.next.is_some()) {
        return Ok(true);
    }
    for table in by_day(tx)? {
        if left_over(tx, table.name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Does the next piece.
pub(super) fn recount(tx: &WriteTx<'_>, pace: &Pace) -> Result<Recounted> {
    let Some(Generations { current, next }) = Generations::of(tx)? else {
        return Ok(Recounted::Nothing);
    };
    // First, so that who changes their mind again and again leaves no more than one.
    let cleared = clear(tx, pace)?;
    let (Some(next), Recounted::Nothing) = (next, &cleared) else {
        return Ok(cleared);
    };
    for set in sets(tx)? {
        for part in set.sources.iter().filter(|part| part.facts.have_days()) {
            let facts = part.facts;
            let sql = format!(
                "SELECT {}, {}",
                facts.last_id_in(&next.to_string()),
                facts.last_id()
            );
            let (last, until) = tx.one(&sql, [], |row| Ok((id(row, 0)?, id(row, 1)?)))?;
            let (Some(last), Some(until)) = (last, until) else {
                end(tx, next)?;
                return Ok(Recounted::GivenUp);
            };
            if last < until {
                let rows = pace.rows(facts.table);
                return count(tx, set, part, next, [last, until], rows);
            }
        }
    }
    switch(tx, current, next)?;
    Ok(Recounted::All(shown_zone(tx).to_string()))
}

/// Counts up to `rows` rows of those after `last` and up to `until`.
fn count(
    tx: &WriteTx<'_>,
    set: &Set,
    part: &Part,
    generation: i64,
    [last, until]: [i64; 2],
    rows: i64,
) -> Result<Recounted> {
    let (table, key, after) = (part.facts.table, part.facts.id, Piece::comparison(last));
    let sql = format!(
        "SELECT max(id), count(*) FROM
             (SELECT {key} AS id FROM {table} WHERE {key} {after} ?1 AND {key} <= ?2 ORDER BY {key} LIMIT ?3)"
    );
    let found = tx.one(&sql, (last, until, rows), |row| {
        Ok((id(row, 0)?, integer(row, 1)?))
    })?;
    let to = match found {
        (Some(to), found) if found >= rows => to,
        _ => until,
    };
    (part.add)(
        tx,
        Piece {
            generation,
            after,
            ids: [last, to],
        },
    )?;
    counted_to(tx, set, (table, generation), to)?;
    Ok(Recounted::UpTo {
        table,
        last_id: to,
        behind: until.saturating_sub(to),
    })
}

/// Has answers come from the generation that covers the same rows as the current one.
fn switch(tx: &WriteTx<'_>, current: i64, next: i64) -> Result<()> {
    // A repair that was found for the current one is none of the next.
    let repairs =
        "UPDATE botstore_total SET repairs = (SELECT max(repairs) FROM botstore_total) + 1
                   WHERE generation = ?1";
    run(tx, repairs, [next])?;
    end(tx, current)?;
    // Their periods begin at other times now.
    limits::forget(tx)
}

/// Deletes rows of a table that are left over.
fn clear(tx: &WriteTx<'_>, pace: &Pace) -> Result<Recounted> {
    for RollupOf { name, key } in by_day(tx)? {
        let Some(generation) = left_over(tx, name)? else {
            continue;
        };
        let key = key.join(", ");
        let sql = format!(
            "DELETE FROM {name} WHERE generation = ?1 AND ({key}) IN (
                 SELECT {key} FROM {name} WHERE generation = ?1 ORDER BY {key} LIMIT ?2)"
        );
        if run(tx, &sql, [generation, pace.rows(name)])? > 0 {
            return Ok(Recounted::Removed(name));
        }
        // Something in the file prevents it.
    }
    Ok(Recounted::Nothing)
}
