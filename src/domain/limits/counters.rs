//! Counters of what is spent and reserved.
//!
//! **A counter is a function of the rows**: what those of its period spend. It exists from the first question about
//! its period, when it is counted; from then on triggers change it by what a row changes, in the transaction of the
//! row, whichever program writes it (`migrations/botstore_llm/…_limits.up.sql`). So it is always safe to drop one. What
//! is counted is the spending of those who ask, and of those who have spent something since the store last looked who
//! is to be told (`watch`); that of the others is not.
//!
//! A table of all users' counters, filled when a limit is set, was turned down: setting one would count the whole file,
//! and each midnight would make a counter for every user.

use super::sums;
use super::windows::{Window, Zoned};
use crate::domain::UserId;
use crate::domain::columns::{cells, integer};
use crate::domain::page;
use crate::domain::rollups::spent;
use crate::error::Result;
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite::{self, Cell};
use chrono::{DateTime, Utc};
use rusqlite::{Row, params_from_iter};
use std::time::Duration;

/// How many counters of ended periods go when one of another period is made: more than one, so that they do not pile
/// up.
const SWEEP_AT_ONCE: u32 = 4;

/// How long a counter is kept after its period.
const KEEP: Duration = Duration::from_secs(60 * 60);

/// Whose spending is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    Everyone,
    User(UserId),
    /// In one text: see `rules::one_text`.
    Chat(&'a str),
    Model(&'a str),
}

impl Subject<'_> {
    /// As the file spells it: the kind, and which one.
    pub(super) fn spelled(self) -> (&'static str, Cell) {
        match self {
            Self::Everyone => ("everyone", Cell::text("")),
            Self::User(user_id) => ("user", Cell::Integer(user_id.get())),
            Self::Chat(chat) => ("chat", Cell::text(chat)),
            Self::Model(model) => ("model", Cell::text(model)),
        }
    }

    /// Selects what its open reservations hold that expire after `?2`.
    fn open_reservations(self) -> String {
        let of = match self {
            Self::Everyone => "?1 = ''",
            Self::User(_) => "user_id = ?1",
            Self::Chat(_) => "chat = ?1",
            Self::Model(_) => "model = ?1",
        };
        spent::reserved(of)
    }
}

/// The cost in billionths of a dollar, the requests and the tokens, in the order of the measures.
pub(super) type Counts = [i64; 3];

/// Reads the three, from this column on.
pub(super) fn counts(row: &Row<'_>, first: usize) -> Result<Counts> {
    Ok([
        integer(row, first)?,
        integer(row, first + 1)?,
        integer(row, first + 2)?,
    ])
}

pub(super) struct Counter<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) window: Window,
    pub(super) counts: Counts,
    /// Whether the file has it.
    pub(super) is_kept: bool,
}

impl<'a> Counter<'a> {
    /// Counts what is spent in a period.
    pub(super) fn spent(
        tx: &ReadTx<'_>,
        subject: Subject<'a>,
        window: Window,
        zone: &Zoned,
    ) -> Result<Self> {
        Ok(Self {
            subject,
            counts: sums::spent(tx, subject, &window, zone)?,
            window,
            is_kept: false,
        })
    }

    /// Counts what open reservations hold.
    pub(super) fn reserved(tx: &ReadTx<'_>, subject: Subject<'a>) -> Result<Self> {
        Ok(Self {
            subject,
            counts: reserved(tx, subject, DateTime::<Utc>::MIN_UTC)?,
            window: Window::open(),
            is_kept: false,
        })
    }

    /// Writes it, and sweeps some whose periods have ended.
    pub(super) fn keep(&self, tx: &WriteTx<'_>) -> Result<()> {
        let (kind, who) = self.subject.spelled();
        let Window {
            starts, ends, per, ..
        } = &self.window;
        let per = per.map_or("open", |per| per.as_str());
        let [cost, requests, tokens] = self.counts;
        tx.run_as_the_store(
            "INSERT INTO botstore_spent (scope, who, per, starts, ends, cost, requests, tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (kind, who, per, starts, ends, cost, requests, tokens),
        )?;
        sweep(tx)
    }
}

/// Removes some counters whose periods ended an hour ago; and with the last counter of somebody, the one of open
/// reservations, if there are none. One that is asked for again, because the clock was set back, is counted again.
///
/// Not at once when they end: whoever has limits of a minute would lose the counter of open reservations between two
/// requests, and to count it again reads all reservations.
fn sweep(tx: &WriteTx<'_>) -> Result<()> {
    let Some(before) = page::ago(tx.now(), KEEP) else {
        return Ok(());
    };
    let ended = tx.all(
        "SELECT scope, who, ends, per FROM botstore_spent INDEXED BY botstore_spent_ends
         WHERE ends > '' AND ends <= ?1 ORDER BY ends LIMIT ?2",
        (Window::spelled(before), SWEEP_AT_ONCE),
        cells,
    )?;
    for key in ended {
        tx.run_as_the_store(
            "DELETE FROM botstore_spent WHERE scope = ?1 AND who = ?2 AND ends = ?3 AND per = ?4",
            params_from_iter(&key),
        )?;
        tx.run_as_the_store(
            "DELETE FROM botstore_spent
             WHERE scope = ?1 AND who = ?2 AND ends = '' AND per = 'open' AND requests = 0
               AND NOT EXISTS (SELECT 1 FROM botstore_spent WHERE scope = ?1 AND who = ?2 AND ends > '')",
            params_from_iter(&key[..2]),
        )?;
    }
    Ok(())
}

/// What the reservations hold that are open and expire after this time.
pub(super) fn reserved(
    tx: &ReadTx<'_>,
    subject: Subject<'_>,
    after: DateTime<Utc>,
) -> Result<Counts> {
    let (_, who) = subject.spelled();
    tx.one(
        &subject.open_reservations(),
        (who, after.timestamp_micros()),
        |row| counts(row, 0),
    )
}

/// Drops what is counted of a user, and what was told.
pub(in crate::domain) fn forget_user(tx: &WriteTx<'_>, user_id: UserId) -> Result<()> {
    tx.execute(
        "DELETE FROM botstore_limit_told
         WHERE scope = 'each_user' AND who = '' AND whose = ?1
           AND measure IN ('cost', 'requests', 'tokens')
           AND per IN ('minute', 'hour', 'day', 'week', 'month', 'ever')",
        [user_id],
    )?;
    for sql in [
        "DELETE FROM botstore_spent WHERE scope = 'user' AND who = ?1",
        "DELETE FROM botstore_spender WHERE scope = 'user' AND who = ?1",
    ] {
        tx.run_as_the_store(sql, [user_id])?;
    }
    Ok(())
}

/// Drops all counters: each is counted again when it is asked for.
pub(in crate::domain) fn forget(tx: &WriteTx<'_>) -> Result<()> {
    if sqlite::has_table(tx.conn(), "botstore_spent")? {
        tx.run_as_the_store("DELETE FROM botstore_spent", [])?;
    }
    Ok(())
}
