//! Deletes users.

use super::unknown;
use crate::domain::UserId;
use crate::domain::columns::{cell, integer};
use crate::domain::limits;
use crate::domain::messages::Doomed;
use crate::domain::removal::{self, Allowance, Rows, Target};
use crate::domain::sessions::DoomedSession;
use crate::error::Result;
use crate::operation::{Mutation, WriteTx};
use serde::{Deserialize, Serialize};

/// Forgets a user. Deletes the user's sessions with all that is in them, other users' messages too; the user's
/// messages in other users' sessions; tokens, costs, audit rows, memberships, limits, reservations, idempotency keys of
/// old files and the id at a messenger; and last the user. Returns the number of deleted messages. Statistics are then as if
/// the user had never existed.
///
/// First the user may not use the bot any more. Up to 500 rows go at once, more in pieces of at most 10,000 that
/// aim at 20 ms each: others' changes get in between. When it fails or is given up, what was deleted stays so:
/// send it again for the rest, and until it is `Ok`. What the user does meanwhile goes too. A user who is made anew
/// under this id meanwhile, when another deletion has done the rest, stays. As a part of another mutation it goes in
/// one piece.
///
/// These stay: updates that were claimed or saved, as a part of a SHA-256 that names nobody, until they are
/// swept ([`Config::idempotency_retention`](crate::Config::idempotency_retention)); timers, whose messages only
/// the bot can interpret; what other users' rows say about the user; rows of your own tables; backups; and old
/// content of free pages in the file, until the pages are used again. `docs/operations.md`, *Forgetting a user*,
/// says what to do about them.
///
/// For administrators: it deletes everything that a user has.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for an unknown user; [`Conflict`](crate::ErrorKind::Conflict) if a
/// row of a table of your own refers to something of the user's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// use botstore::users::{DeleteUser, EnsureUser, GetUser};
///
/// store.write(EnsureUser::new(42, "ada")).await?;
/// store.write(DeleteUser::new(42)).await?;
/// assert!(store.read(GetUser::new(42)).await?.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeleteUser {
    /// The user.
    pub user_id: UserId,
}

impl DeleteUser {
    /// This user.
    pub fn new(user_id: impl Into<UserId>) -> Self {
        Self {
            user_id: user_id.into(),
        }
    }
}

const TOKENS: Rows = Rows {
    find: "SELECT token_id FROM user_tokens INDEXED BY botstore_tokens_user
           WHERE user_id = ?1 LIMIT ?2",
    remove: "DELETE FROM user_tokens WHERE token_id = ?1",
};

/// The user's other rows, which are neither messages nor in a session.
const REST: [Rows; 8] = [
    Rows {
        find: "SELECT id FROM audit_log INDEXED BY idx_audit_log_user_id
               WHERE user_id = ?1 LIMIT ?2",
        remove: "DELETE FROM audit_log WHERE id = ?1",
    },
    Rows {
        find: "SELECT id FROM cost_tracking INDEXED BY idx_cost_tracking_user_date
               WHERE user_id = ?1 LIMIT ?2",
        remove: "DELETE FROM cost_tracking WHERE id = ?1",
    },
    // Those of messages go with these.
    Rows {
        find: "SELECT usage_id FROM botstore_usage INDEXED BY botstore_usage_other_user
               WHERE user_id = ?1 AND usage_id < 0 LIMIT ?2",
        remove: "DELETE FROM botstore_usage WHERE usage_id = ?1",
    },
    Rows {
        find: "SELECT who, measure, per FROM botstore_limit
               WHERE scope = 'user' AND who = ?1 LIMIT ?2",
        remove: "DELETE FROM botstore_limit
                 WHERE scope = 'user' AND who = ?1 AND measure = ?2 AND per = ?3",
    },
    // Read from end to end: it has those of a day, and an index would be a page more for each request.
    Rows {
        find: "SELECT reservation_id FROM botstore_reservation WHERE user_id = ?1 LIMIT ?2",
        remove: "DELETE FROM botstore_reservation WHERE reservation_id = ?1",
    },
    Rows {
        find: "SELECT user_id, idempotency_key FROM botstore_idempotency
               WHERE user_id = ?1 LIMIT ?2",
        remove: "DELETE FROM botstore_idempotency WHERE user_id = ?1 AND idempotency_key = ?2",
    },
    Rows {
        find: "SELECT session_id, user_id
               FROM botstore_session_member INDEXED BY botstore_session_member_user
               WHERE user_id = ?1 LIMIT ?2",
        remove: "DELETE FROM botstore_session_member WHERE session_id = ?1 AND user_id = ?2",
    },
    Rows {
        find: "SELECT platform, external_id FROM botstore_external_user
               WHERE user_id = ?1 LIMIT ?2",
        remove: "DELETE FROM botstore_external_user WHERE platform = ?1 AND external_id = ?2",
    },
];

impl Mutation for DeleteUser {
    type Output = usize;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<usize> {
        tx.in_pieces(|begun, rows| {
            let user = tx.maybe(
                "SELECT user_id, first_seen FROM users WHERE user_id = ?1",
                [self.user_id],
                |row| {
                    Ok(Target {
                        rowid: integer(row, 0)?,
                        made_at: cell(row, 1)?,
                    })
                },
            )?;
            let Some(user) = user.filter(|user| user.is_of(begun)) else {
                return removal::gone_meanwhile(begun, || unknown(self.user_id));
            };
            // So that nobody gets in as this user in between.
            tx.execute(
                "UPDATE users SET is_allowed = 0 WHERE user_id = ?1",
                [self.user_id],
            )?;
            let mut messages = 0;
            let is_gone = self.remove(tx, &mut Allowance::of(rows), &mut messages)?;
            Ok(removal::piece(messages, is_gone, user))
        })
    }
}

impl DeleteUser {
    fn remove(
        &self,
        tx: &WriteTx<'_>,
        allowance: &mut Allowance,
        messages: &mut usize,
    ) -> Result<bool> {
        // Tokens first, for the same reason.
        if !allowance.spend_on(tx, &TOKENS, &self.user_id)? {
            return Ok(false);
        }
        while let Some(session) = DoomedSession::of_user(tx, self.user_id)? {
            if !session.remove(tx, allowance, messages)? {
                return Ok(false);
            }
        }
        for message in Doomed::of_user(tx, self.user_id, allowance.rows())? {
            if !message.remove(tx, allowance)? {
                return Ok(false);
            }
            *messages += 1;
        }
        for rows in &REST {
            // When the allowance is spent, the steps above may have left rows.
            if allowance.rows() == 0 || !allowance.spend_on(tx, rows, &self.user_id)? {
                return Ok(false);
            }
        }
        limits::forget_user(tx, self.user_id)?;
        let user = "DELETE FROM users WHERE user_id = ?1";
        removal::remove_row(tx, user, &self.user_id)?;
        Ok(true)
    }
}
