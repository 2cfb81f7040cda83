//! Notices that a limit, or its warning, is reached: once a period, whoever spends.
//!
//! Triggers note who has spent something. The store looks at these a second later, counts what they have spent, and
//! writes down what it has to tell before it tells it. So nothing is told of a transaction that was rolled back, and
//! nothing twice after a restart. To look in each transaction that saves something was turned down: a message would
//! pay for it, and other programs' would go unnoticed.

use super::rules;
use super::standing::Standing;
use super::state::{State, Subjects};
use super::windows::Window;
use super::{Amount, Limit, Measure, Per};
use crate::domain::UserId;
use crate::domain::columns::{cells, flag, id, integer, text};
use crate::error::Result;
use crate::operation::{Mutation, Query, ReadTx, WriteTx};
use crate::sqlite::Cell;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How many that have spent something are looked at in one transaction: each may have to be counted first, from rows.
const LOOK_AT_ONCE: u32 = 16;

/// How much is told, or forgotten, in one transaction.
const AT_ONCE: u32 = 100;

/// A limit, or its warning, was reached: see [`StoreEvent::LimitReached`](crate::StoreEvent::LimitReached) and
/// [`StoreEvent::LimitNear`](crate::StoreEvent::LimitNear).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitNotice {
    /// The limit.
    pub limit: Limit,
    /// Who reached it, for a limit of each user or of one.
    pub user_id: Option<UserId>,
    /// What was spent in the period, without what was reserved.
    pub spent: Amount,
    /// When the next period begins; `None` for a limit for ever.
    pub resets_at: Option<DateTime<Utc>>,
}

impl LimitNotice {
    /// A notice of a limit that nobody in particular has reached, for a test of your own.
    pub fn new(limit: Limit, spent: Amount) -> Self {
        Self {
            limit,
            user_id: None,
            spent,
            resets_at: None,
        }
    }
}

/// What is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The warning.
    Near,
    /// The limit.
    Reached,
}

/// Writes down that something is to be told, unless it was told in this period.
pub(super) fn note(tx: &WriteTx<'_>, standing: &Standing<'_>, level: Level) -> Result<()> {
    let (scope, who, measure, per) = standing.key();
    let whose = match (scope, standing.user_id()) {
        ("each_user", Some(user_id)) => Cell::Integer(user_id.get()),
        _ => Cell::text(""),
    };
    let Window { starts, ends, .. } = standing.window;
    let told = tx.maybe(
        "SELECT near > 0, reached > 0 FROM botstore_limit_told
         WHERE scope = ?1 AND who = ?2 AND measure = ?3 AND per = ?4 AND whose = ?5 AND starts = ?6",
        (scope, &who, measure, per, &whose, starts),
        |row| match level {
            Level::Near => flag(row, 0),
            Level::Reached => flag(row, 1),
        },
    )?;
    if told == Some(true) {
        return Ok(());
    }
    let spent = standing.spent_number();
    // Of another period, both begin anew.
    tx.execute(
        "INSERT INTO botstore_limit_told (scope, who, measure, per, whose, starts, ends, spent, near, reached)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1 - ?9)
             ON CONFLICT (scope, who, measure, per, whose) DO UPDATE SET
                 near = CASE WHEN starts = excluded.starts THEN max(near, excluded.near) ELSE excluded.near END,
                 reached = CASE WHEN starts = excluded.starts THEN max(reached, excluded.reached)
                           ELSE excluded.reached END,
                 starts = excluded.starts, ends = excluded.ends, spent = excluded.spent",
        (
            scope,
            who,
            measure,
            per,
            whose,
            starts,
            ends,
            spent,
            level == Level::Near,
        ),
    )?;
    Ok(())
}

/// Whether somebody has spent something, or there is something to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AreSpenders;

impl Query for AreSpenders {
    type Output = bool;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM botstore_spender) OR EXISTS (
                       SELECT 1 FROM botstore_limit_told WHERE near = 1 OR reached = 1)";
        tx.one(sql, [], |row| flag(row, 0))
    }
}

/// Looks at some that have spent something; returns what is to be told, and whether there are more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookAtSpenders;

/// The answer to [`LookAtSpenders`].
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) notices: Vec<(Level, LimitNotice)>,
    pub(crate) goes_on: bool,
}

