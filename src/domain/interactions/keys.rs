//! Idempotency keys: what was saved under which, and until when that is known.
//!
//! They are rows of `botstore_update`. Before step 10 they were rows of `botstore_idempotency`, where those are
//! still looked for until they are old enough to be forgotten; none is written there any more. To copy them at
//! the step was turned down: an upgrade would wait for it, and they are gone in a week.

use super::{Receipt, SaveInteraction};
use crate::domain::updates::{Digest, table};
use crate::domain::{UserId, columns, page};
use crate::error::{Error, Result};
use crate::limits::{self, Texts};
use crate::operation::{Mutation, Piece, Query, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What was saved under this idempotency key of this user: the first receipt, which is
/// [`repeated`](field@Receipt::repeated). `None` if the key is unknown, or was forgotten. A point read.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an unknown key of more than 4 KiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FindInteraction {
    /// Whose key it is.
    pub user_id: UserId,
    /// The key.
    pub idempotency_key: String,
}

impl FindInteraction {
    /// What this user saved under this key.
    pub fn new(user_id: impl Into<UserId>, idempotency_key: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            idempotency_key: idempotency_key.into(),
        }
    }
}

impl Query for FindInteraction {
    type Output = Option<Receipt>;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<Receipt>> {
        let found = saved(tx, self.user_id, &self.idempotency_key)?;
        if found.is_none() {
            limits::not_held("idempotency_key", &self.idempotency_key)?;
        }
        Ok(found.map(|saved| saved.receipt))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("idempotency_key", self.idempotency_key.as_str());
    }
}

/// What a key led to.
struct Saved {
    /// What it says, if that is known.
    content: Option<Digest>,
    receipt: Receipt,
}

/// In both tables by one statement, so that the old one costs next to nothing when it is empty.
fn saved(tx: &ReadTx<'_>, user_id: UserId, key: &str) -> Result<Option<Saved>> {
    tx.maybe(
        "SELECT content, message_id, recorded_at FROM botstore_update WHERE key = ?1
         UNION ALL
         SELECT NULL, message_id, recorded_at FROM botstore_idempotency
         WHERE user_id = ?2 AND idempotency_key = ?3
         LIMIT 1",
        (table::of_interaction(user_id, key), user_id, key),
        |row| {
            let message_id = columns::integer(row, 1)?;
            Ok(Saved {
                content: columns::bytes_of(row, 0)?,
                receipt: Receipt::new(message_id, columns::micros(row, 2)?).repeated(),
            })
        },
    )
}

/// The receipt of this exchange, if it was saved under its key before.
pub(super) fn first(
    tx: &ReadTx<'_>,
    again: &SaveInteraction,
    key: &str,
) -> Result<Option<Receipt>> {
    let Some(Saved { content, receipt }) = saved(tx, again.user_id, key)? else {
        return Ok(None);
    };
    let is_same = match content {
        Some(content) => content == content_of(again),
        None => reads_the_same(tx, again, &receipt)?,
    };
    if is_same {
        return Ok(Some(receipt));
    }
    let first = format!(
        "message {} under this key, with another prompt or in another session; nothing was saved",
        receipt.message_id
    );
    let advice = "give each exchange a key of its own; FindInteraction tells what a key led to";
    Err(Error::conflict("idempotency_key", first).with_advice(advice))
}

/// Compares with the message itself, where the key does not tell: it is from before step 10, or somebody else
/// has written it. A message that is gone tells nothing against it.
fn reads_the_same(tx: &ReadTx<'_>, again: &SaveInteraction, first: &Receipt) -> Result<bool> {
    let same = tx.maybe(
        "SELECT session_id, prompt FROM messages WHERE message_id = ?1",
        [first.message_id],
        |row| {
            let session_id = columns::text(row, 0)?;
            Ok(again.session_id == session_id && again.prompt == columns::text(row, 1)?)
        },
    )?;
    Ok(same.unwrap_or(true))
}

/// What makes an exchange the same: who said what, and where. Not what was answered and what it cost: a bot that
/// is sent an update again may have asked its model again.
fn content_of(exchange: &SaveInteraction) -> Digest {
    table::of_content(exchange.user_id, &exchange.session_id, &exchange.prompt)
}

pub(super) fn keep(
    tx: &WriteTx<'_>,
    exchange: &SaveInteraction,
    key: &str,
    receipt: &Receipt,
) -> Result<()> {
    tx.execute(
        "INSERT INTO botstore_update (key, content, message_id, recorded_at) VALUES (?1, ?2, ?3, ?4)",
        (
            table::of_interaction(exchange.user_id, key),
            content_of(exchange),
            receipt.message_id,
            receipt.recorded_at.timestamp_micros(),
        ),
    )?;
    Ok(())
}

/// Forgets idempotency keys, and updates that were claimed, older than this; gives how many. An update is kept
/// while somebody's lease of it runs.
///
/// In pieces of at most 10,000 that aim at 20 ms each: others' changes get in between. It looks at every row. When
/// it fails or is given up, those that were forgotten stay so. As a part of another mutation it is made in one
/// piece.
///
/// It goes by the time that it is for sure: while the clock is ahead of the time that has passed, it waits
/// ([`Config::clock_jump_wait`](crate::Config::clock_jump_wait)).
///
/// For administrators: it changes what is everybody's.
///
/// The store sends it by itself: see
/// [`Config::idempotency_retention`](crate::Config::idempotency_retention).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepKeys {
    /// How old a key may grow.
    pub older_than: Duration,
}

impl SweepKeys {
    /// Keys older than this.
    pub const fn new(older_than: Duration) -> Self {
        Self { older_than }
    }
}

/// Where the sweep of the old table begins: no key is NULL.
const OLD_TABLE: Cell = Cell::Null;

impl Mutation for SweepKeys {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let now = tx.sure_now()?;
        let Some(before) = page::ago(now, self.older_than) else {
            return Ok(0);
        };
        let old_before = Timestamp(before).to_string();
        tx.in_pieces(|after, rows| match after {
            Some((OLD_TABLE, _)) => sweep_old(tx, &old_before, rows),
            _ => {
                let piece = table::sweep(tx, after, rows, before, now)?;
                let next = piece.next.unwrap_or(Some((OLD_TABLE, 0)));
                Ok(Piece {
                    next: Some(next),
                    ..piece
                })
            }
        })
    }
}

fn sweep_old(tx: &WriteTx<'_>, before: &str, rows: u32) -> Result<Piece> {
    let changed = tx.execute(
        "DELETE FROM botstore_idempotency WHERE (user_id, idempotency_key) IN
             (SELECT user_id, idempotency_key FROM botstore_idempotency
              WHERE recorded_at < ?1 ORDER BY recorded_at LIMIT ?2)",
        (before, rows),
    )?;
    // Those that are left are the oldest: the next piece begins with them.
    let next = (changed == rows as usize).then_some(Some((OLD_TABLE, 0)));
    Ok(Piece { changed, next })
}
