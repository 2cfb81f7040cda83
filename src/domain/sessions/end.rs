//! Ends sessions.

use super::owns;
use crate::domain::audit::{Change, SESSION_ENDED};
use crate::domain::{SessionId, UserId};
use crate::error::Result;
use crate::operation::{Mutation, WriteTx};
use crate::texts::Texts;
use serde::{Deserialize, Serialize};

/// Ends a session, for its members too. Ending it again changes nothing. A message that is saved into it makes
/// it active again. Recorded in the [audit log](crate::audit), as [`SESSION_ENDED`].
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if the user owns no such session: a member may not end it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> botstore::Result<()> {
/// # let store = botstore::testing::TestStore::open().await?;
/// # store.write(botstore::interactions::SaveInteraction::new(42, "s-1", "Hello").creating("/srv")).await?;
/// use botstore::sessions::EndSession;
///
/// store.write(EndSession::new(42, "s-1")).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndSession {
    /// The session.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// Who did it, if it was not the owner: an administrator, for the audit log.
    #[serde(default)]
    pub by: Option<UserId>,
}

impl EndSession {
    /// This session of this user.
    pub fn new(user_id: impl Into<UserId>, session_id: impl Into<SessionId>) -> Self {
        Self {
            user_id: user_id.into(),
            session_id: session_id.into(),
            by: None,
        }
    }

    /// Who did it, if it was not the owner: an administrator, for the [audit log](crate::audit).
    pub fn by(mut self, by: impl Into<UserId>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Mutation for EndSession {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        let ended = tx.execute(
            "UPDATE sessions SET is_active = 0
             WHERE session_id = ?1 AND user_id = ?2 AND is_active IS NOT 0",
            (&self.session_id, self.user_id),
        )?;
        if ended == 0 {
            return owns(tx, &self.session_id, self.user_id);
        }
        Change::new(SESSION_ENDED, self.user_id)
            .with("session_id", self.session_id.as_str())
            .by(self.by)
            .record(tx)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
    }
}