impl Mutation for LookAtSpenders {
    type Output = Looked;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Looked> {
        let spenders = tx.all(
            "SELECT scope, who FROM botstore_spender LIMIT ?1",
            [LOOK_AT_ONCE],
            cells,
        )?;
        for spender in &spenders {
            let [kind, who] = &spender[..] else { continue };
            let kind = match kind {
                Cell::Text(kind) => String::from_utf8_lossy(kind),
                _ => "".into(),
            };
            if let Some(subjects) = Subjects::of_row(&kind, who) {
                look_at(tx, &subjects)?;
            }
            tx.execute(
                "DELETE FROM botstore_spender WHERE scope = ?1 AND who = ?2",
                (&*kind, who),
            )?;
        }
        let notices = to_tell(tx)?;
        forget_old(tx)?;
        let is_full = |rows: usize, most: u32| rows == most as usize;
        Ok(Looked {
            goes_on: is_full(spenders.len(), LOOK_AT_ONCE) || is_full(notices.len(), AT_ONCE),
            notices: notices.into_iter().flatten().collect(),
        })
    }
}

fn look_at(tx: &WriteTx<'_>, subjects: &Subjects<'_>) -> Result<()> {
    let state = State::spent(tx, subjects)?;
    state.keep(tx)?;
    for standing in state.standings([0; 3]) {
        let (is_reached, is_near) = standing.reached();
        if is_near {
            note(tx, &standing, Level::Near)?;
        }
        if is_reached {
            note(tx, &standing, Level::Reached)?;
        }
    }
    Ok(())
}

/// Takes some of what is to be told, and marks it as told. A row that this program does not understand is passed over.
fn to_tell(tx: &WriteTx<'_>) -> Result<Vec<Vec<(Level, LimitNotice)>>> {
    let rows = tx.all(
        "SELECT scope, who, measure, per, whose, ends, spent, near = 1, reached = 1 FROM botstore_limit_told
         INDEXED BY botstore_limit_to_tell WHERE near = 1 OR reached = 1 LIMIT ?1",
        [AT_ONCE],
        |row| {
            let key: Vec<Cell> = cells(row)?.into_iter().take(5).collect();
            let (measure, per) = (text(row, 2)?, text(row, 3)?);
            let scope = rules::scope_of(row, 0)?;
            let ends = Window::of_row(&per, String::new(), text(row, 5)?);
            let whose = id(row, 4)?;
            let (spent, near, reached) = (integer(row, 6)?, flag(row, 7)?, flag(row, 8)?);
            Ok((key, scope, Measure::read(&measure), Per::read(&per), ends, whose, spent, [near, reached]))
        },
    )?;
    let mut told = Vec::new();
    for (key, scope, measure, per, ends, whose, spent, levels) in rows {
        tx.execute(
            "UPDATE botstore_limit_told SET near = 2 * (near > 0), reached = 2 * (reached > 0)
             WHERE scope = ?1 AND who = ?2 AND measure = ?3 AND per = ?4 AND whose = ?5",
            rusqlite::params_from_iter(key),
        )?;
        let mut notices = Vec::new();
        if let (Some(scope), Some(measure), Some(per)) = (scope, measure, per)
            && let Some(limit) = rules::get(tx, &scope, per, measure)?
        {
            let user_id = match scope {
                super::Scope::User(user_id) => Some(user_id),
                _ => whose.map(UserId::from),
            };
            let notice = LimitNotice {
                limit,
                user_id,
                spent: measure.amount(spent),
                resets_at: ends.and_then(|window| window.resets_at()),
            };
            let all = [Level::Near, Level::Reached].into_iter().zip(levels);
            let all = all.filter(|(_, is_told)| *is_told);
            notices.extend(all.map(|(level, _)| (level, notice.clone())));
        }
        told.push(notices);
    }
    Ok(told)
}

/// Forgets some of what was told in periods that have ended.
fn forget_old(tx: &WriteTx<'_>) -> Result<()> {
    tx.execute(
        "DELETE FROM botstore_limit_told WHERE (scope, who, measure, per, whose) IN (
             SELECT scope, who, measure, per, whose FROM botstore_limit_told INDEXED BY botstore_limit_told_ends
             WHERE ends <= ?1 ORDER BY ends LIMIT ?2) AND near <> 1 AND reached <> 1",
        (Window::now(tx), AT_ONCE),
    )?;
    Ok(())
}
