//! Idempotency keys: what was saved under each, and until when the file knows it.
//!
//! They are rows of `botstore_update`. Before step 10 they were rows of `botstore_idempotency`. That table is
//! still read until its rows are old enough to be forgotten, but never written. To copy its rows in step 10 was
//! turned down: an upgrade would wait for it, and they are gone in a week.

use super::{Receipt, SaveInteraction};
use crate::domain::updates::{Digest, table};
use crate::domain::{UserId, columns, page};
use crate::error::{Error, Result};
use crate::operation::{Mutation, Piece, Query, ReadTx, WriteTx};
use crate::sqlite::Cell;
use crate::texts::{self, Texts};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Finds what this user saved under an idempotency key: the first receipt, marked as
/// [`repeated`](field@Receipt::repeated). `None` if the key is unknown or forgotten. A point read.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an unknown key of more than 4 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::users::EnsureUser::new(42, "ada")).await?;
/// use botstore::interactions::FindInteraction;
///
/// // Before the model is asked: has this update been answered already?
/// let first = store.read(FindInteraction::new(42, "update-1001")).await?;
/// assert!(first.is_none());
/// # Ok(()) }
/// ```
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
            texts::not_held("idempotency_key", &self.idempotency_key)?;
        }
        Ok(found.map(|saved| saved.receipt))
    }

    fn texts(&self, texts: &mut Texts) {
        texts.looked_for("idempotency_key", self.idempotency_key.as_str());
    }
}

/// What was saved under a key.
struct Saved {
    /// The digest of the exchange, if it is known.
    content: Option<Digest>,
    receipt: Receipt,
}

/// Reads both tables in one statement, so that the old one costs next to nothing when it is empty.
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

/// The receipt of this exchange, if it was saved under this key before.
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
    let advice = "give each exchange a key of its own; FindInteraction returns what was saved under a \
                  key";
    Err(Error::conflict("idempotency_key", first).with_advice(advice))
}

/// Compares with the message itself, for a key without a digest: it is older than step 10, or another program
/// wrote it. A message that is deleted counts as the same.
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

/// The receipt of the exchange that is this message, if it is the same one.
pub(super) fn same_message(
    tx: &ReadTx<'_>,
    again: &SaveInteraction,
    message_id: i64,
) -> Result<Option<Receipt>> {
    let found = tx.maybe(
        "SELECT user_id, session_id, prompt, timestamp FROM messages WHERE message_id = ?1",
        [message_id],
        |row| {
            let is_same = columns::id(row, 0)? == Some(again.user_id.get())
                && again.session_id == columns::text(row, 1)?
                && again.prompt == columns::text(row, 2)?;
            Ok(is_same.then_some(columns::time(row, 3)?))
        },
    )?;
    let at = found.flatten();
    Ok(at.map(|at| Receipt::new(message_id, at).repeated()))
}

/// Digests what makes two exchanges the same: user, session and prompt. The answer and the cost are left out: a
/// bot that gets an update again may have asked its model again.
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

/// Forgets idempotency keys and claimed updates that are older than this; returns how many. An update stays
/// while a lease of it runs.
///
/// Looks at every row, in pieces of at most 10,000 that aim at 20 ms each; other changes run in between. If it
/// fails, or its caller gives up, the rows forgotten so far stay forgotten. As part of another mutation it runs
/// in one piece.
///
/// It uses the time of which the store is sure: while the clock is ahead of the time that has passed, it waits
/// ([`Config::clock_jump_wait`](crate::Config::clock_jump_wait)).
///
/// For administrators: it changes rows of all users.
///
/// The store sends it by itself: see [`Config::idempotency_retention`](crate::Config::idempotency_retention).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::interactions::SweepKeys;
/// use std::time::Duration;
///
/// let week = Duration::from_secs(7 * 24 * 3600);
/// assert_eq!(store.write(SweepKeys::new(week)).await?, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepKeys {
    /// The age above which keys and updates are forgotten.
    pub older_than: Duration,
}

impl SweepKeys {
    /// Forgets keys older than this.
    pub const fn new(older_than: Duration) -> Self {
        Self { older_than }
    }
}

/// The place where the sweep of the old table begins. No key is NULL.
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
    // The oldest rows are deleted first, so the next piece needs no other place.
    let next = (changed == rows as usize).then_some(Some((OLD_TABLE, 0)));
    Ok(Piece::of(changed, next))
}
