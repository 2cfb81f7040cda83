//! The rows of limits.

use super::{Amount, Limit, Measure, Per, Scope};
use crate::domain::columns::{id, integer, text};
use crate::domain::usage::Chat;
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::Cell;
use rusqlite::Row;

/// How the file spells whose spending a limit limits: the kind, and which one.
pub(super) fn spelled(scope: &Scope) -> (&'static str, Cell) {
    match scope {
        Scope::Everyone => ("everyone", Cell::text("")),
        Scope::EachUser => ("each_user", Cell::text("")),
        Scope::User(user_id) => ("user", Cell::Integer(user_id.get())),
        Scope::Chat(chat) => ("chat", Cell::text(one_text(chat))),
        Scope::Model(model) => ("model", Cell::text(model)),
    }
}

/// A chat in one text.
pub(super) fn one_text(chat: &Chat) -> String {
    format!("{}/{}", chat.platform, chat.chat_id)
}

/// Reads it back; `None` if it is none that this program knows.
fn scope(kind: &str, row: &Row<'_>, column: usize) -> Result<Option<Scope>> {
    Ok(match kind {
        "everyone" => Some(Scope::Everyone),
        "each_user" => Some(Scope::EachUser),
        "user" => id(row, column)?.map(|user_id| Scope::User(user_id.into())),
        "chat" => {
            let who = text(row, column)?;
            who.split_once('/')
                .map(|(platform, chat_id)| Scope::Chat(Chat::new(platform, chat_id)))
        }
        "model" => Some(Scope::Model(text(row, column)?)),
        _ => None,
    })
}

/// Reads whose spending a limit limits from the columns `scope` and `who`, the first of which is given.
pub(super) fn scope_of(row: &Row<'_>, first: usize) -> Result<Option<Scope>> {
    scope(&text(row, first)?, row, first + 1)
}

/// Reads a limit from the columns `scope`, `who`, `measure`, `per`, `max` and `soft`, the first of which is given.
/// A row that this program does not understand is left out.
pub(super) fn from_row(row: &Row<'_>, first: usize) -> Result<Option<Limit>> {
    let Some(scope) = scope_of(row, first)? else {
        return Ok(None);
    };
    let (measure, per) = (text(row, first + 2)?, text(row, first + 3)?);
    let (Some(measure), Some(per)) = (Measure::read(&measure), Per::read(&per)) else {
        return Ok(None);
    };
    let amount = |number| -> Amount { measure.amount(number) };
    Ok(Some(Limit {
        scope,
        per,
        max: amount(integer(row, first + 4)?),
        soft: id(row, first + 5)?.map(amount),
    }))
}

pub(super) fn get(
    tx: &ReadTx<'_>,
    scope: &Scope,
    per: Per,
    measure: Measure,
) -> Result<Option<Limit>> {
    let (kind, who) = spelled(scope);
    let found = tx.maybe(
        "SELECT scope, who, measure, per, max, soft FROM botstore_limit
         WHERE scope = ?1 AND who = ?2 AND measure = ?3 AND per = ?4",
        (kind, who, measure.as_str(), per.as_str()),
        |row| from_row(row, 0),
    )?;
    Ok(found.flatten())
}

/// Writes a limit, whose numbers are given. Triggers forget what was told of the old one.
pub(super) fn put(tx: &WriteTx<'_>, limit: &Limit, max: i64, soft: Option<i64>) -> Result<()> {
    let (kind, who) = spelled(&limit.scope);
    tx.execute(
        "INSERT INTO botstore_limit (limit_id, scope, who, measure, per, max, soft, set_at)
         VALUES ((SELECT coalesce(max(limit_id), 0) + 1 FROM botstore_limit), ?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (scope, who, measure, per) DO UPDATE SET
             limit_id = excluded.limit_id, max = excluded.max, soft = excluded.soft, set_at = excluded.set_at",
        (
            kind,
            who,
            limit.max.measure().as_str(),
            limit.per.as_str(),
            max,
            soft,
            tx.now_text(),
        ),
    )?;
    Ok(())
}

pub(super) fn remove(tx: &WriteTx<'_>, scope: &Scope, per: Per, measure: Measure) -> Result<()> {
    let (kind, who) = spelled(scope);
    tx.execute(
        "DELETE FROM botstore_limit WHERE scope = ?1 AND who = ?2 AND measure = ?3 AND per = ?4",
        (kind, who, measure.as_str(), per.as_str()),
    )?;
    Ok(())
}
